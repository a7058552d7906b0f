//! The constant that is left of a normalisation whose scale another operator has.

use super::layout::single;
use crate::operator::{Affine, ShapeResult};
use candle_core::{Result, Tensor};

/// The sum with a constant through which gradients flow: in training mode, where a normalisation's scale is part of the
/// convolution below it. No file holds it.
#[derive(Debug)]
pub(crate) struct Shifted {
    /// Broadcastable to `[B, in...]`.
    pub(crate) shift: Option<Tensor>,
}

impl Affine for Shifted {
    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        single(operands).map(<[usize]>::to_vec)
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        Ok(tangents[0].clone())
    }

    fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        Ok(vec![cotangent.clone()])
    }

    fn offset(&self, _output: &[usize]) -> Result<Option<Tensor>> {
        Ok(self.shift.clone())
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(bounds[0])
    }
}
