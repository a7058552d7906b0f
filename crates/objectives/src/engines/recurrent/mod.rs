//! The fast engine for recurrences on the CPU.
//!
//! Notation: `J^{t,s} = d z_t / d x_s`, so that `J^{t,t} = U` and `J^{t,s} = W D_{t-1} J^{t-1,s}` for `s < t`, `D_t` being
//! the diagonal of slopes of step `t`. Pushing all axes of a sequence of `T` steps of `C` channels through the graph
//! takes `C T` tangents through every step; those of steps still to come are 0. Here a step's `C` axes join when it is
//! reached: half the products, no zeros, and no tangent of the encoder at all.

mod along;
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

/// The weights of recurrences that are one recurrence at several lengths: `U`, and `W` unless all have a single step.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    input: &'a Tensor,
    recurrent: Option<&'a Tensor>,
}

impl<'a> Shared<'a> {
    /// `None` if they have weights of their own.
    pub(super) fn of(recurrences: &[&'a Recurrence]) -> Option<Self> {
        let input = &recurrences.first()?.input;
        let mut others = recurrences.iter().filter_map(|r| r.recurrent.as_ref());
        let recurrent = others.next();
        let same = recurrences.iter().all(|r| r.input.id() == input.id())
            && others.all(|other| Some(other.id()) == recurrent.map(Tensor::id));
        same.then_some(Self { input, recurrent })
    }
}

/// The mean over all inputs of the traces, `count` directions of each, and the input's neurons of `(grad z . v)^2`, as a scalar
/// `[]` with analytic gradients; `directions` are those of each trace, `[B, count, T, C]`.
pub(super) fn mean_along<T: Real>(
    traces: &[&Trace],
    shared: Shared<'_>,
    directions: &[Tensor],
) -> Result<Tensor> {
    let (hidden, channels) = shared.input.dims2()?;
    let parts = traces.iter().zip(directions);
    let parts = parts.map(|(trace, directions)| {
        let (batch, count, steps, _) = directions.dims4()?;
        let directions = directions.flatten_all()?.to_dtype(T::DTYPE)?;
        Ok(along::Part {
            batch,
            count,
            steps,
            directions: directions.to_vec1::<T>()?,
            slopes: slopes::<T>(trace)?,
        })
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    let all: usize = parts.iter().map(|part| part.batch * part.count).sum();
    let factor = 1.0 / (all * hidden) as f64;
    let parameters: Vec<Tensor> = std::iter::once(shared.input)
        .chain(shared.recurrent)
        .cloned()
        .collect();
    scalar(&parameters, factor, |slices| {
        let along = along::Along {
            hidden,
            channels,
            input: slices[0],
            recurrent: slices.get(1).copied().unwrap_or_default(),
        };
        let tangents = along.push(parts)?;
        let gradients = match is_tracked(&parameters) {
            true => along.gradients(&tangents, factor)?,
            false => Vec::new(),
        };
        Ok((tangents.squares(), gradients))
    })
}
