//! What a network says of inputs.

use candle_core::{Device, Tensor};
use loclin_models::{Module, Network};

/// The outputs for inputs in float64, one after the other.
pub(crate) fn values(network: &Network, x: &[f64]) -> Vec<f64> {
    let count = x.len() / network.input_size();
    let shape = [&[count], network.input_shape()].concat();
    let x = Tensor::from_slice(x, shape, &Device::Cpu).unwrap();
    let y = network.forward(&x).unwrap();
    y.flatten_all().unwrap().to_vec1().unwrap()
}
