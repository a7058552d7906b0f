//! Balls cut with the domain of inputs, against exact rational arithmetic, adversarial points, and each other.

use crate::{Case, cases, dot, untested};
use candle_core::{DType, Device, Tensor};
use loclin_models::{Module, Network};
use loclin_regions::exact::Exact;
use loclin_regions::{Budget, Domain, Guarantee, Linearization, Method, Norm, Position, patterns};
use loclin_tests::bridge;
use loclin_tests::exact::{Drawn, Graph, Plan, Point, Rational, Ways, exact, hostile, ordinary};
use loclin_tests::strategies::{LARGE, SMALL, norms, recipes};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::LINF];

/// What double precision may lose of a radius: as without a domain, and what cancels between a value and the part of it that numbers
/// at their ends take.
const ORDINARY: f64 = 1e-6;

/// A domain around an input, with rooms that are some times `unit`: none, about the margin, or without end.
fn domain_around(x: &[f64], unit: f64, seed: u64) -> Domain {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let unit = if unit.is_finite() && unit > 0.0 {
        unit
    } else {
        1.0
    };
    let mut way = || {
        let times = [0.0, 0.0, 0.3, 1.0, 1.7, 4.0, 30.0, f64::INFINITY];
        unit * times[rng.random_range(0..times.len())] * rng.random_range(0.5..1.0)
    };
    // Sums are rounded: the domain is what it is, and the oracle reads it.
    let low = x.iter().map(|x| x - way()).collect();
    let high = x.iter().map(|x| x + way()).collect();
    Domain::new(low, high).unwrap()
}

fn ways(domain: &Domain, x: &[f64]) -> Ways {
    let ends = domain.low().iter().zip(domain.high());
    let of = |(x, (low, high)): (&f64, (&f64, &f64))| {
        let x = exact(*x).unwrap();
        let down = exact(*low).map(|low| &x - low);
        let up = exact(*high).map(|high| high - &x);
        [down, up]
    };
    x.iter().zip(ends).map(of).collect()
}

/// A network with the exact truth at one input, and a domain around it.
struct Cut {
    network: Network,
    x: Vec<f64>,
    domain: Domain,
    whole: Linearization,
    cut: Linearization,
    point: Point,
}

/// `None` where the library or the oracle refuses the network, or nothing is proved of it.
fn cut(plan: &Plan, seed: u64) -> Option<Cut> {
    let drawn: Drawn = plan.draw().ok()?;
    let network = drawn.network().ok()?.to(DType::F64, &Device::Cpu).ok()?;
    let batch = drawn.batch().ok()?.to_dtype(DType::F64).ok()?;
    let whole = Linearization::new(&network, &batch, Budget::default()).ok()?;
    let margins = whole.margins(&[Norm::LINF], Method::Auto).ok()?;
    if margins[0].guarantee != Guarantee::Proved {
        return None;
    }
    let x = batch
        .get(0)
        .ok()?
        .flatten_all()
        .ok()?
        .to_vec1::<f64>()
        .ok()?;
    let point = Graph::of(&network).ok()?.at(&x).ok()?;
    let domain = domain_around(&x, margins[0].radius[0], seed);
    let cut = whole.clone().within(domain.clone()).unwrap();
    Some(Cut {
        network,
        x,
        domain,
        whole,
        cut,
        point,
    })
}

