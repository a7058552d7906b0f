//! Any shape to a vector.

use crate::{
    operator::{Affine, Made, Magnitude, ShapeResult},
    spec::OperatorSpec,
};
use candle_core::{Result, Tensor};

/// Flattens all dimensions of one input, in row-major order.
#[derive(Debug, Clone)]
pub struct Flatten;

impl Affine for Flatten {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Flatten)
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        match operands {
            [shape] => Ok(vec![shape.iter().product()]),
            _ => Err(format!("takes one operand, found {}", operands.len())),
        }
    }

    fn made(&self) -> Made {
        Made::Moved
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        tangents[0].flatten_from(2)
    }

    fn pull(&self, cotangent: &Tensor, operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        let (batch, count, _) = cotangent.dims3()?;
        Ok(vec![
            cotangent.reshape([&[batch, count], operands[0]].concat())?,
        ])
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
