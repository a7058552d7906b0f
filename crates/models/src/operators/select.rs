//! One entry of a dimension, such as one time step of a sequence.

use super::slice::Slice;
use crate::{
    operator::{Affine, Made, Magnitude, ShapeResult},
    spec::OperatorSpec,
};
use candle_core::{Result, Tensor};

/// Entry `index` along one dimension of an input, which falls away: a [`Slice`] of length 1 without it.
#[derive(Debug, Clone)]
pub struct Select {
    axis: usize,
    index: usize,
    slice: Slice,
}

impl Select {
    /// Along dimension `axis` of an input; the batch is not counted.
    pub fn new(axis: usize, index: usize) -> Self {
        Self {
            axis,
            index,
            slice: Slice::new(axis, index, 1),
        }
    }
}

impl Affine for Select {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Select {
            axis: self.axis,
            index: self.index,
        })
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        let mut shape = self.slice.output_shape(operands)?;
        shape.remove(self.axis);
        Ok(shape)
    }

    fn made(&self) -> Made {
        Made::Moved
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        self.slice.push(tangents)?.squeeze(self.axis + 2)
    }

    fn pull(&self, cotangent: &Tensor, operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        self.slice
            .pull(&cotangent.unsqueeze(self.axis + 2)?, operands)
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
