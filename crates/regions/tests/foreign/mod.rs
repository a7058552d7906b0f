//! Networks that nobody here made, and inputs of them. They are not part of the repository; where they are absent a test
//! says so and passes.

use candle_core::{DType, Device, Tensor};
use roll_models::{Network, onnx};
use std::path::{Path, PathBuf};

pub(crate) fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let found = folder.join("reference/inputs.txt").is_file();
    if !found {
        eprintln!("skipped: {} has no reference networks", folder.display());
    }
    found.then_some(folder)
}

/// The network `folder/name` and the first `limit` of its inputs.
pub(crate) fn load(shared: &Path, folder: &str, name: &str, limit: usize) -> (Network, Tensor) {
    let inputs = std::fs::read_to_string(shared.join("reference/inputs.txt")).unwrap();
    let inputs = inputs
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .unwrap();
    let file = shared
        .join("nets")
        .join(folder)
        .join(format!("{name}.onnx"));
    let network = onnx::load(&file, DType::F64, &Device::Cpu).unwrap().network;
    let x = Tensor::read_npy(shared.join("reference").join(inputs)).unwrap();
    let count = x.dim(0).unwrap().min(limit);
    let shape = [&[count], network.input_shape()].concat();
    let x = x.narrow(0, 0, count).unwrap().reshape(shape).unwrap();
    (network, x.to_dtype(DType::F64).unwrap())
}
