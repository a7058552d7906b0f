//! Which unit a neuron belongs to, and what the unit's output changes by beyond the neuron's boundary.

use crate::{Error, Result};
use loclin_models::{Alternatives, Network, Operator};

/// The neurons of a piecewise-linear node as units.
#[derive(Debug, Clone)]
pub(crate) enum NodeUnits {
    /// Each neuron is a unit: the slope of its entry of the output changes there.
    Lines {
        entries: usize,
        /// For each breakpoint the difference of the slopes above and below, once or for each entry.
        changes: Vec<Vec<f64>>,
    },
    /// The neurons of each output are one unit, which goes up by what overtakes.
    Largest {
        /// The output that each neuron belongs to.
        owners: Vec<u32>,
    },
}

impl NodeUnits {
    /// Those of node `index`.
    ///
    /// # Errors
    /// An operator that does not say what it selects from.
    pub(crate) fn of(network: &Network, index: usize) -> Result<Self> {
        let node = &network.nodes()[index];
        let Operator::PiecewiseLinear(operator) = &node.operator else {
            return Err(unknown(network, index));
        };
        let operand = &network.nodes()[node.operands[0]].shape;
        match operator.alternatives(operand)? {
            Some(Alternatives::Lines { slopes, .. }) => {
                let differences =
                    |slopes: &Vec<f64>| slopes.windows(2).map(|w| w[1] - w[0]).collect();
                Ok(Self::Lines {
                    entries: operand.iter().product(),
                    changes: slopes.iter().map(differences).collect(),
                })
            }
            Some(Alternatives::Largest(groups)) => {
                let owners = (0u32..).zip(&groups);
                let owners = owners.flat_map(|(unit, group)| (1..group.len()).map(move |_| unit));
                Ok(Self::Largest {
                    owners: owners.collect(),
                })
            }
            None => Err(unknown(network, index)),
        }
    }

    /// The entry of the node's output that a neuron changes, and by how much for each step beyond its boundary.
    pub(crate) fn change(&self, neuron: usize) -> (usize, f64) {
        match self {
            Self::Lines { entries, changes } => {
                let (breakpoint, entry) = (neuron / entries, neuron % entries);
                let own = if changes.len() == 1 { 0 } else { entry };
                (entry, changes[own][breakpoint])
            }
            Self::Largest { owners } => (owners[neuron] as usize, 1.0),
        }
    }

    /// Whether two neurons are of one unit.
    pub(crate) fn are_one(&self, a: usize, b: usize) -> bool {
        match self {
            Self::Lines { .. } => a == b,
            Self::Largest { owners } => owners[a] == owners[b],
        }
    }
}

fn unknown(network: &Network, index: usize) -> Error {
    let node = &network.nodes()[index];
    Error::Argument {
        what: "network",
        cause: format!(
            "node {}: {} does not say what it selects from (PiecewiseLinear::alternatives)",
            node.name,
            node.operator.kind()
        ),
    }
}
