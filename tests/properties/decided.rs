//! What rounding leaves open and exact arithmetic decides, held against exact rationals.

use crate::{cases, untested};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_models::operators::{Activation, Linear, MaxPool2d, Maxout, Reshape, Window2d};
use loclin_models::{Network, NetworkBuilder, Operator, PiecewiseLinear};
use loclin_regions::distortion::{Ball, Distortion};
use loclin_regions::exact::{Exact, ExactError};
use loclin_regions::reduced::{Limits, Question};
use loclin_regions::{Budget, Guarantee, Linearization, Method, Norm, Position};
use loclin_tests::exact::{Graph, Plan, Point, Rational, exact, hostile, nearest, ordinary};
use loclin_tests::{Fc, Layer, bridge};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::collections::HashMap;
use std::sync::Arc;

/// A drawn network linearised, and what is true of it; `None` where the library or the oracle refuses it, because a number
/// overflows, or nothing is claimed.
fn drawn(plan: &Plan) -> Option<(Network, Tensor, Linearization, Point)> {
    let drawn = plan.draw().ok()?;
    let network = drawn.network().ok()?.to(DType::F64, &Device::Cpu).ok()?;
    let x = drawn.batch().ok()?.to_dtype(DType::F64).ok()?;
    let here = Linearization::new(&network, &x, Budget::default()).ok()?;
    let point = Graph::of(&network).ok()?.at(&drawn.x).ok()?;
    Some((network, x, here, point))
}

/// The recorded pieces of the only input.
fn pieces(here: &Linearization) -> Vec<Vec<u32>> {
    let of = |record: &loclin_models::ActivationRecord| {
        let pieces = record.pieces().unwrap().flatten_all().unwrap();
        pieces
            .to_dtype(DType::U32)
            .unwrap()
            .to_vec1::<u32>()
            .unwrap()
    };
    here.trace().records().map(of).collect()
}

/// Whether all coefficients are known exactly.
fn is_exact(network: &Network, x: &Tensor) -> bool {
    let x = x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    match Exact::new(network, 1 << 24) {
        Ok(exact) => {
            let here = exact.at(&x).unwrap();
            (0..here.neurons()).all(|neuron| here.pre_activation(neuron).is_exact())
        }
        Err(error) => {
            assert!(
                matches!(
                    error,
                    ExactError::TooLarge { .. } | ExactError::Unknown { .. }
                ),
                "{error}"
            );
            false
        }
    }
}

