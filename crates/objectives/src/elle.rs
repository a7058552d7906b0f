//! Efficient local linearity regularisation, ELLE (Abad Rocamora, Liu, Chrysos, Olmos and Cevher, 2024; arXiv 2401.11618).

use crate::{
    Result,
    task::{check_positive, cross_entropies, moved, uniform_moves},
};
use candle_core::Tensor;
use loclin_models::Trace;
use rand::Rng;

/// The mean over inputs of `(l((1 - a) x_a + a x_b) - (1 - a) l(x_a) - a l(x_b))^2` for `x_a` and `x_b` uniform in the l_inf ball of the
/// radius around the input and `a` uniform in [0, 1], drawn from `rng`: a scalar to be added to the task loss times `lambda`. `l` is the
/// softmax cross entropy. Three values, and no gradient in the input.
///
/// # Shapes
/// The trace of `inputs` `[B, in...]`, these, and labels `[B]` give a scalar `[]`.
///
/// # Errors
/// A radius that is not above 0, inputs that are not the trace's, labels that are not those of the outputs.
pub fn elle(
    trace: &Trace,
    inputs: &Tensor,
    labels: &Tensor,
    radius: f64,
    rng: &mut impl Rng,
) -> Result<Tensor> {
    check_positive("radius", radius)?;
    let ends = [
        uniform_moves(trace, radius, rng)?,
        uniform_moves(trace, radius, rng)?,
    ];
    let shares: Vec<f64> = (0..trace.batch()).map(|_| rng.random()).collect();
    let shares =
        Tensor::from_vec(shares, trace.batch(), inputs.device())?.to_dtype(inputs.dtype())?;
    let column = shares.unsqueeze(1)?;
    let towards = (&ends[1] - &ends[0])?.broadcast_mul(&column)?;
    let between = (&ends[0] + towards)?;
    let at = |by: &Tensor| moved(trace, inputs, by);
    let traces = [at(&ends[0])?, at(&between)?, at(&ends[1])?];
    nonlinearity(&traces, labels, &shares)
}

/// The mean over inputs of `(l(x_m) - (1 - a) l(x_a) - a l(x_b))^2` for traces of one network at `x_a`, `x_m` and `x_b` and shares `a`
/// `[B]`: what [`elle`] is at its draw.
///
/// # Shapes
/// Traces of `B` inputs with labels `[B]` give a scalar `[]`.
///
/// # Errors
/// Labels that are not those of the outputs.
pub fn nonlinearity(traces: &[Trace; 3], labels: &Tensor, shares: &Tensor) -> Result<Tensor> {
    let [start, middle, end] = traces;
    let [start, middle, end] = [
        cross_entropies(start, labels)?,
        cross_entropies(middle, labels)?,
        cross_entropies(end, labels)?,
    ];
    let chord = (&start + ((end - &start)? * shares)?)?;
    Ok((middle - chord)?.sqr()?.mean_all()?)
}
