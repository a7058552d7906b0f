//! Seeded tensors: every random number of a run is a function of its seed and
//! of the path that names its use, never of what was drawn before elsewhere.
//!
//! Candle's own generator on the CPU cannot be seeded, so the numbers are
//! drawn here in double precision, in row-major order, and then converted and
//! moved: `f32` and `f64` tensors of one stream agree up to rounding.

use candle_core::{DType, Device, Shape, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::{Error, Result};

/// The generator of the stream that `path` names under `seed`.
///
/// The 256-bit key is a hash chain over ChaCha8: it starts as the little-endian
/// words `(seed, path.len(), 0, 0)`; each word of the path then replaces it by
/// the first 32 bytes of output of ChaCha8 under that key, with the word as
/// stream number. The result is the same on every platform; different seeds,
/// paths and lengths of path give unrelated streams.
///
/// ```
/// use rand::Rng;
/// let draw = |path: &[u64]| loclin_tensor::random::stream(7, path).random::<u64>();
/// assert_eq!(draw(&[1, 2]), draw(&[1, 2]));
/// assert_ne!(draw(&[1, 2]), draw(&[2, 1]));
/// assert_ne!(draw(&[1]), draw(&[1, 0]));
/// ```
pub fn stream(seed: u64, path: &[u64]) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(path.len() as u64).to_le_bytes());
    for &word in path {
        let mut link = ChaCha8Rng::from_seed(key);
        link.set_stream(word);
        link.fill(&mut key);
    }
    ChaCha8Rng::from_seed(key)
}

/// A tensor of independent standard normal numbers.
///
/// # Errors
/// [`Error::DType`] for an integer `dtype`; Candle's error if the allocation
/// or the move to the device fails.
///
/// ```
/// use candle_core::{DType, Device};
/// use loclin_tensor::random::{normal, stream};
/// let noise = normal(&mut stream(0, &[]), (64, 32), DType::F32, &Device::Cpu)?;
/// assert_eq!(noise.dims(), [64, 32]);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn normal(
    rng: &mut impl Rng,
    shape: impl Into<Shape>,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    fill(shape, dtype, device, || rng.sample(StandardNormal))
}

/// A tensor of independent numbers, uniform on `[0, 1)` in double precision
/// (rounding to a narrower `dtype` may give 1).
///
/// # Errors
/// Those of [`normal`].
pub fn uniform(
    rng: &mut impl Rng,
    shape: impl Into<Shape>,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    fill(shape, dtype, device, || rng.random())
}

/// A tensor of independent signs, -1 or +1 with probability one half each.
///
/// # Errors
/// Those of [`normal`].
pub fn rademacher(
    rng: &mut impl Rng,
    shape: impl Into<Shape>,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    fill(
        shape,
        dtype,
        device,
        || if rng.random() { 1.0 } else { -1.0 },
    )
}

/// The most numbers that are drawn at once: 32 GiB of them.
const MOST: usize = 1 << 32;

/// The tensor of successive values of `draw`, in row-major order.
pub(crate) fn fill(
    shape: impl Into<Shape>,
    dtype: DType,
    device: &Device,
    mut draw: impl FnMut() -> f64,
) -> Result<Tensor> {
    if !dtype.is_float() {
        return Err(Error::DType {
            name: "random tensor".into(),
            expected: "a floating-point type".into(),
            found: dtype,
        });
    }
    let shape = shape.into();
    let mut values = Vec::new();
    let mut dims = shape.dims().iter();
    let count = dims.try_fold(1usize, |count, &dimension| count.checked_mul(dimension));
    // A system may promise memory that it does not have, hence a bound of its own.
    let count = count.filter(|&count| count <= MOST && values.try_reserve_exact(count).is_ok());
    let count = count.ok_or_else(|| Error::TooLarge {
        shape: shape.clone(),
    })?;
    values.extend((0..count).map(|_| draw()));
    let drawn = Tensor::from_vec(values, shape, &Device::Cpu)?;
    Ok(drawn.to_dtype(dtype)?.to_device(device)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The derivation is part of the file format of seeds: recorded runs
    /// replay only while this number stays.
    #[test]
    fn the_stream_of_a_path_never_changes() {
        assert_eq!(stream(0, &[]).random::<u64>(), 15_438_444_565_445_410_878);
        assert_eq!(
            stream(42, &[1, u64::MAX]).random::<u64>(),
            13_355_779_295_181_266_600
        );
    }

    #[test]
    fn narrow_tensors_are_the_rounded_wide_ones() -> Result<()> {
        let draw = |dtype| normal(&mut stream(3, &[9]), (17, 5), dtype, &Device::Cpu);
        let (narrow, wide) = (draw(DType::F32)?, draw(DType::F64)?);
        assert_eq!(
            narrow.to_vec2::<f32>()?,
            wide.to_dtype(DType::F32)?.to_vec2::<f32>()?
        );
        Ok(())
    }

    /// Mean and variance of 40,000 draws: five standard errors of either
    /// moment, so that a correct generator fails once in a million seeds, and
    /// the seed is fixed.
    #[test]
    fn moments_are_those_of_the_distributions() -> Result<()> {
        let n = 40_000;
        let cpu = Device::Cpu;
        let rng = &mut stream(5, &[1]);
        for (name, tensor, mean, variance, fourth) in [
            ("normal", normal(rng, n, DType::F64, &cpu)?, 0.0, 1.0, 3.0),
            (
                "uniform",
                uniform(rng, n, DType::F64, &cpu)?,
                0.5,
                1.0 / 12.0,
                1.0 / 80.0,
            ),
            (
                "rademacher",
                rademacher(rng, n, DType::F64, &cpu)?,
                0.0,
                1.0,
                1.0,
            ),
        ] {
            let values = tensor.to_vec1::<f64>()?;
            let count = n as f64;
            let found = values.iter().sum::<f64>() / count;
            let spread = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
            let standard_error = f64::sqrt(variance / count);
            assert!(
                (found - mean).abs() < 5.0 * standard_error,
                "{name}: mean {found}"
            );
            let standard_error = f64::sqrt((fourth - variance * variance) / count);
            assert!(
                (spread - variance).abs() <= 5.0 * standard_error,
                "{name}: variance {spread}"
            );
        }
        Ok(())
    }

    #[test]
    fn an_integer_type_is_refused() {
        let error = normal(&mut stream(0, &[]), 3, DType::U8, &Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("U8"), "{error}");
    }
}
