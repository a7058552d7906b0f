//! Positions in row-major arrays, and under sliding windows.

use loclin_models::operators::Window2d;

/// How many numbers an array of that shape holds.
pub(super) fn size(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The index of position `flat`.
pub(super) fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, n) in index.iter_mut().zip(shape).rev() {
        (*i, flat) = (flat % n, flat / n);
    }
    index
}

/// The position of an index.
pub(super) fn ravel(index: &[usize], shape: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |flat, (i, n)| flat * n + i)
}

/// All indices of an array, in row-major order.
pub(super) fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    (0..size(shape)).map(move |flat| unravel(flat, shape))
}

/// The position in a constant that NumPy would broadcast to `index`.
pub(super) fn broadcast(constant: &[usize], index: &[usize]) -> usize {
    let own = &index[index.len() - constant.len()..];
    let own: Vec<usize> = own
        .iter()
        .zip(constant)
        .map(|(i, n)| if *n == 1 { 0 } else { *i })
        .collect();
    ravel(&own, constant)
}

/// Window entries `(k, l)` with the row and column of `[channels, height, width]` they lie on when the window stands
/// at `(row, column)`; padding is left out.
pub(super) fn under(
    window: &Window2d,
    shape: &[usize],
    row: usize,
    column: usize,
) -> Vec<(usize, usize, usize, usize)> {
    let along = |axis: usize, position: usize| -> Vec<(usize, usize)> {
        (0..window.kernel[axis])
            .filter_map(|k| {
                let padded = position * window.stride[axis] + k * window.dilation[axis];
                let entry = padded.checked_sub(window.padding[axis][0])?;
                (entry < shape[axis + 1]).then_some((k, entry))
            })
            .collect()
    };
    let columns = along(1, column);
    along(0, row)
        .into_iter()
        .flat_map(|(k, row)| columns.iter().map(move |(l, column)| (k, *l, row, *column)))
        .collect()
}
