//! Bounds of Euclidean lengths, node by node: of Jacobians, and of whatever arises at nodes and is passed on.

use crate::{
    error::Result,
    network::{Network, Node},
    operator::Operator,
};
use candle_core::Tensor;

/// How much longer the nodes of a network make what passes them, [`Network::lengths`].
///
/// ```
/// use candle_core::{DType, Device};
/// use loclin_models::{Mlp, Parameters};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![3], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
/// let lengths = network.lengths()?;
/// // What arises at the input alone is passed on as the Jacobians do.
/// let mut sources = vec![0.0; network.nodes().len()];
/// sources[0] = 1.0;
/// assert_eq!(lengths.through(&sources)?, network.lipschitz_bounds()?);
/// # Ok::<(), loclin_models::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Lengths {
    network: Network,
    nodes: Vec<Gains>,
}

/// Upper bounds of one node.
#[derive(Debug, Clone)]
struct Gains {
    /// Of the linear part, from each operand.
    each: Vec<f64>,
    /// Of a normalisation and the layer below it together, from that layer's operands.
    fused: Option<Fused>,
}

/// The layer below, and the bound of both.
#[derive(Debug, Clone, Copy)]
struct Fused {
    below: usize,
    operand: usize,
    both: f64,
}

impl Network {
    /// Upper bounds of the spectral norms of all operators, under every selection. A normalisation of channels is bounded together
    /// with the layer below it.
    ///
    /// # Errors
    /// Those of the operators' own bounds: a tensor computation that fails.
    pub fn lengths(&self) -> Result<Lengths> {
        let mut nodes: Vec<Gains> = Vec::with_capacity(self.nodes().len());
        for node in self.nodes() {
            let shapes = shapes(self, node);
            let mut each = Vec::new();
            for operand in 0..node.operands.len() {
                let mut bounds = vec![0.0; shapes.len()];
                bounds[operand] = 1.0;
                each.push(match &node.operator {
                    Operator::Input => 1.0,
                    Operator::PiecewiseLinear(operator) => operator.lipschitz(shapes[0])?,
                    Operator::Affine(operator) => operator.lipschitz(&shapes, &bounds)?,
                });
            }
            let fused = match &node.operator {
                Operator::Affine(operator) => match operator.channel_scale()? {
                    Some(scale) => self.fused(node.operands[0], &scale)?,
                    None => None,
                },
                _ => None,
            };
            nodes.push(Gains { each, fused });
        }
        let network = self.clone();
        Ok(Lengths { network, nodes })
    }

    /// The bound of a node of one operand whose channels are multiplied by `scale`, if it is better known than as a product.
    fn fused(&self, below: usize, scale: &Tensor) -> Result<Option<Fused>> {
        let node = &self.nodes()[below];
        let (Operator::Affine(operator), &[operand]) = (&node.operator, &node.operands[..]) else {
            return Ok(None);
        };
        let both = operator.scaled_lipschitz(scale, &shapes(self, node), &[1.0])?;
        Ok(both.map(|both| Fused {
            below,
            operand,
            both,
        }))
    }
}

impl Lengths {
    /// How many nodes there are.
    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// At least how many times longer a node makes what comes from its operand number `operand`, and what is pulled back to it.
    pub fn gain(&self, node: usize, operand: usize) -> f64 {
        let gains = self.nodes.get(node);
        let gain = gains.and_then(|gains| gains.each.get(operand));
        gain.copied().unwrap_or(f64::INFINITY)
    }

    /// For each node at least the length of what has come to it, if at each node `sources` is the length of what arises there: of
    /// changes of values, whatever the pattern. Up to the rounding of a product and a sum at each node.
    ///
    /// # Errors
    /// Those of the operators' own bounds.
    pub fn through(&self, sources: &[f64]) -> Result<Vec<f64>> {
        // What vanishes as a product is made long again by other nodes: it is no less than the least normal number.
        let passed = |length: f64, gain: f64| match length * gain {
            vanished if vanished < f64::MIN_POSITIVE && length > 0.0 && gain > 0.0 => {
                f64::MIN_POSITIVE
            }
            product => product,
        };
        let mut lengths: Vec<f64> = Vec::with_capacity(self.nodes.len());
        for (index, (node, gains)) in self.network.nodes().iter().zip(&self.nodes).enumerate() {
            let own: Vec<f64> = node.operands.iter().map(|&i| lengths[i]).collect();
            let arriving = match (&node.operator, gains.fused, &own[..]) {
                (Operator::Input, ..) => 0.0,
                (_, Some(fused), _) => {
                    passed(lengths[fused.operand], fused.both)
                        + passed(sources[fused.below], gains.each[0])
                }
                (_, None, [own]) => passed(*own, gains.each[0]),
                (Operator::Affine(operator), ..) => {
                    operator.lipschitz(&shapes(&self.network, node), &own)?
                }
                _ => f64::INFINITY,
            };
            lengths.push(match arriving + sources[index] {
                length if length.is_finite() => length,
                _ => f64::INFINITY,
            });
        }
        Ok(lengths)
    }
}

fn shapes<'a>(network: &'a Network, node: &Node) -> Vec<&'a [usize]> {
    let shape = |&i: &usize| &network.nodes()[i].shape[..];
    node.operands.iter().map(shape).collect()
}
