//! Shapes with and without a batch, and places in row-major order.

/// `full` without the batch; `[1]` where nothing is left.
pub(super) fn own(full: &[usize], batch: Option<usize>) -> Vec<usize> {
    let kept = (0..full.len()).filter(|axis| Some(*axis) != batch);
    let own: Vec<usize> = kept.map(|axis| full[axis]).collect();
    match own.is_empty() {
        true => vec![1],
        false => own,
    }
}

/// Which dimension of one input's value dimension `axis` of the graph's is; it must not be the batch.
pub(super) fn own_axis(axis: usize, batch: Option<usize>) -> usize {
    axis - usize::from(batch.is_some_and(|batch| batch < axis))
}

/// Where the batch is after a reshape in row-major order; `None` if it is spread over several dimensions.
pub(super) fn batch_after(from: &[usize], batch: usize, to: &[usize]) -> Option<usize> {
    let before: usize = from[..batch].iter().product();
    let candidates = (0..to.len())
        .filter(|&axis| to[axis] == from[batch] && to[..axis].iter().product::<usize>() == before);
    // Where several dimensions of 1 would do, the one that leaves most in its place.
    candidates.min_by_key(|axis| axis.abs_diff(batch))
}

/// The shape to which all broadcast as in NumPy.
pub(super) fn broadcast(shapes: &[&[usize]]) -> Option<Vec<usize>> {
    let rank = shapes.iter().map(|shape| shape.len()).max()?;
    let mut full = vec![1; rank];
    for shape in shapes {
        for (to, from) in full.iter_mut().rev().zip(shape.iter().rev()) {
            match (*to, *from) {
                (_, 1) => {}
                (1, n) => *to = n,
                (n, m) if n == m => {}
                _ => return None,
            }
        }
    }
    Some(full)
}

/// `shape` with leading dimensions of 1 up to `rank`.
pub(super) fn padded(shape: &[usize], rank: usize) -> Vec<usize> {
    [&vec![1; rank.saturating_sub(shape.len())], shape].concat()
}

/// The index of a place in row-major order.
pub(super) fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, n) in index.iter_mut().zip(shape).rev() {
        (*i, flat) = (flat % n, flat / n);
    }
    index
}

/// The place of an index in row-major order.
pub(super) fn ravel(index: &[usize], shape: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |flat, (i, n)| flat * n + i)
}
