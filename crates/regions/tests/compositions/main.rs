//! Regions of convolutional, pooling, residual and recurrent networks drawn at random, against back-propagation
//! neuron by neuron and against points inside the balls.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test itself does"
)]

mod networks;

use candle_core::{DType, Device, Tensor, Var};
use loclin_models::{Network, Operator};
use loclin_regions::{
    Budget, Estimate, Linearization, Method, Norm, attribution::integrated_gradients, patterns,
    segment::Walk,
};
use loclin_tensor::random;
use networks::{composition, named};
use proptest::{prelude::*, test_runner::TestCaseResult};

const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::LINF];

fn draw(network: &Network, seed: u64, batch: usize) -> Tensor {
    let shape = [&[batch], network.input_shape()].concat();
    random::normal(
        &mut random::stream(seed, &[1]),
        shape,
        DType::F64,
        &Device::Cpu,
    )
    .unwrap()
}

fn entries(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn same(a: &Tensor, b: &Tensor) -> bool {
    // Sums of a few hundred products of numbers near 1, in another order.
    entries(&a.broadcast_sub(b).unwrap())
        .iter()
        .zip(entries(a))
        .all(|(error, a)| error.abs() <= 1e-9 * (1.0 + a.abs()))
}

/// Gradients of all neurons at one input by one back-propagation through the *values* for each.
fn gradients(network: &Network, x: &Tensor) -> Vec<Vec<f64>> {
    let input = Var::from_tensor(&x.unsqueeze(0).unwrap()).unwrap();
    let pre_activations = network
        .trace(&input)
        .unwrap()
        .pre_activations()
        .unwrap()
        .unwrap();
    let one = |j| {
        let gradients = pre_activations
            .narrow(1, j, 1)
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap();
        gradients
            .get(&input)
            .map_or(vec![0.0; network.input_size()], entries)
    };
    (0..pre_activations.dim(1).unwrap()).map(one).collect()
}

fn check(network: &Network, seed: u64) -> TestCaseResult {
    let x = draw(network, seed, 2);
    // A budget so small that the work falls apart into chunks.
    let here = Linearization::new(network, &x, Budget { bytes: 40_000 }).unwrap();
    let margins = here.margins(&NORMS, Method::Auto).unwrap();
    for method in [Method::Estimate(Estimate::default()), Method::Bound] {
        let found = here.margins(&[Norm::L2], method).unwrap().remove(0);
        let undecided = here.undecided();
        let boundary = here.on_boundary();
        for (input, (found, l2)) in found.radius.iter().zip(&margins[1].radius).enumerate() {
            // A gradient that cancels to 0 exactly by one order of its products and not by the other.
            if (undecided[input] > 0 || boundary[input]) && found.min(*l2) == 0.0 {
                continue;
            }
            // Gradients pulled and pushed: the same products in two orders.
            prop_assert!(
                found == l2 || (found / l2 - 1.0).abs() < 1e-6,
                "{} {}",
                found,
                l2
            );
        }
    }
    for input in 0..2 {
        // Rounding leaves open what cancels: no radius is claimed then.
        let undecided = here.undecided()[input] + usize::from(here.on_boundary()[input]);
        let own = x.get(input).unwrap();
        let brute = gradients(network, &own);
        gradients_are_bounded(&here, &brute)?;
        for (norm, margins) in NORMS.iter().zip(&margins) {
            let least = least_distance(&here.pre_activations()[input], &brute, *norm);
            let radius = margins.radius[input];
            prop_assert!(
                radius == least
                    || (radius / least - 1.0).abs() < 1e-6
                    || radius == 0.0 && undecided > 0,
                "{} and {}",
                radius,
                least
            );
            inside(network, &own, *norm, radius.min(1e3), seed)?;
        }
        a_pull_is_the_gradient(&here, input, &brute, seed)?;
    }
    // Outputs pulled and axes pushed have one Jacobian.
    let axes = loclin_regions::axes(here.network(), 0..network.input_size()).unwrap();
    let pushed = here
        .trace()
        .push(&axes, |_, _| Ok(()))
        .unwrap()
        .transpose(1, 2)
        .unwrap();
    prop_assert!(same(&pushed, &here.output_jacobians().unwrap()));
    Ok(())
}

/// No gradient is longer than the Lipschitz bound of its node.
fn gradients_are_bounded(here: &Linearization, brute: &[Vec<f64>]) -> TestCaseResult {
    let network = here.network();
    let bounds = network.lipschitz_bounds().unwrap();
    for (position, gradient) in brute.iter().enumerate() {
        let node = &network.nodes()[here.neuron(position).unwrap().node];
        let Operator::PiecewiseLinear(operator) = &node.operator else {
            continue;
        };
        let bound = operator.neuron_length() * bounds[node.operands[0]];
        // One layer is bounded as tightly as its gradients are long, but for rounding.
        prop_assert!(Norm::L2.of(gradient) <= bound * (1.0 + 1e-9));
    }
    Ok(())
}

/// The least distance to a neuron's boundary (Prop. 6).
fn least_distance(values: &[f64], brute: &[Vec<f64>], norm: Norm) -> f64 {
    let distance = |(z, gradient): (&f64, &Vec<f64>)| {
        let length = norm.dual().of(gradient);
        match length > 0.0 {
            true => z.abs() / length,
            false => f64::INFINITY,
        }
    };
    let distances = values.iter().zip(brute).map(distance);
    distances.fold(f64::INFINITY, f64::min)
}

/// The pull of a neuron is its gradient too.
fn a_pull_is_the_gradient(
    here: &Linearization,
    input: usize,
    brute: &[Vec<f64>],
    seed: u64,
) -> TestCaseResult {
    let neuron = here.neuron((seed % brute.len() as u64) as usize).unwrap();
    let ranges = here.trace().neuron_ranges().unwrap();
    let own = |range: &&loclin_models::NeuronRange| range.node == neuron.node;
    let count = ranges.iter().find(own).unwrap().count;
    let unit = Tensor::eye(count, DType::F64, &Device::Cpu)
        .unwrap()
        .narrow(0, neuron.index, 1)
        .unwrap();
    let one = here.trace().narrow(input, 1).unwrap();
    let pulled = one
        .pull_neurons(neuron.node, &unit.unsqueeze(0).unwrap())
        .unwrap()
        .flatten_all()
        .unwrap();
    let expected = Tensor::new(&brute[here.position(neuron).unwrap()][..], &Device::Cpu).unwrap();
    prop_assert!(same(&pulled, &expected));
    Ok(())
}

/// Points inside a ball keep the pattern and the gradient.
fn inside(network: &Network, x: &Tensor, norm: Norm, radius: f64, seed: u64) -> TestCaseResult {
    let count = 8;
    let directions = draw(network, seed ^ 7, count)
        .flatten_from(1)
        .unwrap()
        .to_vec2::<f64>()
        .unwrap();
    let steps: Vec<f64> = directions
        .into_iter()
        .flat_map(|direction| {
            // A millionth inside, which the roundings of values near 1 do not bridge.
            let scale = radius * (1.0 - 1e-6) / norm.of(&direction);
            direction.into_iter().map(move |d| d * scale)
        })
        .collect();
    let shape = [&[count], network.input_shape()].concat();
    let x = x.unsqueeze(0).unwrap();
    let points = Tensor::from_vec(steps, shape, &Device::Cpu)
        .unwrap()
        .broadcast_add(&x)
        .unwrap();
    let there = Linearization::new(
        network,
        &Tensor::cat(&[&x, &points], 0).unwrap(),
        Budget::default(),
    )
    .unwrap();
    let patterns = patterns(there.trace()).unwrap();
    prop_assert!(patterns.iter().all(|pattern| *pattern == patterns[0]));
    let jacobians = there.output_jacobians().unwrap();
    prop_assert!(same(&jacobians, &jacobians.narrow(0, 0, 1).unwrap()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn random_compositions_have_the_margins_of_back_propagation(seed in any::<u64>()) {
        check(&composition(seed), seed)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn named_networks_have_the_margins_of_back_propagation(seed in any::<u64>(), pick in 0usize..9) {
        check(&named(seed, pick), seed)?;
    }
}

/// Integrated gradients that are exact add up to the difference of the outputs.
fn adds_up(network: &Network, seed: u64) -> TestCaseResult {
    let ends = draw(network, seed, 2);
    let (from, to) = (ends.get(0).unwrap(), ends.get(1).unwrap());
    let found = integrated_gradients(network, &from, &to, 1, Walk::default()).unwrap();
    let size: f64 = found.values.iter().map(|v| v.abs()).sum();
    let error = (found.values.iter().sum::<f64>() - found.difference).abs();
    // Gradients and outputs are sums of a few thousand products at most, each known to about 1e-14 of its terms; those
    // of an output may cancel, hence the 1.
    prop_assert!(error <= 1e-11 * (1.0 + size), "{} of {}", error, size);
    let ends = found
        .pieces
        .windows(2)
        .map(|w| (w[0].end - w[1].start).abs());
    prop_assert!(ends.fold(0.0, f64::max) <= 1e-13);
    Ok(())
}

/// Across the nearest boundary, the gradients change by the jump of the neuron times its gradient.
fn slope_changes(network: &Network, seed: u64) -> TestCaseResult {
    let x = draw(network, seed, 1);
    let here = Linearization::new(network, &x, Budget::default()).unwrap();
    let nearest = here.margins(&[Norm::L2], Method::Auto).unwrap().remove(0);
    // Networks whose numbers hardly differ on the other side, or that are on a boundary already, show nothing. A gradient
    // that cancels to 0 limits at a distance of its rounding.
    let radius = nearest.radius[0];
    prop_assume!(radius > 1e-8 && radius < 1e6 && here.undecided()[0] == 0);
    // Of neurons that copy each other the first: those behind it may stay on their side.
    let lengths = here.gradient_norms(&[Norm::L2]).unwrap();
    let mut distances = here.pre_activations()[0].iter().zip(&lengths[0][0]);
    let near =
        |(z, length): (&f64, &f64)| *length > 0.0 && z.abs() <= radius * length * (1.0 + 1e-6);
    let Some(position) = distances.position(near) else {
        return Ok(());
    };
    let neuron = here.neuron(position).unwrap();
    let z = here.pre_activations()[0][position];
    let sign = if z >= 0.0 { 1.0 } else { -1.0 };
    let ranges = here.trace().neuron_ranges().unwrap();
    let range = ranges
        .iter()
        .find(|range| range.node == neuron.node)
        .unwrap();
    let mut unit = vec![0.0; range.count];
    unit[neuron.index] = 1.0;
    let unit = Tensor::from_vec(unit, (1, 1, range.count), &Device::Cpu).unwrap();
    let normal = here.trace().pull_neurons(range.node, &unit).unwrap();
    let normal = normal.squeeze(0).unwrap();
    let together = here.trace().pull_all_neurons([(range.node, unit)]);
    prop_assert!(same(&normal, &together.unwrap().squeeze(0).unwrap()));
    let square: f64 = entries(&normal).iter().map(|v| v * v).sum();
    let step = (&normal * (-(z + sign * 1e-6 * z.abs()) / square)).unwrap();
    let there = Linearization::new(network, &(&x + step).unwrap(), Budget::default()).unwrap();
    let pieces = |here: &Linearization| -> Vec<f64> {
        let all = here
            .trace()
            .records()
            .map(|s| entries(&s.pieces().unwrap().to_dtype(DType::F64).unwrap()));
        all.flatten().collect()
    };
    let switched = pieces(&here)
        .iter()
        .zip(pieces(&there))
        .filter(|(a, b)| *a != b)
        .count();
    // Neurons that copy each other switch together.
    prop_assume!(switched == 1);
    for output in 0..2 {
        let mut unit = vec![0.0; 2];
        unit[output] = 1.0;
        let unit = Tensor::from_vec(unit, (1, 1, 2), &Device::Cpu).unwrap();
        let mut jump = 0.0;
        let pulled = here
            .trace()
            .pull_slope_changes(&unit, |node, slope_changes| {
                if node == neuron.node {
                    jump = entries(&slope_changes)[neuron.index];
                }
                Ok(())
            });
        let before = pulled.unwrap();
        prop_assert!(same(&before, &here.trace().pull(&unit).unwrap()));
        let expected = (&before - (normal.unsqueeze(0).unwrap() * (sign * jump)).unwrap()).unwrap();
        prop_assert!(
            same(&expected, &there.trace().pull(&unit).unwrap()),
            "output {}",
            output
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn exact_integrated_gradients_add_up(seed in any::<u64>(), pick in 0usize..18) {
        match pick {
            0..9 => adds_up(&named(seed, pick), seed)?,
            _ => adds_up(&composition(seed), seed)?,
        }
    }

    #[test]
    fn gradients_jump_by_rank_one(seed in any::<u64>(), pick in 0usize..18) {
        match pick {
            0..9 => slope_changes(&named(seed, pick), seed)?,
            _ => slope_changes(&composition(seed), seed)?,
        }
    }
}
