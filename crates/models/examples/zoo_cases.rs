//! Reads models of PyTorch, evaluates them in double precision, and finds gradients of their nearest neurons.
//!
//! Usage: `zoo_cases FOLDER NEURONS`. Every folder in it holds the input `x.npy` (with the batch) and `model.onnx`, or
//! `model.pth` with a file `architecture` that names a network of torchvision. Beside them it writes `outputs.npy`; of the
//! `NEURONS` neurons of activations that are nearest to their boundary, relative to the layer, and as many that are the nearest
//! of layers from first to last, `values.npy`, `units.npy` (how many neurons the layer has, and which one it is) and
//! `gradients.npy`. A line for each folder goes to stdout: its name,
//! `read` or `refused`, and why.
#![allow(clippy::print_stdout, reason = "its result")]

use candle_core::{DType, Device, Tensor};
use loclin_models::{
    Network, Trace, onnx,
    pytorch::{self, Architecture, TorchvisionConfig},
};
use std::{error::Error, fs, path::Path};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, neurons] = &arguments[..] else {
        return Err("usage: zoo_cases FOLDER NEURONS".into());
    };
    let neurons = neurons.parse()?;
    let cases = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut cases = cases.collect::<Result<Vec<_>, _>>()?;
    cases.sort();
    for case in cases.iter().filter(|case| case.join("x.npy").exists()) {
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        let x = Tensor::read_npy(case.join("x.npy"))?.to_dtype(DType::F64)?;
        let found = network(case, &x).and_then(|network| evaluate(case, &network, &x, neurons));
        let found = match found {
            Ok(()) => "read\t".into(),
            Err(cause) => format!("refused\t{cause}"),
        };
        println!("{name}\t{}", found.replace('\n', " "));
    }
    Ok(())
}

fn network(case: &Path, x: &Tensor) -> Outcome<Network> {
    let named = case.join("architecture");
    if !named.exists() {
        let file = case.join("model.onnx");
        return Ok(onnx::load(&file, DType::F64, &Device::Cpu)?.network);
    }
    let (_, channels, height, width) = x.dims4()?;
    let architecture = Architecture::Torchvision(TorchvisionConfig {
        network: fs::read_to_string(named)?.trim().into(),
        input_shape: [channels, height, width],
    });
    let file = case.join("model.pth");
    Ok(pytorch::load(&file, &architecture, DType::F64, &Device::Cpu)?.network)
}

/// A neuron, and how far its value is from 0 in units of its layer's root mean square.
#[derive(Clone, Copy)]
struct Near {
    node: usize,
    unit: usize,
    count: usize,
    value: f64,
    distance: f64,
}

fn evaluate(case: &Path, network: &Network, x: &Tensor, neurons: usize) -> Outcome<()> {
    let trace = network.trace(x)?;
    trace.output().write_npy(case.join("outputs.npy"))?;
    let mut nearest = near(&trace)?;
    nearest.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    let mut layers: Vec<usize> = nearest.iter().map(|near| near.node).collect();
    layers.sort_unstable();
    layers.dedup();
    let spread = (0..neurons).map(|i| layers[i * layers.len() / neurons]);
    let spread: Vec<Near> = spread
        .filter_map(|node| nearest.iter().find(|near| near.node == node))
        .copied()
        .collect();
    nearest.truncate(neurons);
    nearest.extend(spread);
    let (mut gradients, mut units, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for near in &nearest {
        let mut one = vec![0.0; near.count];
        one[near.unit] = 1.0;
        let one = Tensor::from_vec(one, (1, 1, near.count), &Device::Cpu)?;
        gradients.push(trace.pull_neurons(near.node, &one)?.flatten_all()?);
        units.extend([near.count as f64, near.unit as f64]);
        values.push(near.value);
    }
    let count = nearest.len();
    Tensor::stack(&gradients, 0)?.write_npy(case.join("gradients.npy"))?;
    Tensor::from_vec(units, (count, 2), &Device::Cpu)?.write_npy(case.join("units.npy"))?;
    Tensor::from_vec(values, count, &Device::Cpu)?.write_npy(case.join("values.npy"))?;
    Ok(())
}

/// Every neuron of the activations.
fn near(trace: &Trace) -> Outcome<Vec<Near>> {
    let (ranges, records) = (trace.neuron_ranges()?, trace.records());
    let mut found = Vec::new();
    for (range, record) in ranges.iter().zip(records) {
        let node = &trace.network().nodes()[range.node];
        if node.operator.kind() != "activation" {
            continue;
        }
        let values = record.pre_activations().flatten_all()?.to_vec1::<f64>()?;
        let squares: f64 = values.iter().map(|value| value * value).sum();
        let scale = (squares / values.len() as f64).sqrt();
        found.extend(values.iter().enumerate().map(|(unit, &value)| Near {
            node: range.node,
            unit,
            count: range.count,
            value,
            distance: value.abs() / scale,
        }));
    }
    Ok(found)
}
