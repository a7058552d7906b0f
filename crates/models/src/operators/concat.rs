//! Several inputs side by side.

use crate::{
    operator::{Affine, Made, Magnitude, ShapeResult},
    spec::OperatorSpec,
};
use candle_core::{Result, Tensor};
use loclin_tensor::rounding::length_up;

/// Concatenates one or more operands along one dimension of an input.
#[derive(Debug, Clone)]
pub struct Concat {
    axis: usize,
}

impl Concat {
    /// Along dimension `axis` of an input; the batch is not counted.
    pub fn new(axis: usize) -> Self {
        Self { axis }
    }
}

impl Affine for Concat {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Concat { axis: self.axis })
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        let axis = self.axis;
        let error = || {
            format!("takes operands that differ at most in dimension {axis}, found {operands:?}")
        };
        let mut output = operands
            .first()
            .filter(|shape| axis < shape.len())
            .ok_or_else(error)?
            .to_vec();
        let mut total = 0usize;
        for shape in operands {
            let equal = shape.len() == output.len()
                && (0..output.len()).all(|i| i == axis || shape[i] == output[i]);
            total = equal
                .then(|| total.checked_add(shape[axis]))
                .flatten()
                .ok_or_else(error)?;
        }
        output[axis] = total;
        Ok(output)
    }

    fn made(&self) -> Made {
        Made::Moved
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        // Operands below the first piecewise-linear operator have one tangent for all inputs.
        let batch = tangents.iter().map(|t| t.dims()[0]).max().unwrap_or(1);
        let whole = |t: &&Tensor| t.broadcast_as([&[batch], &t.dims()[1..]].concat());
        let whole = tangents.iter().map(whole).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&whole, self.axis + 2)
    }

    fn pull(&self, cotangent: &Tensor, operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        let mut start = 0;
        let part = |shape: &&[usize]| {
            let length = shape[self.axis];
            start += length;
            cotangent.narrow(self.axis + 2, start - length, length)
        };
        operands.iter().map(part).collect()
    }

    fn magnitude(
        &self,
        _operands: &[&[usize]],
        _output: &[usize],
    ) -> crate::error::Result<Option<Magnitude>> {
        Ok(Some(Magnitude::exact(self.clone())))
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(length_up(bounds))
    }
}
