//! Tensors of drawn numbers, and the numbers of tensors.

use candle_core::{DType, Device, Tensor};
use loclin_tensor::random;

/// Normal numbers that depend on the seed alone.
pub(crate) fn normal(seed: u64, shape: &[usize]) -> Tensor {
    let rng = &mut random::stream(seed, &[]);
    random::normal(rng, shape, DType::F64, &Device::Cpu).unwrap()
}

/// The numbers of a float64 tensor of any shape, row-major.
pub(crate) fn entries(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}
