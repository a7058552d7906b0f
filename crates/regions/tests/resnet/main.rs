//! The paper's ResNet-18, made narrow: its margins by estimate and by proof against brute force.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test itself does"
)]

mod size;

use candle_core::{DType, Device, Tensor};
use loclin_models::{Network, Parameters, architectures::ResNetConfig};
use loclin_regions::{Budget, Estimate, Linearization, Margins, Method, Norm};
use loclin_tensor::random;

fn images(seed: u64, batch: usize, side: usize) -> Tensor {
    let rng = &mut random::stream(seed, &[2]);
    random::uniform(rng, (batch, 3, side, side), DType::F64, &Device::Cpu).unwrap()
}

/// A network of seeded weights and batch statistics.
fn built(config: ResNetConfig, seed: u64) -> Network {
    let [_, side, _] = config.inputs;
    let vars = Parameters::seeded(seed).builder(DType::F64, &Device::Cpu);
    let network = config.build(vars).unwrap();
    network
        .with_batch_statistics(&images(seed, 8, side))
        .unwrap()
}

/// All eight blocks, with another width and another image.
fn narrow(seed: u64, width: usize, side: usize) -> Network {
    let config = ResNetConfig {
        width,
        inputs: [3, side, side],
        ..ResNetConfig::resnet18_paper(5)
    };
    built(config, seed)
}

#[test]
fn estimate_and_proof_agree_with_all_gradients() {
    for (seed, (width, side)) in [(2, 19), (2, 33), (4, 33)].into_iter().enumerate() {
        let network = narrow(seed as u64, width, side);
        let x = images(seed as u64 + 9, 2, side);
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        let brute = here
            .margins(&[Norm::L2], Method::All)
            .unwrap()
            .swap_remove(0);
        let upper = here.upper_bounds(&brute).unwrap();
        let check = |found: Vec<Margins>| {
            let found = &found[0];
            for (input, upper) in upper.iter().enumerate() {
                // Pulled and pushed gradients sum the same thousands of products in another order.
                let ratio = found.radius[input] / brute.radius[input];
                // Both 0 where rounding leaves a neuron undecided.
                let same = found.radius[input] == brute.radius[input] || (ratio - 1.0).abs() < 1e-9;
                // A pull bounds rounding by lengths, which may take less off.
                let is_better = found.method == Method::Bound && ratio > 1.0;
                assert!(same || is_better, "{width} {side}: {ratio}");
                assert!(
                    found.radius[input] <= upper * (1.0 + 1e-12),
                    "{width} {side}"
                );
                if same {
                    assert_eq!(found.limiting[input], brute.limiting[input]);
                }
                // An answer that measured everything would be no search.
                assert!(
                    found.work.gradients[input] < here.neurons(),
                    "{:?}",
                    found.work.gradients
                );
            }
        };
        check(
            here.margins(&[Norm::L2], Method::Estimate(Estimate::default()))
                .unwrap(),
        );
        check(here.margins(&[Norm::L2], Method::Bound).unwrap());
    }
}
