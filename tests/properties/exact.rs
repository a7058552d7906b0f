//! The library's radii against exact rational arithmetic, and the exact oracle against numbers worked out by hand.

use crate::{cases, dot, untested};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_models::operators::{OperatorSpec, Window2d};
use loclin_models::{INPUT, Magnitudes, Network, NetworkSpec, NodeSpec, RoundingErrors, Trace};
use loclin_regions::{Budget, Guarantee, Linearization, Method, Norm, Position};
use loclin_tests::exact::{
    Block, Drawn, Graph, Numbers, Plan, Point, Rational, assert_radius_at_most, exact, hostile,
    nearest, ordinary,
};
use loclin_tests::{Analysis, F64, bridge, strategies};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::HashMap;

/// What double precision may lose on ordinary networks: 1e-16 times some hundred terms, over a pre-activation that is
/// rarely smaller than 1e-6 of them.
const ORDINARY: f64 = 1e-6;

/// What there is to compare; `None` where the library or the oracle refuses the network, because a number overflows.
struct Compared {
    found: [f64; 3],
    /// Whether a radius is 0 because a side is undecided.
    is_undecided: bool,
    point: Point,
}

fn compare(plan: &Plan, method: Method) -> Option<Compared> {
    let drawn: Drawn = plan.draw().ok()?;
    // In float64, which a float32 network's numbers fit: only there are radii claimed.
    let network = drawn.network().ok()?.to(DType::F64, &Device::Cpu).ok()?;
    let x = drawn.batch().ok()?.to_dtype(DType::F64).ok()?;
    let (found, proved) = claimed(&network, &x, method).ok()?;
    if !proved {
        // Too deep for bounds by absolute values: nothing is claimed.
        return None;
    }
    let graph = Graph::of(&network).ok()?;
    assert!(graph.is_exact);
    let point = graph.at(&drawn.x).ok()?;
    let is_undecided = found.contains(&0.0) && {
        let here = Linearization::new(&network, &x, Budget::default()).ok()?;
        let margins = here.margins(&[Norm::LINF], method).ok()?;
        margins[0].position[0] == Position::Undecided
    };
    Some(Compared {
        found,
        is_undecided,
        point,
    })
}

/// The library's radii of the first input.
pub(crate) fn radii(network: &Network, x: &Tensor) -> loclin_regions::Result<[f64; 3]> {
    Ok(claimed(network, x, Method::Auto)?.0)
}

/// The library's radii of the first input by one way, and whether they are claimed to be proved.
pub(crate) fn claimed(
    network: &Network,
    x: &Tensor,
    method: Method,
) -> loclin_regions::Result<([f64; 3], bool)> {
    let here = Linearization::new(network, x, Budget::default())?;
    let margins = here.margins(&[Norm::L1, Norm::L2, Norm::LINF], method)?;
    let proved = margins.iter().all(|of| of.guarantee == Guarantee::Proved);
    Ok(([0, 1, 2].map(|i| margins[i].radius[0]), proved))
}

/// A drawn network in float64, and its forward pass with bounds of what rounding does to it.
struct Bounded {
    drawn: Drawn,
    network: Network,
    x: Tensor,
    magnitudes: Magnitudes,
    trace: Trace,
    errors: RoundingErrors,
}

