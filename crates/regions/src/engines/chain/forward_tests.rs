//! The chain's forward pass against the network's own.

use crate::{Budget, Linearizer, patterns};
use candle_core::{DType, Device, Tensor};
use loclin_models::{Mlp, Network, Parameters, Trace, operators::OperatorSpec};
use loclin_tensor::random::{normal, stream};
use proptest::prelude::*;

/// A random chain of inputs with mean 0.1, its activations of any two pieces; `bare` ends it with one of them.
fn network(
    (inputs, hidden): (usize, &[usize]),
    (breakpoint, slopes, anchor): (f64, [f64; 2], f64),
    bare: bool,
    dtype: DType,
    seed: u64,
) -> Network {
    let config = Mlp {
        inputs: vec![inputs],
        hidden: hidden.to_vec(),
        outputs: 3,
        negative_slope: 0.0,
    };
    let parameters = Parameters::seeded(seed);
    let builder = || parameters.builder(dtype, &Device::Cpu);
    let mut spec = config.build(builder()).unwrap().spec().unwrap();
    for node in &mut spec.nodes {
        if let OperatorSpec::Activation { .. } = node.operator {
            node.operator = OperatorSpec::Activation {
                breakpoints: vec![breakpoint],
                slopes: slopes.to_vec(),
                anchor,
            };
        }
    }
    if bare {
        spec.nodes.pop();
    }
    let network = spec.build(builder()).unwrap();
    network.standardized(&[0.1], &[0.3]).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    tensor.to_vec1().unwrap()
}

fn parts(trace: &Trace) -> [Vec<f64>; 3] {
    let signs = trace.signs().unwrap().unwrap();
    let pre_activations = trace.pre_activations().unwrap().unwrap();
    [trace.output(), &signs, &pre_activations].map(numbers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The same values and the same selections. The two sum the same products in other orders; single
    /// precision rounds what was found in double precision.
    #[test]
    fn layers_at_once_are_operators_one_by_one(
        hidden in prop::collection::vec(1usize..=20, 1..=4),
        (inputs, batch) in (1usize..=30, 1usize..=150),
        pieces in (-0.5f64..0.5, [-1.0f64..1.0, -1.0f64..1.0], -1.0f64..1.0),
        (bare, single) in any::<(bool, bool)>(),
        seed in any::<u64>(),
    ) {
        let (dtype, tolerance) = if single { (DType::F32, 1e-6) } else { (DType::F64, 1e-12) };
        let network = network((inputs, &hidden), pieces, bare, dtype, seed);
        let shape = (batch, inputs);
        let x = normal(&mut stream(seed, &[1]), shape, DType::F64, &Device::Cpu).unwrap();
        let linearizer = Linearizer::new(&network, Budget::default()).unwrap();
        let found = linearizer.forward(&x).unwrap();
        let (fast, values) = (found.trace, found.values);
        let (plain, expected) = linearizer.forward_by_trace(&x).unwrap();
        let close = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance * (1.0 + b.abs());
        for (own, other) in values.as_slice().iter().zip(expected.as_slice()) {
            prop_assert!(close(*own, *other, 1e-12), "{own} {other}");
        }
        for (own, other) in parts(&fast).iter().zip(&parts(&plain)) {
            prop_assert_eq!(own.len(), other.len());
            prop_assert!(own.iter().zip(other).all(|(a, b)| close(*a, *b, tolerance)));
        }
        prop_assert_eq!(patterns(&fast).unwrap(), patterns(&plain).unwrap());
        for (own, other) in fast.records().zip(plain.records()) {
            let slopes = numbers(own.slopes().unwrap().unwrap()).into_iter().zip(numbers(other.slopes().unwrap().unwrap()));
            prop_assert!(slopes.into_iter().all(|(a, b)| close(a, b, tolerance)));
            prop_assert_eq!(own.piece_count(), other.piece_count());
        }
    }
}
