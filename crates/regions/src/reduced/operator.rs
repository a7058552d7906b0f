//! Bounds of operator norms of matrices whose entries lie in intervals.

use crate::Norm;
use loclin_tensor::{
    product::View,
    rounding::{down, length_up, max_up, relative, up_by},
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

/// At most the operator norm, from `l_p` to `l_p` for `p` 1, 2 or inf, of a matrix.
pub(crate) fn norm_below(norm: Norm, rows: &[Vec<f64>]) -> f64 {
    let width = rows.first().map_or(0, Vec::len);
    let roundings = rows.len().max(width) + 8;
    let below = |value: f64| down(value * (1.0 - relative(4 * roundings)));
    let found = match norm.p() {
        f64::INFINITY => {
            let sums = rows.iter().map(|row| row.iter().map(|g| g.abs()).sum());
            sums.fold(0.0, f64::max)
        }
        1.0 => {
            let sum = |at: usize| rows.iter().map(|row| row[at].abs()).sum();
            (0..width).map(sum).fold(0.0, f64::max)
        }
        _ => {
            // What the transpose does to its longest direction, or nearly that.
            let direction = longest_direction(rows);
            let combined = (0..width).map(|at| dot(rows.iter().map(|row| row[at]), &direction));
            let (long, length) = (
                Norm::L2.of(&combined.collect::<Vec<_>>()),
                Norm::L2.of(&direction),
            );
            if length > 0.0 { long / length } else { 0.0 }
        }
    };
    // Squares that vanish or overflow say nothing.
    match found > 1e-140 && found < 1e140 {
        true => below(found),
        false => 0.0,
    }
}

/// The left singular vector of the largest singular value, or nearly that, by squaring the Gram matrix of the rows.
fn longest_direction(rows: &[Vec<f64>]) -> Vec<f64> {
    let scale = rows
        .iter()
        .flatten()
        .fold(0.0, |most: f64, g| most.max(g.abs()));
    let entry = |a: &Vec<f64>, b: &Vec<f64>| dot(a.iter().map(|g| g / scale / scale), b);
    let of_row = |a: &Vec<f64>| rows.iter().map(|b| entry(a, b)).collect();
    let mut gram: Vec<Vec<f64>> = rows.iter().map(of_row).collect();
    for _ in 0..SQUARINGS {
        let largest = gram
            .iter()
            .flatten()
            .fold(0.0, |most: f64, g| most.max(g.abs()));
        gram.iter_mut().flatten().for_each(|g| *g /= largest);
        // It is symmetric.
        let of_row = |a: &Vec<f64>| {
            let products = gram.iter().map(|b| dot(a.iter().copied(), b));
            products.collect()
        };
        gram = gram.iter().map(of_row).collect();
    }
    let length = |row: &&Vec<f64>| Norm::L2.of(row);
    let longest = gram.iter().max_by(|a, b| length(a).total_cmp(&length(b)));
    longest.cloned().unwrap_or_default()
}

fn dot(a: impl Iterator<Item = f64>, b: &[f64]) -> f64 {
    a.zip(b).map(|(a, b)| a * b).sum()
}

/// At least the largest singular value of a matrix of `rows` rows.
fn spectral(entries: &[f64], rows: usize, columns: usize) -> f64 {
    let bound =
        View::new(entries, rows, columns).and_then(|view| matrix_bound(view, None, SQUARINGS));
    bound.unwrap_or(f64::INFINITY)
}
