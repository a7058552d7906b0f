//! Curvature regularisation, CURE (Moosavi-Dezfooli, Fawzi, Uesato and Frossard, 2019).

use crate::{
    Result,
    task::{check_positive, loss_gradients, moved},
};
use candle_core::Tensor;
use loclin_models::Trace;
use loclin_tensor::{safe_divide, safe_sqrt};

/// The mean over inputs of `||grad l(x + h d) - grad l(x)||_2^2` for the direction `d = sign(grad l(x))` divided by its l2 norm, a
/// constant in the differentiation: a scalar to be added to the task loss times `lambda`. `l` is the softmax cross entropy.
///
/// Of a piecewise-linear network it sees the change of the gradient by the slope changes between both points, and by the softmax.
///
/// # Shapes
/// The trace of `inputs` `[B, in...]`, these, and labels `[B]` give a scalar `[]`.
///
/// # Errors
/// An `h` that is not above 0, inputs that are not the trace's, labels that are not those of the outputs.
pub fn cure(trace: &Trace, inputs: &Tensor, labels: &Tensor, h: f64) -> Result<Tensor> {
    check_positive("h", h)?;
    let here = loss_gradients(trace, labels)?;
    let signs = here.detach().sign()?;
    let lengths = safe_sqrt(&signs.sqr()?.sum_keepdim(1)?)?.broadcast_as(signs.shape())?;
    let direction = safe_divide(&signs, &lengths, 0.0)?;
    let there = moved(trace, inputs, &(direction * h)?)?;
    let change = (loss_gradients(&there, labels)? - here)?;
    Ok(change.sqr()?.sum(1)?.mean_all()?)
}