/// `None` for a plan that draws what the library refuses, such as a window of one entry.
fn bounded(plan: &Plan) -> Option<Bounded> {
    let drawn = plan.draw().ok()?;
    let network = drawn.network().ok()?;
    let network = network.to(DType::F64, &Device::Cpu).unwrap();
    let x = drawn.batch().unwrap().to_dtype(DType::F64).unwrap();
    let magnitudes = network.magnitudes().unwrap().unwrap();
    let (trace, errors) = magnitudes.trace(&x).unwrap().unwrap();
    Some(Bounded {
        drawn,
        network,
        x,
        magnitudes,
        trace,
        errors,
    })
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn radii_of_ordinary_networks_are_the_exact_ones_but_for_rounding(plan in ordinary()) {
        let Some(Compared { found, is_undecided, point }) = compare(&plan, Method::Auto) else { return untested() };
        // A standardisation divides, so that exact arithmetic knows its coefficients up to an interval: numbers that are equal behind
        // it stay undecided, and say so.
        if is_undecided && plan.standardized {
            return Ok(());
        }
        for (found, truth) in found.iter().zip(&point.radii().norms) {
            prop_assert!(truth.excess(*found).abs() <= ORDINARY, "{:e} instead of {:e}", found, truth.approximate());
        }
    }

    /// What is pushed through absolute values bounds the rounding of every pre-activation and output, whatever the numbers.
    #[test]
    fn rounding_errors_are_bounded(plan in prop_oneof![ordinary(), hostile()]) {
        let Some(Bounded { drawn, network, trace, errors, .. }) = bounded(&plan) else { return untested() };
        // Nor has a number that overflows an exact value.
        let Ok(graph) = Graph::of(&network) else { return untested() };
        let Ok(point) = graph.at(&drawn.x) else { return untested() };
        let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let (found, bounds) = match (trace.pre_activations().unwrap(), &errors.pre_activations) {
            (Some(found), Some(bounds)) => (numbers(&found), numbers(bounds)),
            _ => (Vec::new(), Vec::new()),
        };
        let truths = point.neurons.iter().map(|neuron| &neuron.value);
        let outputs = numbers(trace.output()).into_iter().zip(numbers(&errors.output)).zip(&point.output);
        for ((found, bound), truth) in found.into_iter().zip(bounds).zip(truths).chain(outputs) {
            // What overflows has no finite bound.
            let (Some(found), Some(bound)) = (exact(found), exact(bound)) else { continue };
            let error = if &found > truth { &found - truth } else { truth - &found };
            prop_assert!(error <= bound, "{} instead of at most {}", nearest(&error), nearest(&bound));
        }
    }

    /// What arises in a layer by itself is found, not bounded: no less than the truth, and of ordinary numbers hardly more.
    #[test]
    fn what_arises_in_a_layer_is_found(
        plan in prop_oneof![ordinary(), hostile()],
        layer in prop_oneof![Just(Block::Linear), Just(Block::Conv2d)],
    ) {
        let is_ordinary = plan.numbers == Numbers::Gaussian && plan.quirks.is_empty() && plan.rescale == 0;
        let plan = Plan { blocks: vec![layer], standardized: false, ..plan };
        let Ok(mut drawn) = plan.draw() else { return untested() };
        let sums = |node: &NodeSpec| matches!(node.operator, OperatorSpec::Linear { .. } | OperatorSpec::Conv2d(_));
        let first = drawn.spec.nodes.iter().position(sums).unwrap();
        drawn.spec.nodes.truncate(first + 1);
        let Ok(network) = drawn.network() else { return untested() };
        let network = network.to(DType::F64, &Device::Cpu).unwrap();
        let x = drawn.batch().unwrap().to_dtype(DType::F64).unwrap();
        let magnitudes = network.magnitudes().unwrap().unwrap();
        let Ok(point) = Graph::of(&network).and_then(|graph| graph.at(&drawn.x)) else { return untested() };
        let local = magnitudes.local_errors(&x).unwrap().unwrap();
        let found = local.trace.output().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        // Other nodes only move numbers.
        let arisen = local.values.iter().map(|of_inputs| of_inputs[0]).fold(0.0, f64::max);
        let (Some(bound), Some(found)) = (exact(arisen), found.into_iter().map(exact).collect::<Option<Vec<_>>>()) else { return untested() };
        let square = |(found, truth): (Rational, &Rational)| {
            let error = found - truth;
            &error * &error
        };
        let error = found.into_iter().zip(&point.output).map(square).fold(Rational::ZERO, |sum, own| sum + own);
        prop_assert!(error <= &bound * &bound, "{} instead of at most {}", nearest(&error).sqrt(), arisen);
        prop_assert!(!is_ordinary || arisen <= 1.01 * nearest(&error).sqrt() + 1e-18, "{} for {}", arisen, nearest(&error).sqrt());
    }

    /// Where nothing that arises arrives, neurons have their exact values, but for the rounding of a difference.
    #[test]
    fn what_rounding_does_not_reach_is_exact(plan in prop_oneof![ordinary(), hostile()]) {
        let Some(Bounded { drawn, network, x, magnitudes, .. }) = bounded(&plan) else { return untested() };
        let Ok(point) = Graph::of(&network).and_then(|graph| graph.at(&drawn.x)) else { return untested() };
        let local = magnitudes.local_errors(&x).unwrap().unwrap();
        let Some(found) = local.trace.pre_activations().unwrap() else { return untested() };
        let found: Vec<f64> = found.flatten_all().unwrap().to_vec1().unwrap();
        // Where rounding has not changed the pattern, the truth is that of the recorded one.
        let mut sides = found.iter().zip(&point.neurons);
        prop_assume!(sides.all(|(z, neuron)| (*z >= 0.0) == neuron.positive));
        for ((z, neuron), is_exact) in found.iter().zip(&point.neurons).zip(&local.exact[0]) {
            let truth = nearest(&neuron.value);
            prop_assert!(!is_exact || (z - truth).abs() <= 2.0 * f64::EPSILON * truth.abs(), "{z} for {truth}");
        }
    }

    /// So does their push of ones the rounding of every gradient, where all sides are decided.
    #[test]
    fn rounding_errors_of_gradients_are_bounded(plan in prop_oneof![ordinary(), hostile()]) {
        let Some(Bounded { drawn, network, x, magnitudes, trace, errors }) = bounded(&plan) else { return untested() };
        let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let (Some(z), Some(of_z)) = (trace.pre_activations().unwrap(), &errors.pre_activations) else { return untested() };
        prop_assume!(numbers(&z).iter().zip(numbers(of_z)).all(|(z, error)| z.abs() > error));
        let Ok(graph) = Graph::of(&network) else { return untested() };
        let Ok(point) = graph.at(&drawn.x) else { return untested() };
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        let gradients = here.neuron_jacobians().unwrap().remove(0);
        let bounds = numbers(&magnitudes.gradient_errors(&errors).unwrap().unwrap());
        for ((found, bound), truth) in gradients.iter().zip(bounds).zip(&point.neurons) {
            let found: Option<Vec<Rational>> = found.iter().map(|g| exact(*g)).collect();
            let (Some(found), Some(bound)) = (found, exact(bound)) else { continue };
            let error = found.iter().zip(&truth.gradient).fold(Rational::ZERO, |sum, (found, truth)| {
                sum + if found > truth { found - truth } else { truth - found }
            });
            prop_assert!(error <= bound, "{} instead of at most {}", nearest(&error), nearest(&bound));
        }
    }

    #[test]
    fn no_radius_exceeds_the_truth(plan in prop_oneof![ordinary(), hostile()], all in any::<bool>()) {
        let method = if all { Method::All } else { Method::Auto };
        let Some(Compared { found, point, .. }) = compare(&plan, method) else { return untested() };
        for (found, truth) in found.iter().zip(&point.radii().norms) {
            prop_assert!(truth.covers(*found), "{:e} instead of {:e}", found, truth.approximate());
        }
    }

    #[test]
    fn oracles_agree(recipe in strategies::recipes(strategies::SMALL)) {
        let (fc, x) = (recipe.network(), recipe.points(1).remove(0));
        let analysis = Analysis::new(&fc, &x, F64);
        prop_assume!(!analysis.is_doubtful());
        let network = bridge::network(&fc, DType::F64).unwrap();
        let point = Graph::of(&network).unwrap().at(&x).unwrap();
        prop_assert_eq!(point.neurons.len(), analysis.neurons.len());
        for (j, neuron) in point.neurons.iter().enumerate() {
            prop_assert!((nearest(&neuron.value) - analysis.neurons[j]).abs() <= analysis.neuron_errors[j]);
            prop_assert_eq!(neuron.positive, analysis.pattern[j]);
            for (k, g) in neuron.gradient.iter().enumerate() {
                prop_assert!((nearest(g) - analysis.gradients[j][k]).abs() <= analysis.gradient_errors[j][k]);
            }
        }
        for (truth, p) in point.radii().norms.iter().zip([1.0, 2.0, f64::INFINITY]) {
            let interval = analysis.margin(p);
            let truth = truth.approximate();
            prop_assert!(interval.lo <= truth * (1.0 + 1e-14) && truth * (1.0 - 1e-14) <= interval.hi);
        }
        let direction = recipe.vectors(2, 1, x.len()).remove(0);
        let rational: Vec<Rational> = direction.iter().map(|d| exact(*d).unwrap()).collect();
        let truth = point.directional(&rational).approximate();
        let interval = analysis.directional_margin(&direction);
        prop_assert!(dot(&direction, &direction) == 0.0 || interval.lo <= truth * (1.0 + 1e-14) && truth * (1.0 - 1e-14) <= interval.hi);
    }
}

