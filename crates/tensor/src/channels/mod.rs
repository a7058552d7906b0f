//! What a normalisation of channels is made of, in single passes over memory.
//!
//! Tensors are `[outer, channels, inner...]`. Candle broadcasts these, but sums what is broadcast one number at a time on
//! the way back, which takes longer than the convolution in front of it. Other devices use its operations.

mod kernels;
pub(crate) mod normalize;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, Layout, Shape, Tensor};

use crate::product::slice_of;
use crate::{Result, own_loops};
use kernels::{dims, dims_with, dots, moments, scaled, shifted, totals};

/// Mean and variance (biased: the mean of the squared deviations) of each channel of `x` `[outer, channels, inner...]`,
/// both `[channels]`; differentiable.
///
/// # Errors
/// Candle's, for a tensor with fewer than two dimensions, or numbers other than `f32` and `f64`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[1.0, 5.0], [3.0, 5.0]], &Device::Cpu)?;
/// let [mean, variance] = loclin_tensor::channel_moments(&x)?;
/// assert_eq!((mean.to_vec1::<f64>()?, variance.to_vec1::<f64>()?), (vec![2.0, 5.0], vec![1.0, 0.0]));
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn channel_moments(x: &Tensor) -> Result<[Tensor; 2]> {
    if own_loops::serve(x.device()) {
        let moments = x.contiguous()?.apply_op1(Moments)?;
        return Ok([moments.get(0)?, moments.get(1)?]);
    }
    Ok(moments_by_broadcasting(x)?)
}

fn moments_by_broadcasting(x: &Tensor) -> candle_core::Result<[Tensor; 2]> {
    let rows = x.transpose(0, 1)?.flatten_from(1)?;
    let mean = rows.mean_keepdim(D::Minus1)?;
    let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(D::Minus1)?;
    Ok([mean.squeeze(D::Minus1)?, variance])
}

/// `x` `[outer..., channels, inner...]`, whose channels are dimension `axis`, each channel times its number in `scale`
/// `[channels]`; differentiable in both.
///
/// # Errors
/// Candle's, for shapes that do not fit, or numbers other than `f32` and `f64`.
pub fn scale_channels(x: &Tensor, scale: &Tensor, axis: usize) -> Result<Tensor> {
    Ok(match own_loops::serve(x.device()) {
        true => x
            .contiguous()?
            .apply_op2(&scale.contiguous()?, Scale { axis })?,
        false => x.broadcast_mul(&like(scale, x, axis)?)?,
    })
}

/// `x` `[outer, channels, inner...]`, each channel plus its number in `shift` `[channels]`; differentiable in both.
///
/// # Errors
/// Candle's, for shapes that do not fit, or numbers other than `f32` and `f64`.
pub fn shift_channels(x: &Tensor, shift: &Tensor) -> Result<Tensor> {
    Ok(match own_loops::serve(x.device()) {
        true => x.contiguous()?.apply_op2(&shift.contiguous()?, Shift)?,
        false => x.broadcast_add(&like(shift, x, 1)?)?,
    })
}

/// Numbers of channels, shaped to broadcast.
fn like(channels: &Tensor, x: &Tensor, axis: usize) -> candle_core::Result<Tensor> {
    let mut shape = vec![1; x.rank()];
    if let Some(size) = shape.get_mut(axis) {
        *size = channels.elem_count();
    }
    channels.reshape(shape)
}

/// Runs a kernel in the number type of its operands.
macro_rules! dispatch {
    ($kernel:ident, $dims:expr, $kind:expr, $(($storage:expr, $layout:expr)),+) => {
        match $kind {
            CpuStorage::F32(_) => CpuStorage::F32($kernel::<f32>(
                $dims, $(slice_of($storage, $layout).map_err(candle_core::Error::wrap)?),+
            )),
            CpuStorage::F64(_) => CpuStorage::F64($kernel::<f64>(
                $dims, $(slice_of($storage, $layout).map_err(candle_core::Error::wrap)?),+
            )),
            _ => candle_core::bail!("channels of neither f32 nor f64"),
        }
    };
}

struct Moments;

