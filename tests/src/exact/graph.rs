//! A network as a list of maps with rational numbers.

use super::affine::{self, Place};
use super::map::Map;
use super::parameters::{Parameters, Unsupported};
use super::selecting;
use loclin_models::{Network, Operator};

/// A network in rational numbers; node 0 is the input.
#[derive(Debug, Clone)]
pub struct Graph {
    /// How many numbers one input has.
    pub inputs: usize,
    /// The nodes after the input: what each computes, and the indices of its operands.
    pub nodes: Vec<(Map, Vec<usize>)>,
    /// Whether every number is the network's. It is not where a batch normalisation divides by an irrational root,
    /// which is then too small by less than 2^-256 of it.
    pub is_exact: bool,
}

impl Graph {
    /// The network with the numbers that it stores. Where the library rounds an operator's numbers when it is made
    /// (`1 / std` of a standardisation), the exact one does not.
    ///
    /// # Errors
    /// An operator from elsewhere, or a parameter that is not finite.
    pub fn of(network: &Network) -> Result<Self, Unsupported> {
        let shapes: Vec<&[usize]> = network.nodes().iter().map(|n| &n.shape[..]).collect();
        let (mut nodes, mut is_exact) = (Vec::new(), true);
        for node in &network.nodes()[1..] {
            let parameters = Parameters::of(&node.operator)?;
            let operands: Vec<&[usize]> = node.operands.iter().map(|i| shapes[*i]).collect();
            let spec = node.operator.spec();
            let spec = spec.as_ref().ok_or(Unsupported::Operator("input"))?;
            let map = match &node.operator {
                Operator::PiecewiseLinear(_) => {
                    selecting::map(spec, &parameters, operands[0], &node.shape)?
                }
                _ => {
                    let place = Place {
                        parameters: &parameters,
                        operands,
                        shape: &node.shape,
                    };
                    let (rows, all_exact) = affine::rows(spec, &place)?;
                    is_exact &= all_exact;
                    Map::Affine(rows)
                }
            };
            nodes.push((map, node.operands.clone()));
        }
        Ok(Self {
            inputs: network.input_size(),
            nodes,
            is_exact,
        })
    }
}
