//! The same numbers in another shape.

use super::layout::{refuse, single};
use crate::{
    operator::{Affine, Made, Magnitude, ShapeResult},
    spec::OperatorSpec,
};
use candle_core::{Result, Tensor};

/// One input in another shape, in row-major order: ONNX's `Reshape`, `Squeeze` and `Unsqueeze`.
#[derive(Debug, Clone)]
pub struct Reshape {
    shape: Vec<usize>,
}

impl Reshape {
    /// To inputs of shape `shape`.
    pub fn new(shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
        }
    }
}

fn size(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))
}

impl Affine for Reshape {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Reshape {
            shape: self.shape.clone(),
        })
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        let shape = single(operands)?;
        if size(shape) != size(&self.shape) {
            return refuse(format!("with as many numbers as {:?}", self.shape), shape);
        }
        Ok(self.shape.clone())
    }

    fn made(&self) -> Made {
        Made::Moved
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        tangents[0].reshape([&tangents[0].dims()[..2], &self.shape].concat())
    }

    fn pull(&self, cotangent: &Tensor, operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        let shape = [&cotangent.dims()[..2], operands[0]].concat();
        Ok(vec![cotangent.reshape(shape)?])
    }

    fn magnitude(
        &self,
        _operands: &[&[usize]],
        _output: &[usize],
    ) -> crate::error::Result<Option<Magnitude>> {
        Ok(Some(Magnitude::exact(self.clone())))
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(bounds[0])
    }
}
