//! The fast engine for fully connected chains on the CPU.
//!
//! A neuron's `||grad z||_2^2` is a diagonal entry of `J J^T`, so the input's dimension enters only through
//! `G^1 = W^1 W^1^T`, which the whole batch shares. Notation: `D_i` the diagonal of slopes of layer `i` at one
//! input, `A_i` its units of slope other than 0, `G^i = J^i J^i^T`, `B_i = D_i W^i` on rows `A_i` and columns
//! `A_{i-1}`, and `X^i = D_i G^i D_i` on `A_i`. Then `X^i = B_i X^{i-1} B_i^T`.

mod active;
mod dense;
mod end;
mod norms;
mod pushed;
#[cfg(test)]
mod tests;
mod total;
mod varying;

use crate::{
    Result,
    analytic::{is_tracked, scalar, slopes},
};
use candle_core::{DType, Tensor};
use loclin_models::{FcChain, Trace};
use loclin_tensor::product::Real;

/// `sum over neurons of ||grad z||_2^2`, averaged over the batch, as a scalar `[]` with analytic gradients;
/// `None` where the plain road is to be taken: another network, device or type, or so few input axes that
/// pushing them all is cheaper.
pub(crate) fn mean_squared_norms(trace: &Trace) -> Result<Option<Tensor>> {
    let Some(chain) = suited(trace) else {
        return Ok(None);
    };
    match trace.network().dtype() {
        DType::F32 => mean_of::<f32>(trace, &chain).map(Some),
        DType::F64 => mean_of::<f64>(trace, &chain).map(Some),
        _ => Ok(None),
    }
}

/// `||grad z||_2^2` of all neurons, `[B, |I|]`, with an analytic backward pass; `None` where the plain road is
/// to be taken.
pub(crate) fn squared_norms(trace: &Trace) -> Result<Option<Tensor>> {
    let Some(chain) = suited(trace) else {
        return Ok(None);
    };
    match trace.network().dtype() {
        DType::F32 => norms_of::<f32>(trace, &chain).map(Some),
        DType::F64 => norms_of::<f64>(trace, &chain).map(Some),
        _ => Ok(None),
    }
}

fn norms_of<T: Real>(trace: &Trace, chain: &FcChain) -> Result<Tensor> {
    let weights = chain
        .weights
        .iter()
        .map(Tensor::flatten_all)
        .collect::<candle_core::Result<Vec<_>>>()?;
    let norms = norms::NeuronNorms {
        sizes: sizes(chain)?,
        active: active::of_trace::<T>(trace, chain.weights.len() - 1)?,
        factor: chain.scale * chain.scale,
    };
    Ok(Tensor::cat(&weights, 0)?.apply_op1(norms)?)
}

fn mean_of<T: Real>(trace: &Trace, chain: &FcChain) -> Result<Tensor> {
    let batch = trace.batch();
    let factor = chain.scale * chain.scale / batch as f64;
    let active = active::of_trace::<T>(trace, chain.weights.len() - 1)?;
    let sizes = sizes(chain)?;
    scalar(&chain.weights, factor, |weights| {
        let layers = total::Layers { sizes, weights };
        match is_tracked(&chain.weights) {
            true => total::value_and_gradients(&layers, &active, factor),
            false => Ok((total::value(&layers, &active)?, Vec::new())),
        }
    })
}

/// The mean over inputs, `count` directions of each, and neurons of `(grad z . v)^2` for directions `v`
/// `[B, count, in...]` of norm `sqrt(D)`, the first layer's neurons by `||grad z||_2^2`; `None` where the plain
/// road is to be taken.
pub(crate) fn mean_along(trace: &Trace, directions: &Tensor) -> Result<Option<Tensor>> {
    let network = trace.network();
    if !network.device().is_cpu() {
        return Ok(None);
    }
    let Some(chain) = network.fc_chain() else {
        return Ok(None);
    };
    match network.dtype() {
        DType::F32 => mean_along_of::<f32>(trace, &chain, directions).map(Some),
        DType::F64 => mean_along_of::<f64>(trace, &chain, directions).map(Some),
        _ => Ok(None),
    }
}

fn mean_along_of<T: Real>(trace: &Trace, chain: &FcChain, directions: &Tensor) -> Result<Tensor> {
    let (batch, count) = (directions.dim(0)?, directions.dim(1)?);
    let sizes = sizes(chain)?;
    let neurons: usize = sizes[1..].iter().sum();
    let factor = chain.scale * chain.scale / (batch * count * neurons) as f64;
    let directions = directions.flatten_all()?.to_vec1::<T>()?;
    let slopes = slopes::<T>(trace)?;
    scalar(&chain.weights, factor, |weights| {
        let layers = total::Layers { sizes, weights };
        pushed::value_and_gradients(&layers, &slopes, &directions, count, factor)
    })
}

/// `D, N_1, ..., N_M`.
fn sizes(chain: &FcChain) -> Result<Vec<usize>> {
    let mut sizes = vec![chain.weights[0].dim(1)?];
    for weight in &chain.weights {
        sizes.push(weight.dim(0)?);
    }
    Ok(sizes)
}

/// The chain, if the engine can and should compute its gradient norms.
fn suited(trace: &Trace) -> Option<FcChain> {
    let network = trace.network();
    if !network.device().is_cpu() {
        return None;
    }
    let chain = network.fc_chain()?;
    let sizes = sizes(&chain).ok()?;
    let per_layer = |cost: fn(f64, f64) -> f64| -> f64 {
        sizes[1..]
            .windows(2)
            .map(|w| cost(w[0] as f64, w[1] as f64))
            .sum()
    };
    // Multiply-adds for one input. Pushing the D axes: D times every weight. Here: products with two sides
    // active (taken to be two thirds of each layer) for every hidden layer but the first and the last.
    let pushed = sizes[0] as f64 * per_layer(|n, m| n * m);
    let gram = per_layer(|n, m| (n * m * (n + m)) * 8.0 / 27.0);
    (gram <= pushed).then_some(chain)
}
