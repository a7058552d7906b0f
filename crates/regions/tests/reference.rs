//! Networks that nobody here made, against margins by an independent program (float64, one gradient per neuron by
//! automatic differentiation). The files are not part of the repository; where they are absent the tests say so and
//! pass.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]
#![allow(clippy::print_stderr, reason = "a test says what it found")]

mod foreign;

use candle_core::{Device, Tensor};
use foreign::shared;
use loclin_regions::{Budget, Linearization, Method, Norm};

/// Both programs compute in float64 and differ in the order of summation only, which for these sizes stays below
/// 1e-10; the margins of a network depend on pre-activations that cancel, hence four digits of room.
const TOLERANCE: f64 = 1e-6;

/// Compares the first `limit` inputs: a fraction where all would take a minute.
fn agrees(name: &str, folder: &str, inputs: &str, limit: usize) {
    let Some(shared) = shared() else { return };
    let network = foreign::network(&shared, &format!("{folder}/{name}.onnx"));
    let x = foreign::inputs(&shared, inputs, &network, limit);
    let count = x.dim(0).unwrap();
    let here = Linearization::new(&network, &x, Budget::default()).unwrap();
    let margins = here
        .margins(&[Norm::L1, Norm::L2, Norm::LINF], Method::Auto)
        .unwrap();
    let predictions = here
        .trace()
        .output()
        .argmax(1)
        .unwrap()
        .to_vec1::<u32>()
        .unwrap();

    let table =
        std::fs::read_to_string(shared.join("reference").join(format!("{name}.csv"))).unwrap();
    let rows: Vec<Vec<f64>> = table
        .lines()
        .skip(1)
        .map(|line| {
            line.split(',')
                .map(|field| field.parse().unwrap())
                .collect()
        })
        .collect();
    assert_eq!(
        table.lines().next(),
        Some("index,prediction,eps_1,eps_2,eps_inf,neurons")
    );
    assert!(rows.len() >= count);
    let mut worst = 0f64;
    for (index, row) in rows.iter().take(count).enumerate() {
        assert_eq!(
            f64::from(predictions[index]),
            row[1],
            "{name}, prediction of input {index}"
        );
        assert_eq!(here.neurons() as f64, row[5], "{name}, number of neurons");
        for (margins, expected) in margins.iter().zip(&row[2..5]) {
            let error = (margins.radius[index] - expected).abs() / expected;
            assert!(
                error <= TOLERANCE,
                "{name}, input {index}: found {:e}, expected {expected:e}",
                margins.radius[index]
            );
            worst = worst.max(error);
        }
    }
    eprintln!("{name}: {count} inputs, largest relative difference {worst:.1e}");
}

#[test]
fn acas_xu() {
    for name in ["1_1", "2_4", "5_3"] {
        agrees(
            &format!("ACASXU_run2a_{name}_batch_2000"),
            "acasxu",
            "acas20.npy",
            20,
        );
    }
}

#[test]
fn mnist_fully_connected() {
    agrees("mnist-net_256x2", "mnistfc", "mnist20.npy", 20);
}

#[test]
fn convolution_with_average_pooling() {
    agrees("Convnet_avgpool", "verivital", "mnist20.npy", 3);
}

#[test]
fn convolution_with_max_pooling() {
    agrees("Convnet_maxpool", "verivital", "mnist3_noisy.npy", 3);
}

#[test]
fn residual_network() {
    agrees("resnet_2b", "cifar10_resnet", "cifar4.npy", 4);
}

#[test]
fn small_networks_load() {
    let Some(shared) = shared() else { return };
    for name in ["test_nano", "test_tiny", "test_small"] {
        let network = foreign::network(&shared, &format!("onnx-small/{name}.onnx"));
        assert_eq!(
            (network.input_shape(), network.output_size()),
            (&[1][..], 1),
            "{name}"
        );
        let x = Tensor::new(&[[0.25], [-3.0]], &Device::Cpu).unwrap();
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        let margins = here.margins(&[Norm::L2], Method::Auto).unwrap();
        assert!(margins[0].radius.iter().all(|r| *r > 0.0), "{name}");
    }
}
