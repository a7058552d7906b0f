//! Batch normalisation in inference mode.

use super::{
    OperatorSpec,
    layout::{fold, per_channel, refuse, single, unfold},
    spectral::largest,
};
use crate::{
    Error,
    operator::{Affine, ShapeResult},
};
use candle_core::{DType, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use loclin_tensor::{scale_channels, shift_channels};

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
    pub fn new(channels: usize, eps: f64, vars: VarBuilder) -> crate::Result<Self> {
        let error = |cause| Error::Config {
            field: "batch_norm",
            cause,
        };
        if channels == 0 || !(eps.is_finite() && eps >= 0.0) {
            return Err(error(format!(
                "needs a channel and an eps of at least 0, found {channels} and {eps}"
            )));
        }
        let get = |name, value| vars.get_with_hints(channels, name, Init::Const(value));
        let normalization = Self {
            weight: get("weight", 1.0)?,
            bias: get("bias", 0.0)?,
            running_mean: get("running_mean", 0.0)?.detach(),
            running_var: get("running_var", 1.0)?.detach(),
            eps,
        };
        let least = normalization.running_var.min(0)?.to_dtype(DType::F64)?;
        let least = least.to_scalar::<f64>()? + eps;
        if least.is_nan() || least <= 0.0 {
            return Err(error(format!(
                "running_var + eps must be positive, found {least}"
            )));
        }
        Ok(normalization)
    }

    /// Normalises with the given mean and variance, each `[channels]`, through which gradients flow.
    pub(crate) fn with_statistics(
        weight: Tensor,
        bias: Tensor,
        [running_mean, running_var]: [Tensor; 2],
        eps: f64,
    ) -> Self {
        Self {
            weight,
            bias,
            running_mean,
            running_var,
            eps,
        }
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

impl Affine for BatchNorm {
    fn spec(&self) -> OperatorSpec {
        OperatorSpec::BatchNorm {
            channels: self.weight.elem_count(),
            eps: self.eps,
        }
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        let (shape, channels) = (single(operands)?, self.weight.elem_count());
        if shape.first() != Some(&channels) {
            return refuse(format!("[{channels}, n...]"), shape);
        }
        Ok(shape.to_vec())
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        let folded = scale_channels(&fold(tangents[0])?, &self.scale()?);
        unfold(&folded.map_err(candle_core::Error::wrap)?, tangents[0])
    }

    fn value(&self, operands: &[&Tensor], _output: &[usize]) -> Result<Tensor> {
        let scaled = scale_channels(operands[0], &self.scale()?);
        let shifted = scaled.and_then(|scaled| shift_channels(&scaled, &self.shift()?));
        shifted.map_err(candle_core::Error::wrap)
    }

    fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        Ok(vec![self.push(&[cotangent])?])
    }

    fn offset(&self, output: &[usize]) -> Result<Option<Tensor>> {
        Ok(Some(per_channel(&self.shift()?, 1, output.len() + 1)?))
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        vec![
            ("weight", &self.weight),
            ("bias", &self.bias),
            ("running_mean", &self.running_mean),
            ("running_var", &self.running_var),
        ]
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(bounds[0] * largest(&self.scale()?)?)
    }

    fn channel_scale(&self) -> Result<Option<Tensor>> {
        self.scale().map(Some)
    }
}
