//! Unit vectors, as tangents and as cotangents.

use crate::{Error, Result};
use candle_core::Tensor;
use loclin_models::Network;
use std::ops::Range;

/// Input axes `e_k` for `k` in `range` as tangents `[1, len, in...]`, shared by all inputs.
///
/// # Errors
/// A range that is not within `0..D`.
pub fn axes(network: &Network, range: Range<usize>) -> Result<Tensor> {
    let size = network.input_size();
    if range.start > range.end || range.end > size {
        return Err(Error::Argument {
            what: "axes",
            cause: format!("{range:?} is not within 0..{size}"),
        });
    }
    unit_tangents(network, &range.collect::<Vec<_>>())
}

/// Input axes `e_k` for the given `k`, in their order, as tangents `[1, len, in...]`, shared by all inputs.
///
/// # Errors
/// An axis that is not below `D`.
pub fn unit_tangents(network: &Network, axes: &[usize]) -> Result<Tensor> {
    let size = network.input_size();
    if let Some(axis) = axes.iter().find(|axis| **axis >= size) {
        return Err(Error::Argument {
            what: "axes",
            cause: format!("{axis} is not within 0..{size}"),
        });
    }
    let shape = [&[1, axes.len()], network.input_shape()].concat();
    Ok(units(network, axes, size)?.reshape(shape)?)
}

/// The unit vectors of `width` numbers for the given positions, below `width` each, `[1, len, width]`, in the network's
/// dtype and on its device.
pub(crate) fn units(network: &Network, positions: &[usize], width: usize) -> Result<Tensor> {
    let mut values = vec![0f32; positions.len() * width];
    for (row, position) in positions.iter().enumerate() {
        values[row * width + position] = 1.0;
    }
    let units = Tensor::from_vec(values, (1, positions.len(), width), network.device())?;
    Ok(units.to_dtype(network.dtype())?)
}
