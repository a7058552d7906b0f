//! Symmetric matrices by their lower triangles, and inner products.

use candle_ext::{
    Result,
    product::{Real, View, ViewMut, Write, multiply},
};

/// `sum of a[i] * b[i]`, in double precision.
pub(super) fn dot<T: Real>(a: &[T], b: &[T]) -> f64 {
    // Short sums in the type itself, which the compiler can vectorise, then one long sum in double precision.
    a.chunks(256)
        .zip(b.chunks(256))
        .map(|(a, b)| {
            let mut lanes = [T::zero(); 16];
            let (whole_a, rest_a) = a.as_chunks::<16>();
            let (whole_b, rest_b) = b.as_chunks::<16>();
            for (a, b) in whole_a.iter().zip(whole_b) {
                for i in 0..16 {
                    lanes[i] += a[i] * b[i];
                }
            }
            let rest: f64 = rest_a
                .iter()
                .zip(rest_b)
                .map(|(a, b)| a.to_f64() * b.to_f64())
                .sum();
            lanes.iter().map(|lane| lane.to_f64()).sum::<f64>() + rest
        })
        .sum()
}

/// The lower triangle of a symmetric product `a b`, `[n, n]`; some of what lies above it is computed too, the
/// rest is left as it was.
pub(super) fn multiply_lower<T: Real>(
    result: &mut [T],
    n: usize,
    a: View<T>,
    b: View<T>,
) -> Result<()> {
    // Blocks of rows up to the diagonal block: three eighths less work than the whole.
    let block = n.div_ceil(4).max(32);
    for start in (0..n).step_by(block) {
        let (count, columns) = (block.min(n - start), (start + block).min(n));
        let rows = ViewMut::strided(&mut result[start * n..], count, columns, n)?;
        let right = b.t().rows(0, columns)?.t();
        multiply(rows, Write::Replace, 1.0, a.rows(start, count)?, right)?;
    }
    Ok(())
}

/// Copies the lower triangle to the upper one.
pub(super) fn mirror<T: Real>(matrix: &mut [T], n: usize) {
    for row in 1..n {
        for column in 0..row {
            matrix[column * n + row] = matrix[row * n + column];
        }
    }
}

/// `<a, b>` of two symmetric matrices `[n, n]` from their lower triangles.
pub(super) fn dot_lower<T: Real>(a: &[T], b: &[T], n: usize) -> f64 {
    (0..n)
        .map(|row| {
            let (a, b) = (&a[row * n..][..=row], &b[row * n..][..=row]);
            2.0 * dot(&a[..row], &b[..row]) + a[row].to_f64() * b[row].to_f64()
        })
        .sum()
}
