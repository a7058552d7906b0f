//! The terms that every objective is made of: gradient lengths, distances to 0, and the TSVM loss of a neuron.

use crate::{Error, Result, engines, hinge};
use candle_core::{DType, Tensor};
use loclin_models::Trace;
use loclin_regions::axes;
use loclin_tensor::{own_loops, sum_of_squares};

/// `||grad z||_2^2` of all neurons, `[B, |I|]`, differentiable in the parameters.
///
/// Exact. By an engine where one does it ([`crate::Engine`]), else by [`squared_gradient_norms_by_pushing`].
///
/// # Errors
/// A network without neurons, or a tensor computation that fails.
pub fn squared_gradient_norms(trace: &Trace) -> Result<Tensor> {
    match engines::squared_norms(trace)? {
        Some(norms) => Ok(norms),
        None => squared_gradient_norms_by_pushing(trace),
    }
}

/// [`squared_gradient_norms`] for every network: pushes all `D` axes (App. D), whose tangents stay in memory for
/// the backward pass. The reference implementation.
///
/// # Errors
/// A network without neurons, or a tensor computation that fails.
pub fn squared_gradient_norms_by_pushing(trace: &Trace) -> Result<Tensor> {
    let network = trace.network();
    squared_derivatives(trace, &axes(network, 0..network.input_size())?)
}

/// `sum over k of (grad z . t_k)^2` of all neurons, `[B, |I|]`, for tangents `t_k` `[1 or B, K, in...]`;
/// differentiable in the parameters.
///
/// # Errors
/// Tangents of another shape, a network without neurons.
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

/// The mean of `(grad z . t)^2` over all neurons, inputs and tangents `t` `[B, K, in...]`, which each input has its own of:
/// a scalar `[]`. `first`, where it is known, is the sum of `||grad z||_2^2` over the neurons of the first piecewise-linear
/// node at one input, the same for all, and takes the place of what tangents say of it.
pub(crate) fn mean_squared_derivative(
    trace: &Trace,
    tangents: &Tensor,
    mut first: Option<Tensor>,
) -> Result<Tensor> {
    let all = (trace.batch() * tangents.dim(1)?) as f64;
    let mut sums: Option<Tensor> = None;
    let mut count = 0;
    trace.push_unshaped(tangents, |_, derivatives| {
        // Of a batch that shares its derivatives each is there once.
        let copies = trace.batch() / derivatives.dim(0)?;
        count += copies * derivatives.elem_count();
        let sum = match first.take() {
            Some(first) => (first * all)?,
            None => {
                let sum = sum_of_squares(&derivatives).map_err(candle_core::Error::wrap)?;
                (sum * copies as f64)?
            }
        };
        sums = Some(match sums.take() {
            Some(sums) => (sums + sum)?,
            None => sum,
        });
        Ok(())
    })?;
    let sums = sums.ok_or(Error::NoNeurons)?;
    Ok((sums / count as f64)?)
}

/// `|z|` of all neurons, `[B, |I|]`, differentiable in the parameters; at `z = 0` the neuron counts as positive.
///
/// # Errors
/// A network without neurons.
pub fn distances_to_zero(trace: &Trace) -> Result<Tensor> {
    match (trace.pre_activations()?, trace.signs()?) {
        (Some(z), Some(signs)) => Ok((z * signs)?),
        _ => Err(Error::NoNeurons),
    }
}

/// `max(0, 1 - |z|)` of all neurons, `[B, |I|]`.
///
/// # Errors
/// A network without neurons.
pub fn hinges(trace: &Trace) -> Result<Tensor> {
    Ok(distances_to_zero(trace)?.affine(-1.0, 1.0)?.relu()?)
}

/// The mean of `max(0, 1 - |z|)` over all neurons and inputs, a scalar `[]`, each times its weight where there are some, `[B, m]` for each
/// piecewise-linear node in order: on the CPU one pass over `z`, with its gradient.
pub(crate) fn mean_hinge(trace: &Trace, weights: Option<&[Tensor]>) -> Result<Tensor> {
    let single_pass = own_loops::serve(trace.network().device());
    match (trace.network().dtype(), weights) {
        (DType::F32, _) if single_pass => hinge::mean::<f32>(trace, weights),
        (DType::F64, _) if single_pass => hinge::mean::<f64>(trace, weights),
        (_, None) => Ok(hinges(trace)?.mean_all()?),
        (_, Some(weights)) => Ok((hinges(trace)? * Tensor::cat(weights, 1)?)?.mean_all()?),
    }
}

/// `||grad z||_2^2 + c max(0, 1 - |z|)` of all neurons, `[B, |I|]`: the label-free TSVM loss (Eq. 7, bracket).
///
/// # Errors
/// A network without neurons, or a tensor computation that fails.
pub fn tsvm_losses(trace: &Trace, c: f64) -> Result<Tensor> {
    Ok((squared_gradient_norms(trace)? + (hinges(trace)? * c)?)?)
}
