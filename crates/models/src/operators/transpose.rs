//! The dimensions in another order.

use super::layout::{refuse, single};
use crate::{
    error::Error,
    operator::{Affine, Made, Magnitude, ShapeResult},
    spec::OperatorSpec,
};
use candle_core::{Result, Tensor};

/// Permutes the dimensions of one input: dimension `i` of the output is dimension `permutation[i]` of the operand.
#[derive(Debug, Clone)]
pub struct Transpose {
    permutation: Vec<usize>,
}

impl Transpose {
    /// `permutation` holds `0 .. rank` once each; the batch is not among them.
    ///
    /// # Errors
    /// A list that is no permutation.
    pub fn new(permutation: &[usize]) -> crate::error::Result<Self> {
        let mut sorted = permutation.to_vec();
        sorted.sort_unstable();
        if sorted.is_empty() || sorted.iter().enumerate().any(|(i, p)| i != *p) {
            return Err(Error::Config {
                field: "transpose",
                cause: format!("{permutation:?} is no permutation of 0, 1, ..."),
            });
        }
        Ok(Self {
            permutation: permutation.to_vec(),
        })
    }
}

/// Permutes all but the first two dimensions.
fn permute(x: &Tensor, permutation: &[usize]) -> Result<Tensor> {
    let axes: Vec<usize> = [0, 1]
        .into_iter()
        .chain(permutation.iter().map(|p| p + 2))
        .collect();
    x.permute(axes)
}

impl Affine for Transpose {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Transpose {
            permutation: self.permutation.clone(),
        })
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        let shape = single(operands)?;
        if shape.len() != self.permutation.len() {
            return refuse(format!("with {} dimensions", self.permutation.len()), shape);
        }
        Ok(self.permutation.iter().map(|&p| shape[p]).collect())
    }

    fn made(&self) -> Made {
        Made::Moved
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        permute(tangents[0], &self.permutation)
    }

    fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        let mut inverse = vec![0; self.permutation.len()];
        for (i, &p) in self.permutation.iter().enumerate() {
            inverse[p] = i;
        }
        Ok(vec![permute(cotangent, &inverse)?])
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
