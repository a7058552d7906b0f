//! Tangents through the fixed-pattern network, from the input to the output.

use super::Trace;
use crate::{
    error::{Error, Result},
    operator::Operator,
};
use candle_core::Tensor;

/// What goes through the fixed-pattern network.
#[derive(Clone, Copy)]
enum Reading {
    /// Tangents.
    Tangents,
    /// The same; what is seen of them may have any shape.
    Unshaped,
    /// Points, to which offsets are added.
    Points,
}

impl Trace {
    /// Pushes input tangents `[B or 1, K, in...]` through the fixed-pattern linear network.
    ///
    /// `visit` sees the tangents of each piecewise-linear node's neurons, `[B or 1, K, m]`, in the order of
    /// [`Trace::neuron_ranges`]; the result is the tangents of the output, `[B or 1, K, L]`. Intermediate tangents are
    /// dropped after their last use.
    ///
    /// # Errors
    /// [`Error::TangentShape`] for tangents of another shape, and what `visit` returns.
    pub fn push(
        &self,
        tangents: &Tensor,
        visit: impl FnMut(usize, Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        self.through(tangents, Reading::Tangents, visit)
    }

    /// [`Trace::push`] where only the numbers count that `visit` sees, in any shape `[B or 1, K, ...]`: differentiated with one
    /// pass less for each node.
    ///
    /// # Errors
    /// Those of [`Trace::push`].
    pub fn push_unshaped(
        &self,
        tangents: &Tensor,
        visit: impl FnMut(usize, Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        self.through(tangents, Reading::Unshaped, visit)
    }

    /// The values of the fixed-pattern *affine* network `g` (Sec. 4.1) at points `[B or 1, K, in...]`; `visit`
    /// sees the pre-activations at them, up to a constant for each neuron (0 for ReLU and LeakyReLU).
    ///
    /// `g(x + t) - g(x)` is what [`Trace::push`] computes directly; this is the published way, for reference.
    ///
    /// # Errors
    /// Those of [`Trace::push`].
    pub fn fixed_pattern(
        &self,
        points: &Tensor,
        visit: impl FnMut(usize, Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        self.through(points, Reading::Points, visit)
    }

    fn through(
        &self,
        tangents: &Tensor,
        reading: Reading,
        mut visit: impl FnMut(usize, Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let shape = self.network.input_shape();
        let dims = tangents.dims();
        if dims.len() != shape.len() + 2
            || dims[2..] != *shape
            || !(dims[0] == 1 || dims[0] == self.batch)
        {
            let expected = format!("[1 or {}, K, {shape:?}]", self.batch);
            return Err(Error::TangentShape {
                what: "tangents",
                expected,
                found: dims.to_vec(),
            });
        }
        self.network
            .forward_walk(tangents.clone(), |index, node, operands| {
                let (mut value, offset) = match (&node.operator, &self.records[index]) {
                    (Operator::Affine(operator), _) => {
                        (operator.push(operands)?, operator.offset(&node.shape)?)
                    }
                    (Operator::PiecewiseLinear(operator), Some(record)) => {
                        let neurons = match reading {
                            Reading::Unshaped => {
                                operator.push_unshaped_neurons(operands[0], record)?
                            }
                            _ => operator.push_neurons(operands[0], record)?,
                        };
                        visit(index, neurons)?;
                        (
                            operator.push(operands[0], record)?,
                            operator.offset(record)?,
                        )
                    }
                    _ => (operands[0].clone(), None),
                };
                if let (Reading::Points, Some(offset)) = (reading, offset) {
                    value = value.broadcast_add(&offset.unsqueeze(1)?)?;
                }
                Ok::<_, Error>(value)
            })
    }
}
