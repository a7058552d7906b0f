//! A trained max-pooling network by somebody else, from its PyTorch file: it recognises digits, and random points inside
//! the certified balls keep its gradient. The files are not part of the repository; where they are absent the test says
//! so and passes.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

use candle_core::{DType, Device, Tensor};
use loclin_models::{
    Network,
    pytorch::{self, Architecture, Layer},
};
use loclin_regions::{Budget, Estimate, Linearization, Method, Norm, patterns};
use loclin_tensor::random;
use loclin_test_files::shared;
use std::path::Path;

/// The network of pixels in [0, 1], with its author's normalisation.
fn network(file: &Path) -> Network {
    let convolution = |name: &str| Layer::Conv2d {
        name: name.into(),
        stride: 1,
        padding: 1,
        dilation: 1,
        groups: 1,
        bias: true,
    };
    let pooling = Layer::MaxPool2d {
        kernel: 2,
        stride: 2,
        padding: 0,
    };
    let mut layers = Vec::new();
    for name in ["conv_layers.0", "conv_layers.3", "conv_layers.6"] {
        layers.extend([convolution(name), Layer::Relu, pooling.clone()]);
    }
    let linear = |name: &str| Layer::Linear {
        name: name.into(),
        bias: true,
    };
    layers.extend([
        Layer::Flatten,
        linear("fc_layers.0"),
        Layer::Relu,
        linear("fc_layers.2"),
    ]);
    let architecture = Architecture::Sequential {
        input_shape: vec![1, 28, 28],
        layers,
    };
    let model = pytorch::load(file, &architecture, DType::F64, &Device::Cpu).unwrap();
    model.network.standardized(&[0.1307], &[0.3081]).unwrap()
}

#[test]
fn points_inside_the_balls_keep_the_gradient() {
    let Some(file) = shared("data/models/digit-recognizer-py/handwriting_model.pth") else {
        return;
    };
    let Some(images) = shared("reference/mnist3_noisy.npy") else {
        return;
    };
    let network = network(&file);
    let x = Tensor::read_npy(images)
        .unwrap()
        .to_dtype(DType::F64)
        .unwrap();
    let x = x.reshape((3, 1, 28, 28)).unwrap();
    let here = Linearization::new(&network, &x, Budget::default()).unwrap();
    // The first three test images.
    let predictions = here
        .trace()
        .output()
        .argmax(1)
        .unwrap()
        .to_vec1::<u32>()
        .unwrap();
    assert_eq!(predictions, [7, 2, 1]);
    let exact = here
        .margins(&[Norm::L2], Method::Estimate(Estimate::default()))
        .unwrap()
        .remove(0);
    for (input, radius) in exact.radius.iter().enumerate() {
        assert!(*radius > 0.0);
        let rng = &mut random::stream(input as u64, &[]);
        let steps = random::normal(rng, (20, 784), DType::F64, &Device::Cpu).unwrap();
        let lengths: Vec<f64> = steps
            .to_vec2::<f64>()
            .unwrap()
            .iter()
            // A thousandth inside, which the rounding of pre-activations near such a small margin does not bridge.
            .map(|step| radius * (1.0 - 1e-3) / Norm::L2.of(step))
            .collect();
        let lengths = Tensor::from_vec(lengths, (20, 1), &Device::Cpu).unwrap();
        let center = x.narrow(0, input, 1).unwrap();
        let steps = steps
            .broadcast_mul(&lengths)
            .unwrap()
            .reshape((20, 1, 28, 28))
            .unwrap();
        let points = Tensor::cat(&[&center, &center.broadcast_add(&steps).unwrap()], 0).unwrap();
        let there = Linearization::new(&network, &points, Budget::default()).unwrap();
        let patterns = patterns(there.trace()).unwrap();
        assert!(patterns.iter().all(|pattern| *pattern == patterns[0]));
        let jacobians = there.output_jacobians().unwrap();
        let difference = jacobians
            .broadcast_sub(&jacobians.narrow(0, 0, 1).unwrap())
            .unwrap();
        let largest = |t: &Tensor| {
            let flat = t.abs().unwrap().flatten_all().unwrap();
            flat.max(0).unwrap().to_scalar::<f64>().unwrap()
        };
        assert!(largest(&difference) <= 1e-12 * largest(&jacobians));
    }
}
