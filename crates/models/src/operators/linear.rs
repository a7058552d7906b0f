//! A fully connected layer.

use super::{layout::times, spectral::spectral_bound};
use crate::{
    error::Error,
    operator::{Affine, Magnitude, ShapeResult},
    parameter_map::ParameterMap,
    spec::OperatorSpec,
};
use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};
use loclin_tensor::linear;
use std::sync::Arc;

/// `z = W a + b` with `W` of shape `[out, in]`, as PyTorch's `nn.Linear`.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    /// Parameters `weight` `[outputs, inputs]` and `bias` `[outputs]` from `vars`; where `vars` initialises,
    /// both uniform in `+-1/sqrt(inputs)`, PyTorch's default.
    ///
    /// # Errors
    /// Sizes of 0, and parameters that `vars` lacks or has in another shape.
    pub fn new(
        inputs: usize,
        outputs: usize,
        bias: bool,
        vars: VarBuilder,
    ) -> crate::error::Result<Self> {
        if inputs == 0 || outputs == 0 {
            return Err(Error::Config {
                field: "linear",
                cause: format!(
                    "needs at least one input and one output, found {inputs} and {outputs}"
                ),
            });
        }
        let bound = 1.0 / (inputs as f64).sqrt();
        let init = Init::Uniform {
            lo: -bound,
            up: bound,
        };
        let weight = vars.get_with_hints((outputs, inputs), "weight", init)?;
        let bias = bias
            .then(|| vars.get_with_hints(outputs, "bias", init))
            .transpose()?;
        Ok(Self {
            weight,
            bias,
            inputs,
            outputs,
        })
    }
}

impl Affine for Linear {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Linear {
            inputs: self.inputs,
            outputs: self.outputs,
            bias: self.bias.is_some(),
        })
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        match operands {
            [shape] if **shape == [self.inputs] => Ok(vec![self.outputs]),
            _ => Err(format!(
                "takes one operand of shape [{}], found {operands:?}",
                self.inputs
            )),
        }
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        let (batch, count, width) = tangents[0].dims3()?;
        let rows = tangents[0].reshape((batch * count, width))?;
        linear(&rows, &self.weight, None)?.reshape((batch, count, self.outputs))
    }

    fn value(&self, operands: &[&Tensor], _output: &[usize]) -> Result<Tensor> {
        linear(operands[0], &self.weight, self.bias.as_ref())
    }

    fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        Ok(vec![times(cotangent, &self.weight)?])
    }

    fn offset(&self, _output: &[usize]) -> Result<Option<Tensor>> {
        self.bias.as_ref().map(|bias| bias.unsqueeze(0)).transpose()
    }

    fn map_parameters(
        &self,
        map: &mut ParameterMap<'_>,
    ) -> crate::error::Result<Option<Arc<dyn Affine>>> {
        Ok(Some(Arc::new(Self {
            weight: map.apply("weight", &self.weight)?,
            bias: map.apply_if_any("bias", self.bias.as_ref())?,
            ..*self
        })))
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        std::iter::once(("weight", &self.weight))
            .chain(self.bias.as_ref().map(|bias| ("bias", bias)))
            .collect()
    }

    fn magnitude(
        &self,
        _operands: &[&[usize]],
        _output: &[usize],
    ) -> crate::error::Result<Option<Magnitude>> {
        Ok(Some(Magnitude {
            operator: Arc::new(Self {
                weight: self.weight.detach().abs()?,
                bias: self
                    .bias
                    .as_ref()
                    .map(|bias| bias.detach().abs())
                    .transpose()?,
                inputs: self.inputs,
                outputs: self.outputs,
            }),
            roundings: self.inputs.max(self.outputs) + 2,
            rounded_coefficients: 0,
        }))
    }

    fn products(&self) -> Option<usize> {
        Some(self.inputs)
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        let kernel = self.weight.reshape((self.outputs, self.inputs, 1, 1))?;
        Ok(bounds[0] * spectral_bound(&kernel, [1, 1])?)
    }

    fn scaled_lipschitz(
        &self,
        scale: &Tensor,
        _operands: &[&[usize]],
        bounds: &[f64],
    ) -> Result<Option<f64>> {
        let weight = self.weight.broadcast_mul(&scale.unsqueeze(1)?)?;
        let kernel = weight.reshape((self.outputs, self.inputs, 1, 1))?;
        Ok(Some(bounds[0] * spectral_bound(&kernel, [1, 1])?))
    }
}
