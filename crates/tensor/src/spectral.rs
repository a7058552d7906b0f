//! Upper bounds on spectral norms of matrices: bounds for certain, rounding included.

use crate::{
    Result,
    product::{View, ViewMut, Write, gram, multiply_by_all},
    rounding,
};

/// An upper bound on the spectral norm of a matrix `[rows, columns]`, or of the complex matrix `re + i im`.
///
/// With `G = A A^H` or `A^H A`, the smaller one, of `n` rows, `||A||_2^2 <= ||G^p||_F^(1/p)` for every `p`, at most a
/// factor `n^(1 / (2 p))` too large; `p = 2^squarings`. It takes `squarings + 1` products of `n x n` matrices, three
/// times as many of a complex one.
///
/// # Errors
/// A real and an imaginary part of different shapes.
///
/// ```
/// use loclin_tensor::{product::View, spectral::matrix_bound};
///
/// let bound = matrix_bound(View::new(&[3.0, 0.0, 0.0, 4.0], 2, 2)?, None, 6)?;
/// assert!(bound >= 4.0 && bound < 4.001);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn matrix_bound(re: View<'_, f64>, im: Option<View<'_, f64>>, squarings: u32) -> Result<f64> {
    let (rows, columns) = (re.row_count(), re.column_count());
    let (n, inner) = (rows.min(columns), rows.max(columns));
    let entries = |view: View<'_, f64>| -> Vec<f64> {
        let row = |r: usize| (0..columns).map(move |c| view.at(r, c));
        (0..rows).flat_map(row).collect()
    };
    let (mut re, mut im) = (entries(re), im.map(entries));
    let most = rounding::largest(&re).max(im.as_deref().map_or(0.0, rounding::largest));
    if most == 0.0 || !most.is_finite() {
        return Ok(most);
    }
    // By a power of two, so that no square vanishes that matters, or overflows.
    let scale = rounding::power_of_two(most);
    for v in re.iter_mut().chain(im.iter_mut().flatten()) {
        *v /= scale;
    }
    let frobenius = rounding::length_up(&re) + im.as_deref().map_or(0.0, rounding::length_up);
    let re = View::new(&re, rows, columns)?;
    let im = im.as_deref().map(|im| View::new(im, rows, columns));
    let im = im.transpose()?;
    let mut power = match rows <= columns {
        true => Hermitian::gram(re, im)?,
        false => Hermitian::gram(re.t(), im.map(View::t))?,
    };
    // What rounding did to the Gram matrix, and to a square of a matrix of length 1, as Euclidean lengths of all entries.
    let of_gram = rounding::up_by(
        rounding::relative(8 * inner + 16) * frobenius * frobenius,
        4,
    );
    let of_square = rounding::relative(8 * n + 32) + (n * n) as f64 * f64::MIN_POSITIVE;
    let mut sizes = Vec::new();
    for squaring in 0..=squarings {
        let size = power.length();
        sizes.push(size);
        if squaring == squarings || size == 0.0 {
            break;
        }
        power = power.square(n, size)?;
    }
    // From the last power to the first: ||P||_2 = s ||(P / s)^2||_2^(1/2).
    let mut bound = sizes.pop().unwrap_or(0.0);
    for size in sizes.into_iter().rev() {
        bound = rounding::up_by(size * (bound + of_square).sqrt(), 4);
    }
    let vanished = inner as f64 * f64::MIN_POSITIVE;
    Ok(rounding::up_by((bound + of_gram).sqrt() + vanished, 4) * scale)
}

/// A matrix `S + i K` with symmetric `S` and antisymmetric `K`.
struct Hermitian {
    symmetric: Vec<f64>,
    antisymmetric: Option<Vec<f64>>,
}

