//! Exact integrated gradients on networks that nobody here made. The files are not part of the repository; where they
//! are absent the tests say so and pass.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]
#![allow(clippy::print_stderr, reason = "a test says what it found")]

mod foreign;

use std::path::Path;

use candle_core::{Device, Tensor};
use foreign::shared;
use loclin_models::{Module, Network};
use loclin_regions::{
    Budget, Guarantee,
    attribution::{
        Rule, completeness_error, integrated_gradients, integrated_gradients_by_quadrature,
    },
    segment::{Breakpoint, Walk},
};
use rand::{Rng, SeedableRng};

/// Networks, and the reference inputs of each; none for networks of one value.
const NETWORKS: [(&str, Option<&str>); 11] = [
    (
        "acasxu/ACASXU_run2a_1_1_batch_2000.onnx",
        Some("acas20.npy"),
    ),
    (
        "acasxu/ACASXU_run2a_2_4_batch_2000.onnx",
        Some("acas20.npy"),
    ),
    (
        "acasxu/ACASXU_run2a_5_3_batch_2000.onnx",
        Some("acas20.npy"),
    ),
    ("mnistfc/mnist-net_256x2.onnx", Some("mnist20.npy")),
    ("mnistfc/mnist_6_100_nat.pth", Some("mnist20.npy")),
    ("onnx-small/test_nano.onnx", None),
    ("onnx-small/test_tiny.onnx", None),
    ("onnx-small/test_small.onnx", None),
    ("verivital/Convnet_avgpool.onnx", Some("mnist20.npy")),
    ("verivital/Convnet_maxpool.onnx", Some("mnist3_noisy.npy")),
    ("cifar10_resnet/resnet_2b.onnx", Some("cifar4.npy")),
];

/// `count` inputs of a network: those of the references and, where they are fewer, random mixtures of them; for networks
/// of one value, equally spaced ones.
fn inputs(shared: &Path, network: &Network, references: Option<&str>, count: usize) -> Tensor {
    let Some(file) = references else {
        let values = (1..=count).map(|i| 4.0 * i as f64 / count as f64);
        return Tensor::from_iter(values, &Device::Cpu)
            .unwrap()
            .unsqueeze(1)
            .unwrap();
    };
    let given = foreign::inputs(shared, file, network, count);
    let own = given.dim(0).unwrap();
    let mut rng = rand::rngs::StdRng::seed_from_u64(0);
    let mut rows = vec![given.clone()];
    for _ in own..count {
        let weights: Vec<f64> = (0..own).map(|_| rng.random()).collect();
        let shares: Vec<f64> = weights
            .iter()
            .map(|w| w / weights.iter().sum::<f64>())
            .collect();
        let shares = Tensor::from_vec(shares, (1, own), &Device::Cpu).unwrap();
        let mixed = shares.matmul(&given.flatten_from(1).unwrap()).unwrap();
        let shape = [&[1], network.input_shape()].concat();
        rows.push(mixed.reshape(shape).unwrap());
    }
    Tensor::cat(&rows, 0).unwrap()
}

/// From 0 to each input, the predicted class: the sum of the parts is the whole, to rounding.
fn adds_up(shared: &Path, (file, references): (&str, Option<&str>), count: usize) {
    let network = foreign::network(shared, file);
    let inputs = inputs(shared, &network, references, count);
    let predicted = network.forward(&inputs).unwrap().argmax(1).unwrap();
    let predicted = predicted.to_vec1::<u32>().unwrap();
    let (mut exact, mut coarse, mut regions) = (0.0f64, 0.0f64, 0);
    let (mut bound, mut unproved, mut single, mut brackets) = (0.0f64, 0.0f64, 0, 0);
    let (mut proved, start) = (0, std::time::Instant::now());
    let mut walking = std::time::Duration::ZERO;
    for (index, output) in predicted.into_iter().enumerate() {
        let x = inputs.get(index).unwrap();
        let baseline = x.zeros_like().unwrap();
        let begun = start.elapsed();
        let found = integrated_gradients(&network, &baseline, &x, output, Walk::default()).unwrap();
        walking += start.elapsed() - begun;
        // Some thousand pieces, each known to some roundings of its ends; 1e-9 is what is promised.
        let error = found.completeness_error();
        assert!(error < 1e-9, "{file}, input {index}: {error:e}");
        let rule = (50, Rule::Right);
        let budget = Budget::default();
        let values =
            integrated_gradients_by_quadrature(&network, &baseline, &x, output, rule, budget);
        coarse = coarse.max(completeness_error(&values.unwrap(), found.difference));
        exact = exact.max(error);
        regions += found.pieces.len();
        let largest = |all: &[f64]| all.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        bound = bound.max(largest(&found.errors) / largest(&found.values));
        unproved = unproved.max(found.breakpoints.iter().map(Breakpoint::width).sum());
        single += found.breakpoints.iter().filter(|at| at.single).count();
        brackets += found.breakpoints.len();
        proved += usize::from(found.guarantee == Guarantee::Proved);
    }
    assert_eq!(inputs.dim(0).unwrap(), count);
    eprintln!(
        "{file}: {count} inputs, {} regions on average, largest completeness error {exact:.1e}, by 50 steps {coarse:.1e}; \
         {proved} proved, largest error beside the largest value {bound:.1e}, in brackets at most {unproved:.1e}, {single} \
         of {brackets} of them with a single boundary; {:.2} s",
        regions / count,
        walking.as_secs_f64()
    );
}

#[test]
fn integrated_gradients_add_up_on_foreign_networks() {
    let Some(shared) = shared() else { return };
    for network in &NETWORKS[..9] {
        adds_up(&shared, *network, 1);
    }
}

/// `cargo test --release --workspace --test attribution -- --ignored --nocapture` prints what
/// `docs/results/attribution.md` shows.
#[test]
#[ignore = "takes minutes"]
fn integrated_gradients_add_up_on_twenty_inputs_of_each() {
    let Some(shared) = shared() else { return };
    for network in NETWORKS {
        adds_up(&shared, network, 20);
    }
}
