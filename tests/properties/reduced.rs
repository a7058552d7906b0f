//! Balls in which units change their selection: the reduced network against the whole one, bounds against random and adversarial
//! inputs, and exact values against every region of a segment in rational arithmetic.

use crate::{cases, numbers, untested};
use candle_core::{DType, Device, Tensor};
use loclin_models::{Mlp, Network, Parameters};
use loclin_regions::reduced::{Limits, Question, Reason, Step, Surroundings, Threshold};
use loclin_regions::{Budget, Domain, Guarantee, Linearization, Method, Norm, Position};
use loclin_tests::exact::{Block, Graph, Numbers, Plan, Rational, Stretch, nearest, ordinary};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What rounding of a plain evaluation may do to a number of about this size.
pub(crate) const ROUNDING: f64 = 1e-9;

/// What is as good as 0.
pub(crate) const TINY: f64 = 1e-280;

/// Parts of a ball that a test looks at.
pub(crate) const LIMITS: Limits = Limits {
    time: None,
    parts: 400,
    proof: true,
};

/// A drawn network at its input.
pub(crate) struct Drawn {
    pub(crate) network: Network,
    pub(crate) x: Vec<f64>,
    here: Linearization,
    /// In l_inf.
    pub(crate) margin: f64,
}

/// `None` where the library refuses the network, or nothing is proved of it.
pub(crate) fn drawn(plan: &Plan) -> Option<Drawn> {
    let drawn = plan.draw().ok()?;
    let network = drawn.network().ok()?.to(DType::F64, &Device::Cpu).ok()?;
    let batch = drawn.batch().ok()?.to_dtype(DType::F64).ok()?;
    let here = Linearization::new(&network, &batch, Budget::default()).ok()?;
    let margins = here.margins(&[Norm::LINF], Method::Auto).ok()?;
    (margins[0].guarantee == Guarantee::Proved).then(|| Drawn {
        network,
        x: numbers(&batch),
        here,
        margin: margins[0].radius[0],
    })
}

/// The outputs and their gradients at an input, by the network itself.
pub(crate) fn plain(network: &Network, x: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let shape = [&[1], network.input_shape()].concat();
    let x = Tensor::from_slice(x, shape, &Device::Cpu).unwrap();
    let trace = network.trace(&x).unwrap();
    let count = network.output_size();
    let units = Tensor::eye(count, DType::F64, &Device::Cpu)
        .unwrap()
        .unsqueeze(0)
        .unwrap();
    let rows = trace
        .pull(&units)
        .unwrap()
        .flatten_from(2)
        .unwrap()
        .squeeze(0)
        .unwrap();
    (numbers(trace.output()), rows.to_vec2().unwrap())
}

pub(crate) fn difference(gradients: &[Vec<f64>]) -> Vec<f64> {
    gradients[0]
        .iter()
        .zip(&gradients[1])
        .map(|(a, b)| a - b)
        .collect()
}

/// Inputs in a ball cut with the domain: random ones, and corners.
pub(crate) fn inputs(
    drawn: &Drawn,
    norm: Norm,
    radius: f64,
    domain: Option<&Domain>,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<f64>> {
    let size = drawn.x.len();
    (0..40)
        .map(|number| {
            let mut delta: Vec<f64> = (0..size).map(|_| rng.random_range(-1.0..1.0)).collect();
            if number % 3 == 0 {
                delta.iter_mut().for_each(|v| *v = v.signum());
            }
            if number % 3 == 1 {
                let at = rng.random_range(0..size);
                delta
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, v)| *v *= f64::from(i == at));
            }
            let share = if number % 2 == 0 {
                1.0
            } else {
                rng.random_range(0.0..1.0)
            };
            let length = norm.of(&delta).max(1e-300);
            let place = |(at, v): (usize, &f64)| {
                let moved = drawn.x[at] + v * share * radius * (1.0 - 1e-12) / length;
                match domain {
                    Some(domain) => moved.clamp(domain.low()[at], domain.high()[at]),
                    None => moved,
                }
            };
            delta.iter().enumerate().map(place).collect()
        })
        .collect()
}

/// A radius some times the margin; the network may be constant around the input.
pub(crate) fn radius(margin: f64, times: f64) -> f64 {
    match margin.is_finite() && margin > 0.0 {
        true => margin * times,
        false => 0.3 * times,
    }
}

pub(crate) fn norms() -> impl Strategy<Value = Norm> {
    prop::sample::select(vec![1.0, 2.0, 3.0, f64::INFINITY]).prop_map(|p| Norm::new(p).unwrap())
}

