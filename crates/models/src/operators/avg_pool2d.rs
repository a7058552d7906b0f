//! Average pooling.

use super::layout::{fold, single, times, unfold};
use crate::{
    error::Error,
    operator::{Affine, Evaluation, Magnitude, ShapeResult},
    spec::OperatorSpec,
    window::Window2d,
};
use candle_core::{DType, Device, Result, Tensor};
use loclin_tensor::{Convolution, own_loops};
use std::sync::Arc;

/// The most entries of the matrix of one axis, and the most entries under its windows.
const LIMIT: usize = 1 << 26;

/// The mean over each window, per channel.
///
/// The mean over a window is the mean over its rows of the mean over its columns, so both readings are two
/// products with small matrices, one for each axis, whatever the stride and the padding.
#[derive(Debug, Clone)]
pub struct AvgPool2d {
    window: Window2d,
    count_padding: bool,
}

impl AvgPool2d {
    /// `count_padding` says whether zeros of the padding count in the mean (PyTorch's and ONNX's
    /// `count_include_pad`) or only the entries of the operand under the window.
    ///
    /// # Errors
    /// A window with sizes of 0 or with a dilation.
    pub fn new(window: Window2d, count_padding: bool) -> crate::error::Result<Self> {
        window.check("avg_pool2d")?;
        if window.dilation != [1, 1] {
            return Err(Error::Config {
                field: "avg_pool2d",
                cause: format!("takes no dilation, found {:?}", window.dilation),
            });
        }
        Ok(Self {
            window,
            count_padding,
        })
    }

    /// For each position of the window along one axis, the entries under it and the number that their sum is divided by.
    fn counts(&self, axis: usize, n: usize) -> Result<Vec<(Vec<usize>, usize)>> {
        let windows = self.window.members(axis, n);
        let windows = windows.map_err(candle_core::Error::Msg)?.into_iter();
        let count = |members: Vec<usize>| match self.count_padding {
            true => (members, self.window.kernel[axis]),
            false => {
                let count = members.len();
                (members, count)
            }
        };
        Ok(windows.map(count).collect())
    }

    /// The averages along one axis as a matrix `[n, positions]`.
    fn matrix(&self, axis: usize, n: usize, dtype: DType, device: &Device) -> Result<Tensor> {
        let windows = self.counts(axis, n)?;
        let mut values = vec![0f64; n * windows.len()];
        for (position, (members, count)) in windows.iter().enumerate() {
            for &i in members {
                values[i * windows.len() + position] = 1.0 / *count as f64;
            }
        }
        Tensor::from_vec(values, (n, windows.len()), device)?.to_dtype(dtype)
    }

    /// Windows of one entry as a convolution of each channel by 1, where there is a short way for it: it copies every
    /// `stride`-th entry.
    fn entries(&self, x: &Tensor) -> Option<Convolution> {
        let Window2d {
            kernel,
            stride,
            padding,
            ..
        } = self.window;
        let single = kernel == [1, 1] && padding == [[0, 0]; 2];
        let known = own_loops::serve(x.device()) && matches!(x.dtype(), DType::F32 | DType::F64);
        (single && known).then(|| Convolution {
            stride,
            groups: x.dims().iter().rev().nth(2).copied().unwrap_or(1),
            ..Convolution::default()
        })
    }

    fn matrices(&self, operand: &[usize], like: &Tensor) -> Result<[Tensor; 2]> {
        let matrix =
            |axis: usize| self.matrix(axis, operand[axis + 1], like.dtype(), like.device());
        Ok([matrix(0)?, matrix(1)?])
    }
}

/// Multiplies rows and columns of `[N, channels, H, W]` by matrices `[H, H']` and `[W, W']`.
fn separable(x: &Tensor, rows: &Tensor, columns: &Tensor) -> Result<Tensor> {
    let narrow = times(x, columns)?.transpose(2, 3)?;
    times(&narrow, rows)?.transpose(2, 3)
}

