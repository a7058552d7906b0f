//! Two-dimensional convolution.

use super::{
    OperatorSpec, Window2d,
    layout::{fold, per_channel, refuse, resize, single, spread, subsample, unfold},
    spectral::{spectral_bound, unstrided},
};
use crate::{
    Error,
    operator::{Affine, ShapeResult},
};
use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

/// Hyper-parameters of a [`Conv2d`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dConfig {
    /// Number of input channels.
    pub inputs: usize,
    /// Number of output channels.
    pub outputs: usize,
    /// Kernel, stride, padding and dilation.
    pub window: Window2d,
    /// In how many groups of channels the convolution falls apart; divides both numbers of channels.
    pub groups: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

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
    pub fn new(config: Conv2dConfig, vars: VarBuilder) -> crate::Result<Self> {
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

    /// The kernel with one dilation for both axes, and that dilation: Candle knows no other. Kernels with two
    /// dilations get their zeros written out.
    fn kernel(&self) -> Result<(Tensor, usize)> {
        match self.config.window.dilation {
            [d, e] if d == e => Ok((self.weight.clone(), d)),
            [d, e] => Ok((spread(&spread(&self.weight, 2, d)?, 3, e)?.contiguous()?, 1)),
        }
    }

    /// `[N, inputs, H, W]` to `[N, outputs, H', W']`.
    fn convolve(&self, x: &Tensor) -> Result<Tensor> {
        let Window2d {
            kernel: size,
            stride,
            padding,
            ..
        } = &self.config.window;
        let (kernel, dilation) = self.kernel()?;
        let groups = self.config.groups;
        let (_, _, height, width) = x.dims4()?;
        let out = [self.positions(0, height)?, self.positions(1, width)?];
        let reach = [kernel.dim(2)?, kernel.dim(3)?].map(|k| dilation * (k - 1));
        // Entries behind the last window.
        let rest = |axis: usize, n: usize| {
            let padded = n + padding[axis][0] + padding[axis][1];
            padded - reach[axis] - 1 - (out[axis] - 1) * stride[axis]
        };
        let rest = [rest(0, height), rest(1, width)];
        let same = padding[0][0];
        // With a stride, Candle's backward pass takes one rest for both axes, and underflows for padding beyond
        // the kernel's reach.
        let differentiable =
            stride[0] == 1 || (rest[0] == rest[1] && reach.iter().all(|r| 2 * same <= r + 1));
        let native = padding.as_flattened().iter().all(|p| *p == same)
            && stride[0] == stride[1]
            && differentiable
            && (stride[0] == 1 || *size != [1, 1]);
        if native {
            return x.conv2d(&kernel, same, stride[0], dilation, groups);
        }
        let mut x = x.clone();
        for (axis, [before, after]) in padding.iter().enumerate() {
            let after = *after as isize - rest[axis] as isize;
            x = resize(&x, axis + 2, *before as isize, after)?;
        }
        if *size == [1, 1] {
            // One entry for each position: nothing else needs to be multiplied.
            for axis in 0..2 {
                x = subsample(&x, axis + 2, stride[axis], out[axis])?;
            }
            return x.contiguous()?.conv2d(&kernel, 0, 1, 1, groups);
        }
        if stride[0] == stride[1] {
            return x
                .contiguous()?
                .conv2d(&kernel, 0, stride[0], dilation, groups);
        }
        let mut z = x.contiguous()?.conv2d(&kernel, 0, 1, dilation, groups)?;
        for axis in 0..2 {
            z = subsample(&z, axis + 2, stride[axis], out[axis])?;
        }
        Ok(z)
    }

    /// The transpose, `[N, outputs, H', W']` to `[N, inputs, H, W]`, exact whatever stride and padding leave over.
    ///
    /// Entries of the (padded) operand `stride` apart are reached by the same entries of the kernel. So each of
    /// the `stride^2` phases is a convolution of stride 1 with a part of the flipped kernel; all phases are
    /// computed as one convolution with that many times the channels, and interleaved.
    fn adjoint(&self, cotangent: &Tensor, size: [usize; 2]) -> Result<Tensor> {
        let Window2d {
            stride: [s, t],
            padding,
            ..
        } = self.config.window;
        let groups = self.config.groups;
        let (mut kernel, mut dilation) = self.kernel()?;
        if dilation > 1 && [s, t] != [1, 1] {
            kernel = spread(&spread(&kernel, 2, dilation)?, 3, dilation)?;
            dilation = 1;
        }
        let (outputs, inputs, height, width) = kernel.dims4()?;
        let [rows, columns] = [height.div_ceil(s), width.div_ceil(t)];
        let kernel = resize(&kernel, 2, 0, (rows * s - height) as isize)?;
        let kernel = resize(&kernel, 3, 0, (columns * t - width) as isize)?;
        let phases = kernel
            .reshape(vec![groups, outputs / groups, inputs, rows, s, columns, t])?
            .permute(vec![0, 2, 4, 6, 1, 3, 5])?
            .reshape((groups * inputs * s * t, outputs / groups, rows, columns))?
            .flip(&[2, 3])?
            .contiguous()?;
        // Along each axis, the entries `first * stride ..` of the padded operand are computed, `count` of each
        // phase, and those of the operand itself are kept.
        let mut z = cotangent.clone();
        let mut kept = [(0, 0); 2];
        for (axis, (step, taps)) in [(s, rows), (t, columns)].into_iter().enumerate() {
            let before = padding[axis][0];
            let first = before / step;
            let count = (before + size[axis]).div_ceil(step) - first;
            let reach = dilation * (taps - 1);
            let lead = reach as isize - first as isize;
            let trail = (count + reach) as isize - lead - z.dim(axis + 2)? as isize;
            z = resize(&z, axis + 2, lead, trail)?;
            kept[axis] = (count, before - first * step);
        }
        let z = z.contiguous()?.conv2d(&phases, 0, 1, dilation, groups)?;
        let [(rows, top), (columns, left)] = kept;
        z.reshape(vec![z.dim(0)?, groups * inputs, s, t, rows, columns])?
            .permute(vec![0, 1, 4, 2, 5, 3])?
            .reshape((z.dim(0)?, groups * inputs, rows * s, columns * t))?
            .narrow(2, top, size[0])?
            .narrow(3, left, size[1])
    }

    /// An upper bound on the spectral norm of the convolution with another weight of the same shape.
    fn spectral_bound(&self, weight: &Tensor) -> Result<f64> {
        let Window2d {
            stride, dilation, ..
        } = self.config.window;
        // At stride 1 a dilation only moves frequencies, and every norm occurs as before.
        let weight = match stride {
            [1, 1] => weight.clone(),
            _ => spread(&spread(weight, 2, dilation[0])?, 3, dilation[1])?,
        };
        let each = self.config.outputs / self.config.groups;
        let mut most = 0f64;
        for group in 0..self.config.groups {
            let own = weight.narrow(0, group * each, each)?.contiguous()?;
            most = most.max(spectral_bound(&unstrided(&own, stride)?)?);
        }
        Ok(most)
    }

    fn positions(&self, axis: usize, n: usize) -> Result<usize> {
        self.config
            .window
            .positions(axis, n)
            .map_err(candle_core::Error::Msg)
    }
}

impl Affine for Conv2d {
    fn spec(&self) -> OperatorSpec {
        OperatorSpec::Conv2d(self.config.clone())
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
        unfold(&self.convolve(&fold(tangents[0])?)?, tangents[0])
    }

    fn pull(&self, cotangent: &Tensor, operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        let size = [operands[0][1], operands[0][2]];
        let pulled = self.adjoint(&fold(cotangent)?, size)?;
        Ok(vec![unfold(&pulled, cotangent)?])
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

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        std::iter::once(("weight", &self.weight))
            .chain(self.bias.as_ref().map(|bias| ("bias", bias)))
            .collect()
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(bounds[0] * self.spectral_bound(&self.weight)?)
    }

    fn scaled_lipschitz(&self, scale: &Tensor, bounds: &[f64]) -> Result<Option<f64>> {
        let weight = self.weight.broadcast_mul(&per_channel(scale, 0, 4)?)?;
        Ok(Some(bounds[0] * self.spectral_bound(&weight)?))
    }
}
