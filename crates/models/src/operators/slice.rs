//! A part of an input.

use super::layout::{refuse, resize, single};
use crate::{
    operator::{Affine, Made, Magnitude, ShapeResult},
    spec::OperatorSpec,
};
use candle_core::{Result, Tensor};

/// Entries `start .. start + length` along one dimension of an input.
#[derive(Debug, Clone)]
pub struct Slice {
    axis: usize,
    start: usize,
    length: usize,
}

impl Slice {
    /// Along dimension `axis` of an input; the batch is not counted.
    pub fn new(axis: usize, start: usize, length: usize) -> Self {
        Self {
            axis,
            start,
            length,
        }
    }
}

impl Affine for Slice {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Slice {
            axis: self.axis,
            start: self.start,
            length: self.length,
        })
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        let shape = single(operands)?;
        let end = self.start.checked_add(self.length);
        match (shape.get(self.axis), end) {
            (Some(n), Some(end)) if end <= *n => {
                let mut output = shape.to_vec();
                output[self.axis] = self.length;
                Ok(output)
            }
            _ => refuse(
                format!(
                    "with entries {} to {} in dimension {}",
                    self.start,
                    self.start.saturating_add(self.length),
                    self.axis
                ),
                shape,
            ),
        }
    }

    fn made(&self) -> Made {
        Made::Moved
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        tangents[0].narrow(self.axis + 2, self.start, self.length)
    }

    fn pull(&self, cotangent: &Tensor, operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        let after = operands[0][self.axis] - self.start - self.length;
        Ok(vec![resize(
            cotangent,
            self.axis + 2,
            self.start as isize,
            after as isize,
        )?])
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
