//! Loops over the numbers of each channel, as wide as the processor's vectors.

use candle_core::Layout;
use pulp::Arch;
use rayon::prelude::*;

use crate::elementwise::zeros;
use crate::product::Real;

/// `[outer, channels, inner]`.
pub(super) type Dims = [usize; 3];

pub(super) fn dims(layout: &Layout, axis: usize) -> candle_core::Result<Dims> {
    let (outer, inner) = layout.dims().split_at(axis.min(layout.dims().len()));
    match inner {
        [channels, inner @ ..] => Ok([outer.iter().product(), *channels, inner.iter().product()]),
        _ => candle_core::bail!("channels of a tensor of shape {:?}", layout.dims()),
    }
}

/// The same of a tensor with a number for each channel beside it.
pub(super) fn dims_with(
    layout: &Layout,
    numbers: &Layout,
    axis: usize,
) -> candle_core::Result<Dims> {
    let dims = dims(layout, axis)?;
    match numbers.dims() {
        [channels] if *channels == dims[1] => Ok(dims),
        found => candle_core::bail!("numbers of shape {found:?} for {} channels", dims[1]),
    }
}

/// The rows of one channel, `inner` numbers for each of `outer`.
pub(super) fn rows<T>(
    [_, channels, inner]: Dims,
    x: &[T],
    channel: usize,
) -> impl Iterator<Item = &[T]> {
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
pub(super) fn sum<T: Real>(a: &[T], b: &[T], term: impl Fn(f64, f64) -> f64) -> f64 {
    const LANES: usize = 16;
    let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = whole_a.remainder().iter().zip(whole_b.remainder());
    let rest: f64 = rest.map(|(a, b)| term(a.to_f64(), b.to_f64())).sum();
    let sums = Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut sums = [0.0; LANES];
            for (a, b) in whole_a.zip(whole_b) {
                for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                    *sum += term(a.to_f64(), b.to_f64());
                }
            }
            sums
        },
    );
    sums.iter().sum::<f64>() + rest
}

fn total<T: Real>(dims: Dims, x: &[T], channel: usize) -> f64 {
    rows(dims, x, channel)
        .map(|row| sum(row, row, |a, _| a))
        .sum()
}

pub(super) fn totals<T: Real>(dims: Dims, x: &[T]) -> Vec<T> {
    each(dims, |channel| total(dims, x, channel))
}

pub(super) fn dots<T: Real>(dims: Dims, a: &[T], b: &[T]) -> Vec<T> {
    each(dims, |channel| {
        let rows = rows(dims, a, channel).zip(rows(dims, b, channel));
        rows.map(|(a, b)| sum(a, b, |a, b| a * b)).sum()
    })
}

/// Means, then variances.
pub(super) fn moments<T: Real>(dims: Dims, x: &[T]) -> Vec<T> {
    let count = (dims[0] * dims[2]) as f64;
    let moments = (0..dims[1]).into_par_iter().map(|channel| {
        let mean = total(dims, x, channel) / count;
        let deviation = |row| sum(row, row, |a, _| (a - mean) * (a - mean));
        let variance = rows(dims, x, channel).map(deviation).sum::<f64>() / count;
        (T::from_f64(mean), T::from_f64(variance))
    });
    let (means, variances): (Vec<T>, Vec<T>) = moments.unzip();
    [means, variances].concat()
}

pub(super) fn scaled<T: Real>(dims: Dims, x: &[T], scale: &[T]) -> Vec<T> {
    by_row(dims, x, scale, |x, scale| x * scale)
}

pub(super) fn shifted<T: Real>(dims: Dims, x: &[T], shift: &[T]) -> Vec<T> {
    by_row(dims, x, shift, |x, shift| x + shift)
}

/// A function of each number and that of its channel.
fn by_row<T: Real>(dims: Dims, x: &[T], numbers: &[T], f: impl Fn(T, T) -> T + Sync) -> Vec<T> {
    let factors: Vec<[T; 1]> = numbers.iter().map(|number| [*number]).collect();
    affine_rows(dims, [x, x], &factors, |[x, _], [number]| f(x, number))
}

/// A function of each pair of numbers and those of its channel.
pub(super) fn affine_rows<T: Real, const N: usize>(
    [_, channels, inner]: Dims,
    [a, b]: [&[T]; 2],
    numbers: &[[T; N]],
    f: impl Fn([T; 2], [T; N]) -> T + Sync,
) -> Vec<T> {
    let inner = inner.max(1);
    let mut result = zeros(a.len());
    result
        .par_chunks_mut(inner)
        .zip(a.par_chunks(inner).zip(b.par_chunks(inner)))
        .enumerate()
        .with_min_len(16)
        .for_each(|(index, (result, (a, b)))| {
            let numbers = numbers[index % channels];
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (result, (a, b)) in result.iter_mut().zip(a.iter().zip(b)) {
                        *result = f([*a, *b], numbers);
                    }
                },
            );
        });
    result
}

/// Of one channel the sum of the second numbers, and of their products with what the first are above `mean`.
pub(super) fn sum_of_rows<T: Real>(
    dims: Dims,
    [a, b]: [&[T]; 2],
    channel: usize,
    mean: f64,
) -> [f64; 2] {
    let pairs = rows(dims, a, channel).zip(rows(dims, b, channel));
    pairs.fold([0.0; 2], |[total, product], (a, b)| {
        [
            total + sum(b, b, |b, _| b),
            product + sum(a, b, |a, b| (a - mean) * b),
        ]
    })
}
