//! Upper bounds on spectral norms of matrices: bounds for certain, the rounding of float64 included.

use crate::{
    Result,
    product::{View, ViewMut, Write, gram, multiply_by_all},
};

/// An upper bound on the spectral norm of a matrix `[rows, columns]`, or of the complex matrix `re + i im`.
///
/// With `G = A A^H` or `A^H A`, the smaller one, of `n` rows, `||A||_2^2 <= ||G^p||_F^(1/p)` for every `p`, at most a
/// factor `n^(1 / (2 p))` too large; `p = 2^squarings`. It takes `squarings + 1` products of `n x n` matrices, three
/// times as many of a complex one. The bound is rounded up by more than all these products can lose. It is 0 for a
/// matrix of zeros alone, and infinite where a square overflows.
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
    let n = rows.min(columns);
    let mut power = match rows <= columns {
        true => Hermitian::gram(re, im)?,
        false => Hermitian::gram(re.t(), im.map(View::t))?,
    };
    // The logarithm of the bound, so that no power overflows.
    let (mut logarithm, mut exponent) = (0.0, 1.0);
    for squaring in 0..=squarings {
        let size = power.length();
        if size <= 0.0 {
            logarithm = f64::NEG_INFINITY;
            break;
        }
        if !size.is_finite() {
            return Ok(f64::INFINITY);
        }
        logarithm += size.ln() / exponent;
        if squaring < squarings {
            power = power.square(n, size)?;
            exponent *= 2.0;
        }
    }
    if logarithm.is_infinite() && is_zero(re) && im.is_none_or(is_zero) {
        return Ok(0.0);
    }
    // Products of small numbers may have vanished.
    let vanished = f64::MIN_POSITIVE * (rows * columns) as f64;
    let slack = 1.0 + lost(rows.max(columns), n, logarithm);
    Ok((logarithm.exp() * slack + vanished).sqrt())
}

/// Whether all entries are 0.
fn is_zero(matrix: View<'_, f64>) -> bool {
    matrix.entries().all(|entry| *entry == 0.0)
}

/// What rounding takes from the bound at most, relative to it.
///
/// A product `P P^H` of rows of `m` entries is wrong by at most `2 m u ||P||_F^2` in Euclidean length, twice that where
/// it is complex, for the unit roundoff `u`; and `||P||_F^2 <= sqrt(n) ||P P^H||_F`. The squaring `s` counts `2^-s`
/// times, so all of them twice. Then logarithms and the exponential.
fn lost(m: usize, n: usize, logarithm: f64) -> f64 {
    let products = 4.0 * (m + 4) as f64 * (n as f64).sqrt();
    let functions = match logarithm.is_finite() {
        true => 4.0 * (logarithm.abs() + 2.0),
        false => 0.0,
    };
    2.0 * f64::EPSILON * (products + functions)
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

    /// The Euclidean length of all entries.
    fn length(&self) -> f64 {
        let square = |v: &f64| v * v;
        let antisymmetric = self.antisymmetric.iter().flatten().map(square).sum::<f64>();
        (self.symmetric.iter().map(square).sum::<f64>() + antisymmetric).sqrt()
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
