//! Where the rounding errors of a forward pass arise.

use crate::Rows;
use loclin_models::Trace;

/// Bounds of the errors that arise at each neuron of a batch by themselves, apart from those that come from below.
///
/// The error of a neuron's value is what arises there, and for each layer below the product of the neuron's gradient with
/// respect to that layer's activations and of what arises there. For a neuron whose gradient is known that says far more
/// than any bound that knows no gradient.
#[derive(Debug, Clone)]
pub(crate) struct LocalErrors {
    /// Of the neurons' values, `[B, |I|]`.
    pub(crate) values: Rows,
    /// Of their activations, `[B, |I|]`: what arose in the values, on the recorded slope, and what the activation adds. Where
    /// the side is undecided by the values' bound, also what the other slope would change.
    pub(crate) activations: Rows,
    /// At least the length of the second for each layer, `[B, layers]`.
    pub(crate) lengths: Rows,
    /// At least the length of the errors of the normalised input, `[B, 1]`.
    pub(crate) inputs: Rows,
}

impl LocalErrors {
    /// Those of input number `input` alone.
    pub(crate) fn only(&self, input: usize) -> Self {
        Self {
            values: self.values.only(input),
            activations: self.activations.only(input),
            lengths: self.lengths.only(input),
            inputs: self.inputs.only(input),
        }
    }
}

/// What an engine's forward pass finds: the trace, the neurons' values `[B, |I|]`, and, where they are known, bounds of their
/// errors and where these arise.
pub(crate) type ForwardPass = (Trace, Rows, Option<(Rows, LocalErrors)>);

/// What is known of the neurons' values of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    /// As computed, `[B, |I|]`.
    pub(crate) computed: &'a Rows,
    /// The part that rounding cannot have made, with its sign.
    pub(crate) clear: &'a Rows,
    /// Where their errors arise, if that is known.
    pub(crate) local: Option<&'a LocalErrors>,
}