proptest! {
    #![proptest_config(cases(400))]

    /// By every way: at most the exact one, at least that of the whole ball, and infinite only where the exact one is.
    #[test]
    fn no_radius_exceeds_the_truth(
        plan in prop_oneof![ordinary(), hostile()], seed: u64, all: bool
    ) {
        let Some(cut) = cut(&plan, seed) else { return untested() };
        let method = if all { Method::All } else { Method::Auto };
        let truths = cut.point.radii_within(&ways(&cut.domain, &cut.x)).norms;
        // A gradient that overflows is an error without a domain, too.
        let Ok(whole) = cut.whole.margins(&NORMS, method) else { return untested() };
        let found = cut.cut.margins(&NORMS, method).unwrap();
        for ((found, truth), whole) in found.iter().zip(&truths).zip(&whole) {
            let radius = found.radius[0];
            // Of an estimate nothing is claimed.
            let claims = found.guarantee != Guarantee::Estimate;
            prop_assert!(!claims || truth.covers(radius), "{:e} instead of {:e}", radius, truth.approximate());
            // The whole ball's gradients are pushed, these are pulled: each has its rounding.
            prop_assert!(radius >= whole.radius[0] * (1.0 - ORDINARY) || !truth.covers(whole.radius[0]), "{:e} {:e}", radius, whole.radius[0]);
            prop_assert_eq!(found.domain.as_deref(), Some(&cut.domain));
            prop_assert!(found.limiting[0].is_some() != radius.is_infinite());
            prop_assert!((radius == 0.0) == (found.position[0] != Position::Inside));
        }
        // By other ways, too.
        for method in [Method::Bound, Method::Estimate(Default::default())] {
            for (norm, truth) in NORMS.iter().zip(&truths) {
                if cut.whole.margins(&[*norm], method).is_err() {
                    continue;
                }
                let found = cut.cut.margins(&[*norm], method).unwrap().remove(0);
                let claims = found.guarantee != Guarantee::Estimate;
                prop_assert!(!claims || truth.covers(found.radius[0]), "{method} in l{norm}: {:e} instead of {:e}", found.radius[0], truth.approximate());
            }
        }
    }

    /// On ordinary networks they are the exact ones but for rounding, and so are their upper bounds.
    #[test]
    fn radii_are_the_exact_ones_but_for_rounding(plan in ordinary(), seed: u64) {
        let Some(cut) = cut(&plan, seed) else { return untested() };
        let truths = cut.point.radii_within(&ways(&cut.domain, &cut.x)).norms;
        for (found, truth) in cut.cut.margins(&NORMS, Method::Auto).unwrap().iter().zip(&truths) {
            // Where the domain has no end, the error of a gradient has none.
            let never = truth.value.is_none() && found.radius[0] > 1e9;
            // Of quotients by a deviation only bounds are known: two that are equal are not seen to be.
            if plan.standardized && found.position[0] == Position::Undecided {
                prop_assert!(found.radius[0] == 0.0);
                continue;
            }
            prop_assert!(never || truth.excess(found.radius[0]).abs() <= ORDINARY, "{:e} instead of {:e}", found.radius[0], truth.approximate());
            if never {
                continue;
            }
            let upper = cut.cut.upper_bounds(found).unwrap()[0];
            prop_assert!(!truth.covers(upper) || truth.approximate() == upper, "{upper:e} is below {:e}", truth.approximate());
            prop_assert!(upper <= found.radius[0] * (1.0 + ORDINARY) || found.radius[0] == 0.0, "{upper:e} for {:e}", found.radius[0]);
        }
    }

    /// Exact arithmetic is right to the last digit.
    #[test]
    fn exact_radii_are_between_neighbouring_floats(plan in prop_oneof![ordinary(), hostile()], seed: u64) {
        let Some(cut) = cut(&plan, seed) else { return untested() };
        let Ok(network) = Exact::new(&cut.network, 1 << 24) else { return untested() };
        let Ok(here) = network.at(&cut.x) else { return untested() };
        let all_exact = (0..here.neurons()).all(|at| here.pre_activation(at).is_exact());
        let Ok(found) = here.within(&cut.domain).unwrap().radii(&NORMS, 1 << 24) else { return untested() };
        for (found, truth) in found.iter().zip(&cut.point.radii_within(&ways(&cut.domain, &cut.x)).norms) {
            prop_assert!(truth.covers(found.lower), "{:e} above {:e}", found.lower, truth.approximate());
            if !all_exact {
                continue;
            }
            let rounded = truth.value.is_none() || found.lower == f64::MAX || !truth.covers(found.lower.next_up());
            prop_assert!(rounded, "{:e} is not the largest float below {:e}", found.lower, truth.approximate());
            prop_assert!(found.upper == found.lower || found.upper == found.lower.next_up());
            prop_assert!(truth.value.is_some() || found.lower.is_infinite());
            prop_assert!(!found.refutes(found.lower) && (found.lower.is_infinite() || found.refutes(found.lower.next_up())));
        }
    }

    /// A step along an axis is that of the whole line, or the domain ends before.
    #[test]
    fn steps_end_with_the_domain(plan in ordinary(), seed: u64) {
        let Some(cut) = cut(&plan, seed) else { return untested() };
        let (whole, within) = (cut.whole.axis_margins().unwrap(), cut.cut.axis_margins().unwrap());
        let size = cut.x.len();
        for (k, (whole, step)) in whole.step.iter().zip(&within.step).enumerate() {
            let [down, up] = &ways(&cut.domain, &cut.x)[k % size];
            let way = if k < size { up } else { down };
            let reaches = |step: f64| way.as_ref().is_none_or(|way| exact(step).is_some_and(|step| step <= *way));
            let stays = way.as_ref() == Some(&Rational::ZERO);
            match *step == f64::INFINITY {
                true => prop_assert!(*whole == f64::INFINITY || stays || !reaches(*whole), "{k}: {whole:e}"),
                false => prop_assert!(step == whole && !stays),
            }
        }
        let eye = Tensor::eye(size, DType::F64, &Device::Cpu).unwrap();
        let shape = [&[1, 2 * size], cut.network.input_shape()].concat();
        let both = Tensor::cat(&[&eye, &eye.neg().unwrap()], 0).unwrap().reshape(shape).unwrap();
        let along = cut.cut.directional_margins(&both).unwrap();
        for (a, b) in within.step.iter().zip(&along.step) {
            let near = a == b || (a / b - 1.0).abs() < 1e-6 || a.min(*b) > 1e9;
            prop_assert!(near || cut.whole.undecided()[0] > 0 || cut.whole.on_boundary()[0], "{a:e} {b:e}");
        }
    }
}