pub(crate) fn questions() -> [Question; 5] {
    let weights = vec![1.0, -1.0];
    [
        Question::Change {
            weights: weights.clone(),
            norm: Norm::L1,
        },
        Question::Change {
            weights: weights.clone(),
            norm: Norm::L2,
        },
        Question::Length {
            weights,
            norm: Norm::LINF,
        },
        Question::Operator { norm: Norm::L2 },
        Question::Operator { norm: Norm::L1 },
    ]
}

/// What a question is at given gradients of both outputs, by its definition.
pub(crate) fn value(question: &Question, at: &[Vec<f64>], centre: &[Vec<f64>]) -> f64 {
    match question {
        Question::Change { norm, .. } => {
            let both = difference(at).into_iter().zip(difference(centre));
            norm.of(&both.map(|(a, b)| a - b).collect::<Vec<_>>())
        }
        Question::Length { norm, .. } => norm.of(&difference(at)),
        Question::Operator { norm } if *norm == Norm::L1 => {
            let sums = at[0].iter().zip(&at[1]).map(|(a, b)| a.abs() + b.abs());
            sums.fold(0.0, f64::max)
        }
        // The largest singular value of two rows, by the eigenvalues of their Gram matrix.
        Question::Operator { .. } => {
            let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
            let (a, b, c) = (
                dot(&at[0], &at[0]),
                dot(&at[0], &at[1]),
                dot(&at[1], &at[1]),
            );
            (0.5 * (a + c) + (0.25 * (a - c).powi(2) + b * b).sqrt())
                .max(0.0)
                .sqrt()
        }
        _ => f64::NAN,
    }
}

pub(crate) fn surroundings(
    drawn: &Drawn,
    norm: Norm,
    domain: Option<&Domain>,
) -> Option<Surroundings> {
    let here = match domain {
        Some(domain) => drawn.here.clone().within(domain.clone()).unwrap(),
        None => drawn.here.clone(),
    };
    here.surroundings(0, norm).ok()
}

