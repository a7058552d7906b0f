//! What a normalisation of channels is made of, in single passes over memory.
//!
//! Tensors are `[outer, channels, inner...]`. Candle broadcasts these, but sums what is broadcast one number at a time on
//! the way back, which takes longer than the convolution in front of it. Other devices use its operations.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, Layout, Shape, Tensor};
use rayon::prelude::*;

use crate::Result;
use crate::product::{Real, slice_of};

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
    if x.device().is_cpu() {
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

/// `x` `[outer, channels, inner...]`, each channel times its number in `scale` `[channels]`; differentiable in both.
///
/// # Errors
/// Candle's, for shapes that do not fit, or numbers other than `f32` and `f64`.
pub fn scale_channels(x: &Tensor, scale: &Tensor) -> Result<Tensor> {
    Ok(match x.device().is_cpu() {
        true => x.contiguous()?.apply_op2(&scale.contiguous()?, Scale)?,
        false => x.broadcast_mul(&like(scale, x)?)?,
    })
}

/// `x` `[outer, channels, inner...]`, each channel plus its number in `shift` `[channels]`; differentiable in both.
///
/// # Errors
/// Candle's, for shapes that do not fit, or numbers other than `f32` and `f64`.
pub fn shift_channels(x: &Tensor, shift: &Tensor) -> Result<Tensor> {
    Ok(match x.device().is_cpu() {
        true => x.contiguous()?.apply_op2(&shift.contiguous()?, Shift)?,
        false => x.broadcast_add(&like(shift, x)?)?,
    })
}

/// Numbers of channels, shaped to broadcast.
fn like(channels: &Tensor, x: &Tensor) -> candle_core::Result<Tensor> {
    let mut shape = vec![1; x.rank()];
    shape[1] = channels.elem_count();
    channels.reshape(shape)
}

/// `[outer, channels, inner]`.
type Dims = [usize; 3];

fn dims(layout: &Layout) -> candle_core::Result<Dims> {
    match layout.dims() {
        [outer, channels, inner @ ..] => Ok([*outer, *channels, inner.iter().product()]),
        found => candle_core::bail!("channels of a tensor of shape {found:?}"),
    }
}

/// The same of a tensor with a number for each channel beside it.
fn dims_with(layout: &Layout, numbers: &Layout) -> candle_core::Result<Dims> {
    let dims = dims(layout)?;
    match numbers.dims() {
        [channels] if *channels == dims[1] => Ok(dims),
        found => candle_core::bail!("numbers of shape {found:?} for {} channels", dims[1]),
    }
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
        let dims = dims(layout)?;
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
        let scaled = x.detach().apply_op2_no_bwd(&slope, &Scale)?;
        scaled.apply_op2_no_bwd(&constant, &Shift).map(Some)
    }
}

struct Scale;

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
        let dims = dims_with(layout, numbers)?;
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
            .then(|| cotangent.apply_op2_no_bwd(&scale.detach(), &Self));
        let for_scale = scale
            .track_op()
            .then(|| x.detach().apply_op2_no_bwd(&cotangent, &Dot));
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
        let dims = dims_with(layout, numbers)?;
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
        let dims = dims(layout)?;
        let totals = dispatch!(totals, dims, x, (x, layout));
        Ok((totals, Shape::from(dims[1])))
    }
}

/// The sum of the products of two tensors over each channel.
struct Dot;

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
        let dims = dims(a_layout)?;
        let dots = dispatch!(dots, dims, a, (a, a_layout), (b, b_layout));
        Ok((dots, Shape::from(dims[1])))
    }
}

/// The rows of one channel, `inner` numbers for each of `outer`.
fn rows<T>([_, channels, inner]: Dims, x: &[T], channel: usize) -> impl Iterator<Item = &[T]> {
    let rows = x.chunks_exact(inner.max(1));
    rows.skip(channel).step_by(channels.max(1))
}

/// Numbers of each channel, channels in parallel.
fn each<T: Real>([_, channels, _]: Dims, number: impl Fn(usize) -> f64 + Sync) -> Vec<T> {
    let channels = (0..channels).into_par_iter();
    channels
        .map(|channel| T::from_f64(number(channel)))
        .collect()
}

/// A sum over pairs, in a fixed order of sixteen running sums that fit into registers.
fn sum<T: Real>(a: &[T], b: &[T], term: impl Fn(f64, f64) -> f64) -> f64 {
    const LANES: usize = 16;
    let mut sums = [0.0; LANES];
    let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = whole_a.remainder().iter().zip(whole_b.remainder());
    let rest: f64 = rest.map(|(a, b)| term(a.to_f64(), b.to_f64())).sum();
    for (a, b) in whole_a.zip(whole_b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += term(a.to_f64(), b.to_f64());
        }
    }
    sums.iter().sum::<f64>() + rest
}

fn total<T: Real>(dims: Dims, x: &[T], channel: usize) -> f64 {
    rows(dims, x, channel)
        .map(|row| sum(row, row, |a, _| a))
        .sum()
}

fn totals<T: Real>(dims: Dims, x: &[T]) -> Vec<T> {
    each(dims, |channel| total(dims, x, channel))
}

fn dots<T: Real>(dims: Dims, a: &[T], b: &[T]) -> Vec<T> {
    each(dims, |channel| {
        let rows = rows(dims, a, channel).zip(rows(dims, b, channel));
        rows.map(|(a, b)| sum(a, b, |a, b| a * b)).sum()
    })
}

/// Means, then variances.
fn moments<T: Real>(dims: Dims, x: &[T]) -> Vec<T> {
    let count = (dims[0] * dims[2]) as f64;
    let mean = |channel| total(dims, x, channel) / count;
    let means: Vec<T> = each(dims, mean);
    let variances: Vec<T> = each(dims, |channel| {
        let mean = mean(channel);
        let deviation = |row| sum(row, row, |a, _| (a - mean) * (a - mean));
        rows(dims, x, channel).map(deviation).sum::<f64>() / count
    });
    [means, variances].concat()
}

fn scaled<T: Real>(dims: Dims, x: &[T], scale: &[T]) -> Vec<T> {
    by_row(dims, x, scale, |x, scale| x * scale)
}

fn shifted<T: Real>(dims: Dims, x: &[T], shift: &[T]) -> Vec<T> {
    by_row(dims, x, shift, |x, shift| x + shift)
}

/// A function of each number and that of its channel.
fn by_row<T: Real>(
    [_, channels, inner]: Dims,
    x: &[T],
    numbers: &[T],
    f: impl Fn(T, T) -> T + Sync,
) -> Vec<T> {
    let mut result = vec![T::zero(); x.len()];
    let (result_rows, rows) = (
        result.par_chunks_mut(inner.max(1)),
        x.par_chunks(inner.max(1)),
    );
    result_rows
        .zip(rows)
        .enumerate()
        .with_min_len(16)
        .for_each(|(index, (result, row))| {
            let number = numbers[index % channels];
            for (result, x) in result.iter_mut().zip(row) {
                *result = f(*x, number);
            }
        });
    result
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
            let wide = like(&numbers, &x).unwrap();
            let scaled = scale_channels(&x, &numbers).unwrap();
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
        let found = message(scale_channels(&x, &wrong));
        assert!(found.contains("[4] for 3 channels"), "{found}");
        let found = message(shift_channels(&normal(3, &[4]), &wrong));
        assert!(found.contains("of shape [4]"), "{found}");
        let whole = Tensor::new(&[[1u32]], &Device::Cpu).unwrap();
        let found = channel_moments(&whole).unwrap_err().to_string();
        assert!(found.contains("neither f32 nor f64"), "{found}");
    }
}
