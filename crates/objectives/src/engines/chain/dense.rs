//! Symmetric matrices by their lower triangles, and inner products.

use loclin_tensor::product::Real;

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

/// Copies the lower triangle to the upper one.
pub(super) fn mirror<T: Real>(matrix: &mut [T], n: usize) {
    for row in 1..n {
        for column in 0..row {
            matrix[column * n + row] = matrix[row * n + column];
        }
    }
}

/// The transpose of a row-major matrix of `size` rows and columns.
pub(super) fn transposed<T: Real>(matrix: &[T], [rows, columns]: [usize; 2]) -> Vec<T> {
    let mut result = vec![T::zero(); matrix.len()];
    for row in 0..rows {
        for column in 0..columns {
            result[column * rows + row] = matrix[row * columns + column];
        }
    }
    result
}
