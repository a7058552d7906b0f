//! Moving numbers around: the bookkeeping of dimensions that several operators share.

use crate::{operator::ShapeResult, record::ActivationRecord};
use candle_core::{Result, Tensor};

/// The shape of the only operand.
pub(super) fn single<'a>(operands: &[&'a [usize]]) -> std::result::Result<&'a [usize], String> {
    match operands {
        [shape] => Ok(shape),
        _ => Err(format!("takes one operand, found {}", operands.len())),
    }
}

/// Refuses a shape.
pub(super) fn refuse(expected: impl std::fmt::Display, found: &[usize]) -> ShapeResult {
    Err(format!("takes an operand {expected}, found {found:?}"))
}

/// The slopes that an activation recorded.
pub(super) fn slopes(record: &ActivationRecord) -> Result<&Tensor> {
    let found = record.slopes()?;
    found.ok_or_else(|| candle_core::Error::Msg("an activation record of another operator".into()))
}

/// Merges the first two dimensions: `[B, K, n...]` to `[B * K, n...]`.
pub(super) fn fold(tangent: &Tensor) -> Result<Tensor> {
    tangent.flatten(0, 1)
}

/// Splits the first dimension again: `[B * K, n...]` to the `[B, K, n...]` that `like` begins with.
pub(super) fn unfold(folded: &Tensor, like: &Tensor) -> Result<Tensor> {
    folded.reshape([&like.dims()[..2], &folded.dims()[1..]].concat())
}

/// `values`, one per channel, shaped to broadcast against `rank` dimensions with the channel at `axis`.
pub(super) fn per_channel(values: &Tensor, axis: usize, rank: usize) -> Result<Tensor> {
    let mut shape = vec![1; rank];
    shape[axis] = values.dim(0)?;
    values.reshape(shape)
}

/// `step - 1` zeros between neighbours along `axis`.
pub(super) fn spread(x: &Tensor, axis: usize, step: usize) -> Result<Tensor> {
    let length = x.dim(axis)?;
    if step == 1 || length == 1 {
        return Ok(x.clone());
    }
    let mut shape = x.dims().to_vec();
    shape[axis] = length * step;
    let padded = x
        .unsqueeze(axis + 1)?
        .pad_with_zeros(axis + 1, 0, step - 1)?;
    padded
        .reshape(shape)?
        .narrow(axis, 0, (length - 1) * step + 1)
}

/// `count` entries along `axis`, `step` apart, from the first on.
pub(super) fn subsample(x: &Tensor, axis: usize, step: usize, count: usize) -> Result<Tensor> {
    if step == 1 {
        return x.narrow(axis, 0, count);
    }
    let full = resize(x, axis, 0, (count * step) as isize - x.dim(axis)? as isize)?;
    let mut shape = x.dims().to_vec();
    shape[axis] = count;
    shape.insert(axis + 1, step);
    full.reshape(shape)?
        .narrow(axis + 1, 0, 1)?
        .squeeze(axis + 1)
}

/// Adds zeros before and after along `axis`, or takes entries away where the number is negative.
pub(super) fn resize(x: &Tensor, axis: usize, before: isize, after: isize) -> Result<Tensor> {
    let positive = |n: isize| n.max(0) as usize;
    // Zeros first: what is taken away may reach into those of the other side.
    let padded = match (positive(before), positive(after)) {
        (0, 0) => x.clone(),
        (before, after) => x.pad_with_zeros(axis, before, after)?,
    };
    match (positive(-before), positive(-after)) {
        (0, 0) => Ok(padded),
        (skip, drop) => padded.narrow(axis, skip, padded.dim(axis)?.saturating_sub(skip + drop)),
    }
}

/// Multiplies the last dimension of `x` by a matrix `[n, m]`.
pub(super) fn times(x: &Tensor, matrix: &Tensor) -> Result<Tensor> {
    let (width, out) = matrix.dims2()?;
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = out;
    }
    x.reshape((x.elem_count() / width, width))?
        .matmul(matrix)?
        .reshape(shape)
}

/// The operand's shape, if `constant` broadcasts to it as in NumPy.
pub(super) fn broadcasts(constant: &[usize], operand: &[usize]) -> ShapeResult {
    let fits = constant.len() <= operand.len()
        && constant
            .iter()
            .rev()
            .zip(operand.iter().rev())
            .all(|(c, n)| *c == 1 || c == n);
    if fits {
        Ok(operand.to_vec())
    } else {
        refuse(format!("to which {constant:?} broadcasts"), operand)
    }
}
