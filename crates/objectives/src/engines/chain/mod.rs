//! The fast engine for fully connected chains on the CPU.
//!
//! A neuron's `||grad z||_2^2` is a diagonal entry of `J J^T`, so the input's dimension enters only through
//! `G^1 = W^1 W^1^T`, which the whole batch shares. Notation: `D_i` the diagonal of slopes of layer `i` at one
//! input, `A_i` its units of slope other than 0, `G^i = J^i J^i^T`, `B_i = D_i W^i` on rows `A_i` and columns
//! `A_{i-1}`, and `X^i = D_i G^i D_i` on `A_i`. Then `X^i = B_i X^{i-1} B_i^T`.

mod active;
mod chosen;
mod dense;
mod dual;
mod end;
mod intervals;
mod norms;
mod of_weights;
mod pushed;
mod shared;
mod sums;
#[cfg(test)]
mod tests;
mod total;
mod varying;

pub(super) use intervals::gradient_widths;

use crate::{
    Result,
    analytic::{is_tracked, scalar, slopes},
};
use candle_core::Tensor;
use loclin_models::{FcChain, Trace};
use loclin_regions::Norm;
use loclin_tensor::{product::Real, sum_of_squares};

/// `||grad z||_2^2` of all neurons, `[B, |I|]`, with an analytic backward pass.
pub(super) fn squared_norms<T: Real>(trace: &Trace, chain: &FcChain) -> Result<Tensor> {
    let norms = norms::NeuronNorms {
        sizes: sizes(chain)?,
        active: active::of_trace::<T>(trace, chain.weights.len() - 1)?,
        factor: chain.scale * chain.scale,
    };
    of_weights::apply(chain, norms)
}

/// As of [`super::dual_norms`], for l1 and l_inf.
pub(super) fn dual_norms<T: Real>(
    trace: &Trace,
    chain: &FcChain,
    chosen: Vec<Vec<u32>>,
    norm: Norm,
) -> Result<Tensor> {
    let norms = dual::DualNorms {
        sizes: sizes(chain)?,
        active: active::of_trace::<T>(trace, chain.weights.len() - 1)?,
        chosen,
        length: match norm == Norm::L1 {
            true => dual::Length::Largest,
            false => dual::Length::Sum,
        },
        factor: chain.scale.abs(),
    };
    of_weights::apply(chain, norms)
}

/// `sum over neurons of ||grad z||_2^2`, averaged over the batch, as a scalar `[]` with analytic gradients.
pub(super) fn mean_squared_norms<T: Real>(trace: &Trace, chain: &FcChain) -> Result<Tensor> {
    let batch = trace.batch();
    let factor = chain.scale * chain.scale / batch as f64;
    let active = active::of_trace::<T>(trace, chain.weights.len() - 1)?;
    let sizes = sizes(chain)?;
    scalar(&chain.weights, factor, |weights| {
        let layers = shared::Layers { sizes, weights };
        match is_tracked(&chain.weights) {
            true => total::value_and_gradients(&layers, &active, factor),
            false => Ok((total::value(&layers, &active)?, Vec::new())),
        }
    })
}

/// As of [`super::mean_along`].
pub(super) fn mean_along<T: Real>(
    trace: &Trace,
    chain: &FcChain,
    directions: &Tensor,
) -> Result<Tensor> {
    let (batch, count) = (directions.dim(0)?, directions.dim(1)?);
    let sizes = sizes(chain)?;
    let neurons: usize = sizes[1..].iter().sum();
    let factor = chain.scale * chain.scale / (batch * count * neurons) as f64;
    let directions = directions.flatten_all()?.to_vec1::<T>()?;
    let slopes = slopes::<T>(trace)?;
    scalar(&chain.weights, factor, |weights| {
        let layers = shared::Layers { sizes, weights };
        pushed::value_and_gradients(&layers, &slopes, &directions, count, factor)
    })
}

/// As of [`super::first_layer`].
pub(super) fn first_layer(chain: &FcChain) -> Result<Option<Tensor>> {
    let squares = chain.weights.first().map(sum_of_squares).transpose()?;
    let scaled = squares.map(|squares| squares * (chain.scale * chain.scale));
    Ok(scaled.transpose()?)
}

/// `D, N_1, ..., N_M`.
fn sizes(chain: &FcChain) -> Result<Vec<usize>> {
    let mut sizes = vec![chain.weights[0].dim(1)?];
    for weight in &chain.weights {
        sizes.push(weight.dim(0)?);
    }
    Ok(sizes)
}

/// Whether Gram matrices take fewer multiply-adds than pushing all input axes.
pub(super) fn is_cheaper(chain: &FcChain) -> Result<bool> {
    let sizes = sizes(chain)?;
    let per_layer = |cost: fn(f64, f64) -> f64| -> f64 {
        sizes[1..]
            .windows(2)
            .map(|w| cost(w[0] as f64, w[1] as f64))
            .sum()
    };
    // For one input. Pushing the D axes: D times every weight. Here: products with two sides active (taken to be two
    // thirds of each layer) for every hidden layer but the first and the last.
    let pushed = sizes[0] as f64 * per_layer(|n, m| n * m);
    let gram = per_layer(|n, m| (n * m * (n + m)) * 8.0 / 27.0);
    Ok(gram <= pushed)
}
