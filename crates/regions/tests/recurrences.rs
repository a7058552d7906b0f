//! Recurrences over many steps: products of absolute values say nothing of rounding there, lengths do.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_models::architectures::{ScoRnn, ScoRnnConfig};
use loclin_regions::{Budget, Guarantee, Linearization, Method, Norm, patterns};
use loclin_tensor::random::stream;
use rand::Rng;
use std::collections::HashMap;

const CHANNELS: usize = 4;
const HIDDEN: usize = 64;

fn sequences(count: usize, steps: usize, seed: u64) -> Tensor {
    let mut rng = stream(seed, &[steps as u64]);
    let values: Vec<f64> = (0..count * steps * CHANNELS)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    Tensor::from_vec(values, (count, steps, CHANNELS), &Device::Cpu).unwrap()
}

/// Parameters whose orthogonal matrix is dense, as after training.
fn dense() -> VarBuilder<'static> {
    let shapes: [(&str, &[usize], f64); 5] = [
        ("recurrent.skew", &[HIDDEN, HIDDEN], 1.0),
        ("encoder.weight", &[HIDDEN, CHANNELS], 0.5),
        ("encoder.bias", &[HIDDEN], 0.1),
        ("output.weight", &[3, HIDDEN], 0.1),
        ("output.bias", &[3], 0.1),
    ];
    let mut rng = stream(7, &[]);
    let mut drawn = |shape: &[usize], size: f64| {
        let values: Vec<f64> = (0..shape.iter().product())
            .map(|_| rng.random_range(-size..size))
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    let all = shapes.map(|(name, shape, size)| (name.to_owned(), drawn(shape, size)));
    VarBuilder::from_tensors(HashMap::from(all), DType::F64, &Device::Cpu)
}

/// The distance of each input's nearest boundary as its half-spaces say, without a word on rounding.
fn plain(here: &Linearization, x: &Tensor, norm: Norm) -> Vec<f64> {
    let of = |(number, polyhedron): (usize, loclin_regions::Polyhedron)| {
        let point = x.get(number).unwrap().flatten_all().unwrap();
        polyhedron.margin(&point.to_vec1::<f64>().unwrap(), norm)
    };
    let polyhedra = here.polyhedra().unwrap().into_iter();
    polyhedra.enumerate().map(of).collect()
}

#[test]
fn long_recurrences_are_proved() {
    let config = ScoRnnConfig {
        inputs: CHANNELS,
        hidden: HIDDEN,
        negative: HIDDEN / 2,
        outputs: 3,
        negative_slope: 0.1,
    };
    let rnn = ScoRnn::new(config, dense()).unwrap().rnn().unwrap();
    let mut left_open = 0;
    for steps in [6, 20, 40] {
        let network = rnn.network(steps).unwrap();
        let x = sequences(4, steps, 3);
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        for norm in [Norm::L1, Norm::L2, Norm::LINF] {
            let found = here.margins(&[norm], Method::Auto).unwrap().remove(0);
            assert_eq!(found.guarantee, Guarantee::Proved, "{steps} steps");
            for (radius, plain) in found.radius.iter().zip(plain(&here, &x, norm)) {
                assert!(*radius <= plain, "{steps} steps, l{norm}: {radius} {plain}");
                assert!(
                    *radius >= plain * (1.0 - 1e-4),
                    "{steps} steps, l{norm}: {radius} {plain}"
                );
            }
        }
        let magnitudes = network.magnitudes().unwrap().unwrap();
        let (_, errors) = magnitudes.trace(&x).unwrap().unwrap();
        let errors = errors.pre_activations.unwrap().to_vec2::<f64>().unwrap();
        let mut both = here.pre_activations().iter().zip(&errors);
        left_open += usize::from(both.any(|(z, errors)| {
            let mut both = z.iter().zip(errors);
            both.any(|(z, error)| z.abs() <= *error)
        }));
        assert_eq!(here.axis_margins().unwrap().guarantee, Guarantee::Proved);
        // Inside the balls every neuron keeps its side.
        let found = here.margins(&[Norm::LINF], Method::Auto).unwrap().remove(0);
        let own = patterns(here.trace()).unwrap();
        for seed in 0..20 {
            let way = sequences(4, steps, 100 + seed).sign().unwrap();
            let radii = Tensor::new(&found.radius[..], &Device::Cpu).unwrap();
            let way = way
                .broadcast_mul(&radii.reshape((4, 1, 1)).unwrap())
                .unwrap();
            let there = network.trace(&(&x + way).unwrap()).unwrap();
            assert_eq!(patterns(&there).unwrap(), own, "{steps} steps");
        }
    }
    assert!(left_open > 0, "absolute values would have done");
}
