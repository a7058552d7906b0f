//! What Euclidean lengths say of a network's nodes, whatever the input.

use crate::Result;
use loclin_models::{Lengths, Magnitudes};

/// Roundings of the sums of bounds, as a factor.
pub(crate) const SLACK: f64 = 1.0 + 1e-9;

/// What is known of a network's nodes.
#[derive(Debug)]
pub(crate) struct NodeLengths {
    pub(crate) lengths: Lengths,
    /// At least the length of each node's Jacobian.
    pub(crate) jacobians: Vec<f64>,
    /// What arises when a cotangent of length 1 is pulled through a node to each operand.
    pub(crate) pulls: Vec<Vec<f64>>,
}

impl NodeLengths {
    /// Of a network by its spectral norms and absolute values.
    pub(crate) fn new(lengths: &Lengths, magnitudes: &Magnitudes) -> Result<Self> {
        let jacobians = lengths.jacobians()?;
        Ok(Self {
            jacobians: jacobians.into_iter().map(|l| l * SLACK).collect(),
            pulls: magnitudes.pull_errors(lengths)?,
            lengths: lengths.clone(),
        })
    }
}
