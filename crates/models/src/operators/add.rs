//! The sum of several inputs.

use crate::{
    operator::{Affine, Magnitude, ShapeResult},
    patch::Patch,
    spec::OperatorSpec,
};
use candle_core::{Result, Tensor};
use std::sync::Arc;

/// The sum of one or more operands of one shape: what closes a residual block.
#[derive(Debug, Clone)]
pub struct Add;

impl Affine for Add {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Add)
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        match operands {
            [first, rest @ ..] if rest.iter().all(|shape| shape == first) => Ok(first.to_vec()),
            _ => Err(format!("takes operands of one shape, found {operands:?}")),
        }
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        let mut sum = tangents[0].clone();
        for tangent in &tangents[1..] {
            // Operands below the first piecewise-linear operator have one tangent for all inputs.
            sum = sum.broadcast_add(tangent)?;
        }
        Ok(sum)
    }

    fn value(&self, operands: &[&Tensor], _output: &[usize]) -> Result<Tensor> {
        self.push(operands)
    }

    fn pull(&self, cotangent: &Tensor, operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        Ok(vec![cotangent.clone(); operands.len()])
    }

    fn pull_patch(
        &self,
        cotangent: &Tensor,
        patch: &Patch,
        operands: &[&[usize]],
        _wanted: &[Option<Tensor>],
    ) -> Result<Option<Vec<(Tensor, Patch)>>> {
        Ok(Some(vec![(cotangent.clone(), *patch); operands.len()]))
    }

    fn magnitude(
        &self,
        operands: &[&[usize]],
        _output: &[usize],
    ) -> crate::error::Result<Option<Magnitude>> {
        Ok(Some(Magnitude {
            operator: Arc::new(self.clone()),
            roundings: operands.len(),
            rounded_coefficients: 0,
        }))
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(bounds.iter().sum())
    }
}
