//! Writes the small files that fuzzing begins with into a folder: whole ones, and for each ONNX operator some that name
//! it. `fuzz/README.md` says how they are used:
//!
//! ```sh
//! cargo run --package loclin-models --example fuzz_seeds -- fuzz/corpus
//! ```
#![allow(clippy::unwrap_used, reason = "the writers are those of the tests")]

#[path = "../tests/support/onnx_writer.rs"]
mod onnx_writer;
#[path = "../tests/support/pickle_writer.rs"]
mod pickle_writer;
#[path = "../tests/support/whole.rs"]
mod whole;

use candle_core::{DType, Device};
use loclin_models::{
    Model, NetworkSpec, Parameters,
    architectures::{ConvNetConfig, Mlp, Pooling, ResNetConfig},
    onnx,
};
use onnx_writer::{attribute_float, attribute_int, attribute_ints, doubles, ints, model, node};
use std::{error::Error, fs, path::Path};
use whole::{fc_pickle, onnx_file, pytorch_file};

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = std::env::args_os()
        .nth(1)
        .ok_or("needs the folder to write to")?;
    let write = |target: &str, name: &str, bytes: &[u8]| {
        write(&Path::new(&corpus).join(target), name, bytes)
    };
    for operator in onnx::supported() {
        let attributes = [
            attribute_int("axis", 1),
            attribute_ints("kernel_shape", &[2, 2]),
            attribute_ints("pads", &[0, 1, 0, 1]),
            attribute_ints("perm", &[0, 2, 3, 1]),
            attribute_float("alpha", 0.1),
        ];
        let constants = [
            doubles("k", &[2, 2, 2, 2], &[0.25; 16]),
            doubles("v", &[2], &[0.5, 1.5]),
            ints("n", &[1, -1]),
        ];
        for (kind, inputs) in [
            ("constants", &["x", "k", "v", "v", "v"][..]),
            ("numbers", &["x", "n"]),
            ("values", &["x", "x"]),
        ] {
            let file = model(
                &[0, 2, 4, 4],
                &[node(operator, inputs, "y", &attributes)],
                &constants,
            );
            write("onnx", &format!("{operator}-{kind}"), &file)?;
        }
    }
    write("onnx", "network", &onnx_file())?;

    let state = fc_pickle();
    write("pickle", "pickle", &state)?;
    write("pickle", "archive", &pytorch_file(&state))?;
    let storages = [("0", vec![0.5; 6]), ("1", vec![0.25; 2])];
    write(
        "pickle",
        "legacy",
        &pickle_writer::legacy(&state, &storages),
    )?;

    let fc = Mlp {
        inputs: vec![1, 3],
        hidden: vec![2],
        outputs: 1,
        negative_slope: 0.1,
    };
    let convnet = ConvNetConfig {
        inputs: [1, 4, 4],
        channels: vec![1],
        kernel: 3,
        pooling: Pooling::Max,
        outputs: 1,
        negative_slope: 0.0,
    };
    let resnet = ResNetConfig {
        width: 1,
        blocks: vec![1, 1],
        inputs: [1, 5, 5],
        ..ResNetConfig::resnet18(1)
    };
    for (name, spec) in [
        ("fc", fc.spec()?),
        ("convnet", convnet.spec()?),
        ("resnet", resnet.spec()?),
    ] {
        write("safetensors", name, &safetensors(&spec)?)?;
    }
    Ok(())
}

fn safetensors(spec: &NetworkSpec) -> loclin_models::Result<Vec<u8>> {
    let network = spec.build(Parameters::seeded(0).builder(DType::F32, &Device::Cpu))?;
    Model {
        network,
        normalization: None,
    }
    .to_bytes()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(name), bytes)
}