/// The weight of a convolution of each channel by 1.
fn ones(channels: usize, like: &Tensor) -> Result<Tensor> {
    Tensor::ones((channels, 1, 1, 1), like.dtype(), like.device())
}

impl Affine for AvgPool2d {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::AvgPool2d {
            window: self.window.clone(),
            count_padding: self.count_padding,
        })
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        let operand = single(operands)?;
        let output = self.window.output(operand)?;
        for axis in 0..2 {
            let (n, positions) = (operand[axis + 1], output[axis + 1]);
            let work = n.max(self.window.kernel[axis]).checked_mul(positions);
            if work.is_none_or(|work| work > LIMIT) {
                return Err(format!(
                    "{positions} windows of {} over {n} entries: more than {LIMIT} entries of the matrix of means",
                    self.window.kernel[axis]
                ));
            }
        }
        Ok(output)
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        if let Some(entries) = self.entries(tangents[0]) {
            let copied = entries.apply(tangents[0], &ones(entries.groups, tangents[0])?);
            return copied.map_err(candle_core::Error::wrap);
        }
        let [rows, columns] = self.matrices(&tangents[0].dims()[2..], tangents[0])?;
        let pooled = separable(&fold(tangents[0])?, &rows, &columns)?;
        unfold(&pooled, tangents[0])
    }

    fn value(&self, operands: &[&Tensor], _output: &[usize]) -> Result<Tensor> {
        match self.entries(operands[0]) {
            Some(_) => self.push(operands),
            None => self.push(&[&operands[0].unsqueeze(1)?])?.squeeze(1),
        }
    }

    fn pull(&self, cotangent: &Tensor, operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        if let Some(entries) = self.entries(cotangent) {
            let size = [operands[0][1], operands[0][2]];
            let spread = entries.transposed(cotangent, &ones(entries.groups, cotangent)?, size);
            return Ok(vec![spread.map_err(candle_core::Error::wrap)?]);
        }
        let [rows, columns] = self.matrices(operands[0], cotangent)?;
        let pulled = separable(&fold(cotangent)?, &rows.t()?, &columns.t()?)?;
        Ok(vec![unfold(&pulled, cotangent)?])
    }

    fn workspace(&self, operands: &[&[usize]], _output: &[usize]) -> usize {
        // A product along one axis and its transpose.
        let size = |shape: &&[usize]| shape.iter().product::<usize>();
        operands.first().map_or(0, size).saturating_mul(2)
    }

    fn magnitude(
        &self,
        operands: &[&[usize]],
        _output: &[usize],
    ) -> crate::error::Result<Option<Magnitude>> {
        let mut exact = true;
        for axis in 0..2 {
            let counts = self.counts(axis, operands[0][axis + 1])?;
            exact &= counts.iter().all(|(_, count)| count.is_power_of_two());
        }
        // A sum along each axis, of products with rounded reciprocals.
        Ok(Some(Magnitude {
            operator: Arc::new(self.clone()),
            roundings: self.window.kernel[0] + self.window.kernel[1] + 4,
            rounded_coefficients: if exact { 0 } else { 3 },
        }))
    }

    fn evaluation(&self, _: &[&[usize]], _: DType) -> crate::error::Result<Evaluation> {
        let entries = self.window.kernel[0] * self.window.kernel[1];
        Ok(Evaluation {
            roundings: entries + 4,
            partial: entries as f64,
            ..Evaluation::default()
        })
    }

    fn lipschitz(&self, operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        // ||A||_2^2 <= ||A||_1 ||A||_inf along each axis.
        let mut square = 1.0;
        for axis in 0..2 {
            let matrix = self.matrix(axis, operands[0][axis + 1], DType::F64, &Device::Cpu)?;
            for sums in [matrix.sum(0)?, matrix.sum(1)?] {
                square *= sums.max(0)?.to_scalar::<f64>()?;
            }
        }
        Ok(bounds[0] * square.sqrt())
    }
}