proptest! {
    #![proptest_config(cases(400))]

    /// A margin of 0 has its reason, and the reason is so.
    #[test]
    fn a_margin_of_0_says_why(plan in prop_oneof![ordinary(), hostile()], all in any::<bool>()) {
        let Some((network, x, here, point)) = drawn(&plan) else { return untested() };
        let method = if all { Method::All } else { Method::Auto };
        let Ok(margins) = here.margins(&[Norm::L1, Norm::L2, Norm::LINF], method) else { return untested() };
        let truth = point.radii().norms;
        for (margins, truth) in margins.iter().zip(&truth) {
            prop_assume!(margins.guarantee == Guarantee::Proved);
            let (radius, position) = (margins.radius[0], margins.position[0]);
            prop_assert_eq!(position == Position::Inside, radius > 0.0);
            match position {
                Position::Boundary | Position::Tie => prop_assert_eq!(truth.approximate(), 0.0),
                // Small networks are decided; a true radius may be smaller than any float.
                Position::Undecided => prop_assert!(truth.approximate() == 0.0 || !is_exact(&network, &x)),
                _ => {}
            }
        }
    }

    /// Nor is an upper bound below the true radius.
    #[test]
    fn true_radii_are_between_their_bounds(plan in prop_oneof![ordinary(), hostile()], all in any::<bool>()) {
        let Some((_, _, here, point)) = drawn(&plan) else { return untested() };
        let method = if all { Method::All } else { Method::Auto };
        let Ok(margins) = here.margins(&[Norm::L1, Norm::L2, Norm::LINF], method) else { return untested() };
        for (margins, truth) in margins.iter().zip(&point.radii().norms) {
            prop_assume!(margins.guarantee == Guarantee::Proved);
            let upper = here.upper_bounds(margins).unwrap()[0];
            // The true radius as a float is off by its rounding, more among the smallest numbers.
            let truth = truth.approximate();
            prop_assert!(upper >= truth * (1.0 - 1e-15) || upper < f64::MIN_POSITIVE, "{:e} {:e}", upper, truth);
        }
    }

    /// No step along a line goes further than the pattern of the input.
    #[test]
    fn no_step_exceeds_the_truth(
        plan in prop_oneof![ordinary(), hostile()],
        numbers in prop::collection::vec(-1.0f64..1.0, 64),
    ) {
        let Some((network, _, here, point)) = drawn(&plan) else { return untested() };
        // Where entries of a maximum are exactly equal the input has several patterns, and rounding may select another one than the
        // oracle does.
        prop_assume!(!here.on_boundary()[0]);
        let size = network.input_size();
        let direction: Vec<f64> = numbers.iter().copied().cycle().take(size).collect();
        let shape = [&[1, 1], network.input_shape()].concat();
        let tensor = Tensor::from_vec(direction.clone(), shape, &Device::Cpu).unwrap();
        if let Ok(along) = here.directional_margins(&tensor)
            && along.guarantee == Guarantee::Proved
        {
            let direction: Vec<Rational> = direction.iter().map(|d| exact(*d).unwrap()).collect();
            let truth = point.directional(&direction);
            prop_assert!(truth.covers(along.step[0]), "{:e} instead of {:e}", along.step[0], truth.approximate());
        }
        let Ok(axes) = here.axis_margins() else { return untested() };
        prop_assume!(axes.guarantee == Guarantee::Proved);
        for (k, step) in axes.step.iter().enumerate() {
            let mut axis = vec![Rational::ZERO; size];
            axis[k % size] = exact(if k < size { 1.0 } else { -1.0 }).unwrap();
            let truth = point.directional(&axis);
            prop_assert!(truth.covers(*step), "axis {}: {:e} instead of {:e}", k, step, truth.approximate());
        }
    }

    #[test]
    fn points_of_certified_balls_stay(plan in prop_oneof![ordinary(), hostile()], seed in any::<[u8; 32]>()) {
        points_stay(&plan, &mut TestRng::from_seed(RngAlgorithm::ChaCha, &seed), 9)?;
    }

    /// Half-spaces are off the true ones by no more than they say.
    #[test]
    fn half_spaces_know_their_errors(plan in prop_oneof![ordinary(), hostile()]) {
        let Some((_, x, here, point)) = drawn(&plan) else { return untested() };
        // Errors are bounded of networks whose sides are.
        let Ok(around) = here.surroundings(0, Norm::LINF) else { return untested() };
        prop_assume!(here.undecided()[0] == 0 && !here.on_boundary()[0] && around.guarantee() == Guarantee::Proved);
        let Ok(polyhedron) = here.polyhedron(0) else { return untested() };
        let x: Vec<Rational> = x.flatten_all().unwrap().to_vec1::<f64>().unwrap().into_iter().map(|x| exact(x).unwrap()).collect();
        for (at, truth) in point.neurons.iter().enumerate() {
            let (normal, error) = (&polyhedron.normals[at], polyhedron.errors[at]);
            let side = if truth.value < Rational::ZERO { -Rational::ONE } else { Rational::ONE };
            let mut along = Rational::ZERO;
            let mut off = Rational::ZERO;
            for (k, x) in x.iter().enumerate() {
                let g = truth.gradient.get(k).cloned().unwrap_or(Rational::ZERO);
                along += &g * x;
                let difference = exact(normal[k]).unwrap() - &side * g;
                off += if difference < Rational::ZERO { -difference } else { difference };
            }
            let difference = exact(polyhedron.offsets[at]).unwrap() - side * (&truth.value - along);
            let difference = if difference < Rational::ZERO { -difference } else { difference };
            for (found, bound) in [(off, error.normal), (difference, error.offset)] {
                prop_assert!(exact(bound).is_none_or(|bound| found <= bound), "neuron {}: {:e} > {:e}", at, nearest(&found), bound);
            }
        }
    }

    /// On the pattern that an input has, the affine map is the network; on another one some neuron is on the wrong side.
    #[test]
    fn the_pattern_of_an_input_is_feasible(plan in prop_oneof![ordinary(), hostile()]) {
        let Some((network, x, here, point)) = drawn(&plan) else { return untested() };
        let Ok(evaluator) = Exact::new(&network, 1 << 24) else { return untested() };
        let pieces = pieces(&here);
        let x = x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let on = evaluator.at_pattern(&x, &pieces).unwrap();
        // Decided sides are true ones; of equal entries either may be selected.
        prop_assume!(here.undecided()[0] == 0 && !here.on_boundary()[0]);
        for (neuron, truth) in point.neurons.iter().enumerate() {
            let number = on.pre_activation(neuron);
            let [below, above] = [number.lower(), number.upper()].map(exact);
            let is_within = below.is_none_or(|below| below <= truth.value)
                && above.is_none_or(|above| truth.value <= above);
            prop_assert!(is_within, "neuron {}: {:e} is not in {:?}", neuron, nearest(&truth.value), number);
        }
        prop_assert!(evaluator.at_pattern(&x, &pieces[..pieces.len().saturating_sub(1)]).is_err() || pieces.is_empty());
    }
}

