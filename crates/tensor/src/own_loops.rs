//! Which tensors loops over memory work on, and which tensor expressions.
//!
//! On the CPU many operations of this workspace are one loop over the numbers of a tensor, or an engine that never makes
//! tensors at all. On any other device the same operation is an expression of Candle's operations. Every place that
//! forks asks [`serve`], so that a test can walk the other way without such a device.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Device;

static WITHHELD: AtomicBool = AtomicBool::new(false);

/// Whether loops over memory work on the tensors of `device`: on the CPU, elsewhere never.
///
/// ```
/// assert!(loclin_tensor::own_loops::serve(&candle_core::Device::Cpu));
/// ```
#[allow(clippy::disallowed_methods, reason = "the one place that asks")]
pub fn serve(device: &Device) -> bool {
    device.is_cpu() && !are_withheld()
}

/// Whether [`withhold`] is in force: then nobody may read a tensor's memory.
pub(crate) fn are_withheld() -> bool {
    WITHHELD.load(Ordering::Relaxed)
}

/// From now on no loop serves the CPU either, in the whole process and on all its threads: what a GPU would compute by
/// tensor expressions is computed by them, and [`crate::product::slice`] refuses a tensor's numbers as it does a GPU's.
///
/// For a test that has a process of its own, and calls this between computations only: a value found with loops cannot be
/// differentiated without them.
#[doc(hidden)]
pub fn withhold(withheld: bool) {
    WITHHELD.store(withheld, Ordering::Relaxed);
}
