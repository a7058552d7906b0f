//! The terms that every objective is made of: gradient lengths, distances to 0, and the TSVM loss of a neuron.

use crate::{Error, Result, fc};
use candle_core::Tensor;
use roll_models::Trace;
use roll_regions::axes;

/// `||grad z||_2^2` of all neurons, `[B, |I|]`, differentiable in the parameters.
///
/// Exact. For a fully connected chain on the CPU from Gram matrices, where that is the cheaper way; else by
/// [`squared_gradient_norms_by_pushing`].
pub fn squared_gradient_norms(trace: &Trace) -> Result<Tensor> {
    match fc::squared_norms(trace)? {
        Some(norms) => Ok(norms),
        None => squared_gradient_norms_by_pushing(trace),
    }
}

/// [`squared_gradient_norms`] for every network: pushes all `D` axes (App. D), whose tangents stay in memory for
/// the backward pass.
pub fn squared_gradient_norms_by_pushing(trace: &Trace) -> Result<Tensor> {
    let network = trace.network();
    squared_derivatives(trace, &axes(network, 0..network.input_size())?)
}

/// `sum over k of (grad z . t_k)^2` of all neurons, `[B, |I|]`, for tangents `t_k` `[1 or B, K, in...]`;
/// differentiable in the parameters.
pub fn squared_derivatives(trace: &Trace, tangents: &Tensor) -> Result<Tensor> {
    let mut sums = Vec::new();
    trace.push(tangents, |_, derivatives| {
        let sum = derivatives.sqr()?.sum(1)?;
        sums.push(sum.broadcast_as((trace.batch(), sum.dim(1)?))?);
        Ok(())
    })?;
    if sums.is_empty() {
        return Err(Error::NoNeurons);
    }
    Ok(Tensor::cat(&sums, 1)?)
}

/// `|z|` of all neurons, `[B, |I|]`, differentiable in the parameters; at `z = 0` the neuron counts as positive.
pub fn distances_to_zero(trace: &Trace) -> Result<Tensor> {
    match (trace.constraints()?, trace.signs()?) {
        (Some(z), Some(signs)) => Ok((z * signs)?),
        _ => Err(Error::NoNeurons),
    }
}

/// `max(0, 1 - |z|)` of all neurons, `[B, |I|]`.
pub fn hinges(trace: &Trace) -> Result<Tensor> {
    Ok(distances_to_zero(trace)?.affine(-1.0, 1.0)?.relu()?)
}

/// `||grad z||_2^2 + c max(0, 1 - |z|)` of all neurons, `[B, |I|]`: the label-free TSVM loss (Eq. 7, bracket).
pub fn tsvm_losses(trace: &Trace, c: f64) -> Result<Tensor> {
    Ok((squared_gradient_norms(trace)? + (hinges(trace)? * c)?)?)
}