/// Evaluates points of the certified balls around the input of a plan exactly, most of them on the border, and checks that each
/// is in the region: on the input's pattern no neuron is on another side. How many points there were.
fn points_stay(plan: &Plan, rng: &mut TestRng, count: usize) -> Result<usize, TestCaseError> {
    let Some((network, x, here, _)) = drawn(plan) else {
        return Ok(0);
    };
    let norms = [Norm::L1, Norm::L2, Norm::LINF];
    let Ok(exact) = Exact::new(&network, 1 << 24) else {
        return Ok(0);
    };
    let Ok(margins) = here.margins(&norms, Method::Auto) else {
        return Ok(0);
    };
    let (x, pieces) = (x.flatten_all().unwrap(), pieces(&here));
    let x = x.to_vec1::<f64>().unwrap();
    let own = exact.at_pattern(&x, &pieces).unwrap();
    let mut looked = 0;
    for of in margins
        .iter()
        .filter(|of| of.guarantee == Guarantee::Proved)
    {
        let radius = of.radius[0].min(1e6);
        if radius == 0.0 || here.undecided()[0] > 0 {
            continue;
        }
        for k in 0..count {
            let axis = rng.random_range(0..x.len());
            let way = |i: usize| match (k % 3, of.norm) {
                (0, Norm::L1) => f64::from(u8::from(i == axis)),
                (0, Norm::LINF) => f64::from(rng.random_range(0..2u8)) * 2.0 - 1.0,
                _ => rng.random_range(-1.0..1.0),
            };
            let way: Vec<f64> = (0..x.len()).map(way).collect();
            let length = of.norm.of(&way);
            let point = |share: f64| {
                let moved = x
                    .iter()
                    .zip(&way)
                    .map(|(x, d)| x + share * radius / length * d);
                let moved: Vec<f64> = moved.collect();
                let step: Vec<f64> = moved.iter().zip(&x).map(|(a, b)| a - b).collect();
                // A difference of numbers that are near each other is exact; otherwise the slack is more than its rounding.
                (of.norm.of(&step) <= radius * (1.0 - 1e-15 * x.len() as f64)).then_some(moved)
            };
            let Some(point) = [1.0, 1.0 - 1e-12, 0.9].into_iter().find_map(point) else {
                continue;
            };
            let Ok(there) = exact.at_pattern(&point, &pieces) else {
                continue;
            };
            for neuron in 0..own.neurons() {
                let (Some(here), Some(side)) = (own.side(neuron), there.side(neuron)) else {
                    continue;
                };
                prop_assert!(
                    side == here || side.is_eq(),
                    "neuron {} of {:?} at {:?}",
                    neuron,
                    of.norm,
                    point
                );
            }
            looked += 1;
        }
    }
    Ok(looked)
}

/// A long run: as many points as the variable `LOCLIN_POINTS` says, or a million.
#[test]
#[ignore = "a long run, by `cargo xtask validate --long`"]
#[allow(clippy::print_stderr, reason = "its result")]
fn a_million_points_stay() {
    let most = std::env::var("LOCLIN_POINTS").map_or(1_000_000, |text| text.parse().unwrap());
    let mut runner = TestRunner::deterministic();
    let (mut points, mut networks) = (0, 0);
    while points < most {
        let plan = match networks % 2 {
            0 => ordinary().new_tree(&mut runner).unwrap().current(),
            _ => hostile().new_tree(&mut runner).unwrap().current(),
        };
        points += points_stay(&plan, &mut runner.new_rng(), 100).unwrap();
        networks += 1;
    }
    eprintln!(
        "{points} points of balls of {networks} networks evaluated exactly: none on another side"
    );
}

