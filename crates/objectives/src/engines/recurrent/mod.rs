//! The fast engine for recurrences on the CPU.
//!
//! Notation: `J^{t,s} = d z_t / d x_s`, so that `J^{t,t} = U` and `J^{t,s} = W D_{t-1} J^{t-1,s}` for `s < t`, `D_t` being
//! the diagonal of slopes of step `t`. Pushing all axes of a sequence of `T` steps of `C` channels through the graph
//! takes `C T` tangents through every step; those of steps still to come are 0. Here a step's `C` axes join when it is
//! reached: half the products, no zeros, and no tangent of the encoder at all.

mod total;

#[cfg(test)]
mod tests;

use crate::{
    Result,
    analytic::{is_tracked, scalar, slopes},
};
use candle_core::Tensor;
use loclin_models::{Recurrence, Trace};
use loclin_tensor::product::Real;

/// `sum over neurons of ||grad z||_2^2`, averaged over the batch, as a scalar `[]` with analytic gradients.
pub(super) fn mean_squared_norms<T: Real>(
    trace: &Trace,
    recurrence: &Recurrence,
) -> Result<Tensor> {
    let factor = 1.0 / trace.batch() as f64;
    let (hidden, channels) = recurrence.input.dims2()?;
    let slopes = slopes::<T>(trace)?;
    let parameters: Vec<Tensor> = std::iter::once(&recurrence.input)
        .chain(&recurrence.recurrent)
        .cloned()
        .collect();
    scalar(&parameters, factor, |slices| {
        let unrolled = total::Unrolled {
            batch: trace.batch(),
            hidden,
            channels,
            input: slices[0],
            recurrent: slices.get(1).copied().unwrap_or_default(),
            slopes,
        };
        match is_tracked(&parameters) {
            true => total::value_and_gradients(&unrolled, factor),
            false => Ok((total::value(&unrolled)?, Vec::new())),
        }
    })
}
