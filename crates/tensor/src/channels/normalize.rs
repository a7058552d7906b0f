//! Normalisation of channels by their own mean and variance, as one operation.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Shape, Tensor, bail};
use rayon::prelude::*;

use super::kernels::{Dims, affine_rows, dims_with, sum_of_rows};
use super::{Moments, channel_moments, scale_channels, shift_channels};
use crate::product::{Real, slice, slice_of, tensor};
use crate::{Result, own_loops};

/// Each channel of `x` `[outer, channels, inner...]` times its number in `weight / sqrt(variance + eps)`, after its mean has
/// been taken away, plus its number in `bias`: batch normalisation in training mode. With the value, of the shape of
/// `x`, come mean and variance, `[channels]` each ([`channel_moments`]). All three are differentiable.
///
/// # Errors
/// Candle's, for shapes that do not fit, or numbers other than `f32` and `f64`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[1.0], [3.0]], &Device::Cpu)?;
/// let (weight, bias) = (Tensor::new(&[2.0], &Device::Cpu)?, Tensor::new(&[0.5], &Device::Cpu)?);
/// let [value, mean, _] = loclin_tensor::normalize_channels(&x, &weight, &bias, 0.0)?;
/// assert_eq!((value.to_vec2::<f64>()?, mean.to_vec1::<f64>()?), (vec![vec![-1.5], vec![2.5]], vec![2.0]));
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn normalize_channels(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
) -> Result<[Tensor; 3]> {
    if !own_loops::serve(x.device()) {
        let [mean, variance] = channel_moments(x)?;
        let scale = (weight / (&variance + eps)?.sqrt()?)?;
        let shift = (bias - (&mean * &scale)?)?;
        let value = shift_channels(&scale_channels(x, &scale, 1)?, &shift)?;
        return Ok([value, mean, variance]);
    }
    let x = x.contiguous()?;
    let moments = x.apply_op1_no_bwd(&Moments)?;
    let [mean, variance] = [moments.get(0)?, moments.get(1)?];
    let deviation = (&variance + eps)?.sqrt()?;
    let known = x.apply_op1(Known(moments))?;
    let normalize = Normalize { mean, deviation };
    let value = x.apply_op3(&weight.contiguous()?, &bias.contiguous()?, normalize)?;
    Ok([value, known.get(0)?, known.get(1)?])
}

/// Mean and variance that were found before.
struct Known(Tensor);

impl CustomOp1 for Known {
    fn name(&self) -> &'static str {
        "known-channel-moments"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (storage, _) = self.0.storage_and_layout();
        match &*storage {
            candle_core::Storage::Cpu(storage) => Ok((storage.clone(), self.0.shape().clone())),
            _ => bail!("moments on another device than their numbers"),
        }
    }

    fn bwd(
        &self,
        x: &Tensor,
        result: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        Moments.bwd(x, result, cotangent)
    }
}

struct Normalize {
    mean: Tensor,
    /// The square root of the variance.
    deviation: Tensor,
}

impl Normalize {
    /// What each channel is multiplied by.
    fn scale(&self, weight: &Tensor) -> candle_core::Result<Tensor> {
        weight.detach() / &self.deviation
    }

    fn forward<T: Real>(
        &self,
        dims: Dims,
        x: &[T],
        weight: &[T],
        bias: &[T],
    ) -> candle_core::Result<Vec<T>> {
        let numbers = |tensor: &Tensor| tensor.to_vec1::<T>();
        let (mean, deviation) = (numbers(&self.mean)?, numbers(&self.deviation)?);
        let factors = (0..dims[1]).map(|channel| {
            let scale = weight[channel] / deviation[channel];
            [scale, bias[channel] - mean[channel] * scale]
        });
        let factors: Vec<[T; 2]> = factors.collect();
        Ok(affine_rows(
            dims,
            [x, x],
            &factors,
            |[x, _], [scale, shift]| x * scale + shift,
        ))
    }