/// Bytes of an image beside an edge filter: their weighted sum is often exactly 0, and computed a little above or below it. The side, and with
/// it the gradient that others are compared with, is that of the numbers themselves.
#[test]
fn where_rounding_misses_the_side_the_gradient_is_the_inputs_own() {
    const EDGE: [f64; 6] = [1.0, 2.0, 1.0, -1.0, -2.0, -1.0];
    let layer = |weight: &[&[f64]], bias: &[f64]| Layer {
        weight: weight.iter().map(|row| row.to_vec()).collect(),
        bias: bias.to_vec(),
    };
    let layers = vec![
        layer(&[&EDGE, &EDGE], &[0.0, -0.5]),
        layer(&[&[10.0, 10.0]], &[0.0]),
    ];
    let fc = Fc {
        layers,
        negative_slope: 0.0,
    };
    let network = bridge::network(&fc, DType::F64).unwrap();
    let evaluator = Exact::new(&network, 1 << 24).unwrap();
    let mut runner = TestRunner::deterministic();
    let (mut missed, mut sides) = (0, [0; 3]);
    for _ in 0..400 {
        let mut bytes: Vec<i32> = (0..6).map(|_| runner.rng().random_range(0..256)).collect();
        // The last byte makes the sum 0.
        bytes[5] = bytes[0] + 2 * bytes[1] + bytes[2] - bytes[3] - 2 * bytes[4];
        if !(0..256).contains(&bytes[5]) {
            continue;
        }
        let x: Vec<f64> = bytes.iter().map(|b| f64::from(*b) / 255.0).collect();
        let input = bridge::batch(std::slice::from_ref(&x), DType::F64).unwrap();
        let here = Linearization::new(&network, &input, Budget::default()).unwrap();
        let side = evaluator.at(&x).unwrap().side(0).unwrap();
        let computed = network.trace(&input).unwrap().signs().unwrap().unwrap();
        let computed = computed.flatten_all().unwrap().to_vec1::<f64>().unwrap()[0];
        missed += usize::from((computed > 0.0) != side.is_ge());
        sides[(side as i8 + 1) as usize] += 1;

        let at_input = if side.is_ge() { 10.0 } else { 0.0 };
        let one = Tensor::ones((1, 1, 1), DType::F64, &Device::Cpu).unwrap();
        let gradient = here.trace().pull(&one).unwrap().flatten_all().unwrap();
        let expected: Vec<f64> = EDGE.iter().map(|w| at_input * w).collect();
        assert_eq!(gradient.to_vec1::<f64>().unwrap(), expected, "{bytes:?}");
        // What explanations show beside the radius.
        let ball = Ball::new(&x, 0.25, None).unwrap();
        let shown = Distortion::around(here.trace(), ball, 0, Budget::default()).unwrap();
        let shown = shown.gradient().unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(shown, expected, "{bytes:?}");

        // In the ball the sum is anything from -2 to 2, so the gradient is 0, 10 and 20 times the filter.
        let around = here.surroundings(0, Norm::LINF).unwrap();
        let weights = vec![1.0];
        let norm = Norm::L1;
        let question = Question::Change { weights, norm };
        let bound = around.bound(0.25, &question, Limits::default()).unwrap();
        let truth = 8.0 * f64::max(at_input, 20.0 - at_input);
        assert_eq!(bound.guarantee, Guarantee::Proved);
        assert!(bound.found <= truth && truth <= bound.proved, "{bound:?}");
        assert!(bound.proved <= truth * (1.0 + 1e-9), "{bound:?}");
    }
    assert!(
        missed > 0 && sides.iter().all(|n| *n > 0),
        "{missed} {sides:?}"
    );
}

