//! A network in exact arithmetic.

use super::error::{ExactError, Result};
use super::matrix::{Matrix, size};
use super::selection::Choices;
use candle_core::{DType, Device};
use loclin_models::{Network, NeuronRange, Node, Operator};

/// A network whose matrices were read out, to be evaluated without rounding.
#[derive(Debug)]
pub struct Exact {
    pub(super) nodes: Vec<ExactNode>,
    ranges: Vec<NeuronRange>,
}

/// A node's map, and what it reads.
#[derive(Debug)]
pub(super) struct ExactNode {
    pub(super) map: Map,
    pub(super) operands: Vec<usize>,
    pub(super) size: usize,
}

#[derive(Debug)]
pub(super) enum Map {
    Input,
    Affine(Matrix),
    Selects(Choices),
}

impl ExactNode {
    /// How many multiply-adds a value or a pull takes.
    fn cost(&self) -> u64 {
        match &self.map {
            Map::Affine(matrix) => matrix.weights() as u64,
            _ => self.size as u64,
        }
    }
}

impl Exact {
    /// Reads the matrices of a network out of its operators, in float64 whatever its type. `most` is how many multiply-adds
    /// reading and one evaluation may take; a matrix is read with all its zeros.
    ///
    /// # Errors
    /// [`ExactError::TooLarge`] before any work is done, [`ExactError::Unknown`] for an operator that does not say how it
    /// rounds or what it selects from, and numbers that are not finite.
    pub fn new(network: &Network, most: u64) -> Result<Self> {
        let needed = Self::cost(network);
        if needed > most {
            return Err(ExactError::TooLarge {
                needed,
                allowed: most,
            });
        }
        let network = network.to(DType::F64, &Device::Cpu)?;
        let all = network.nodes();
        let (mut nodes, mut ranges, mut start) = (Vec::new(), Vec::new(), 0);
        for (index, node) in all.iter().enumerate() {
            let map = Self::map(all, node)?;
            if let (Map::Selects(choices), [operand]) = (&map, &node.operands[..]) {
                let count = choices.neurons(size(&all[*operand].shape));
                ranges.push(NeuronRange {
                    node: index,
                    start,
                    count,
                });
                start += count;
            }
            nodes.push(ExactNode {
                map,
                operands: node.operands.clone(),
                size: size(&node.shape),
            });
        }
        Ok(Self { nodes, ranges })
    }

    /// At most how many multiply-adds it takes to read a network out and to evaluate it once.
    pub fn cost(network: &Network) -> u64 {
        let all = network.nodes();
        let one = |node: &Node| {
            let output = size(&node.shape) as u64;
            let operands = node.operands.iter().map(|i| size(&all[*i].shape) as u64);
            match node.operator {
                Operator::Affine(_) => {
                    operands.fold(0u64, |sum, n| sum.saturating_add(n.saturating_mul(output)))
                }
                _ => operands.fold(output, u64::saturating_add),
            }
        };
        all.iter().map(one).fold(0, u64::saturating_add)
    }

    fn map(all: &[Node], node: &Node) -> Result<Map> {
        let operands: Vec<&[usize]> = node.operands.iter().map(|i| &all[*i].shape[..]).collect();
        Ok(match (&node.operator, &operands[..]) {
            (Operator::Affine(operator), operands) => {
                let operator = operator.as_ref();
                Map::Affine(Matrix::read(&node.name, operator, operands, &node.shape)?)
            }
            (Operator::PiecewiseLinear(operator), [operand]) => {
                let Some(alternatives) = operator.alternatives(operand)? else {
                    let cause = format!("what `{}` selects from", operator.kind());
                    return Err(ExactError::unknown(&node.name, cause));
                };
                let choices = Choices::of(&node.name, alternatives, operand, &node.shape)?;
                Map::Selects(choices)
            }
            _ => Map::Input,
        })
    }

    /// Where the neurons are, in the order of the nodes, as [`loclin_models::Trace::neuron_ranges`] has them.
    pub fn neuron_ranges(&self) -> &[NeuronRange] {
        &self.ranges
    }

    /// How many neurons there are.
    pub fn neurons(&self) -> usize {
        self.ranges.iter().map(|range| range.count).sum()
    }

    /// For each piecewise-linear node the number of pieces of each unit.
    pub(super) fn units(&self) -> Vec<Vec<usize>> {
        let nodes = self.nodes.iter();
        let of = |node: &ExactNode| match (&node.map, &node.operands[..]) {
            (Map::Selects(choices), [operand]) => Some(choices.units(self.nodes[*operand].size)),
            _ => None,
        };
        nodes.filter_map(of).collect()
    }

    /// How many multiply-adds one gradient takes at most, or an evaluation.
    pub fn gradient_cost(&self) -> u64 {
        self.nodes.iter().map(ExactNode::cost).sum()
    }

    /// How many multiply-adds the gradients of all neurons take at most.
    pub fn gradients_cost(&self) -> u64 {
        let (mut below, mut cost) = (0u64, 0u64);
        let mut ranges = self.ranges.iter().peekable();
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(range) = ranges.next_if(|range| range.node == index) {
                cost = cost.saturating_add(below.saturating_mul(range.count as u64));
            }
            below = below.saturating_add(node.cost());
        }
        cost
    }
}