    /// The cotangents of `x`, of the weight and of the bias.
    fn backward<T: Real>(
        &self,
        x: &Tensor,
        weight: &Tensor,
        cotangent: &Tensor,
    ) -> Result<[Tensor; 3]> {
        let storages = [x, cotangent].map(Tensor::storage_and_layout);
        let [values, cotangents] = &storages;
        let dims = dims_with(x.layout(), weight.layout(), 1)?;
        let (values, cotangents) = (
            slice::<T>(&values.0, values.1)?,
            slice::<T>(&cotangents.0, cotangents.1)?,
        );
        let count = (dims[0] * dims[2]) as f64;
        let numbers = |tensor: &Tensor| tensor.to_vec1::<T>();
        let (mean, deviation) = (numbers(&self.mean)?, numbers(&self.deviation)?);
        let scale = numbers(&self.scale(weight)?)?;
        // With z = (x - mean) / deviation and n values to a channel, the cotangent of x is
        // scale (c - sum(c) / n - z sum(c z) / n).
        let channels = (0..dims[1]).into_par_iter().map(|channel| {
            let [mean, deviation, scale] =
                [&mean, &deviation, &scale].map(|numbers| numbers[channel].to_f64());
            let [total, product] = sum_of_rows(dims, [values, cotangents], channel, mean);
            let slope = -scale * product / (deviation * deviation * count);
            let constant = -scale * total / count - slope * mean;
            let factors = [scale, slope, constant].map(T::from_f64);
            (
                factors,
                T::from_f64(product / deviation),
                T::from_f64(total),
            )
        });
        let channels: Vec<_> = channels.collect();
        let factors: Vec<[T; 3]> = channels.iter().map(|(factors, ..)| *factors).collect();
        let of_x = affine_rows(
            dims,
            [values, cotangents],
            &factors,
            |[x, c], [scale, slope, constant]| c * scale + (x * slope + constant),
        );
        let of_weight = channels.iter().map(|(_, weight, _)| *weight).collect();
        let of_bias = channels.iter().map(|(.., bias)| *bias).collect();
        Ok([
            tensor(of_x, x.dims())?,
            tensor::<T>(of_weight, weight.dims())?,
            tensor::<T>(of_bias, weight.dims())?,
        ])
    }
}

impl CustomOp3 for Normalize {
    fn name(&self) -> &'static str {
        "normalize-channels"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        fn slices<'a, T: Real>(
            operands: [(&'a CpuStorage, &Layout); 3],
        ) -> candle_core::Result<[&'a [T]; 3]> {
            let [x, weight, bias] = operands.map(|(storage, layout)| {
                slice_of(storage, layout).map_err(candle_core::Error::wrap)
            });
            Ok([x?, weight?, bias?])
        }
        let dims = dims_with(layout, weight_layout, 1)?;
        dims_with(layout, bias_layout, 1)?;
        let operands = [(x, layout), (weight, weight_layout), (bias, bias_layout)];
        let values = match x {
            CpuStorage::F32(_) => {
                let [x, weight, bias] = slices(operands)?;
                CpuStorage::F32(self.forward(dims, x, weight, bias)?)
            }
            CpuStorage::F64(_) => {
                let [x, weight, bias] = slices(operands)?;
                CpuStorage::F64(self.forward(dims, x, weight, bias)?)
            }
            _ => bail!("channels of neither f32 nor f64"),
        };
        Ok((values, layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let cotangent = cotangent.detach().contiguous()?;
        let found = match x.dtype() {
            candle_core::DType::F32 => self.backward::<f32>(x, weight, &cotangent),
            _ => self.backward::<f64>(x, weight, &cotangent),
        };
        let [of_x, of_weight, of_bias] = found.map_err(candle_core::Error::wrap)?;
        let wanted = |operand: &Tensor, cotangent| operand.track_op().then_some(cotangent);
        Ok((
            wanted(x, of_x),
            wanted(weight, of_weight),
            wanted(bias, of_bias),
        ))
    }
}
