//! The relaxed objective with max aggregation (Eq. 7).

use crate::{Gamma, Result, RollConfig, roll};
use candle_core::Tensor;
use loclin_models::Trace;

/// The regulariser of Eq. 7, `max over neurons of ||grad z||_2^2 + c max(0, 1 - |z|)`, averaged over the batch:
/// a scalar to be added to the task loss times `lambda`. It is [`crate::roll`] with [`Gamma::Max`].
///
/// # Shapes
/// The trace of `B` inputs gives a scalar `[]`.
///
/// # Errors
/// A `c` out of range, a network without neurons.
pub fn relaxed(trace: &Trace, c: f64) -> Result<Tensor> {
    roll(
        trace,
        RollConfig {
            c,
            gamma: Gamma::Max,
        },
    )
}
