//! Whether a model knows its inputs at all.

use std::collections::BTreeMap;

use crate::program::classes::{Classes, word};

/// Labelled inputs below which nothing is said.
const LEAST: usize = 50;

/// A warning if the model predicts no better than by chance, which of a trained one means that it sees other inputs than it
/// was trained on.
///
/// That is: not above `1 / classes` by three standard deviations of a binomial count, or below twice that and a tenth of the
/// way from it to 1. `None` for fewer than 50 labelled inputs.
pub fn warning(correct: usize, labelled: usize, outputs: usize) -> Option<String> {
    if labelled < LEAST {
        return None;
    }
    // A network with one output tells two classes apart.
    let classes = outputs.max(2);
    let (count, chance) = (labelled as f64, 1.0 / classes as f64);
    let accuracy = correct as f64 / count;
    let noise = 3.0 * (chance * (1.0 - chance) / count).sqrt();
    let little = (chance + 0.1 * (1.0 - chance)).min(2.0 * chance);
    if accuracy > chance + noise && accuracy >= little {
        return None;
    }
    Some(format!(
        "accuracy {:.1}% of {labelled} inputs, chance among {classes} classes is {:.1}%: the preprocessing is likely not \
         the one that the model was trained with (--mean, --std, --scale, --layout), or the labels are numbered \
         otherwise",
        100.0 * accuracy,
        100.0 * chance
    ))
}

/// The most frequent mistake by its classes' names; `None` if there is none.
pub fn mistake(labels: &[u32], predictions: &[u32], names: &Classes) -> Option<String> {
    let mut counts: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    for (&label, &prediction) in labels.iter().zip(predictions) {
        if label != prediction {
            *counts.entry((label, prediction)).or_default() += 1;
        }
    }
    let word = |class: u32| word(class, names.name(class).as_deref());
    // Of equal ones the first.
    let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    most.map(|((label, prediction), count)| {
        let (label, prediction) = (word(label), word(prediction));
        format!("the most frequent mistake: {label} taken for {prediction}, {count} times")
    })
}

#[cfg(test)]
mod tests {
    use super::warning;

    #[test]
    fn only_what_is_near_chance_is_warned_of() {
        for (correct, labelled, outputs, warned) in [
            (0, 49, 10, false),
            (5, 50, 10, true),
            (40, 50, 10, false),
            // Far from chance for the number of inputs, and still useless.
            (175, 1000, 10, true),
            (250, 1000, 10, false),
            (520, 1000, 2, true),
            (520, 1000, 1, true),
            (700, 1000, 2, false),
            // Bad for a thousand classes, but not chance.
            (100, 1000, 1000, false),
            (1, 1000, 1000, true),
            (0, 1000, 10, true),
        ] {
            let found = warning(correct, labelled, outputs);
            assert_eq!(
                found.is_some(),
                warned,
                "{correct} of {labelled}, {outputs}: {found:?}"
            );
        }
    }
}
