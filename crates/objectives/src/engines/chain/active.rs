//! The units of a layer through which an input's gradients pass.

use crate::{Result, analytic::slopes_of};
use candle_core::DType;
use loclin_models::Trace;
use loclin_tensor::product::Real;

/// The units of one layer whose slope at one input is not 0, and those slopes.
#[derive(Debug)]
pub(super) struct Active<T> {
    pub(super) units: Vec<u32>,
    /// The slopes; `None` if all are 1, as for a ReLU.
    pub(super) slopes: Option<Vec<T>>,
}

impl<T: Real> Active<T> {
    fn new(slopes: &[T]) -> Self {
        let units: Vec<u32> = (0u32..)
            .zip(slopes)
            .filter(|(_, slope)| **slope != T::zero())
            .map(|(unit, _)| unit)
            .collect();
        let own: Vec<T> = units.iter().map(|unit| slopes[*unit as usize]).collect();
        Self {
            units,
            slopes: own.iter().any(|slope| *slope != T::one()).then_some(own),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.units.len()
    }

    /// The slopes of all units into `row`, which holds zeros.
    pub(super) fn spread(&self, row: &mut [T]) {
        for (i, unit) in self.units.iter().enumerate() {
            row[*unit as usize] = self.slope(i);
        }
    }

    /// The slope of the `i`-th active unit.
    pub(super) fn slope(&self, i: usize) -> T {
        self.slopes.as_ref().map_or(T::one(), |slopes| slopes[i])
    }
}

/// The active units of the first `layers` layers at each input: `[B][layers]`.
pub(super) fn of_trace<T: Real>(trace: &Trace, layers: usize) -> Result<Vec<Vec<Active<T>>>> {
    let mut active: Vec<Vec<Active<T>>> = (0..trace.batch()).map(|_| Vec::new()).collect();
    for record in trace.records().take(layers) {
        let slopes = slopes_of(record)?.flatten_from(1)?.to_dtype(T::DTYPE)?;
        debug_assert!(matches!(T::DTYPE, DType::F32 | DType::F64));
        for (input, row) in active.iter_mut().zip(slopes.to_vec2::<T>()?) {
            input.push(Active::new(&row));
        }
    }
    Ok(active)
}

/// `into[r, c] = matrix[rows[r], columns[c]]` for a row-major `matrix` with `width` columns.
pub(super) fn gather<T: Real>(
    into: &mut [T],
    matrix: &[T],
    width: usize,
    rows: &[u32],
    columns: &[u32],
) {
    if columns.is_empty() {
        return;
    }
    for (row, into) in rows.iter().zip(into.chunks_exact_mut(columns.len())) {
        let row = &matrix[*row as usize * width..][..width];
        for (value, column) in into.iter_mut().zip(columns) {
            *value = row[*column as usize];
        }
    }
}

/// The symmetric `into = matrix[units, units] + half + half^T`, row-major, for a symmetric `matrix` of `width` columns.
pub(super) fn gather_symmetric<T: Real>(
    into: &mut [T],
    matrix: &[T],
    width: usize,
    units: &[u32],
    half: &[T],
) {
    // Tiles, so that both triangles stay in the cache.
    const TILE: usize = 16;
    let n = units.len();
    for top in (0..n).step_by(TILE) {
        for left in (0..=top).step_by(TILE) {
            for r in top..(top + TILE).min(n) {
                let row = &matrix[units[r] as usize * width..][..width];
                for c in left..(left + TILE).min(r + 1) {
                    let value = row[units[c] as usize] + half[r * n + c] + half[c * n + r];
                    into[r * n + c] = value;
                    into[c * n + r] = value;
                }
            }
        }
    }
}

/// Multiplies row `r` by the slope of `rows[r]`.
pub(super) fn scale_rows<T: Real>(matrix: &mut [T], rows: &Active<T>, width: usize) {
    if let Some(slopes) = &rows.slopes {
        scale_rows_by(matrix, slopes, width);
    }
}

/// Multiplies column `c` by the slope of `columns[c]`.
pub(super) fn scale_columns<T: Real>(matrix: &mut [T], columns: &Active<T>) {
    if let Some(slopes) = &columns.slopes {
        scale_columns_by(matrix, slopes);
    }
}

/// Multiplies row `r` of `width` numbers by `factors[r]`.
pub(super) fn scale_rows_by<T: Real>(matrix: &mut [T], factors: &[T], width: usize) {
    for (row, factor) in matrix.chunks_exact_mut(width.max(1)).zip(factors) {
        row.iter_mut().for_each(|value| *value *= *factor);
    }
}

/// Multiplies column `c` by `factors[c]`.
pub(super) fn scale_columns_by<T: Real>(matrix: &mut [T], factors: &[T]) {
    for row in matrix.chunks_exact_mut(factors.len().max(1)) {
        let pairs = row.iter_mut().zip(factors);
        pairs.for_each(|(value, factor)| *value *= *factor);
    }
}

/// `sums[rows[r], columns[c]] += matrix[r, c]` for row-major `sums` with `width` columns.
pub(super) fn scatter<T: Real>(
    sums: &mut [T],
    width: usize,
    matrix: &[T],
    rows: &[u32],
    columns: &[u32],
) {
    if columns.is_empty() {
        return;
    }
    for (row, matrix) in rows.iter().zip(matrix.chunks_exact(columns.len())) {
        let row = &mut sums[*row as usize * width..][..width];
        for (value, column) in matrix.iter().zip(columns) {
            row[*column as usize] += *value;
        }
    }
}

/// [`scatter`] of the lower triangle of a symmetric matrix, rows and columns alike.
pub(super) fn scatter_lower<T: Real>(sums: &mut [T], width: usize, matrix: &[T], units: &[u32]) {
    if units.is_empty() {
        return;
    }
    let rows = units.iter().zip(matrix.chunks_exact(units.len()));
    for (r, (row, matrix)) in rows.enumerate() {
        let row = &mut sums[*row as usize * width..][..width];
        for (value, column) in matrix[..=r].iter().zip(units) {
            row[*column as usize] += *value;
        }
    }
}
