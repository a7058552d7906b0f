//! Batch normalisation in inference mode.

use super::{
    layout::{per_channel, refuse, single},
    spectral::largest,
};
use crate::{
    error::Error,
    operator::{Affine, Evaluation, Made, Magnitude, Normalizing, ShapeResult},
    parameter_map::ParameterMap,
    patch::Patch,
    spec::OperatorSpec,
};
use candle_core::{DType, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use loclin_tensor::rounding::{range, unit};
use loclin_tensor::{normalize_channels, scale_channels, shift_channels};
use std::sync::Arc;

/// `weight (x - running_mean) / sqrt(running_var + eps) + bias` for each channel, the first dimension of an
/// input: batch normalisation in *inference mode*, an affine map.
///
/// This is the network that is regularised and certified: in training mode one input's output depends on the
/// other inputs of the batch, and has no region of its own. Gradients flow to `weight` and `bias`; the running
/// statistics are stored beside them but are constants in differentiation.
/// [`crate::Network::with_batch_statistics`] sets them from a batch.
#[derive(Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    eps: f64,
}

impl BatchNorm {
    /// Parameters `weight`, `bias`, `running_mean`, `running_var`, all `[channels]`, from `vars`; where `vars`
    /// initialises: 1, 0, 0, 1. `eps` is added to the variance (PyTorch's default: 1e-5).
    ///
    /// # Errors
    /// No channel, an `eps` that is negative or not finite, a variance that is not positive with it, and parameters that
    /// `vars` lacks or has in another shape.
    pub fn new(channels: usize, eps: f64, vars: VarBuilder) -> crate::error::Result<Self> {
        if channels == 0 || !(eps.is_finite() && eps >= 0.0) {
            return Err(refused(format!(
                "needs a channel and an eps of at least 0, found {channels} and {eps}"
            )));
        }
        let get = |name, value| vars.get_with_hints(channels, name, Init::Const(value));
        Self {
            weight: get("weight", 1.0)?,
            bias: get("bias", 0.0)?,
            running_mean: get("running_mean", 0.0)?.detach(),
            running_var: get("running_var", 1.0)?.detach(),
            eps,
        }
        .checked()
    }

    /// An error unless every channel's variance is large enough to divide by.
    fn checked(self) -> crate::error::Result<Self> {
        let least = self.running_var.min(0)?.to_dtype(DType::F64)?;
        let least = least.to_scalar::<f64>()? + self.eps;
        if least.is_nan() || least <= 0.0 {
            return Err(refused(format!(
                "running_var + eps must be positive, found {least}"
            )));
        }
        Ok(self)
    }

    /// What each channel is multiplied by.
    fn scale(&self) -> Result<Tensor> {
        &self.weight / (&self.running_var + self.eps)?.sqrt()?
    }

    /// What is then added.
    fn shift(&self) -> Result<Tensor> {
        &self.bias - (&self.running_mean * self.scale()?)?
    }
}

/// Whether a scale is so small that its relative error is not bounded, although its weight is not 0.
fn vanishes(scale: &Tensor, weight: &Tensor) -> Result<bool> {
    let numbers = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.to_vec1::<f64>();
    let (scale, weight) = (numbers(scale)?, numbers(weight)?);
    let mut both = scale.iter().zip(weight);
    Ok(both.any(|(scale, weight)| weight != 0.0 && scale.abs() < f64::MIN_POSITIVE))
}

fn refused(cause: String) -> Error {
    Error::Config {
        field: "batch_norm",
        cause,
    }
}

impl Normalizing for BatchNorm {
    fn with_statistics(&self, mean: Tensor, variance: Tensor) -> Result<Arc<dyn Affine>> {
        Ok(Arc::new(Self {
            weight: self.weight.clone(),
            bias: self.bias.clone(),
            running_mean: mean,
            running_var: variance,
            eps: self.eps,
        }))
    }

    fn by_own_statistics(&self, operand: &Tensor) -> Result<[Tensor; 3]> {
        normalize_channels(operand, &self.weight, &self.bias, self.eps)
            .map_err(candle_core::Error::wrap)
    }
}