impl Hermitian {
    /// `A A^H` of `A = re + i im`.
    fn gram(re: View<'_, f64>, im: Option<View<'_, f64>>) -> Result<Self> {
        let mut symmetric = gram(re)?;
        let Some(im) = im else {
            return Ok(Self {
                symmetric,
                antisymmetric: None,
            });
        };
        let n = re.row_count();
        let other = gram(im)?;
        symmetric.iter_mut().zip(other).for_each(|(s, o)| *s += o);
        let cross = product(im, re.t(), n)?;
        Ok(Self {
            symmetric,
            antisymmetric: Some(less_transpose(&cross, n)),
        })
    }

    /// At least the Euclidean length of all entries.
    fn length(&self) -> f64 {
        let symmetric = rounding::length_up(&self.symmetric);
        match &self.antisymmetric {
            Some(antisymmetric) => {
                rounding::length_up(&[symmetric, rounding::length_up(antisymmetric)])
            }
            None => symmetric,
        }
    }

    /// The square of it divided by `size`.
    fn square(mut self, n: usize, size: f64) -> Result<Self> {
        let parts = [Some(&mut self.symmetric), self.antisymmetric.as_mut()];
        for v in parts.into_iter().flatten().flatten() {
            *v /= size;
        }
        let s = View::new(&self.symmetric, n, n)?;
        let mut symmetric = gram(s)?;
        let antisymmetric = match &self.antisymmetric {
            // (S + iK)^2 = S S^T + K K^T + i (SK + KS), and K S = (-(S K))^T.
            Some(k) => {
                let k = View::new(k, n, n)?;
                let other = gram(k)?;
                symmetric.iter_mut().zip(other).for_each(|(s, o)| *s += o);
                Some(less_transpose(&product(s, k, n)?, n))
            }
            None => None,
        };
        Ok(Self {
            symmetric,
            antisymmetric,
        })
    }
}

/// `left right`, `n x n`.
fn product(left: View<'_, f64>, right: View<'_, f64>, n: usize) -> Result<Vec<f64>> {
    let mut product = vec![0.0; n * n];
    let into = ViewMut::new(&mut product, n, n)?;
    multiply_by_all(into, Write::Replace, 1.0, left, right)?;
    Ok(product)
}

/// A matrix less its transpose.
fn less_transpose(matrix: &[f64], n: usize) -> Vec<f64> {
    let entry = |at: usize| matrix[at] - matrix[at % n * n + at / n];
    (0..n * n).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{normal, stream};
    use candle_core::{DType, Device};

    /// Above what power iteration reaches from below, and within its promise of it.
    #[test]
    fn the_bound_is_above_and_near() -> Result<()> {
        for seed in 0..200u64 {
            let (rows, columns) = (1 + seed as usize % 12, 1 + seed as usize / 12 % 12);
            let rng = &mut stream(seed, &[]);
            let matrix = normal(rng, (rows, columns), DType::F64, &Device::Cpu)?;
            let values = matrix.flatten_all()?.to_vec1::<f64>()?;
            let row = |r: usize| &values[r * columns..][..columns];
            let length = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
            let mut vector = vec![1.0; columns];
            let mut reached = 0.0;
            for _ in 0..500 {
                let dot = |r: usize| row(r).iter().zip(&vector).map(|(w, v)| w * v).sum();
                let image: Vec<f64> = (0..rows).map(dot).collect();
                reached = length(&image) / length(&vector);
                let column = |c: usize| image.iter().zip(0..).map(|(i, r)| i * row(r)[c]).sum();
                vector = (0..columns).map(column).collect();
                let size = length(&vector);
                vector.iter_mut().for_each(|v| *v /= size);
            }
            for squarings in [2, 6] {
                let bound = matrix_bound(View::new(&values, rows, columns)?, None, squarings)?;
                let most = (rows.min(columns) as f64).powf(0.5 / f64::from(1 << squarings));
                // Power iteration may not have come all the way.
                assert!(reached <= bound * (1.0 + 1e-12) && bound <= reached * most * 1.05);
            }
        }
        Ok(())
    }
}
