//! Pulls of patches, and what they may leave out.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use candle_core::{DType, Device};
use loclin_models::{Parameters, PatchPull, architectures::ResNetConfig};
use loclin_tensor::random;

/// At each node that a pull comes to the lengths of its cotangents, and the gradients at its end.
fn pulled(mut pull: PatchPull<'_>) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut lengths = Vec::new();
    loop {
        for part in pull.reached() {
            let square = part.cotangents.sqr().unwrap().flatten_from(2).unwrap();
            let sums = square.sum(2).unwrap().squeeze(0).unwrap();
            lengths.push(sums.sqrt().unwrap().to_vec1().unwrap());
        }
        if !pull.step().unwrap() {
            break;
        }
    }
    let gradients = pull.gradients().unwrap().flatten_all().unwrap();
    (lengths, gradients.to_vec1().unwrap())
}

#[test]
fn what_activations_multiply_with_0_may_be_left_out() {
    let config = ResNetConfig {
        width: 6,
        inputs: [3, 16, 16],
        ..ResNetConfig::resnet20(4)
    };
    let parameters = Parameters::seeded(1);
    let network = config
        .build(parameters.builder(DType::F64, &Device::Cpu))
        .unwrap();
    let x = random::uniform(
        &mut random::stream(2, &[]),
        (1, 3, 16, 16),
        DType::F64,
        &Device::Cpu,
    );
    let trace = network.trace(&x.unwrap()).unwrap();
    let (mut shorter, mut tried) = (0, 0);
    for range in trace.neuron_ranges().unwrap() {
        let &[channels, height, width] = &network.nodes()[range.node].shape[..] else {
            continue;
        };
        let place = height / 2 * width + width / 2;
        let neurons: Vec<usize> = (0..channels)
            .map(|channel| channel * height * width + place)
            .collect();
        let (whole, gradients) = pulled(trace.patch_pull(range.node, &neurons).unwrap());
        let nodes = vec![true; network.nodes().len()];
        let partial = trace.patch_pull(range.node, &neurons).unwrap();
        let (lengths, found) = pulled(partial.leaving_out(nodes.into()));
        let most = gradients.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * most;
        assert!(found.iter().zip(&gradients).all(near), "{}", range.node);
        for (own, of_whole) in lengths.iter().flatten().zip(whole.iter().flatten()) {
            assert!(*own <= of_whole * (1.0 + 1e-12));
            shorter += usize::from(*own < of_whole * 0.99);
            tried += 1;
        }
    }
    assert!(tried > 1000 && shorter > tried / 50, "{shorter} of {tried}");
}