impl Affine for BatchNorm {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::BatchNorm {
            channels: self.weight.elem_count(),
            eps: self.eps,
        })
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        let (shape, channels) = (single(operands)?, self.weight.elem_count());
        if shape.first() != Some(&channels) {
            return refuse(format!("[{channels}, n...]"), shape);
        }
        Ok(shape.to_vec())
    }

    fn made(&self) -> Made {
        Made::Normalized
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        scale_channels(tangents[0], &self.scale()?, 2).map_err(candle_core::Error::wrap)
    }

    fn value(&self, operands: &[&Tensor], _output: &[usize]) -> Result<Tensor> {
        let scaled = scale_channels(operands[0], &self.scale()?, 1);
        let shifted = scaled.and_then(|scaled| shift_channels(&scaled, &self.shift()?));
        shifted.map_err(candle_core::Error::wrap)
    }

    fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        Ok(vec![self.push(&[cotangent])?])
    }

    fn pull_patch(
        &self,
        cotangent: &Tensor,
        patch: &Patch,
        _operands: &[&[usize]],
        _wanted: &[Option<Tensor>],
    ) -> Result<Option<Vec<(Tensor, Patch)>>> {
        Ok(Some(vec![(self.push(&[cotangent])?, *patch)]))
    }

    fn offset(&self, output: &[usize]) -> Result<Option<Tensor>> {
        Ok(Some(per_channel(&self.shift()?, 1, output.len() + 1)?))
    }

    fn map_parameters(
        &self,
        map: &mut ParameterMap<'_>,
    ) -> crate::error::Result<Option<Arc<dyn Affine>>> {
        let mapped = Self {
            weight: map.apply("weight", &self.weight)?,
            bias: map.apply("bias", &self.bias)?,
            running_mean: map.apply("running_mean", &self.running_mean)?.detach(),
            running_var: map.apply("running_var", &self.running_var)?.detach(),
            eps: self.eps,
        };
        Ok(Some(Arc::new(mapped.checked()?)))
    }

    fn normalization(&self) -> Option<&dyn Normalizing> {
        Some(self)
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        vec![
            ("weight", &self.weight),
            ("bias", &self.bias),
            ("running_mean", &self.running_mean),
            ("running_var", &self.running_var),
        ]
    }

    fn magnitude(
        &self,
        _operands: &[&[usize]],
        _output: &[usize],
    ) -> crate::error::Result<Option<Magnitude>> {
        if vanishes(&self.scale()?, &self.weight)? {
            return Ok(None);
        }
        // The scale takes four roundings, the shift three more.
        Ok(Some(Magnitude {
            operator: Arc::new(Self {
                weight: self.weight.detach().abs()?,
                bias: self.bias.detach().abs()?,
                running_mean: self.running_mean.abs()?.neg()?,
                running_var: self.running_var.clone(),
                eps: self.eps,
            }),
            roundings: 10,
            rounded_coefficients: 7,
        }))
    }

    fn evaluation(&self, _: &[&[usize]], dtype: DType) -> crate::error::Result<Evaluation> {
        let smallest = range(dtype).0;
        // What is below the smallest normal number may be 0.
        let lost = |number: f64| if number < smallest { number } else { 0.0 };
        let numbers = |tensor: &Tensor| -> Result<Vec<f64>> {
            tensor
                .detach()
                .to_dtype(DType::F64)?
                .flatten_all()?
                .to_vec1()
        };
        let variance_fits = |variance: &f64| {
            let sum = variance + self.eps;
            // A negative one takes digits off the sum, which another type has not.
            *variance >= 0.0
                && sum >= smallest
                && lost(*variance) + lost(self.eps) <= unit(dtype) * sum
        };
        let (weights, means) = (numbers(&self.weight)?, numbers(&self.running_mean)?);
        let variances = numbers(&self.running_var)?;
        let mut factors = weights.iter().chain(&means).map(|number| number.abs());
        // The operand less its mean may be multiplied with the weight first, divided by the root first, or multiplied with their quotient.
        let steps = weights.iter().zip(&means).zip(&variances);
        let steps = steps.map(|((weight, mean), variance)| {
            let (weight, divisor) = (weight.abs(), (variance + self.eps).sqrt());
            (*mean, weight.max(1.0 / divisor).max(weight / divisor))
        });
        Ok(Evaluation {
            // What is flushed of a variance's sum is no more than a rounding of it; four more than without.
            roundings: 14,
            fits: variances.iter().all(variance_fits) && factors.all(|number| lost(number) == 0.0),
            ..Evaluation::of_centred(steps)
        })
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(bounds[0] * largest(&self.scale()?)?)
    }

    fn channel_scale(&self) -> Result<Option<Tensor>> {
        self.scale().map(Some)
    }
}
