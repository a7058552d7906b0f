//! Bounds of operator norms of matrices whose entries lie in intervals.

use crate::Norm;
use loclin_tensor::{
    product::View,
    rounding::{length_up, max_up, relative, up_by},
    spectral::matrix_bound,
};

/// Squarings of a Gram matrix: the spectral norm of `n` rows comes out within a part of `ln n / 2^31`, 1e-9 for eight.
const SQUARINGS: u32 = 30;

/// At least the operator norm, from `l_p` to `l_p` for `p` 1, 2 or inf, of every matrix whose rows lie in the given intervals up
/// to a deviation of at most so much in the l1 norm.
pub(crate) fn norm_of_intervals(norm: Norm, rows: &[(Vec<[f64; 2]>, f64)]) -> f64 {
    let (count, width) = (rows.len(), rows.first().map_or(0, |(row, _)| row.len()));
    let largest = |[low, high]: &[f64; 2]| max_up(low.abs(), high.abs());
    match norm.p() {
        // The largest sum of a row.
        f64::INFINITY => {
            let sum = |(row, slack): &(Vec<[f64; 2]>, f64)| {
                up_by(row.iter().map(largest).sum::<f64>() + slack, width + 2)
            };
            rows.iter().map(sum).fold(0.0, max_up)
        }
        // Of a column.
        1.0 => {
            let slack: f64 = rows.iter().map(|(_, slack)| slack).sum();
            let sum = |at: usize| rows.iter().map(|(row, _)| largest(&row[at])).sum::<f64>();
            let most = (0..width).map(sum).fold(0.0, max_up);
            up_by(most + slack, 2 * count + 2)
        }
        _ => {
            let entries = |of: &dyn Fn(&[f64; 2]) -> f64| -> Vec<f64> {
                rows.iter()
                    .flat_map(|(row, _)| row.iter().map(of))
                    .collect()
            };
            // That of the middle and of the radii, or that of the largest absolute values.
            let middle = entries(&|[low, high]| 0.5 * low + 0.5 * high);
            let radius = entries(&|[low, high]| up_by(0.5 * (high - low).abs(), 2));
            let all = entries(&largest);
            let slacks: Vec<f64> = rows.iter().map(|(_, slack)| *slack).collect();
            let slack = length_up(&slacks) + length_up(&all) * relative(8);
            let apart = spectral(&middle, count, width) + spectral(&radius, count, width);
            up_by(apart.min(spectral(&all, count, width)) + slack, 4)
        }
    }
}

/// At least the largest singular value of a matrix of `rows` rows.
fn spectral(entries: &[f64], rows: usize, columns: usize) -> f64 {
    let bound =
        View::new(entries, rows, columns).and_then(|view| matrix_bound(view, None, SQUARINGS));
    bound.unwrap_or(f64::INFINITY)
}