proptest! {
    #![proptest_config(cases(128))]

    /// Inside nothing changes side at the corners that a neuron's gradient leads to, nor at random ones; just outside the neuron
    /// that limits does.
    #[test]
    fn adversarial_points_agree(recipe in recipes(LARGE), p in norms(), seed: u64) {
        let case = Case::new(&recipe, 1);
        prop_assume!(!case.is_doubtful());
        let (x, whole) = (&case.points[0], case.linearization());
        prop_assume!(whole.undecided()[0] == 0 && !whole.on_boundary()[0]);
        let norm = Norm::new(p).unwrap();
        let unit = whole.margins(&[Norm::LINF], Method::Auto).unwrap()[0].radius[0];
        prop_assume!(unit > 1e-6 && unit < 1e6);
        let domain = domain_around(x, unit, seed);
        let cut = whole.clone().within(domain.clone()).unwrap();
        let margins = cut.margins(&[norm], Method::Auto).unwrap().remove(0);
        let (radius, polyhedron) = (margins.radius[0], cut.polyhedron(0).unwrap());
        let by_rows = polyhedron.margin(x, norm);
        prop_assert!(by_rows == radius || radius > 1e9 * unit || (by_rows / radius - 1.0).abs() < 1e-6, "{by_rows:e} {radius:e}");
        let pattern = patterns(whole.trace()).unwrap().remove(0);
        let changes = |moves: &[f64]| {
            let point: Vec<f64> = x.iter().zip(moves).map(|(x, d)| x + d).collect();
            let there = case.network.trace(&bridge::batch(&[point], DType::F64).unwrap()).unwrap();
            patterns(&there).unwrap()[0] != pattern
        };
        let gradients = whole.neuron_jacobians().unwrap().remove(0);
        let values = &whole.pre_activations()[0];
        let t = radius.min(100.0 * unit);
        for (z, gradient) in values.iter().zip(gradients.iter()) {
            let moves = steepest((z, gradient), x, &domain, p, t * (1.0 - 1e-6));
            prop_assert!(!changes(&moves));
        }
        if let Some(at) = margins.limiting[0].and_then(|neuron| cut.position(neuron)) {
            let (z, gradient) = (values[at], &gradients[at]);
            let moves = steepest((&z, gradient), x, &domain, p, radius * (1.0 + 1e-6));
            let there = z + dot(gradient, &moves);
            // Where a side has no end, the error of a gradient may reach the boundary, far away.
            // Nor does the bisection find moves of which powers vanish.
            let unknown = radius > 1e9 * unit || p > 1.0 && p < 1.1;
            prop_assert!(unknown || there * z.signum() <= 1e-9 * z.abs(), "{there:e} of {z:e}");
        } else {
            prop_assert!(radius.is_infinite());
        }
    }
}

