//! Gradient alignment, GradAlign (Andriushchenko and Flammarion, 2020).

use crate::{
    Result,
    task::{check_positive, loss_directions, moved, uniform_moves},
};
use candle_core::Tensor;
use loclin_models::Trace;
use loclin_tensor::{safe_divide, safe_sqrt};
use rand::Rng;

/// The mean over inputs of `1 - cos(grad l(x), grad l(x + eta))` for `eta` uniform in the l_inf ball of the radius, drawn from
/// `rng`: a scalar to be added to the task loss times `lambda`. `l` is the softmax cross entropy; both gradients are differentiated.
///
/// # Shapes
/// The trace of `inputs` `[B, in...]`, these, and labels `[B]` give a scalar `[]`.
///
/// # Errors
/// A radius that is not above 0, inputs that are not the trace's, labels that are not those of the outputs.
pub fn grad_align(
    trace: &Trace,
    inputs: &Tensor,
    labels: &Tensor,
    radius: f64,
    rng: &mut impl Rng,
) -> Result<Tensor> {
    check_positive("radius", radius)?;
    let there = moved(trace, inputs, &uniform_moves(trace, radius, rng)?)?;
    misalignment(trace, &there, labels)
}

/// The mean over inputs of `1 - cos(grad l(x), grad l(x'))` for the inputs of two traces of one network: what [`grad_align`] is at its
/// draw. An input one of whose gradients is 0 counts as aligned.
///
/// # Shapes
/// Traces of `B` inputs with labels `[B]` give a scalar `[]`.
///
/// # Errors
/// Labels that are not those of the outputs.
pub fn misalignment(here: &Trace, there: &Trace, labels: &Tensor) -> Result<Tensor> {
    // Angles do not depend on how large gradients are.
    let (one, other) = (
        loss_directions(here, labels)?,
        loss_directions(there, labels)?,
    );
    let length = |gradient: &Tensor| safe_sqrt(&gradient.sqr()?.sum(1)?);
    let lengths = (length(&one)? * length(&other)?)?;
    let cosines = safe_divide(&(one * other)?.sum(1)?, &lengths, 1.0)?;
    Ok(cosines.affine(-1.0, 1.0)?.mean_all()?)
}
