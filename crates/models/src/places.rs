//! Where neurons are in their layers, in words.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::{Alternatives, Network, Operator, Result};

/// The places of a network's neurons; what is found of a node is kept for the next question.
///
/// ```
/// use candle_core::{DType, Device};
/// use loclin_models::{Mlp, Parameters, Places};
/// let config = Mlp { inputs: vec![4], hidden: vec![8], outputs: 3, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(7).builder(DType::F64, &Device::Cpu))?;
/// let node = network.nodes().iter().position(|node| node.shape == [8]).map(|linear| linear + 1);
/// assert_eq!(Places::default().of(&network, node.unwrap_or(0), 5)?, "unit 5");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Places {
    known: BTreeMap<usize, Units>,
}

/// The units of a node, and which of them each of its neurons belongs to.
#[derive(Debug)]
struct Units {
    shape: Vec<usize>,
    neurons: Neurons,
}

/// How the neurons of a node are numbered.
#[derive(Debug)]
enum Neurons {
    /// All units once for each breakpoint.
    Repeated,
    /// Unit after unit: for each of them the number of the first neuron behind its own.
    Grouped(Vec<usize>),
    /// In an order that its operator does not say.
    Unknown,
}

impl Places {
    /// Where the unit of neuron `index` of the node `node` is, counted from 0, such as `channel 3, row 5, column 7`; empty where that
    /// is not known. A difference of a maximum is where the maximum is. Always ask about the same network.
    ///
    /// # Errors
    /// A parameter that cannot be read.
    pub fn of(&mut self, network: &Network, node: usize, index: usize) -> Result<String> {
        let units = match self.known.entry(node) {
            Entry::Occupied(units) => units.into_mut(),
            Entry::Vacant(none) => none.insert(Units::of(network, node)?),
        };
        Ok(units.place(index))
    }
}

impl Units {
    fn of(network: &Network, node: usize) -> Result<Self> {
        let nodes = network.nodes();
        let known = nodes.get(node);
        let operand = known.and_then(|known| nodes.get(*known.operands.first()?));
        let alternatives = match (known.map(|known| &known.operator), operand) {
            (Some(Operator::PiecewiseLinear(operator)), Some(operand)) => {
                operator.alternatives(&operand.shape)?
            }
            _ => None,
        };
        let neurons = match alternatives {
            Some(Alternatives::Lines { .. }) => Neurons::Repeated,
            Some(Alternatives::Largest(groups)) => {
                let ends = groups.iter().scan(0, |end, group| {
                    *end += group.len().saturating_sub(1);
                    Some(*end)
                });
                Neurons::Grouped(ends.collect())
            }
            None => Neurons::Unknown,
        };
        Ok(Self {
            shape: known.map_or(Vec::new(), |known| known.shape.clone()),
            neurons,
        })
    }

    fn place(&self, index: usize) -> String {
        let units: usize = self.shape.iter().product();
        let unit = match &self.neurons {
            Neurons::Repeated => index % units.max(1),
            Neurons::Grouped(ends) => ends.partition_point(|end| *end <= index),
            Neurons::Unknown => return String::new(),
        };
        match unit < units {
            true => in_words(&self.shape, unit),
            false => String::new(),
        }
    }
}

/// The coordinates of an entry of a tensor of this shape, row by row.
fn in_words(shape: &[usize], entry: usize) -> String {
    let mut rest = entry;
    let mut at: Vec<usize> = Vec::with_capacity(shape.len());
    for size in shape.iter().rev() {
        at.push(rest % size.max(&1));
        rest /= size.max(&1);
    }
    at.reverse();
    match at[..] {
        [unit] => format!("unit {unit}"),
        [row, column] => format!("row {row}, column {column}"),
        [channel, row, column] => format!("channel {channel}, row {row}, column {column}"),
        _ => {
            let numbers: Vec<String> = at.iter().map(usize::to_string).collect();
            format!("unit {}", numbers.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Neurons, Units};

    fn place(shape: &[usize], neurons: Neurons, index: usize) -> String {
        let shape = shape.to_vec();
        Units { shape, neurons }.place(index)
    }

    #[test]
    fn a_neuron_is_where_its_unit_is() {
        let pixel = 3 * 72 + 5 * 9 + 7;
        let word = "channel 3, row 5, column 7";
        assert_eq!(place(&[4, 8, 9], Neurons::Repeated, pixel), word);
        // That of the second breakpoint.
        let second = 4 * 8 * 9 + pixel;
        assert_eq!(place(&[4, 8, 9], Neurons::Repeated, second), word);
        assert_eq!(place(&[40], Neurons::Repeated, 17), "unit 17");
        assert_eq!(
            place(&[2, 3, 4, 5], Neurons::Repeated, 119),
            "unit 1, 2, 3, 4"
        );
    }

    /// Maxima over three, one and two entries.
    #[test]
    fn a_difference_of_a_maximum_is_where_the_maximum_is() {
        let ends = || Neurons::Grouped(vec![2, 2, 3]);
        let found = [0, 1, 2, 3].map(|index| place(&[3], ends(), index));
        assert_eq!(found, ["unit 0", "unit 0", "unit 2", ""]);
        assert_eq!(place(&[3], Neurons::Unknown, 0), "");
    }
}
