//! In which order the layers of a file come that keeps none: what their names and their widths say.

use std::collections::BTreeMap;

/// A run of digits as a number, or what stands between two such runs.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Run {
    Number(u64),
    Text(String),
}

/// A name as something that orders names as people do (`layers.2` and `fc2` before `layers.10` and `fc10`): its parts
/// between dots as runs; names that differ only in zeros before a number by themselves.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Natural(Vec<Vec<Run>>, String);

impl Natural {
    pub(super) fn of(name: &str) -> Self {
        Self(name.split('.').map(runs).collect(), name.into())
    }

    /// What is left of the name if its numbers are not told apart.
    fn stem(&self) -> String {
        let run = |run: &Run| match run {
            Run::Number(_) => "0".to_string(),
            Run::Text(text) => text.clone(),
        };
        let parts = self.0.iter().map(|part| part.iter().map(run).collect());
        parts.collect::<Vec<String>>().join(".")
    }
}

fn runs(part: &str) -> Vec<Run> {
    let digit = |c: char| c.is_ascii_digit();
    let run = |run: &str| match run.parse() {
        Ok(number) if run.starts_with(digit) => Run::Number(number),
        _ => Run::Text(run.into()),
    };
    let mut runs = Vec::new();
    let mut rest = part;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| digit(c) != digit(first));
        let (found, after) = rest.split_at(end.unwrap_or(rest.len()));
        runs.push(run(found));
        rest = after;
    }
    runs
}

/// A linear layer by name.
pub(super) struct Layer<'a> {
    pub(super) name: &'a str,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

/// The orders in which layers fit one another.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Orders {
    None,
    One(Vec<usize>),
    /// More than one, or so many ways to try that it stays open.
    Several,
}

/// So many times at most a layer is put at a place to see whether it fits.
const TRIES: usize = 1_000_000;

/// The orders of layers in which each takes what the one before it gives, the first `first` inputs if that is known.
/// Layers whose names differ in numbers alone come in the order of these.
pub(super) fn orders(layers: &[Layer<'_>], first: Option<usize>) -> Orders {
    let mut sorted: Vec<(Natural, usize)> = layers
        .iter()
        .enumerate()
        .map(|(index, layer)| (Natural::of(layer.name), index))
        .collect();
    sorted.sort();
    let mut queues: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (name, index) in sorted {
        queues.entry(name.stem()).or_default().push(index);
    }
    let queues: Vec<Vec<usize>> = queues.into_values().collect();
    let fits = |order: &[usize], next: usize| match order.last() {
        Some(last) => layers[*last].outputs == layers[next].inputs,
        None => first.is_none_or(|first| first == layers[next].inputs),
    };
    let mut taken = vec![0; queues.len()];
    // Which queue each place of the order was filled from, and from which on the next place is tried.
    let (mut order, mut from, mut start) = (Vec::new(), Vec::new(), 0);
    let mut found = Orders::None;
    for _ in 0..TRIES {
        if let Some(queue) = queues.get(start) {
            match queue.get(taken[start]) {
                Some(&next) if fits(&order, next) => {
                    order.push(next);
                    from.push(start);
                    taken[start] += 1;
                    start = 0;
                }
                _ => start += 1,
            }
            continue;
        }
        if order.len() == layers.len() {
            if found != Orders::None {
                return Orders::Several;
            }
            found = Orders::One(order.clone());
        }
        let Some(last) = from.pop() else {
            return found;
        };
        order.pop();
        taken[last] -= 1;
        start = last + 1;
    }
    Orders::Several
}

#[cfg(test)]
mod tests {
    use super::{Layer, Natural, Orders, orders};

    fn natural(names: &[&'static str]) -> Vec<&'static str> {
        let mut names = names.to_vec();
        names.sort_by_key(|name| Natural::of(name));
        names
    }

    #[test]
    fn numbers_within_names_are_numbers() {
        assert_eq!(
            natural(&["fc10.weight", "fc2.weight", "fc1.weight"]),
            ["fc1.weight", "fc2.weight", "fc10.weight"]
        );
        assert_eq!(
            natural(&["layers.10.bias", "layers.2.bias"]),
            ["layers.2.bias", "layers.10.bias"]
        );
        assert_eq!(natural(&["fc1", "fc01", "fc"]), ["fc", "fc01", "fc1"]);
    }

    fn found(layers: &[(&str, usize, usize)], first: Option<usize>) -> Orders {
        let layers: Vec<Layer<'_>> = layers
            .iter()
            .map(|(name, inputs, outputs)| Layer {
                name,
                inputs: *inputs,
                outputs: *outputs,
            })
            .collect();
        orders(&layers, first)
    }

    #[test]
    fn widths_say_what_names_do_not() {
        let numbered = [("fc10", 4, 4), ("fc2", 4, 4), ("fc1", 4, 4)];
        assert_eq!(found(&numbered, None), Orders::One(vec![2, 1, 0]));
        let named = [("hidden", 3, 4), ("input", 2, 3), ("output", 4, 1)];
        assert_eq!(found(&named, None), Orders::One(vec![1, 0, 2]));
        let alike = [("hidden", 4, 4), ("input", 4, 4), ("output", 4, 4)];
        assert_eq!(found(&alike, None), Orders::Several);
        // Two numbered layers of one width between others are in the order of their numbers.
        let partly = [
            ("head", 4, 1),
            ("body.1", 4, 4),
            ("body.0", 2, 4),
            ("body.2", 4, 4),
        ];
        assert_eq!(found(&partly, None), Orders::One(vec![2, 1, 3, 0]));
        // A circle begins where the input says.
        let circle = [("down", 4, 2), ("up", 2, 4)];
        assert_eq!(found(&circle, None), Orders::Several);
        assert_eq!(found(&circle, Some(4)), Orders::One(vec![0, 1]));
        assert_eq!(found(&[("a", 1, 2), ("b", 3, 4)], None), Orders::None);
        assert_eq!(found(&[], None), Orders::One(Vec::new()));
    }
}