/// The moves within the domain, of norm `p` at most about `t`, that bring a value nearest to 0: found by bisection.
fn steepest((z, gradient): (&f64, &[f64]), x: &[f64], domain: &Domain, p: f64, t: f64) -> Vec<f64> {
    let room = |i: usize| match gradient[i] * z.signum() > 0.0 {
        true => x[i] - domain.low()[i],
        false => domain.high()[i] - x[i],
    };
    let sign = |i: usize| -(gradient[i] * z.signum()).signum();
    let indices = 0..x.len();
    if p == 1.0 {
        let mut order: Vec<usize> = indices.filter(|i| gradient[*i] != 0.0).collect();
        order.sort_by(|a, b| gradient[*b].abs().total_cmp(&gradient[*a].abs()));
        let (mut moves, mut left) = (vec![0.0; x.len()], t);
        for i in order {
            let step = room(i).min(left);
            moves[i] = sign(i) * step;
            left -= step;
        }
        return moves;
    }
    let most = gradient.iter().fold(0.0f64, |most, g| most.max(g.abs()));
    if most == 0.0 {
        return vec![0.0; x.len()];
    }
    let at = |tau: f64| -> Vec<f64> {
        let weight = |i: usize| (gradient[i].abs() / most).powf(1.0 / (p - 1.0));
        let step = |i: usize| match gradient[i] == 0.0 {
            true => 0.0,
            false => sign(i) * (tau * weight(i)).min(room(i)),
        };
        indices.clone().map(step).collect()
    };
    let (mut low, mut high) = (0.0, 1.0);
    while loclin_tests::norm(&at(high), p) < t && high < 1e300 {
        high *= 4.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        match loclin_tests::norm(&at(middle), p) <= t {
            true => low = middle,
            false => high = middle,
        }
    }
    at(low)
}

#[test]
fn a_domain_is_refused_that_an_input_is_not_in() {
    let recipe = recipes(SMALL);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let recipe = proptest::strategy::Strategy::new_tree(&recipe, &mut runner).unwrap();
    let case = Case::new(&proptest::strategy::ValueTree::current(&recipe), 2);
    let size = case.points[0].len();
    let here = case.linearization();
    for wrong in [
        Domain::uniform(size + 1, -100.0, 100.0).unwrap(),
        Domain::uniform(size, 1000.0, 1001.0).unwrap(),
    ] {
        assert!(here.clone().within(wrong).is_err());
    }
    // In a domain of one point nothing changes.
    let x = case.points[0].clone();
    let point = Domain::new(x.clone(), x.clone()).unwrap();
    let batch = bridge::batch(&[x], DType::F64).unwrap();
    let here = Linearization::new(&case.network, &batch, Budget::default()).unwrap();
    let here = here.within(point).unwrap();
    for margins in here.margins(&NORMS, Method::Auto).unwrap() {
        assert_eq!(
            (margins.radius[0], margins.limiting[0]),
            (f64::INFINITY, None)
        );
    }
    assert!(case.network.forward(&batch).is_ok());
}
