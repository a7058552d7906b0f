//! Average pooling over everything but the channel.

use super::layout::{refuse, single};
use crate::{
    operator::{Affine, Evaluation, Magnitude, ShapeResult},
    spec::OperatorSpec,
};
use candle_core::{D, DType, Result, Tensor};
use std::sync::Arc;

/// The mean of each channel: `[channels, n...]` to `[channels, 1...]`, as ONNX's `GlobalAveragePool` and PyTorch's
/// `AdaptiveAvgPool2d(1)`.
#[derive(Debug, Clone)]
pub struct GlobalAvgPool;

impl Affine for GlobalAvgPool {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::GlobalAvgPool)
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        let shape = single(operands)?;
        if shape.len() < 2 {
            return refuse("[channels, n...]", shape);
        }
        let mut output = vec![1; shape.len()];
        output[0] = shape[0];
        Ok(output)
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        let mut shape = tangents[0].dims().to_vec();
        shape[3..].fill(1);
        tangents[0].flatten_from(3)?.mean(D::Minus1)?.reshape(shape)
    }

    fn pull(&self, cotangent: &Tensor, operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        let count: usize = operands[0][1..].iter().product();
        let shape = [&cotangent.dims()[..2], operands[0]].concat();
        Ok(vec![(cotangent / count as f64)?.broadcast_as(shape)?])
    }

    fn magnitude(
        &self,
        operands: &[&[usize]],
        _output: &[usize],
    ) -> crate::error::Result<Option<Magnitude>> {
        let count: usize = operands[0][1..].iter().product();
        Ok(Some(Magnitude {
            operator: Arc::new(self.clone()),
            roundings: count + 2,
            rounded_coefficients: if count.is_power_of_two() { 0 } else { 2 },
        }))
    }

    fn evaluation(&self, operands: &[&[usize]], _: DType) -> crate::error::Result<Evaluation> {
        let count: usize = operands[0][1..].iter().product();
        Ok(Evaluation {
            partial: count as f64,
            ..Evaluation::default()
        })
    }

    fn lipschitz(&self, operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        let count: usize = operands[0][1..].iter().product();
        Ok(bounds[0] / (count as f64).sqrt())
    }
}
