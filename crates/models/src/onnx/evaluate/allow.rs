//! What constants may cost.

use crate::onnx::wire::Outcome;

/// Allows, or refuses, so many numbers and multiplications.
pub(in crate::onnx) type Allow<'s> = dyn FnMut(usize, usize) -> Outcome<()> + 's;