proptest! {
    #![proptest_config(cases(150))]

    /// Inside the ball the reduced network is the network, and no input is beyond a bound.
    #[test]
    fn no_input_of_a_ball_is_beyond_its_bounds(
        plan in ordinary(),
        norm in norms(),
        times in prop::sample::select(vec![0.9, 3.0, 20.0]),
        cut in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let Some(drawn) = drawn(&plan) else { return untested() };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let radius = radius(drawn.margin, times);
        let domain = cut.then(|| {
            let mut ends = |sign: f64| -> Vec<f64> {
                drawn.x.iter().map(|x| x + sign * radius * rng.random_range(0.0..1.2)).collect()
            };
            Domain::new(ends(-1.0), ends(1.0)).unwrap()
        });
        let Some(around) = surroundings(&drawn, norm, domain.as_ref()) else { return untested() };
        let (values, centre) = plain(&drawn.network, &drawn.x);
        let function = around.function(radius, &[1.0, -1.0]).unwrap();
        let bounds = questions().map(|question| around.bound(radius, &question, LIMITS).unwrap());
        let class = usize::from(values[1] > values[0]);
        let class_bound = around.bound(radius, &Question::Class { class }, LIMITS).unwrap();
        let signs = Question::Signs { weights: vec![1.0, -1.0] };
        let signs = around.bound(radius, &signs, LIMITS).unwrap();
        for input in inputs(&drawn, norm, radius, domain.as_ref(), &mut rng) {
            let (values, gradients) = plain(&drawn.network, &input);
            let size: f64 = values.iter().map(|v| v.abs()).fold(1.0, f64::max);
            let off = (function.value(&input) - (values[0] - values[1])).abs();
            prop_assert!(off <= ROUNDING * size, "value off by {off:e}");
            let length: f64 = gradients.iter().flatten().map(|g| g.abs()).fold(1e-300, f64::max);
            for (question, bound) in questions().iter().zip(&bounds) {
                let own = value(question, &gradients, &centre);
                prop_assert!(
                    own <= bound.proved + ROUNDING * length,
                    "{question:?}: {own} above {}, {} units, {} parts", bound.proved, bound.units, bound.parts
                );
            }
            let beyond = values[1 - class] - values[class];
            prop_assert!(beyond <= class_bound.proved + ROUNDING * size);
            let both = difference(&gradients).into_iter().zip(difference(&centre)).enumerate();
            for (at, (g, c)) in both {
                let keeps = g * c > 0.0 || g.abs().min(c.abs()) <= ROUNDING * length;
                prop_assert!(keeps || signs.may_change_sign[at]);
            }
        }
        let class = (Question::Class { class }, class_bound);
        for (question, bound) in questions().into_iter().zip(&bounds).chain([(class.0, &class.1)]) {
            let proof = bound.proof.clone().unwrap();
            let checked = around.check(radius, &question, &proof).unwrap();
            prop_assert!(checked <= bound.proved, "{question:?}: {checked} checked of {}", bound.proved);
            // A part less, and a part that is said to be empty.
            let mut less = proof.clone();
            less.steps.pop();
            prop_assert!(around.check(radius, &question, &less).is_err());
            let mut empty = proof;
            let bounded = |step: &Step| matches!(step, Step::Part(Reason::Bound { .. }));
            if let Some(at) = empty.steps.iter().position(bounded) {
                empty.steps[at] = Step::Part(Reason::Ranges);
                prop_assert!(around.check(radius, &question, &empty).is_err());
                let (factors, all) = (vec![0.0], false);
                empty.steps[at] = Step::Part(Reason::Factors { factors, all });
                prop_assert!(around.check(radius, &question, &empty).is_err());
            }
        }
        for (question, bound) in questions().iter().zip(&bounds) {
            prop_assert!(bound.found <= bound.proved);
            let (_, gradients) = plain(&drawn.network, &bound.witness);
            let own = value(question, &gradients, &centre);
            prop_assert!((own - bound.found).abs() <= ROUNDING * own.abs().max(bound.found.abs()).max(1e-300));
            let way: Vec<f64> = bound.witness.iter().zip(&drawn.x).map(|(a, b)| a - b).collect();
            prop_assert!(norm.of(&way) <= radius * (1.0 + 1e-12) + 1e-15 * norm.of(&drawn.x));
        }
    }

    /// Where the domain leaves room along one axis only, the ball is a segment; all of its regions are known without rounding,
    /// and branching finds the exact value.
    #[test]
    fn along_a_segment_the_answer_is_exact(
        plan in ordinary(),
        at in any::<prop::sample::Index>(),
        times in prop::sample::select(vec![2.0, 10.0, 50.0]),
    ) {
        exact_along_a_segment(&plan, |axes| at.index(axes), times)?;
    }

    /// The largest radius for a change: at least the margin, and its ball keeps to it.
    #[test]
    fn the_largest_radius_for_a_change_keeps_to_it(
        plan in ordinary(),
        norm in norms(),
        share in 0.05..0.9,
    ) {
        largest_keeps_to_it(&plan, norm, share)?;
    }
}

/// Networks with maxima of copies of one number: their differences are 0 everywhere, but computed as 1e-17.
fn equal_entries(seed: u64) -> Plan {
    use Block::{Linear, Maxout, Prelu, Relu, Resample, Scale, Translate};
    Plan {
        input: vec![2],
        blocks: vec![
            Scale, Prelu, Translate, Relu, Resample, Maxout, Linear, Relu,
        ],
        numbers: Numbers::Gaussian,
        quirks: Vec::new(),
        standardized: false,
        rescale: 0,
        ties: 0,
        single: false,
        seed,
    }
}

#[test]
fn a_maximum_of_equal_entries_has_no_boundary() {
    for seed in (0..200).chain([1_900_103_278_450_931_866]) {
        let plan = equal_entries(seed);
        for axis in 0..2 {
            exact_along_a_segment(&plan, |_| axis, 10.0).unwrap();
        }
        largest_keeps_to_it(&plan, Norm::LINF, 0.5).unwrap();
    }
}

