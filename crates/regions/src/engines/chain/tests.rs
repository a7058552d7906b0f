//! The pruned search against all gradients.

use crate::{Budget, Domain, Linearization, Method, Norm};
use candle_core::{DType, Device};
use loclin_models::{Mlp, Parameters};
use loclin_tensor::random::{normal, stream};
use proptest::prelude::*;

const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::LINF];

/// A random chain at random inputs; `dead` gives the first layer biases that switch most of it off.
fn linearize(
    hidden: &[usize],
    (inputs, batch): (usize, usize),
    (negative_slope, std, dead): (f64, f64, bool),
    dtype: DType,
    seed: u64,
) -> Linearization {
    let config = Mlp {
        inputs: vec![inputs],
        hidden: hidden.to_vec(),
        outputs: 2,
        negative_slope,
    };
    let parameters = Parameters::seeded(seed);
    let network = config
        .build(parameters.builder(dtype, &Device::Cpu))
        .unwrap();
    for (name, variable) in parameters.named() {
        if dead && name == "layers.0.bias" {
            variable
                .set(&(variable.as_tensor() - 4.0).unwrap())
                .unwrap();
        }
    }
    let network = network.standardized(&[0.1], &[std]).unwrap();
    let shape = (batch, inputs);
    let x = normal(&mut stream(seed, &[1]), shape, dtype, &Device::Cpu).unwrap();
    Linearization::new(&network, &x, Budget::default()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// The same radius as by the norms of all gradients, on every input, and the neuron named attains it.
    /// The two sum the same products in other orders; single precision keeps three digits of a gradient in
    /// which terms cancel.
    #[test]
    fn pruning_changes_no_margin(
        hidden in prop::collection::vec(1usize..=24, 1..=5),
        size in (1usize..=40, prop_oneof![4 => 1usize..=6, 1 => 30usize..=60]),
        kind in (prop_oneof![Just(0.0), Just(0.1), Just(-0.5)], 0.2f64..2.0, any::<bool>()),
        single in any::<bool>(),
        seed in any::<u64>(),
    ) {
        // Radii are rounded down by bounds that see other numbers.
        let (dtype, tolerance) = if single { (DType::F32, 1e-3) } else { (DType::F64, 1e-6) };
        let here = linearize(&hidden, size, kind, dtype, seed);
        // What rounding leaves undecided is 0 by one way and not by the other.
        prop_assume!(here.undecided().iter().all(|count| *count == 0));
        let engine = &here.prepared.engine;
        prop_assert!(engine.margins(&here.trace, (here.values(), None), &NORMS).unwrap().is_some());
        let fast = here.margins(&NORMS, Method::PrunedSearch).unwrap();
        // What was learnt for one norm serves the next: the order must not matter.
        let [first, second, third] = NORMS;
        let other = here.margins(&[third, second, first], Method::PrunedSearch).unwrap();
        for (own, other) in fast.iter().zip(other.iter().rev()) {
            for (own, other) in own.radius.iter().zip(&other.radius) {
                prop_assert!(own == other || (own - other).abs() <= tolerance * own);
            }
        }
        let plain = here.margins_by_all(&NORMS).unwrap();
        let lengths = here.gradient_norms(&NORMS.map(Norm::dual)).unwrap();
        for ((fast, plain), lengths) in fast.iter().zip(&plain).zip(&lengths) {
            for (input, lengths) in lengths.iter().enumerate() {
                let (radius, expected) = (fast.radius[input], plain.radius[input]);
                let Some(neuron) = fast.limiting[input] else {
                    prop_assert!(radius.is_infinite() && expected.is_infinite());
                    continue;
                };
                let position = here.position(neuron).unwrap();
                let attained = here.pre_activations[input][position].abs() / lengths[position];
                prop_assert!((radius - expected).abs() <= tolerance * expected);
                prop_assert!((attained - expected).abs() <= tolerance * expected);
            }
        }
    }

    /// The same within a domain, whose ends are about as far as the boundaries.
    #[test]
    fn pruning_changes_no_margin_within_a_domain(
        hidden in prop::collection::vec(1usize..=24, 1..=4),
        size in (1usize..=30, 1usize..=6),
        kind in (prop_oneof![Just(0.0), Just(0.1), Just(-0.5)], 0.2f64..2.0, any::<bool>()),
        single in any::<bool>(),
        widths in (0.0f64..2.0, 0.0f64..2.0),
        seed in any::<u64>(),
    ) {
        let (dtype, tolerance) = if single { (DType::F32, 1e-3) } else { (DType::F64, 1e-6) };
        let here = linearize(&hidden, size, kind, dtype, seed);
        prop_assume!(here.undecided().iter().all(|count| *count == 0));
        let whole = here.margins(&[Norm::LINF], Method::PrunedSearch).unwrap().remove(0);
        let most = here.inputs.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        let most = most.to_scalar::<f64>().unwrap();
        let reach = whole.radius[0].min(10.0);
        let domain = Domain::uniform(size.0, -most - widths.0 * reach, most + widths.1 * reach);
        let cut = here.within(domain.unwrap()).unwrap();
        let fast = cut.margins(&NORMS, Method::PrunedSearch).unwrap();
        let plain = cut.margins_by_all(&NORMS).unwrap();
        for (fast, plain) in fast.iter().zip(&plain) {
            for (radius, expected) in fast.radius.iter().zip(&plain.radius) {
                // Near the end of the domain a little slope more or less decides.
                let far = |radius: f64| radius > 0.99 * (2.0 * most + (widths.0 + widths.1) * reach);
                let near = (radius - expected).abs() <= tolerance * expected;
                prop_assert!(radius == expected || near || far(*radius) && far(*expected), "{radius:e} {expected:e}");
            }
        }
    }

    /// The same steps along all axes as by pushing all of them, and the neuron named attains it.
    #[test]
    fn pruning_changes_no_axis(
        hidden in prop::collection::vec(1usize..=24, 1..=4),
        size in (1usize..=40, 1usize..=4),
        kind in (prop_oneof![Just(0.0), Just(0.1), Just(-0.5)], 0.2f64..2.0, any::<bool>()),
        single in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let (dtype, tolerance) = if single { (DType::F32, 1e-3) } else { (DType::F64, 1e-8) };
        let here = linearize(&hidden, size, kind, dtype, seed);
        prop_assume!(here.undecided().iter().all(|count| *count == 0));
        let engine = &here.prepared.engine;
        let steps = engine.axes(&here.trace, here.values()).unwrap().unwrap();
        let plain = here.axis_margins_by_all().unwrap();
        let jacobians = here.neuron_jacobians().unwrap();
        for (input, steps) in steps.iter().enumerate() {
            // Where the terms of a derivative cancel its rounding is relative to theirs, not to itself.
            let longest = |k: usize| jacobians[input].iter().map(|g| g[k].abs()).fold(0.0, f64::max);
            for (axis, (found, expected)) in steps.iter().zip(plain.of_input(input)).enumerate() {
                let step = found.distance;
                let k = axis % here.network().input_size();
                let rounding = 1e-4 * tolerance * longest(k);
                if let Some(at) = found.at {
                    let z = here.clear[input][at];
                    let speed = jacobians[input][at][k].abs();
                    prop_assert!((z.abs() / step - speed).abs() <= tolerance * speed + rounding);
                }
                let (own, other) = (1.0 / step, 1.0 / expected);
                prop_assert!(own == other || (own - other).abs() <= tolerance * other + rounding);
            }
        }
    }
}
