//! The engine against the reference implementation.

use crate::{
    engines::{mean_along, mean_squared_norms},
    neuron_loss::mean_squared_derivative,
    squared_gradient_norms_by_pushing,
};
use candle_core::{DType, Device, Tensor};
use loclin_models::Trace;
use loclin_models::architectures::{ScoRnn, ScoRnnConfig};
use loclin_tensor::Parameters;
use loclin_tensor::random::{normal, stream};
use proptest::{prelude::*, test_runner::TestCaseResult};

/// Values, and gradients in all parameters, differ by no more than the order of sums.
fn agree(fast: Tensor, plain: Tensor, parameters: &Parameters) -> TestCaseResult {
    let number = |tensor: &Tensor| tensor.to_scalar::<f64>().unwrap();
    prop_assert!((number(&fast) - number(&plain)).abs() <= 1e-12 * number(&plain).abs());
    let [fast, plain] = [fast, plain].map(|value| value.backward().unwrap());
    for (name, variable) in parameters.named() {
        let [fast, plain] = [&fast, &plain].map(|gradients| {
            let zeros = || variable.zeros_like().unwrap();
            let gradient = gradients.get(&variable).cloned().unwrap_or_else(zeros);
            gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap()
        });
        let largest = plain.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
        let far = fast
            .iter()
            .zip(&plain)
            .any(|(a, b)| (a - b).abs() > 1e-11 * largest);
        prop_assert!(!far, "{name}: {fast:?} {plain:?}");
    }
    Ok(())
}

proptest! {
    /// Value, and gradients in all parameters, through the Cayley transform too.
    #[test]
    fn the_engine_agrees_with_pushing_all_axes(
        inputs in 1usize..4,
        hidden in 1usize..7,
        steps in 1usize..6,
        batch in 1usize..4,
        negative_slope in prop_oneof![Just(0.0), Just(0.1), Just(-0.5), Just(1.0)],
        seed: u64,
    ) {
        let config = ScoRnnConfig { inputs, hidden, negative: hidden / 2, outputs: 2, negative_slope };
        let (rnn, parameters) = ScoRnn::seeded(config, seed, DType::F64, &Device::Cpu).unwrap();
        let network = rnn.rnn().unwrap().network(steps).unwrap();
        let x = normal(&mut stream(seed, &[1]), (batch, steps, inputs), DType::F64, &Device::Cpu).unwrap();
        let trace = network.trace(&x).unwrap();
        let fast = mean_squared_norms(&trace).unwrap().unwrap();
        let norms = squared_gradient_norms_by_pushing(&trace).unwrap();
        let plain = (norms.sum_all().unwrap() / batch as f64).unwrap();
        agree(fast, plain, &parameters)?;
    }
}

proptest! {
    /// Directions of sequences of several lengths, in any order, together: each input's mean over its own neurons.
    #[test]
    fn directions_of_all_lengths_agree_with_pushing_them_alone(
        lengths in prop::collection::vec((1usize..6, 1usize..4), 1..4),
        hidden in 1usize..7,
        count in 1usize..3,
        negative_slope in prop_oneof![Just(0.0), Just(0.1), Just(-0.5)],
        seed: u64,
    ) {
        let config = ScoRnnConfig { inputs: 2, hidden, negative: hidden / 2, outputs: 2, negative_slope };
        let (learner, parameters) = ScoRnn::seeded(config, seed, DType::F64, &Device::Cpu).unwrap();
        let rnn = learner.rnn().unwrap();
        let draw = |shape: &[usize], path| normal(&mut stream(seed, &[path]), shape, DType::F64, &Device::Cpu).unwrap();
        let inputs = lengths.iter().zip(1..);
        let inputs: Vec<Tensor> = inputs.map(|((length, batch), at)| draw(&[*batch, *length, 2], at)).collect();
        let along = lengths.iter().zip(11..);
        let along: Vec<Tensor> = along.map(|((length, batch), at)| draw(&[*batch, count, *length, 2], at)).collect();
        let traces = rnn.traces(&inputs).unwrap();
        let traces: Vec<&Trace> = traces.iter().collect();
        let fast = mean_along(&traces, &along).unwrap().unwrap();
        let all: usize = lengths.iter().map(|(_, batch)| batch).sum();
        let mut plain = Tensor::zeros((), DType::F64, &Device::Cpu).unwrap();
        for (trace, along) in traces.iter().zip(&along) {
            let mean = mean_squared_derivative(trace, along, None).unwrap();
            plain = (plain + (mean * (trace.batch() as f64 / all as f64)).unwrap()).unwrap();
        }
        agree(fast, plain, &parameters)?;
    }
}

/// Recurrences with weights of their own are not one.
#[test]
fn recurrences_of_other_weights_are_not_pushed_together() {
    let config = ScoRnnConfig {
        inputs: 2,
        hidden: 3,
        negative: 1,
        outputs: 2,
        negative_slope: 0.1,
    };
    let traces = [0, 1].map(|seed| {
        let (learner, _) = ScoRnn::seeded(config.clone(), seed, DType::F64, &Device::Cpu).unwrap();
        let x = Tensor::ones((1, 4, 2), DType::F64, &Device::Cpu).unwrap();
        learner
            .rnn()
            .unwrap()
            .network(4)
            .unwrap()
            .trace(&x)
            .unwrap()
    });
    let along = [0, 1].map(|_| Tensor::ones((1, 1, 4, 2), DType::F64, &Device::Cpu).unwrap());
    let [a, b] = &traces;
    assert!(mean_along(&[a, b], &along).unwrap().is_none());
    assert!(mean_along(&[a], &along[..1]).unwrap().is_some());
}

/// Without gradients to take, and in float32, the value is the same up to rounding.
#[test]
fn detached_networks_and_float32_have_the_same_value() {
    let config = ScoRnnConfig {
        inputs: 3,
        hidden: 40,
        negative: 20,
        outputs: 2,
        negative_slope: 0.1,
    };
    let (rnn, _) = ScoRnn::seeded(config, 4, DType::F64, &Device::Cpu).unwrap();
    let network = rnn.rnn().unwrap().network(9).unwrap();
    let x = normal(&mut stream(4, &[1]), (5, 9, 3), DType::F64, &Device::Cpu).unwrap();
    let value = |network: &loclin_models::Network, x: &Tensor| {
        let norms = mean_squared_norms(&network.trace(x).unwrap()).unwrap();
        let norms = norms.unwrap().to_dtype(DType::F64).unwrap();
        norms.to_scalar::<f64>().unwrap()
    };
    let tracked = value(&network, &x);
    assert_eq!(value(&network.detached().unwrap(), &x), tracked);
    let single = network.to(DType::F32, &Device::Cpu).unwrap();
    let rounded = value(&single, &x.to_dtype(DType::F32).unwrap());
    assert!(
        (rounded - tracked).abs() < 1e-4 * tracked,
        "{rounded} {tracked}"
    );
}