fn exact_along_a_segment(
    plan: &Plan,
    axis: impl Fn(usize) -> usize,
    times: f64,
) -> Result<(), TestCaseError> {
    let Some(drawn) = drawn(plan) else {
        return Ok(());
    };
    // Two gradients meet at the input.
    if drawn.margin == 0.0 {
        return Ok(());
    }
    let way = radius(drawn.margin, times);
    let axis = axis(drawn.x.len());
    let end = |sign: f64| {
        let mut end = drawn.x.clone();
        end[axis] += sign * way;
        end
    };
    let domain = Domain::new(end(-1.0), end(1.0)).unwrap();
    let graph = Graph::of(&drawn.network).unwrap();
    let Some(stretches) = graph.stretches(&end(-1.0), &end(1.0), 200).unwrap() else {
        return Ok(());
    };
    let Some(around) = surroundings(&drawn, Norm::LINF, Some(&domain)) else {
        return Ok(());
    };
    let exactly = |x: &[f64]| graph.at(x).unwrap().output_gradients;
    let floats = |rows: &[Vec<_>]| -> Vec<Vec<f64>> {
        rows.iter()
            .map(|row| row.iter().map(nearest).collect())
            .collect()
    };
    let centre = floats(&exactly(&drawn.x));
    // Where two entries of a maximum are one function, but not in their last digits, no input has a pattern that is certain.
    let is_certain = |own: &Stretch| {
        let at = nearest(&((&own.start + &own.end) / Rational::from(2)));
        let (from, to) = (end(-1.0)[axis], end(1.0)[axis]);
        let mut middle = drawn.x.clone();
        middle[axis] = from + at * (to - from);
        let shape = [&[1], drawn.network.input_shape()].concat();
        let middle = Tensor::from_vec(middle, shape, &Device::Cpu).unwrap();
        let here = Linearization::new(&drawn.network, &middle, Budget::default()).unwrap();
        here.margins(&[Norm::LINF], Method::All).unwrap()[0].position[0] == Position::Inside
    };
    let all_are_certain = stretches.iter().all(is_certain);
    for question in questions() {
        let each = stretches
            .iter()
            .map(|own| value(&question, &floats(&own.output_gradients), &centre));
        let truth = each.fold(0.0, f64::max);
        let bound = around.bound(2.0 * way, &question, LIMITS).unwrap();
        let off = ROUNDING * truth.max(norm_of(&centre)) + TINY;
        prop_assert!(
            bound.found <= truth + off,
            "{question:?}: found {} of {truth}",
            bound.found
        );
        prop_assert!(
            bound.proved >= truth - off,
            "{question:?}: proved {} of {truth}",
            bound.proved
        );
        if bound.parts < LIMITS.parts && all_are_certain {
            prop_assert!(
                bound.found >= truth - off,
                "{question:?}: found {} of {truth}, proved {}",
                bound.found,
                bound.proved
            );
        }
    }
    Ok(())
}

fn largest_keeps_to_it(plan: &Plan, norm: Norm, share: f64) -> Result<(), TestCaseError> {
    let Some(drawn) = drawn(plan) else {
        return Ok(());
    };
    let Some(around) = surroundings(&drawn, norm, None) else {
        return Ok(());
    };
    let margin = drawn.here.margins(&[norm], Method::All).unwrap()[0].radius[0];
    let question = Question::Change {
        weights: vec![1.0, -1.0],
        norm: Norm::L2,
    };
    let limits = Limits {
        time: None,
        parts: 20,
        proof: false,
    };
    let most = radius(margin, 100.0);
    let largest = around
        .largest(&question, Threshold::Relative(share), most, limits)
        .unwrap();
    prop_assert!(
        largest.proved >= 0.98 * margin.min(most),
        "{} below the margin {margin}: {:?}",
        largest.proved,
        largest
            .curve
            .iter()
            .map(|b| (b.radius, b.found, b.proved, b.units, b.parts))
            .collect::<Vec<_>>()
    );
    prop_assert!(largest.proved <= largest.refuted);
    let (_, centre) = plain(&drawn.network, &drawn.x);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for input in inputs(&drawn, norm, largest.proved, None, &mut rng) {
        let (_, gradients) = plain(&drawn.network, &input);
        let own = value(&question, &gradients, &centre);
        prop_assert!(own <= largest.threshold * (1.0 + ROUNDING) + ROUNDING * norm_of(&centre));
    }
    Ok(())
}

/// Whether a class stays is no question about one output.
#[test]
fn a_class_needs_another_to_be_compared_with() {
    let refused = |outputs: usize, class: usize| {
        let config = Mlp {
            inputs: vec![2],
            hidden: vec![3],
            outputs,
            negative_slope: 0.0,
        };
        let parameters = Parameters::seeded(0).builder(DType::F64, &Device::Cpu);
        let network = config.build(parameters).unwrap();
        let x = Tensor::zeros((1, 2), DType::F64, &Device::Cpu).unwrap();
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        let around = here.surroundings(0, Norm::LINF).unwrap();
        around
            .bound(1.0, &Question::Class { class }, LIMITS)
            .is_err()
    };
    assert!(refused(1, 0) && refused(2, 2) && !refused(2, 1));
}

/// The largest number of some rows.
pub(crate) fn norm_of(rows: &[Vec<f64>]) -> f64 {
    rows.iter().flatten().map(|v| v.abs()).fold(0.0, f64::max)
}
