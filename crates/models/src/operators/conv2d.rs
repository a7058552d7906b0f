//! Two-dimensional convolution.

use super::{
    candle_convolution::CandleConvolution,
    layout::{fold, per_channel, refuse, single, spread, unfold},
    spectral::{on_torus, seen, spectral_bound, unstrided},
};
use crate::{
    error::Error,
    operator::{Affine, Magnitude, ShapeResult},
    parameter_map::ParameterMap,
    patch::Patch,
    spec::{Conv2dConfig, OperatorSpec},
    window::Window2d,
};
use candle_core::{DType, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use loclin_tensor::{Convolution, own_loops, scale_channels, shift_channels};
use std::sync::Arc;

/// `z = W * a + b` (a cross-correlation, zero padding) of inputs `[channels, height, width]`, as PyTorch's
/// `nn.Conv2d`, with stride, padding and dilation of their own for each axis.
#[derive(Debug)]
pub struct Conv2d {
    config: Conv2dConfig,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Conv2d {
    /// Parameters `weight` `[outputs, inputs / groups, kernel...]` and `bias` `[outputs]` from `vars`; where
    /// `vars` initialises, both uniform in `+-1/sqrt(fan_in)`, PyTorch's default.
    ///
    /// # Errors
    /// Sizes of 0, groups that do not divide the channels, and parameters that `vars` lacks or has in another shape.
    pub fn new(config: Conv2dConfig, vars: VarBuilder) -> crate::error::Result<Self> {
        let Conv2dConfig {
            inputs,
            outputs,
            groups,
            ..
        } = config;
        config.window.check("conv2d")?;
        if [inputs, outputs, groups].contains(&0)
            || !inputs.is_multiple_of(groups)
            || !outputs.is_multiple_of(groups)
        {
            return Err(Error::Config {
                field: "conv2d",
                cause: format!(
                    "needs groups that divide both numbers of channels, found {groups} groups, \
                     {inputs} input and {outputs} output channels"
                ),
            });
        }
        let [height, width] = config.window.kernel;
        let shape = (outputs, inputs / groups, height, width);
        let fan_in = (inputs / groups) as f64 * height as f64 * width as f64;
        let init = Init::Uniform {
            lo: -1.0 / fan_in.sqrt(),
            up: 1.0 / fan_in.sqrt(),
        };
        let weight = vars.get_with_hints(shape, "weight", init)?;
        let bias = config
            .bias
            .then(|| vars.get_with_hints(outputs, "bias", init));
        Ok(Self {
            bias: bias.transpose()?,
            weight,
            config,
        })
    }

    /// The shorter way, [`Convolution`], where there is one: on the CPU.
    fn on_cpu(&self, x: &Tensor) -> Option<Convolution> {
        let Window2d {
            stride,
            padding,
            dilation,
            ..
        } = self.config.window;
        let groups = self.config.groups;
        let served = own_loops::serve(x.device()) && matches!(x.dtype(), DType::F32 | DType::F64);
        served.then_some(Convolution {
            stride,
            padding,
            dilation,
            groups,
        })
    }

    /// `[N, inputs, H, W]` or `[B, K, inputs, H, W]` to `[.., outputs, H', W']`.
    fn convolve(&self, x: &Tensor) -> Result<Tensor> {
        match self.on_cpu(x) {
            Some(convolution) => convolution.apply(x, &self.weight).map_err(unwrapped),
            None if x.rank() == 5 => unfold(&self.by_candle().convolve(&fold(x)?)?, x),
            None => self.by_candle().convolve(x),
        }
    }

    /// The transpose, `[N, outputs, H', W']` or `[B, K, outputs, H', W']` to `[.., inputs, H, W]`.
    fn adjoint(&self, cotangent: &Tensor, size: [usize; 2]) -> Result<Tensor> {
        match self.on_cpu(cotangent) {
            Some(convolution) => convolution
                .transposed(cotangent, &self.weight, size)
                .map_err(unwrapped),
            None if cotangent.rank() == 5 => {
                let pulled = self.by_candle().adjoint(&fold(cotangent)?, size)?;
                unfold(&pulled, cotangent)
            }
            None => self.by_candle().adjoint(cotangent, size),
        }
    }

    /// The same by Candle's own operations, on any device.
    fn by_candle(&self) -> CandleConvolution<'_> {
        CandleConvolution {
            weight: &self.weight,
            window: &self.config.window,
            groups: self.config.groups,
        }
    }

    /// An upper bound on the spectral norm of the convolution of images of a shape, with another weight of the same shape.
    fn spectral_bound(&self, weight: &Tensor, image: &[usize]) -> Result<f64> {
        let Window2d {
            stride,
            padding,
            dilation,
            ..
        } = self.config.window;
        let window = &self.config.window;
        let positions = window.output(image).map_err(candle_core::Error::Msg)?;
        let (mut weight, mut torus) = (weight.clone(), [usize::MAX; 2]);
        // At stride 1 a dilation only moves frequencies, and every norm occurs as before.
        if stride != [1, 1] || dilation == [1, 1] {
            weight = spread(&spread(&weight, 2, dilation[0])?, 3, dilation[1])?;
            let mut steps = stride;
            let mut before = [padding[0][0], padding[1][0]];
            for axis in (0..2).filter(|axis| positions[axis + 1] == 1) {
                // All that one position sees are channels of it.
                weight = seen(&weight, axis + 2, (before[axis], image[axis + 1]))?;
                (steps[axis], before[axis]) = (weight.dim(axis + 2)?, 0);
            }
            weight = unstrided(&weight, steps)?;
            for axis in 0..2 {
                // At another stride than 1, entries of the padded image that lie apart are channels of one position.
                let image = match (positions[axis + 1], steps[axis]) {
                    (1, _) => (0, 1),
                    (_, 1) => (before[axis], image[axis + 1]),
                    (_, step) => (0, (before[axis] + image[axis + 1]).div_ceil(step)),
                };
                (weight, torus[axis]) = on_torus(&weight, axis + 2, image, positions[axis + 1])?;
            }
        }
        let each = self.config.outputs / self.config.groups;
        let mut most = 0f64;
        for group in 0..self.config.groups {
            let own = weight.narrow(0, group * each, each)?.contiguous()?;
            most = most.max(spectral_bound(&own, torus)?);
        }
        Ok(most)
    }
}

impl Affine for Conv2d {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Conv2d(self.config.clone()))
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        let shape = single(operands)?;
        if shape.len() != 3 || shape[0] != self.config.inputs {
            return refuse(format!("[{}, height, width]", self.config.inputs), shape);
        }
        let mut output = self.config.window.output(shape)?;
        output[0] = self.config.outputs;
        Ok(output)
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        self.convolve(tangents[0])
    }

    fn value(&self, operands: &[&Tensor], _output: &[usize]) -> Result<Tensor> {
        let value = self.convolve(operands[0])?;
        match &self.bias {
            Some(bias) => shift_channels(&value, bias).map_err(unwrapped),
            None => Ok(value),
        }
    }

    fn pull(&self, cotangent: &Tensor, operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        let size = [operands[0][1], operands[0][2]];
        Ok(vec![self.adjoint(cotangent, size)?])
    }

    fn pull_patch(
        &self,
        cotangent: &Tensor,
        patch: &Patch,
        operands: &[&[usize]],
        wanted: &[Option<Tensor>],
    ) -> Result<Option<Vec<(Tensor, Patch)>>> {
        let Some(convolution) = self.on_cpu(cotangent).filter(|own| own.groups == 1) else {
            return Ok(None);
        };
        let size = [operands[0][1], operands[0][2]];
        let folded = fold(cotangent)?;
        let (pulled, first) = convolution
            .transposed_patch(&folded, &self.weight, patch.first, size, wanted[0].as_ref())
            .map_err(unwrapped)?;
        let size = [pulled.dim(2)?, pulled.dim(3)?];
        Ok(Some(vec![(
            unfold(&pulled, cotangent)?,
            Patch { first, size },
        )]))
    }

    fn offset(&self, output: &[usize]) -> Result<Option<Tensor>> {
        let shaped = |bias| per_channel(bias, 1, output.len() + 1);
        self.bias.as_ref().map(shaped).transpose()
    }

    fn workspace(&self, operands: &[&[usize]], output: &[usize]) -> usize {
        // A padded operand (or cotangent), and Candle's copy of it with the channels last; its kernel patches
        // are made in tiles of constant size. The pull's result is padded too, and interleaved.
        let size = |channels: usize, shape: &[usize]| {
            let window = &self.config.window;
            (0..2).fold(channels, |size, axis| {
                let reach = window.kernel[axis].saturating_mul(window.dilation[axis]);
                let padding = window.padding[axis][0].saturating_add(window.padding[axis][1]);
                let n = shape.get(axis + 1).copied().unwrap_or_default();
                size.saturating_mul(n.saturating_add(reach.max(padding)))
            })
        };
        let shape = operands.first().copied().unwrap_or_default();
        let operand = size(self.config.inputs, shape);
        let cotangent = size(self.config.outputs, output);
        operand
            .max(cotangent)
            .saturating_mul(2)
            .saturating_add(operand)
    }

    fn map_parameters(
        &self,
        map: &mut ParameterMap<'_>,
    ) -> crate::error::Result<Option<Arc<dyn Affine>>> {
        Ok(Some(Arc::new(Self {
            weight: map.apply("weight", &self.weight)?,
            bias: map.apply_if_any("bias", self.bias.as_ref())?,
            config: self.config.clone(),
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
        let [height, width] = self.config.window.kernel;
        let channels = self.config.inputs.max(self.config.outputs) / self.config.groups;
        Ok(Some(Magnitude {
            operator: Arc::new(Self {
                weight: self.weight.detach().abs()?,
                bias: self
                    .bias
                    .as_ref()
                    .map(|bias| bias.detach().abs())
                    .transpose()?,
                config: self.config.clone(),
            }),
            roundings: height * width * channels + 2,
            rounded_coefficients: 0,
        }))
    }

    fn products(&self) -> Option<usize> {
        let [height, width] = self.config.window.kernel;
        Some(self.config.inputs / self.config.groups * height * width)
    }

    fn lipschitz(&self, operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(bounds[0] * self.spectral_bound(&self.weight, operands[0])?)
    }

    fn scaled(&self, scale: &Tensor) -> Result<Option<Arc<dyn Affine>>> {
        let bias = self.bias.as_ref().map(|bias| bias * scale).transpose()?;
        Ok(Some(Arc::new(Self {
            weight: scale_channels(&self.weight, scale, 0).map_err(unwrapped)?,
            bias,
            config: self.config.clone(),
        })))
    }

    fn scaled_lipschitz(
        &self,
        scale: &Tensor,
        operands: &[&[usize]],
        bounds: &[f64],
    ) -> Result<Option<f64>> {
        let weight = self.weight.broadcast_mul(&per_channel(scale, 0, 4)?)?;
        Ok(Some(bounds[0] * self.spectral_bound(&weight, operands[0])?))
    }
}

/// The tensor library's own error, without a wrapping where it comes from there.
fn unwrapped(error: loclin_tensor::Error) -> candle_core::Error {
    match error {
        loclin_tensor::Error::Tensor(error) => error,
        error => candle_core::Error::wrap(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use loclin_tensor::Parameters;
    use proptest::prelude::*;

    /// The largest difference of two tensors, and of the gradients of their products with fixed numbers.
    fn difference(a: &Tensor, b: &Tensor, variables: &[&Var]) -> f64 {
        let flat = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f64>()).unwrap();
        let largest = |a: &Tensor, b: &Tensor| {
            assert_eq!(a.dims(), b.dims());
            let pairs = flat(a).into_iter().zip(flat(b));
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        let gradients = |value: &Tensor| {
            let numbers = Tensor::arange(0.0, value.elem_count() as f64, &Device::Cpu).unwrap();
            let numbers = numbers.sin().unwrap().reshape(value.shape()).unwrap();
            (value * numbers)
                .unwrap()
                .sum_all()
                .unwrap()
                .backward()
                .unwrap()
        };
        let (own, candle) = (gradients(a), gradients(b));
        variables.iter().fold(largest(a, b), |most, variable| {
            let of =
                |store: &candle_core::backprop::GradStore| store.get(variable).unwrap().clone();
            most.max(largest(&of(&own), &of(&candle)))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn both_ways_give_one_convolution_and_its_gradients(
            sides in [(1usize..4, 1usize..3, 1usize..3), (1usize..4, 1usize..3, 1usize..3)],
            padding in [[0usize..3, 0usize..3], [0usize..3, 0usize..3]],
            channels in (1usize..3, 1usize..3, 1usize..3), more in [0usize..5, 0usize..5], batch in 1usize..12,
        ) {
            let [(height, down, tall), (width, across, wide)] = sides;
            let window = Window2d {
                kernel: [height, width],
                stride: [down, across],
                padding,
                dilation: [tall, wide],
            };
            let (groups, inputs, outputs) = channels;
            let size = [0, 1].map(|axis| window.dilation[axis] * (window.kernel[axis] - 1) + 1 + more[axis]);
            let (inputs, outputs) = (inputs * groups, outputs * groups);
            let config = Conv2dConfig { inputs, outputs, window, groups, bias: false };
            let parameters = Parameters::seeded(3);
            let convolution = Conv2d::new(config, parameters.builder(DType::F64, &Device::Cpu)).unwrap();
            let weight = &parameters.named()[0].1;
            let numbers = |shape: (usize, usize, usize, usize)| {
                let count = shape.0 * shape.1 * shape.2 * shape.3;
                let numbers = Tensor::arange(0.0, count as f64, &Device::Cpu).unwrap().cos().unwrap();
                Var::from_tensor(&numbers.reshape(shape).unwrap()).unwrap()
            };
            let x = numbers((batch, inputs, size[0], size[1]));
            let own = convolution.convolve(&x).unwrap();
            let candle = convolution.by_candle().convolve(&x).unwrap();
            // Sums of at most 12 x 3 x 3 x 64 products of numbers below 1, in another order.
            prop_assert!(difference(&own, &candle, &[&x, weight]) < 1e-11);

            let (_, _, rows, columns) = own.dims4().unwrap();
            let z = numbers((batch, outputs, rows, columns));
            let own = convolution.adjoint(&z, size).unwrap();
            let candle = convolution.by_candle().adjoint(&z, size).unwrap();
            prop_assert!(difference(&own, &candle, &[&z, weight]) < 1e-11);
        }
    }
}