impl CustomOp1 for Moments {
    fn name(&self) -> &'static str {
        "channel-moments"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let dims = dims(layout, 1)?;
        let found = dispatch!(moments, dims, x, (x, layout));
        Ok((found, Shape::from((2, dims[1]))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        result: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        // With n values to a channel: d mean / dx = 1 / n, d variance / dx = 2 (x - mean) / n.
        let count = (x.elem_count() / x.dim(1)?) as f64;
        let (mean, cotangent) = (result.detach().get(0)?, (cotangent.detach() / count)?);
        let slope = (cotangent.get(1)? * 2.0)?;
        let constant = (cotangent.get(0)? - (&slope * mean)?)?;
        let scaled = x.detach().apply_op2_no_bwd(&slope, &Scale { axis: 1 })?;
        scaled.apply_op2_no_bwd(&constant, &Shift).map(Some)
    }
}

struct Scale {
    axis: usize,
}

impl CustomOp2 for Scale {
    fn name(&self) -> &'static str {
        "scale-channels"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        scale: &CpuStorage,
        numbers: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let dims = dims_with(layout, numbers, self.axis)?;
        let scaled = dispatch!(scaled, dims, x, (x, layout), (scale, numbers));
        Ok((scaled, layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let cotangent = cotangent.detach().contiguous()?;
        let for_x = x
            .track_op()
            .then(|| cotangent.apply_op2_no_bwd(&scale.detach(), &Self { axis: self.axis }));
        let for_scale = scale.track_op().then(|| {
            x.detach()
                .apply_op2_no_bwd(&cotangent, &Dot { axis: self.axis })
        });
        Ok((for_x.transpose()?, for_scale.transpose()?))
    }
}

struct Shift;

impl CustomOp2 for Shift {
    fn name(&self) -> &'static str {
        "shift-channels"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        shift: &CpuStorage,
        numbers: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let dims = dims_with(layout, numbers, 1)?;
        let shifted = dispatch!(shifted, dims, x, (x, layout), (shift, numbers));
        Ok((shifted, layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        shift: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let cotangent = cotangent.detach().contiguous()?;
        let for_shift = shift.track_op().then(|| cotangent.apply_op1_no_bwd(&Total));
        Ok((x.track_op().then_some(cotangent), for_shift.transpose()?))
    }
}

/// The sum of each channel.
struct Total;

impl CustomOp1 for Total {
    fn name(&self) -> &'static str {
        "channel-sums"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let dims = dims(layout, 1)?;
        let totals = dispatch!(totals, dims, x, (x, layout));
        Ok((totals, Shape::from(dims[1])))
    }
}

/// The sum of the products of two tensors over each channel.
struct Dot {
    axis: usize,
}

impl CustomOp2 for Dot {
    fn name(&self) -> &'static str {
        "channel-dots"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let dims = dims(a_layout, self.axis)?;
        let dots = dispatch!(dots, dims, a, (a, a_layout), (b, b_layout));
        Ok((dots, Shape::from(dims[1])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use candle_core::{DType, Device, Var};

    fn normal(seed: u64, shape: &[usize]) -> Tensor {
        random::normal(
            &mut random::stream(seed, &[]),
            shape,
            DType::F64,
            &Device::Cpu,
        )
        .unwrap()
    }

    fn same(a: &Tensor, b: &Tensor) {
        let [a, b] = [a, b].map(|t| t.flatten_all().unwrap().to_vec1::<f64>().unwrap());
        assert_eq!(a.len(), b.len());
        // Sums of fewer than a hundred numbers, in another order.
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    /// Values and gradients against Candle's own operations, for rows that fill the running sums and rows that do not.
    #[test]
    fn they_are_what_broadcasting_gives() {
        for shape in [&[3, 2, 21][..], &[4, 3], &[2, 3, 2, 2], &[1, 1, 16]] {
            let x = Var::from_tensor(&normal(1, shape)).unwrap();
            let numbers = Var::from_tensor(&normal(2, &shape[1..2])).unwrap();
            let weights = normal(3, shape);
            let per_channel = normal(4, &shape[1..2]);
            let compare = |fast: &Tensor, plain: &Tensor, by: &Tensor| {
                same(fast, plain);
                let [fast, plain] = [fast, plain].map(|value| {
                    let loss = (value * by).unwrap().sum_all().unwrap();
                    loss.backward().unwrap()
                });
                for variable in [&x, &numbers] {
                    match (fast.get(variable), plain.get(variable)) {
                        (Some(fast), Some(plain)) => same(fast, plain),
                        (fast, plain) => assert!(fast.is_none() && plain.is_none()),
                    }
                }
            };
            let wide = like(&numbers, &x, 1).unwrap();
            let scaled = scale_channels(&x, &numbers, 1).unwrap();
            compare(&scaled, &x.broadcast_mul(&wide).unwrap(), &weights);
            let shifted = shift_channels(&x, &numbers).unwrap();
            compare(&shifted, &x.broadcast_add(&wide).unwrap(), &weights);
            let found = channel_moments(&x).unwrap();
            let expected = moments_by_broadcasting(&x).unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                compare(found, expected, &per_channel);
            }
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        let x = normal(1, &[2, 3, 4]);
        let message = |found: Result<Tensor>| found.unwrap_err().to_string();
        let wrong = normal(2, &[4]);
        let found = message(scale_channels(&x, &wrong, 1));
        assert!(found.contains("[4] for 3 channels"), "{found}");
        let found = message(shift_channels(&normal(3, &[4]), &wrong));
        assert!(found.contains("of shape [4]"), "{found}");
        let whole = Tensor::new(&[[1u32]], &Device::Cpu).unwrap();
        let found = channel_moments(&whole).unwrap_err().to_string();
        assert!(found.contains("neither f32 nor f64"), "{found}");
    }
}
