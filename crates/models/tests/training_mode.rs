//! Batch normalisation in training mode: the value, its gradients, and the running statistics.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test itself does"
)]

#[path = "support/numbers.rs"]
mod numbers;

use candle_core::{DType, Device, Tensor};
use loclin_models::{
    BatchStatistics, Module, Network, Parameters,
    architectures::{ResNetConfig, ResNetFamily},
};
use numbers::{entries, normal};

/// A small residual network whose normalisations have scales and shifts of their own.
fn network(family: ResNetFamily) -> (Network, Parameters) {
    let config = ResNetConfig {
        inputs: [3, 10, 10],
        family,
        width: 2,
        blocks: vec![1, 1],
        classes: 3,
        pooling: None,
    };
    let parameters = Parameters::seeded(5);
    let network = config
        .build(parameters.builder(DType::F64, &Device::Cpu))
        .unwrap();
    for (index, (name, variable)) in parameters.named().into_iter().enumerate() {
        if name.contains("bn") && (name.ends_with("weight") || name.ends_with("bias")) {
            let noise = normal(index as u64, variable.dims())
                .affine(0.3, 0.0)
                .unwrap();
            variable
                .set(&(variable.as_detached_tensor() + noise).unwrap())
                .unwrap();
        }
    }
    (network, parameters)
}

#[test]
fn training_mode_is_inference_with_the_statistics_of_the_batch() {
    for family in [ResNetFamily::ImageNet, ResNetFamily::Cifar] {
        let (network, _) = network(family);
        let x = normal(1, &[4, 3, 10, 10]);
        let (here, statistics) = network.trace_train(&x).unwrap();
        let fixed = network.with_batch_statistics(&x).unwrap();
        let same = |a: &Tensor, b: &Tensor| {
            // The same numbers in another order of operations, a dozen layers deep.
            for (a, b) in entries(a).into_iter().zip(entries(b)) {
                assert!((a - b).abs() < 1e-10 * (1.0 + b.abs()), "{a} {b}");
            }
        };
        same(here.output(), &fixed.forward(&x).unwrap());
        let tangents = normal(7, &[4, 2, 3, 10, 10]);
        let there = fixed.trace(&x).unwrap();
        let [(mut found, a), (expected, b)] = [&here, &there].map(|trace| {
            let mut pre_activations = Vec::new();
            let visit = |_, tangents| {
                pre_activations.push(tangents);
                Ok(())
            };
            let output = trace.push(&tangents, visit).unwrap();
            (pre_activations, output)
        });
        same(&a, &b);
        found
            .drain(..)
            .zip(expected)
            .for_each(|(a, b)| same(&a, &b));
        assert!(statistics.iter().all(|one| one.count % 4 == 0));
    }
}

#[test]
fn gradients_flow_through_the_statistics() {
    let (network, parameters) = network(ResNetFamily::Cifar);
    let x = normal(2, &[3, 3, 10, 10]);
    let numbers = normal(3, &[3, 3]);
    let tangents = normal(8, &[3, 1, 3, 10, 10]);
    // A task loss, and a regulariser of what is pushed through the same pattern.
    let loss = || {
        let (here, _) = network.trace_train(&x).unwrap();
        let mut sum = (here.output() * &numbers).unwrap().sum_all().unwrap();
        let visit = |_, tangents: Tensor| {
            sum = (&sum + tangents.sqr()?.mean_all()?)?;
            Ok(())
        };
        here.push(&tangents, visit).unwrap();
        sum
    };
    let gradients = loss().backward().unwrap();
    let step = 1e-6;
    for (name, variable) in parameters.named() {
        if name.contains("running_") {
            assert!(gradients.get(&variable).is_none(), "{name}");
            continue;
        }
        let gradient = gradients.get(&variable).unwrap();
        let at = variable.as_detached_tensor().copy().unwrap();
        let direction = normal(4, variable.dims());
        let moved = |by: f64| {
            variable
                .set(&(&at + (&direction * by).unwrap()).unwrap())
                .unwrap();
            loss().to_scalar::<f64>().unwrap()
        };
        let expected = (moved(step) - moved(-step)) / (2.0 * step);
        variable.set(&at).unwrap();
        let found: f64 = entries(&(gradient * &direction).unwrap()).iter().sum();
        // Central differences: rounding of 1e-16 / 1e-6 times values of a few units, and no kink within the step.
        assert!(
            (found - expected).abs() < 1e-6 * (1.0 + expected.abs()),
            "{name}: {found} {expected}"
        );
    }
}

#[test]
fn running_statistics_move_as_pytorchs() {
    let (network, parameters) = network(ResNetFamily::Cifar);
    let x = normal(6, &[2, 3, 10, 10]);
    let (_, statistics) = network.trace_train(&x).unwrap();
    BatchStatistics::update(&statistics, &parameters, 0.25).unwrap();
    let running: std::collections::BTreeMap<_, _> = network.parameters().into_iter().collect();
    for one in &statistics {
        let (mean, variance) = (entries(&one.mean), entries(&one.variance));
        let found = |name: &str| entries(&running[&format!("{}.{name}", one.node)]);
        let unbiased = one.count as f64 / (one.count as f64 - 1.0);
        let pairs = found("running_mean")
            .into_iter()
            .zip(mean.into_iter().map(|m| 0.25 * m));
        let variances = variance.into_iter().map(|v| 0.75 + 0.25 * unbiased * v);
        for (found, expected) in pairs.chain(found("running_var").into_iter().zip(variances)) {
            // A few roundings.
            assert!(
                (found - expected).abs() < 1e-12 * (1.0 + expected.abs()),
                "{}",
                one.node
            );
        }
    }
    let error = BatchStatistics::update(&statistics, &Parameters::seeded(0), 0.1).unwrap_err();
    assert!(error.to_string().contains("running_mean"), "{error}");
}

#[test]
fn one_value_has_no_variance() {
    let config = ResNetConfig {
        inputs: [3, 2, 2],
        family: ResNetFamily::Cifar,
        width: 2,
        blocks: vec![1, 1],
        classes: 2,
        pooling: None,
    };
    let network = config
        .build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))
        .unwrap();
    // The second stage halves 2 x 2 to one position.
    let error = network.trace_train(&normal(0, &[1, 3, 2, 2])).unwrap_err();
    assert!(error.to_string().contains("layer2.0.bn1"), "{error}");
}
