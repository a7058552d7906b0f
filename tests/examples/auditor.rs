//! Writes the files of `docs/guide/auditor.md`: a small network as ONNX, and twelve digits as pictures in folders of their classes.
//!
//! ```sh
//! loclin train --preset demo --set 'hidden=[32,16]' --set dtype=f64 --out runs/auditor
//! cargo run -p loclin-tests --example auditor -- runs/auditor tests/evidence/auditor
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a program for whoever makes the files again: it stops at the first thing that is wrong"
)]

#[path = "../../crates/models/tests/support/onnx_writer.rs"]
mod onnx_writer;

use std::path::{Path, PathBuf};
use std::{env, fs};

use candle_core::{DType, Device, Tensor};
use image::GrayImage;
use loclin_data::{Dataset, Split, digits};
use loclin_models::ModelFile;
use onnx_writer::{attribute_int, bytes, model, node, tensor_head};
use safetensors::SafeTensors;

/// Digits whose prediction is wrong, among the twelve.
const MISTAKES: usize = 2;

fn main() {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [run, out] = &arguments[..] else {
        panic!("expected a run directory and a folder to write to");
    };
    fs::create_dir_all(out).unwrap();
    let file = run.join("model.safetensors");
    fs::write(out.join("digits.onnx"), network(&file)).unwrap();
    let data = digits::load(Split::Test, 0).unwrap();
    pictures(&file, &data, &out.join("pictures"));
}

/// One digit of each class that is right, and some that are wrong.
fn pictures(file: &Path, data: &Dataset, out: &Path) {
    let labels = data.labels().unwrap();
    let predictions = predictions(file, data);
    let is_right = |at: &usize| predictions[*at] == labels[*at];
    let right = (0..10).map(|class| {
        let mut all = (0..data.len()).filter(|at| labels[*at] == class);
        all.find(is_right).unwrap()
    });
    let wrong = (0..data.len()).filter(|at| !is_right(at)).take(MISTAKES);
    for at in right.chain(wrong) {
        let folder = out.join(labels[at].to_string());
        fs::create_dir_all(&folder).unwrap();
        let values = data.rows_f64(&[at]).unwrap();
        let pixels = values.iter().map(|value| (value * 255.0).round() as u8);
        let picture = GrayImage::from_raw(28, 28, pixels.collect()).unwrap();
        picture.save(folder.join(format!("{at:04}.png"))).unwrap();
    }
}

fn predictions(file: &Path, data: &Dataset) -> Vec<u32> {
    let model = ModelFile::load(file, DType::F64, &Device::Cpu).unwrap();
    let network = model.raw(&[1, 28, 28]).unwrap();
    let rows: Vec<usize> = (0..data.len()).collect();
    let values = data.rows_f64(&rows).unwrap();
    let x = Tensor::from_vec(values, (rows.len(), 1, 28, 28), &Device::Cpu).unwrap();
    let trace = network.trace(&x).unwrap();
    let outputs = trace.output().argmax(1).unwrap();
    outputs.to_vec1().unwrap()
}

/// The network of a run with its normalisation in the first layer, in float32.
fn network(file: &Path) -> Vec<u8> {
    let ModelFile::Network(read) = ModelFile::load(file, DType::F64, &Device::Cpu).unwrap() else {
        panic!("a network of sequences");
    };
    let normalization = read.normalization.unwrap();
    let (mean, std) = (normalization.mean[0], normalization.std[0]);
    let content = fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&content).unwrap();
    let values = |name: &str| -> (Vec<usize>, Vec<f64>) {
        let tensor = tensors.tensor(name).unwrap();
        let numbers = tensor.data().as_chunks::<8>().0;
        let numbers = numbers.iter().map(|number| f64::from_le_bytes(*number));
        (tensor.shape().to_vec(), numbers.collect())
    };
    let layers =
        (0..).take_while(|layer| tensors.tensor(&format!("layers.{layer}.weight")).is_ok());
    let layers: Vec<usize> = layers.collect();
    let (mut nodes, mut initializers) = (Vec::new(), Vec::new());
    nodes.push(node("Flatten", &["x"], "h0", &[attribute_int("axis", 1)]));
    let mut before = "h0".to_owned();
    for layer in &layers {
        let (shape, mut weight) = values(&format!("layers.{layer}.weight"));
        let (_, mut bias) = values(&format!("layers.{layer}.bias"));
        if *layer == 0 {
            for (row, bias) in weight.chunks_mut(shape[1]).zip(&mut bias) {
                row.iter_mut().for_each(|number| *number /= std);
                *bias -= mean * row.iter().sum::<f64>();
            }
        }
        let names = [format!("weight{layer}"), format!("bias{layer}")];
        initializers.push(floats(&names[0], &[shape[0], shape[1]], &weight));
        initializers.push(floats(&names[1], &[shape[0]], &bias));
        let is_last = layer + 1 == layers.len();
        let sum = if is_last {
            "y".to_owned()
        } else {
            format!("z{layer}")
        };
        let inputs = [&before[..], &names[0], &names[1]];
        nodes.push(node("Gemm", &inputs, &sum, &[attribute_int("transB", 1)]));
        if !is_last {
            before = format!("h{}", layer + 1);
            nodes.push(node("Relu", &[&sum], &before, &[]));
        }
    }
    model(&[0, 1, 28, 28], &nodes, &initializers)
}

fn floats(name: &str, shape: &[usize], values: &[f64]) -> Vec<u8> {
    let dims: Vec<i64> = shape.iter().map(|size| *size as i64).collect();
    let raw = values
        .iter()
        .flat_map(|value| (*value as f32).to_le_bytes());
    let raw: Vec<u8> = raw.collect();
    [tensor_head(name, &dims, 1), bytes(9, &raw)].concat()
}
