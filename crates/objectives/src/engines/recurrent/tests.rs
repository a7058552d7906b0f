//! The engine against the reference implementation.

use crate::{engines::mean_squared_norms, squared_gradient_norms_by_pushing};
use candle_core::{DType, Device, Tensor};
use loclin_models::architectures::{ScoRnn, ScoRnnConfig};
use loclin_tensor::random::{normal, stream};
use proptest::prelude::*;

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
        let number = |tensor: &Tensor| tensor.to_scalar::<f64>().unwrap();
        // The same sums in another order.
        prop_assert!((number(&fast) - number(&plain)).abs() <= 1e-12 * number(&plain).abs());
        let [fast, plain] = [fast, plain].map(|value| value.backward().unwrap());
        for (name, variable) in parameters.named() {
            let [fast, plain] = [&fast, &plain].map(|gradients| {
                let zeros = || variable.zeros_like().unwrap();
                let gradient = gradients.get(&variable).cloned().unwrap_or_else(zeros);
                gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap()
            });
            let largest = plain.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
            let far = fast.iter().zip(&plain).any(|(a, b)| (a - b).abs() > 1e-11 * largest);
            prop_assert!(!far, "{name}: {fast:?} {plain:?}");
        }
    }
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
