//! The input normalisation, as part of the network.

use super::{layout::per_channel, spectral::largest};
use crate::{
    error::Error,
    operator::{Affine, Evaluation, Made, Magnitude, ShapeResult},
    parameter_map::ParameterMap,
    spec::OperatorSpec,
};
use candle_core::{DType, Device, Result, Tensor};
use loclin_tensor::rounding::range;
use std::sync::Arc;

/// `(x - mean) / std`, one pair for all or one for each channel (the first dimension of an input).
///
/// Put in front of a network it makes raw inputs the network's input space, so that every margin comes out in
/// raw units, exactly and for every norm, whatever the standard deviations (with one `std` for all it is the
/// paper's multiplication by 0.3081).
#[derive(Debug)]
pub struct Standardize {
    mean: Vec<f64>,
    std: Vec<f64>,
    scale: Tensor,
    shift: Tensor,
}

impl Standardize {
    /// `mean` and `std` hold one number for all inputs, or one for each channel.
    ///
    /// # Errors
    /// Lists that are empty or of different lengths, means that are not finite, deviations that are not positive.
    pub fn new(
        mean: &[f64],
        std: &[f64],
        dtype: DType,
        device: &Device,
    ) -> crate::error::Result<Self> {
        let error = |field, cause| Err(Error::Config { field, cause });
        if mean.is_empty() || mean.len() != std.len() {
            return error(
                "normalization",
                format!("{} means and {} standard deviations", mean.len(), std.len()),
            );
        }
        if let Some(m) = mean.iter().find(|m| !m.is_finite()) {
            return error("mean", format!("{m} is not finite"));
        }
        if let Some(s) = std.iter().find(|s| !(s.is_normal() && **s > 0.0)) {
            return error("std", format!("{s} is not a positive number"));
        }
        let scale: Vec<f64> = std.iter().map(|s| 1.0 / s).collect();
        let shift: Vec<f64> = mean.iter().zip(std).map(|(m, s)| -m / s).collect();
        let tensor = |v: Vec<f64>| Tensor::new(v, device)?.to_dtype(dtype);
        Ok(Self {
            mean: mean.to_vec(),
            std: std.to_vec(),
            scale: tensor(scale)?,
            shift: tensor(shift)?,
        })
    }
}

impl Affine for Standardize {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Standardize {
            mean: self.mean.clone(),
            std: self.std.clone(),
        })
    }

    fn map_parameters(
        &self,
        map: &mut ParameterMap<'_>,
    ) -> crate::error::Result<Option<Arc<dyn Affine>>> {
        let standardize = Self::new(&self.mean, &self.std, map.dtype(), map.device())?;
        Ok(Some(Arc::new(standardize)))
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        let channels = self.mean.len();
        match operands {
            [shape] if !shape.is_empty() && (channels == 1 || shape[0] == channels) => {
                Ok(shape.to_vec())
            }
            _ => Err(format!(
                "takes one operand with {channels} channels, found {operands:?}"
            )),
        }
    }

    fn made(&self) -> Made {
        Made::Normalized
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        tangents[0].broadcast_mul(&per_channel(&self.scale, 2, tangents[0].rank())?)
    }

    fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        Ok(vec![self.push(&[cotangent])?])
    }

    fn offset(&self, output: &[usize]) -> Result<Option<Tensor>> {
        Ok(Some(per_channel(&self.shift, 1, output.len() + 1)?))
    }

    fn magnitude(
        &self,
        _operands: &[&[usize]],
        _output: &[usize],
    ) -> crate::error::Result<Option<Magnitude>> {
        if self.std.iter().any(|std| (1.0 / std).is_subnormal()) {
            // Its relative error is not bounded.
            return Ok(None);
        }
        let mean: Vec<f64> = self.mean.iter().map(|mean| -mean.abs()).collect();
        let (dtype, device) = (self.scale.dtype(), self.scale.device());
        Ok(Some(Magnitude {
            operator: Arc::new(Self::new(&mean, &self.std, dtype, device)?),
            roundings: 5,
            rounded_coefficients: 2,
        }))
    }

    fn evaluation(&self, _: &[&[usize]], dtype: DType) -> crate::error::Result<Evaluation> {
        let is_normal = |number: &f64| number.abs() >= range(dtype).0;
        // The operand less its mean, before it is divided.
        let steps = self.mean.iter().zip(&self.std);
        let steps = steps.map(|(mean, std)| (*mean, 1.0 / std));
        Ok(Evaluation {
            fits: self.std.iter().all(is_normal)
                && self.mean.iter().all(|mean| *mean == 0.0 || is_normal(mean)),
            ..Evaluation::of_centred(steps)
        })
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(bounds[0] * largest(&self.scale)?)
    }
}
