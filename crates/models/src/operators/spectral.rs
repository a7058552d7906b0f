//! Upper bounds on spectral norms, of matrices and of convolutions: bounds for certain, not estimates.

use candle_core::{D, DType, Device, Result, Tensor};
use loclin_tensor::{
    product::View,
    rounding::{relative, up_by},
    spectral::matrix_bound,
};
use std::f64::consts::PI;

/// Squarings of a Gram matrix. `||G^p||_F^(1/p)` with `p = 2^SQUARINGS` exceeds `||G||_2` by at most a factor
/// `n^(1/(2p))`: for 512 channels, and after the square root of `G = A^H A`, 10%; far less where singular values differ.
const SQUARINGS: u32 = 4;

/// Frequencies for each degree of the transfer function, along each axis. A peak between two of them is higher than
/// both by at most `1 / cos(pi / (2 * 6))`, 3.5%.
const DENSITY: usize = 6;

/// The largest absolute entry.
pub(super) fn largest(tensor: &Tensor) -> Result<f64> {
    let flat = tensor.detach().to_dtype(DType::F64)?.flatten_all()?.abs()?;
    flat.max(0)?.to_scalar()
}

/// An upper bound on the spectral norm of the convolution with `kernel` `[outputs, inputs, k, l]`, of stride 1 and with
/// zero padding, that is a part of the convolution of a torus of `torus` positions; of images of any size for `usize::MAX`. With a kernel of one
/// entry, of a matrix `[outputs, inputs]`.
///
/// On a torus the norm is the maximum of `||K(w, v)||_2` over its frequencies. Where these are many, on a grid of others:
///
/// Such a convolution is a part of the convolution of infinite images, whose norm is the maximum of `||K(w, v)||_2` over
/// all frequencies, `K(w, v) = sum_ab K_ab exp(-i (a w + b v))`. For fixed unit vectors `x` and `y` and up to a phase,
/// `Re(x^H K(w, v) y)` is along each axis a real trigonometric polynomial of degree `(k - 1) / 2`; on `N` equispaced
/// frequencies such a polynomial reaches at least `cos(pi (k - 1) / (2 N))` of its maximum (M. Riesz; Ehlich and Zeller
/// 1964). So the largest norm on a grid, divided by these cosines, bounds all. Of kernels without a negative entry the largest is that of
/// the frequency 0.
pub(super) fn spectral_bound(kernel: &Tensor, torus: [usize; 2]) -> Result<f64> {
    let kernel = kernel
        .detach()
        .to_device(&Device::Cpu)?
        .to_dtype(DType::F64)?;
    let (outputs, inputs, height, width) = kernel.dims4()?;
    let taps = kernel
        .permute((2, 3, 0, 1))?
        .reshape((height * width, outputs * inputs))?;
    let dense = [height, width].map(|k| (DENSITY * (k - 1)).max(1));
    let positive = taps.min_all()?.to_scalar::<f64>()? >= 0.0;
    let grid = [0, 1].map(|axis| match positive {
        true => 1,
        false => dense[axis].min(torus[axis]).max(1),
    });
    let mut most = 0f64;
    // The kernel is real, so that (-w, -v) has the norm of (w, v).
    for row in 0..=grid[0] / 2 {
        for column in 0..grid[1] {
            let angle = |tap: usize| {
                let (a, b) = (tap / width, tap % width);
                let turns =
                    (a * row) as f64 / grid[0] as f64 + (b * column) as f64 / grid[1] as f64;
                2.0 * PI * turns
            };
            let part = |function: fn(f64) -> f64| {
                let factors: Vec<f64> = (0..height * width)
                    .map(|tap| function(angle(tap)))
                    .collect();
                let factors = Tensor::from_vec(factors, (1, height * width), &Device::Cpu)?;
                factors.matmul(&taps)?.reshape((outputs, inputs))
            };
            most = most.max(complex_bound(&part(f64::cos)?, &part(f64::sin)?)?);
        }
    }
    // What the rounding of cosines and of their sums with the taps can have taken from a norm.
    let lengths = taps
        .sqr()?
        .sum(D::Minus1)?
        .sqrt()?
        .sum_all()?
        .to_scalar::<f64>()?;
    let lost = relative(height * width + 64 * (height + width) + 64) * lengths * 2.0;
    let reached = |axis: usize| match positive || torus[axis] <= dense[axis] {
        true => 1.0,
        false => (PI * ([height, width][axis] - 1) as f64 / (2 * grid[axis]) as f64).cos(),
    };
    if most + lost == 0.0 {
        return Ok(0.0);
    }
    Ok(up_by((most + lost) / (reached(0) * reached(1)), 64))
}

/// An upper bound on the spectral norm of `re + i im`.
fn complex_bound(re: &Tensor, im: &Tensor) -> Result<f64> {
    let (outputs, inputs) = re.dims2()?;
    let numbers = |part: &Tensor| part.flatten_all()?.to_vec1::<f64>();
    let (re, im) = (numbers(re)?, numbers(im)?);
    let bound = || {
        let re = View::new(&re, outputs, inputs)?;
        let is_real = im.iter().all(|v| *v == 0.0);
        let im = (!is_real).then(|| View::new(&im, outputs, inputs));
        matrix_bound(re, im.transpose()?, SQUARINGS)
    };
    bound().map_err(candle_core::Error::wrap)
}

/// A kernel's entries along an axis (2 or 3) that are over `n` entries of an image, which begin at its own entry `before`; one of zeros if
/// there are none.
pub(super) fn seen(kernel: &Tensor, axis: usize, (before, n): (usize, usize)) -> Result<Tensor> {
    let end = kernel.dim(axis)?.min(before + n);
    match before < end {
        true => kernel.narrow(axis, before, end - before),
        false => kernel.narrow(axis, 0, 1)?.zeros_like(),
    }
}

