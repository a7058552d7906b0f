//! Networks and inputs of `tests/evidence`, with margins by an independent program (`make.py` there): what can be
//! checked without any file from outside the repository.

use crate::exact::radii;
use candle_core::{DType, Device, Tensor};
use loclin_models::pytorch::{self, Architecture};
use loclin_models::{ModelFile, Module, Network, onnx};
use loclin_regions::{Budget, Linearization};
use loclin_tests::exact::Graph;
use std::path::{Path, PathBuf};

/// Both programs compute in float64 and differ in the order of summation only; pre-activations that cancel leave
/// some digits less.
const TOLERANCE: f64 = 1e-9;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("evidence")
}

/// The network of raw inputs.
fn network(file: &str, inputs: &[usize]) -> Network {
    let (path, device) = (folder().join(file), Device::Cpu);
    let kind = path.extension().unwrap().to_str().unwrap();
    match kind {
        "onnx" => onnx::load(&path, DType::F64, &device).unwrap().network,
        "pth" => {
            let layers = Architecture::Fc {
                input_shape: None,
                negative_slope: 0.0,
                bias: true,
            };
            pytorch::load(&path, &layers, DType::F64, &device)
                .unwrap()
                .network
        }
        _ => ModelFile::load(&path, DType::F64, &device)
            .unwrap()
            .raw(inputs)
            .unwrap(),
    }
}

fn inputs(file: &str) -> Tensor {
    Tensor::read_npy(folder().join(file))
        .unwrap()
        .to_dtype(DType::F64)
        .unwrap()
}

/// Rows of the table: names of model and data, then numbers.
fn truth() -> Vec<(String, String, Vec<f64>)> {
    let text = std::fs::read_to_string(folder().join("truth.csv")).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    assert_eq!(
        header,
        "model,data,index,prediction,eps_1,eps_2,eps_inf,neurons"
    );
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let numbers = fields[2..].iter().map(|v| v.parse().unwrap()).collect();
        (fields[0].to_owned(), fields[1].to_owned(), numbers)
    };
    rows.lines().map(row).collect()
}

#[test]
fn margins_are_those_of_an_independent_program() {
    for (model, data, row) in truth() {
        let x = inputs(&data).narrow(0, row[0] as usize, 1).unwrap();
        let network = network(&model, &x.dims()[1..]);
        let output = network.forward(&x).unwrap().argmax(1).unwrap();
        assert_eq!(
            f64::from(output.to_vec1::<u32>().unwrap()[0]),
            row[1],
            "{model}, input {}",
            row[0]
        );
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        assert_eq!(here.neurons() as f64, row[5], "{model}, number of neurons");
        for (found, expected) in radii(&network, &x).unwrap().iter().zip(&row[2..5]) {
            let error = (found - expected).abs() / expected;
            assert!(
                error <= TOLERANCE,
                "{model}, input {}: found {found:e}, expected {expected:e}",
                row[0]
            );
        }
    }
}

#[test]
fn two_independent_programs_agree() {
    for (model, data, row) in truth() {
        // Exact arithmetic on a network of convolutions takes seconds for each input.
        if row[0] > 0.0 && (model.starts_with("residual") || model.starts_with("max")) {
            continue;
        }
        let x = inputs(&data).get(row[0] as usize).unwrap();
        let graph = Graph::of(&network(&model, x.dims())).unwrap();
        let point = graph
            .at(&x.flatten_all().unwrap().to_vec1::<f64>().unwrap())
            .unwrap();
        assert_eq!(
            point.neurons.len() as f64,
            row[5],
            "{model}, number of neurons"
        );
        for (truth, expected) in point.radii().norms.iter().zip(&row[2..5]) {
            assert!(
                truth.excess(*expected).abs() <= TOLERANCE,
                "{model}, input {}",
                row[0]
            );
        }
    }
}