#[test]
fn a_gradient_that_cancels_in_single_precision_is_found() {
    // z = 4096^2 x - 4096^2 x + x at x = 2^-20: the gradient is 1.
    let (big, x) = (4096.0, 2f64.powi(-20));
    let spec = sequence(
        &[1],
        vec![
            linear(1, 3),
            OperatorSpec::relu(),
            linear(3, 1),
            OperatorSpec::relu(),
        ],
    );
    let weights: [(&str, &[usize], Vec<f64>); 4] = [
        ("0.weight", &[3, 1], vec![big, big, 1.0]),
        ("0.bias", &[3], vec![1.0, 1.0, 1.0 - x]),
        ("2.weight", &[1, 3], vec![big, -big, 1.0]),
        ("2.bias", &[1], vec![-1.0 + x]),
    ];
    let network = build(&spec, &weights);
    let point = Graph::of(&network).unwrap().at(&[x]).unwrap();
    let last = &point.neurons[3];
    assert_eq!(nearest(&last.value), x);
    assert_eq!(last.gradient, [Rational::ONE]);
    for radius in point.radii().norms {
        assert_eq!((radius.approximate(), &radius.limiting[..]), (x, &[3][..]));
        assert_radius_at_most(x, &radius);
        assert!(!radius.covers(x * (1.0 + f64::EPSILON)));
        assert!(!radius.covers(f64::NAN) && !radius.covers(-1.0) && !radius.covers(f64::INFINITY));
    }
}