/// A kernel `[outputs, inputs, k, l]` without the entries along an axis (2 or 3) that meet only padding, and how many positions a torus
/// needs to have the convolution of `n` entries to `positions` of them as a part: none that wraps around meets an entry.
pub(super) fn on_torus(
    kernel: &Tensor,
    axis: usize,
    (before, n): (usize, usize),
    positions: usize,
) -> Result<(Tensor, usize)> {
    let first = (before + 1).saturating_sub(positions);
    let end = kernel.dim(axis)?.min(before + n);
    if positions == 0 || first >= end {
        return Ok((kernel.narrow(axis, 0, 1)?.zeros_like()?, 1));
    }
    let (kernel, before) = (
        kernel.narrow(axis, first, end - first)?,
        before - first.min(before),
    );
    let torus = (n + before).max((positions + end - first - 1).saturating_sub(before));
    Ok((kernel, torus))
}

/// The kernel `[outputs, inputs, k, l]` of stride `[s, t]` as one of stride 1 over `s t` times the channels: entries of
/// the image `s` and `t` apart are the channels of one position, which only moves numbers around.
pub(super) fn unstrided(kernel: &Tensor, [s, t]: [usize; 2]) -> Result<Tensor> {
    let (outputs, inputs, height, width) = kernel.dims4()?;
    let [rows, columns] = [height.div_ceil(s), width.div_ceil(t)];
    let kernel = kernel.pad_with_zeros(2, 0, rows * s - height)?;
    let kernel = kernel.pad_with_zeros(D::Minus1, 0, columns * t - width)?;
    let apart = kernel.reshape(vec![outputs, inputs, rows, s, columns, t])?;
    apart
        .permute(vec![0, 1, 3, 5, 2, 4])?
        .reshape((outputs, inputs * s * t, rows, columns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use loclin_tensor::random;

    /// The norm itself, from below, by power iteration with the convolution of a large image.
    fn norm(kernel: &Tensor, stride: usize) -> Result<f64> {
        let inputs = kernel.dim(1)?;
        let rng = &mut random::stream(1, &[]);
        let mut x = random::normal(rng, (1, inputs, 24, 24), DType::F64, &Device::Cpu)
            .map_err(candle_core::Error::wrap)?;
        let mut norm = 0.0;
        for _ in 0..200 {
            let image = candle_core::Var::from_tensor(
                &(&x / x.sqr()?.sum_all()?.sqrt()?.to_scalar::<f64>()?)?,
            )?;
            let square = image.conv2d(kernel, 1, stride, 1, 1)?.sqr()?.sum_all()?;
            norm = square.to_scalar::<f64>()?.sqrt();
            if let Some(gradient) = square.backward()?.get(&image) {
                x = gradient.clone();
            }
        }
        Ok(norm)
    }

    /// Without the slack that a grid of frequencies leaves: the bound of a complex matrix is above its norm, which power
    /// iteration with `[[re, -im], [im, re]]` finds from below.
    #[test]
    fn bounds_of_complex_matrices_are_above_and_near() -> Result<()> {
        for (seed, shape) in [(2, 2), (3, 2), (2, 5), (6, 6)]
            .into_iter()
            .cycle()
            .take(40)
            .enumerate()
        {
            let rng = &mut random::stream(seed as u64, &[]);
            let mut draw = |shape: (usize, usize)| {
                random::normal(rng, shape, DType::F64, &Device::Cpu)
                    .map_err(candle_core::Error::wrap)
            };
            let (re, im) = (draw(shape)?, draw(shape)?);
            let top = Tensor::cat(&[&re, &im.neg()?], 1)?;
            let whole = Tensor::cat(&[&top, &Tensor::cat(&[&im, &re], 1)?], 0)?;
            let gram = whole.t()?.matmul(&whole)?;
            let mut x = draw((2 * shape.1, 1))?;
            let mut square = 0.0;
            for _ in 0..300 {
                x = gram.matmul(&x)?;
                square = x.sqr()?.sum_all()?.sqrt()?.to_scalar::<f64>()?;
                x = (x / square)?;
            }
            let (norm, bound) = (square.sqrt(), complex_bound(&re, &im)?);
            // Rounding, and n^(1/64) for n singular values.
            assert!(
                norm <= bound * (1.0 + 1e-12) && bound <= 1.04 * norm,
                "{shape:?}: {norm} and {bound}"
            );
        }
        Ok(())
    }

    #[test]
    fn bounds_are_above_and_near() -> Result<()> {
        for (seed, (shape, stride)) in [
            ((4, 3, 3, 3), 1),
            ((3, 5, 3, 3), 2),
            ((4, 4, 2, 3), 1),
            ((6, 2, 1, 1), 1),
            ((2, 1, 5, 5), 3),
        ]
        .into_iter()
        .enumerate()
        {
            let rng = &mut random::stream(seed as u64, &[]);
            let kernel = random::normal(rng, shape, DType::F64, &Device::Cpu)
                .map_err(candle_core::Error::wrap)?;
            let bound = spectral_bound(&unstrided(&kernel, [stride; 2])?, [usize::MAX; 2])?;
            let norm = norm(&kernel, stride)?;
            // Grid and squarings leave 7% and a few; so does the image's edge.
            assert!(
                norm <= bound && bound <= 1.2 * norm,
                "{shape:?}: {norm} and {bound}"
            );
        }
        assert_eq!(
            spectral_bound(
                &Tensor::zeros((2, 3, 3, 3), DType::F64, &Device::Cpu)?,
                [usize::MAX; 2]
            )?,
            0.0
        );
        Ok(())
    }
}
