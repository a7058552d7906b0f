//! Networks that nobody here made, and inputs of them. They are not part of the repository; where they are absent a test
//! says so and passes.

use candle_core::{DType, Device, Tensor};
use loclin_models::pytorch::{self, Architecture};
use loclin_models::{Network, onnx};
use std::path::{Path, PathBuf};

/// The folder of such files.
pub(crate) fn shared() -> Option<PathBuf> {
    loclin_test_files::shared("reference/inputs.txt")?;
    loclin_test_files::shared("")
}

/// The network of a file in `nets`, in float64. A state dict is a fully connected network's of 28 x 28 images.
pub(crate) fn network(shared: &Path, file: &str) -> Network {
    let path = shared.join("nets").join(file);
    let (dtype, device) = (DType::F64, Device::Cpu);
    let images = Architecture::Fc {
        input_shape: Some(vec![1, 28, 28]),
        negative_slope: 0.0,
        bias: true,
    };
    let model = match path
        .extension()
        .is_some_and(|extension| extension == "onnx")
    {
        true => onnx::load(&path, dtype, &device),
        false => pytorch::load(&path, &images, dtype, &device),
    };
    model.unwrap().network
}

/// The inputs in a file of `reference`, at most `limit`, as `network` takes them.
pub(crate) fn inputs(shared: &Path, file: &str, network: &Network, limit: usize) -> Tensor {
    let x = Tensor::read_npy(shared.join("reference").join(file)).unwrap();
    let count = x.dim(0).unwrap().min(limit);
    let shape = [&[count], network.input_shape()].concat();
    let x = x.narrow(0, 0, count).unwrap().reshape(shape).unwrap();
    x.to_dtype(DType::F64).unwrap()
}