#[test]
fn a_max_pool_compares_the_largest_with_the_others() {
    let window = Window2d::square(2, 1, 0);
    let pool = OperatorSpec::MaxPool2d { window };
    let network = build(
        &sequence(&[1, 2, 2], vec![pool, OperatorSpec::Flatten]),
        &[],
    );
    let graph = Graph::of(&network).unwrap();
    let point = graph.at(&[1.0, 4.0, 2.0, 3.5]).unwrap();
    let values: Vec<f64> = point.neurons.iter().map(|n| nearest(&n.value)).collect();
    assert_eq!(values, [3.0, 2.0, 0.5]);
    let [l1, l2, linf] = point.radii().norms;
    assert_eq!((l1.approximate(), linf.approximate()), (0.5, 0.25));
    assert_eq!(l2.value, Some(exact(0.125).unwrap()));
    // Equal entries: the first is taken, and the radius is 0.
    let tie = graph.at(&[1.0, 4.0, 4.0, 0.0]).unwrap();
    assert_eq!(tie.radii().norms.map(|r| r.approximate()), [0.0; 3]);
}

#[test]
fn breakpoints_are_neurons() {
    let steps = OperatorSpec::Activation {
        breakpoints: vec![-1.0, 1.0],
        slopes: vec![0.0, 1.0, 0.5],
        anchor: -1.0,
    };
    let graph = Graph::of(&build(&sequence(&[1], vec![steps]), &[])).unwrap();
    for (x, output, slope, radius) in [
        (-3.0, -1.0, 0.0, 2.0),
        (0.25, 0.25, 1.0, 0.75),
        (3.0, 2.0, 0.5, 2.0),
        (1.0, 1.0, 0.5, 0.0),
    ] {
        let point = graph.at(&[x]).unwrap();
        assert_eq!(nearest(&point.output[0]), output);
        assert_eq!(nearest(&point.output_gradients[0][0]), slope);
        assert_eq!(point.radii().norms[1].approximate(), radius);
    }
}

