//! How much memory inference may use at once.

use loclin_models::{Network, Operator};
use std::ops::Range;

/// A bound on the memory that one question about a batch uses for tangents.
///
/// Inference splits its work over inputs, and over axes or directions where one input alone is too large, such
/// that the tangents alive at a time fit. Results do not depend on it but for rounding. Inputs, answers and the
/// network's own parameters come on top; so does a minimum of one tangent of one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes for tangents; the default is 256 MiB.
    pub bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: 256 << 20 }
    }
}

/// A piece of the work: some inputs and some of the tangents of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) inputs: Range<usize>,
    pub(crate) tangents: Range<usize>,
}

impl Budget {
    /// How many inputs to linearise together, at least 1, such that what is kept of them fits too: of each, four
    /// numbers for every neuron (its value twice, its side, its slope) and a forward pass in float64.
    pub fn inputs(self, network: &Network) -> usize {
        let neurons: usize = network
            .nodes()
            .iter()
            .filter_map(|node| match (&node.operator, &node.operands[..]) {
                (Operator::PiecewiseLinear(_), [operand]) => Some(&network.nodes()[*operand].shape),
                _ => None,
            })
            .map(|shape| shape.iter().product::<usize>())
            .sum();
        let numbers = network.tangent_size().saturating_add(4 * neurons);
        (self.bytes / numbers.saturating_mul(size_of::<f64>()).max(1)).max(1)
    }

    /// Splits `batch` inputs with `tangents` tangents each into chunks, all tangents of an input before those of
    /// the next chunk of inputs.
    pub(crate) fn chunks(self, network: &Network, batch: usize, tangents: usize) -> Vec<Chunk> {
        let per_tangent = network
            .tangent_size()
            .saturating_mul(network.dtype().size_in_bytes());
        let affordable = (self.bytes / per_tangent.max(1)).max(1);
        let inputs_at_once = (affordable / tangents.max(1)).clamp(1, batch.max(1));
        let tangents_at_once = (affordable / inputs_at_once).clamp(1, tangents.max(1));
        let split = |n: usize, step: usize| {
            (0..n)
                .step_by(step)
                .map(move |start| start..(start + step).min(n))
        };
        split(batch, inputs_at_once)
            .flat_map(|inputs| {
                split(tangents, tangents_at_once).map(move |tangents| Chunk {
                    inputs: inputs.clone(),
                    tangents,
                })
            })
            .collect()
    }
}
