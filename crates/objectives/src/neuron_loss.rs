//! The terms that every objective is made of: gradient lengths, distances to 0, and the TSVM loss of a neuron.

use crate::{Error, Result, analytic, engines};
use candle_core::{DType, Tensor};
use loclin_models::Trace;
use loclin_regions::axes;
use loclin_tensor::product::Real;

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

/// The mean of `max(0, 1 - |z|)` over all neurons and inputs, a scalar `[]`: on the CPU one pass over `z`, with its
/// gradient.
pub(crate) fn mean_hinge(trace: &Trace) -> Result<Tensor> {
    let single_pass = trace.network().device().is_cpu();
    match trace.network().dtype() {
        DType::F32 if single_pass => mean_hinge_of::<f32>(trace),
        DType::F64 if single_pass => mean_hinge_of::<f64>(trace),
        _ => Ok(hinges(trace)?.mean_all()?),
    }
}

fn mean_hinge_of<T: Real>(trace: &Trace) -> Result<Tensor> {
    let z: Vec<Tensor> = trace
        .records()
        .map(|s| s.pre_activations().clone())
        .collect();
    let neurons: usize = z.iter().map(Tensor::elem_count).sum();
    if neurons == 0 {
        return Err(Error::NoNeurons);
    }
    let factor = 1.0 / neurons as f64;
    analytic::scalar(&z, factor, |z| {
        let mut sum = 0.0;
        let gradients = z
            .into_iter()
            .map(|z| {
                sum += z.chunks(LANES * 256).map(hinge_sum).sum::<f64>();
                let slope = T::from_f64(factor);
                z.iter().map(|z| hinge(*z, slope)[1]).collect()
            })
            .collect();
        Ok((sum, gradients))
    })
}

/// Sums that are kept beside one another, as a processor adds them.
const LANES: usize = 16;

fn hinge_sum<T: Real>(z: &[T]) -> f64 {
    let mut sums = [T::zero(); LANES];
    for part in z.chunks(LANES) {
        for (sum, z) in sums.iter_mut().zip(part) {
            *sum += hinge(*z, T::one())[0];
        }
    }
    sums.into_iter().map(T::to_f64).sum()
}

/// `max(0, 1 - |z|)`, and its derivative times `factor`; at 0 that of the right.
fn hinge<T: Real>(z: T, factor: T) -> [T; 2] {
    let (value, slope) = match z >= T::zero() {
        true => (T::one() - z, T::zero() - factor),
        false => (T::one() + z, factor),
    };
    match value >= T::zero() {
        true => [value, slope],
        false => [T::zero(); 2],
    }
}

/// `||grad z||_2^2 + c max(0, 1 - |z|)` of all neurons, `[B, |I|]`: the label-free TSVM loss (Eq. 7, bracket).
///
/// # Errors
/// A network without neurons, or a tensor computation that fails.
pub fn tsvm_losses(trace: &Trace, c: f64) -> Result<Tensor> {
    Ok((squared_gradient_norms(trace)? + (hinges(trace)? * c)?)?)
}