#[test]
fn a_neuron_without_gradient_never_limits() {
    let spec = sequence(&[1], vec![linear(1, 1), OperatorSpec::relu()]);
    let network = build(
        &spec,
        &[
            ("0.weight", &[1, 1], vec![0.0]),
            ("0.bias", &[1], vec![0.0]),
        ],
    );
    let radii = Graph::of(&network).unwrap().at(&[1.0]).unwrap().radii();
    assert!(
        radii
            .norms
            .iter()
            .all(|r| r.value.is_none() && r.covers(f64::INFINITY))
    );
}

/// Counts how many radii exceed the truth. `LOCLIN_EXACT` says how many networks of each kind (100 without it).
#[test]
#[ignore = "a long run, by `cargo xtask validate --long`"]
#[allow(clippy::print_stderr, reason = "its result")]
fn exact_long() {
    let count = std::env::var("LOCLIN_EXACT").map_or(100, |n| n.parse().unwrap());
    let mut above = 0;
    for method in [Method::Auto, Method::All] {
        above += tally(&format!("ordinary, {method}"), count, ordinary(), method);
        above += tally(&format!("hostile, {method}"), count, hostile(), method);
    }
    assert_eq!(above, 0, "networks with a radius above the truth");
}

/// How many of so many networks have a radius above the truth; by how much is printed.
#[allow(clippy::print_stderr, reason = "its result")]
fn tally(name: &str, count: u32, strategy: impl Strategy<Value = Plan>, method: Method) -> usize {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut compared, mut exceeded, mut wide) = (0, 0, 0);
    let mut worst: Option<(f64, Plan)> = None;
    let mut losses = Vec::new();
    for _ in 0..count {
        let plan = strategy.new_tree(&mut runner).unwrap().current();
        let Some(Compared { found, point, .. }) = compare(&plan, method) else {
            continue;
        };
        compared += 1;
        let truths = point.radii().norms;
        let above = found
            .iter()
            .zip(&truths)
            .filter(|(found, truth)| !truth.covers(**found));
        let excess = above
            .map(|(found, truth)| truth.excess(*found))
            .reduce(f64::max);
        losses.extend(
            found
                .iter()
                .zip(&truths)
                .map(|(found, truth)| -truth.excess(*found)),
        );
        let Some(excess) = excess else { continue };
        exceeded += 1;
        wide += usize::from(excess > ORDINARY || excess.is_nan());
        if worst.as_ref().is_none_or(|(most, _)| excess > *most) {
            worst = Some((excess, plan));
        }
    }
    losses.sort_by(f64::total_cmp);
    eprintln!(
        "{name}: {compared} of {count} networks compared, {exceeded} with a radius above the truth, {wide} by more than {ORDINARY:e}"
    );
    if let (Some(middle), Some(most)) = (losses.get(losses.len() / 2), losses.last()) {
        eprintln!("{name}: radius lost, relative: median {middle:e}, largest {most:e}");
    }
    if let Some((excess, plan)) = worst {
        eprintln!("{name}: largest excess {excess:e} of {plan:?}");
    }
    exceeded
}

fn linear(inputs: usize, outputs: usize) -> OperatorSpec {
    OperatorSpec::Linear {
        inputs,
        outputs,
        bias: true,
    }
}

/// Operators one after the other, named by their numbers.
fn sequence(input_shape: &[usize], operators: Vec<OperatorSpec>) -> NetworkSpec {
    let below = |i: usize| i.checked_sub(1).map_or(INPUT.to_owned(), |i| i.to_string());
    let node = |(i, operator): (usize, OperatorSpec)| NodeSpec {
        name: i.to_string(),
        operator,
        operands: vec![below(i)],
    };
    NetworkSpec {
        input_shape: input_shape.to_vec(),
        nodes: operators.into_iter().enumerate().map(node).collect(),
    }
}

fn build(spec: &NetworkSpec, parameters: &[(&str, &[usize], Vec<f64>)]) -> Network {
    let tensor = |(name, shape, values): &(&str, &[usize], Vec<f64>)| {
        let tensor = Tensor::from_vec(values.clone(), *shape, &Device::Cpu).unwrap();
        ((*name).to_owned(), tensor)
    };
    let tensors: HashMap<String, Tensor> = parameters.iter().map(tensor).collect();
    spec.build(VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu))
        .unwrap()
}