/// The same of maxima: two sums of bytes that are equal in whole numbers, and a rounding apart as computed. The selected one is that of the
/// numbers themselves, and behind it the network is on its own pieces.
#[test]
fn where_rounding_misses_the_largest_the_gradient_is_the_inputs_own() {
    const ROWS: [[f64; 6]; 2] = [
        [1.0, 2.0, 1.0, 0.0, 1.0, 0.0],
        [0.0, 3.0, 0.0, 2.0, 0.0, 1.0],
    ];
    let tensor = |numbers: &[f64], shape: &[usize]| {
        Tensor::from_slice(numbers, shape, &Device::Cpu).unwrap()
    };
    let linear = |name: &str, weight: &[f64], shape: [usize; 2], bias: &[f64]| {
        let parameters = HashMap::from([
            ("weight".to_owned(), tensor(weight, &shape)),
            ("bias".to_owned(), tensor(bias, &[shape[0]])),
        ]);
        let vars = VarBuilder::from_tensors(parameters, DType::F64, &Device::Cpu);
        (
            name.to_owned(),
            Linear::new(shape[1], shape[0], true, vars).unwrap(),
        )
    };
    // The third sum is smaller than both others, and between them.
    let sums = [ROWS[0], [0.0; 6], ROWS[1]].concat();
    let mut missed = [0; 2];
    for pools in [false, true] {
        let mut builder = NetworkBuilder::new(&[6]).unwrap();
        let (name, sums) = linear("sums", &sums, [3, 6], &[0.5, 0.0, 0.5]);
        let mut last = builder.affine(&name, sums, &[0]).unwrap();
        let largest: Arc<dyn PiecewiseLinear> = match pools {
            false => Arc::new(Maxout::new(3).unwrap()),
            true => {
                last = builder
                    .affine("image", Reshape::new(&[1, 1, 3]), &[last])
                    .unwrap();
                let window = Window2d {
                    kernel: [1, 3],
                    ..Window2d::square(1, 1, 0)
                };
                Arc::new(MaxPool2d::new(window).unwrap())
            }
        };
        last = builder
            .add("largest", Operator::PiecewiseLinear(largest), &[last])
            .unwrap();
        if pools {
            last = builder.affine("flat", Reshape::new(&[1]), &[last]).unwrap();
        }
        // Behind it a unit of slope 1.
        last = builder
            .piecewise_linear("relu", Activation::relu(), last)
            .unwrap();
        let (name, out) = linear("out", &[10.0], [1, 1], &[0.0]);
        builder.affine(&name, out, &[last]).unwrap();
        let network = builder.finish(DType::F64, &Device::Cpu).unwrap();

        let mut runner = TestRunner::deterministic();
        for _ in 0..400 {
            let mut bytes: Vec<i32> = (0..6).map(|_| runner.rng().random_range(0..256)).collect();
            // The last byte makes the sums equal.
            bytes[5] = bytes[0] - bytes[1] + bytes[2] - 2 * bytes[3] + bytes[4];
            if !(0..256).contains(&bytes[5]) {
                continue;
            }
            let x: Vec<f64> = bytes.iter().map(|b| f64::from(*b) / 255.0).collect();
            let numbers: Vec<Rational> = x.iter().map(|x| exact(*x).unwrap()).collect();
            let sum = |row: &[f64; 6]| {
                let terms = row.iter().zip(&numbers);
                terms.fold(Rational::ZERO, |sum, (w, x)| sum + exact(*w).unwrap() * x)
            };
            let own = usize::from(sum(&ROWS[1]) > sum(&ROWS[0]));
            let tie = sum(&ROWS[1]) == sum(&ROWS[0]);
            let input = bridge::batch(std::slice::from_ref(&x), DType::F64).unwrap();
            let computed = network.trace(&input).unwrap();
            let computed = computed.records().next().unwrap().pieces().unwrap();
            let computed = computed.flatten_all().unwrap().to_vec1::<u32>().unwrap()[0];
            missed[usize::from(pools)] += usize::from(!tie && computed as usize != 2 * own);

            let here = Linearization::new(&network, &input, Budget::default()).unwrap();
            let one = Tensor::ones((1, 1, 1), DType::F64, &Device::Cpu).unwrap();
            let gradient = here.trace().pull(&one).unwrap().flatten_all().unwrap();
            // Of equal sums either may be selected.
            let gradient = gradient.to_vec1::<f64>().unwrap();
            let is = |row: usize| gradient == ROWS[row].map(|w| 10.0 * w);
            assert!(is(own) || tie && is(1 - own), "{bytes:?}");
            assert!(
                here.pre_activations()
                    .iter()
                    .all(|z| z.iter().all(|z| *z >= 0.0))
            );

            // Nothing is left open, and no radius exceeds the true one: the difference over the length of its gradient.
            assert_eq!(here.undecided()[0], 0, "{bytes:?}");
            let margins = &here.margins(&[Norm::L1], Method::Auto).unwrap()[0];
            assert_eq!(
                margins.position[0],
                if tie { Position::Tie } else { Position::Inside }
            );
            let difference = sum(&ROWS[own]) - sum(&ROWS[1 - own]);
            let radius = exact(margins.radius[0]).unwrap() * exact(2.0).unwrap();
            assert!(radius <= difference, "{bytes:?}");

            let around = here.surroundings(0, Norm::LINF).unwrap();
            assert_eq!(around.guarantee(), Guarantee::Proved, "{bytes:?}");
            let (weights, norm) = (vec![1.0], Norm::L1);
            let question = Question::Change { weights, norm };
            let bound = around.bound(0.01, &question, Limits::default()).unwrap();
            let both = ROWS[0].iter().zip(&ROWS[1]);
            let truth = 10.0 * both.map(|(a, b)| (a - b).abs()).sum::<f64>();
            assert!(bound.found <= truth && truth <= bound.proved, "{bound:?}");
            assert!(bound.proved <= truth * (1.0 + 1e-9), "{bound:?}");
        }
    }
    assert!(missed.iter().all(|n| *n > 0), "{missed:?}");
}
