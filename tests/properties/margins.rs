//! Margins against brute force, the polyhedron, the paper's binary searches, and each other.

use crate::{Case, assert_near, cases, numbers};
use candle_core::{DType, Tensor};
use loclin_regions::{Budget, Linearization, Margins, Method, Norm, Search};
use loclin_tests::{
    Analysis, F64, Interval, bridge, norm,
    strategies::{LARGE, Numbers, Quirk, Recipe, SMALL, norms, recipes, recipes_of},
};
use proptest::{prelude::*, strategy::ValueTree};

/// Radii within the oracle's interval, each with a neuron that attains it.
fn assert_margins(case: &Case, here: &Linearization, p: f64, margins: &Margins) {
    let undecided = here.undecided();
    for (i, a) in case.analyses.iter().enumerate() {
        let (expected, radius) = (a.margin(p), margins.radius[i]);
        if undecided[i] > 0 && radius == 0.0 {
            // Gradients may cancel to 0, which float64 cannot tell.
            continue;
        }
        assert!(
            expected.is_bounded_by(radius),
            "p = {p}, input {i}: {radius:e} is not in {expected:?}"
        );
        match margins.limiting[i].and_then(|neuron| here.position(neuron)) {
            Some(j) => {
                assert!(
                    radius.is_finite() && radius <= a.distance(j, p).hi,
                    "neuron {j}: {:?}",
                    a.distance(j, p)
                );
                // What cancels to 0 float64 cannot tell from 0.
                let unknown = norm(&a.gradients[j], 1.0) + norm(&a.gradient_errors[j], 1.0);
                assert!(unknown > 0.0, "a dead unit limits: {j}");
            }
            None => assert_eq!(radius, f64::INFINITY),
        }
    }
}

/// Whether steps are the true ones but for rounding. A neuron that rounding leaves undecided has none, nor has one at exactly 0
/// along which rounding hides that nothing changes.
fn is_clear(here: &Linearization) -> bool {
    let undecided = here.undecided().iter().any(|count| *count > 0);
    !undecided && !here.on_boundary().contains(&true)
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn closed_form_is_brute_force(recipe in recipes(LARGE), single: bool, p in norms(), bytes in 1usize..100_000) {
        let mut case = Case::in_dtype(&recipe, 3, if single { DType::F32 } else { DType::F64 });
        // In float32, too, pre-activations are found in float64; gradients are not.
        for (x, a) in case.points.iter().zip(&mut case.analyses) {
            a.neuron_errors = Analysis::new(&case.fc, x, F64).neuron_errors;
        }
        prop_assume!(!case.is_doubtful());
        // Under a byte the work is done one tangent at a time; that must change nothing but rounding.
        for budget in [Budget::default(), Budget { bytes }, Budget { bytes: 1 }] {
            let here = case.linearization_within(budget);
            let all = [1.0, 2.0, f64::INFINITY, p];
            let margins = here.margins(&all.map(|p| Norm::new(p).unwrap()), Method::Auto).unwrap();
            for (p, margins) in all.iter().zip(&margins) {
                assert_margins(&case, &here, *p, margins);
            }
            let lengths = here.gradient_norms(&[Norm::new(p).unwrap()]).unwrap();
            for (a, lengths) in case.analyses.iter().zip(lengths[0].iter()) {
                let expected: Vec<f64> = a.gradients.iter().map(|g| norm(g, p)).collect();
                // The error of each entry, and 1e-13 for powers and roots.
                let error = |(g, e): (&Vec<f64>, &Vec<f64>)| norm(e, p) + 1e-13 * norm(g, p);
                let errors: Vec<f64> = a.gradients.iter().zip(&a.gradient_errors).map(error).collect();
                assert_near(lengths, &expected, &errors, "length");
            }
        }
    }

    #[test]
    fn a_batch_is_its_inputs_one_by_one(recipe in recipes(LARGE), p in norms()) {
        let case = Case::new(&recipe, 4);
        prop_assume!(!case.is_doubtful());
        let p = Norm::new(p).unwrap();
        for (i, a) in case.analyses.iter().enumerate() {
            let x = case.x.narrow(0, i, 1).unwrap();
            let alone = Linearization::new(&case.network, &x, Budget::default()).unwrap();
            let radius = alone.margins(&[p], Method::Auto).unwrap()[0].radius[0];
            prop_assert!(a.margin(p.p()).is_bounded_by(radius) || alone.undecided()[0] > 0 && radius == 0.0);
            let axes = alone.axis_margins().unwrap();
            let together = case.linearization().axis_margins().unwrap();
            for (one, many) in axes.step.iter().zip(together.of_input(i)) {
                // One closed form, with products of other shapes: another order of summation at most.
                prop_assert!(one == many || (one / many - 1.0).abs() < 1e-6 || one.min(*many) > 1e9, "{} {}", one, many);
            }
        }
    }

    /// Prop. 5: the l1 ball is the hull of its vertices, so its margin is the least along the signed axes.
    #[test]
    fn the_l1_margin_is_the_least_along_the_axes(recipe in recipes(LARGE)) {
        let here = Case::new(&recipe, 3).linearization();
        let axes = here.axis_margins().unwrap();
        let l1 = here.margins(&[Norm::L1], Method::Auto).unwrap().remove(0);
        prop_assert_eq!(axes.directions, 2 * recipe.inputs);
        for (i, radius) in l1.radius.iter().enumerate() {
            let least = axes.of_input(i).iter().copied().fold(f64::INFINITY, f64::min);
            // The same quotient, but for the bounds of its rounding: a margin's are sharper where a neuron limits it.
            prop_assert!(
                least == *radius || (least / radius - 1.0).abs() < 1e-6 || least < *radius && !is_clear(&here),
                "{} {}", least, radius
            );
        }
    }

    #[test]
    fn axes_are_directions(recipe in recipes(LARGE)) {
        let case = Case::new(&recipe, 3);
        let here = case.linearization();
        prop_assume!(is_clear(&here));
        let eye = Tensor::eye(recipe.inputs, DType::F64, &candle_core::Device::Cpu).unwrap();
        let both = Tensor::cat(&[&eye, &eye.neg().unwrap()], 0).unwrap().unsqueeze(0).unwrap();
        let (axes, directions) = (here.axis_margins().unwrap(), here.directional_margins(&both).unwrap());
        for (a, b) in axes.step.iter().zip(&directions.step) {
            prop_assert!(a == b || (a / b - 1.0).abs() < 1e-6 || a.min(*b) > 1e9, "{} {}", a, b);
        }
    }

    #[test]
    fn directional_margins_are_brute_force(recipe in recipes(LARGE), shared: bool, bytes in 1usize..100_000) {
        let case = Case::new(&recipe, 3);
        prop_assume!(!case.is_doubtful());
        let directions = recipe.vectors(2, if shared { 4 } else { 12 }, recipe.inputs);
        let shape = (if shared { 1 } else { 3 }, 4, recipe.inputs);
        let d = bridge::batch(&directions, DType::F64).unwrap().reshape(shape).unwrap();
        let here = case.linearization_within(Budget { bytes });
        let margins = here.directional_margins(&d).unwrap();
        prop_assume!(is_clear(&here));
        for (i, a) in case.analyses.iter().enumerate() {
            for (k, step) in margins.of_input(i).iter().enumerate() {
                let d = &directions[if shared { k } else { 4 * i + k }];
                prop_assert!(a.directional_margin(d).is_bounded_by(*step), "{} {:?}", step, a.directional_margin(d));
                match margins.limiting[4 * i + k].and_then(|neuron| here.position(neuron)) {
                    Some(j) => prop_assert!(*step <= a.directional_distance(j, d).hi),
                    None => prop_assert_eq!(*step, f64::INFINITY),
                }
            }
        }
    }

    /// A ball of a larger `p` contains that of a smaller one, and is contained in it `D^(1/p - 1/q)` times.
    #[test]
    fn margins_are_monotonic_in_p(recipe in recipes(LARGE), p in norms(), q in norms()) {
        let here = Case::new(&recipe, 3).linearization();
        let (p, q) = (p.min(q), p.max(q));
        let margins = here.margins(&[Norm::new(p).unwrap(), Norm::new(q).unwrap()], Method::Auto).unwrap();
        let factor = (recipe.inputs as f64).powf(1.0 / p - 1.0 / q);
        for (of_p, of_q) in margins[0].radius.iter().zip(&margins[1].radius) {
            // Powers and roots are rounded.
            prop_assert!(*of_q <= of_p * (1.0 + 1e-12) && *of_p <= factor * of_q * (1.0 + 1e-12), "{} {}", of_p, of_q);
        }
    }

    #[test]
    fn the_polyhedron_has_the_margin(recipe in recipes(LARGE), p in norms(), input in 0usize..3) {
        let case = Case::new(&recipe, 3);
        prop_assume!(!case.is_doubtful());
        let a = &case.analyses[input];
        let x = &case.points[input];
        let polyhedron = case.linearization().polyhedron(input).unwrap();
        let slack = polyhedron.slack(x);
        let values: Vec<f64> = a.neurons.iter().map(|z| z.abs()).collect();
        assert_near(&slack, &values, &a.neuron_errors, "slack");
        prop_assert!(polyhedron.contains(x, a.neuron_errors.iter().copied().fold(0.0, f64::max)));
        let margin = polyhedron.margin(x, Norm::new(p).unwrap());
        // Half a space on each side of 0 for a neuron at 0: the slack may round to a negative number.
        let expected = a.margin(p);
        let below = if expected.lo == 0.0 { -expected.hi } else { expected.lo };
        prop_assert!(below <= margin && margin <= expected.hi, "{} {:?}", margin, expected);

        // Just inside and outside along the normal of the neuron that limits it.
        let nearest = (0..values.len()).min_by(|i, j| a.distance(*i, 2.0).hi.total_cmp(&a.distance(*j, 2.0).hi)).unwrap();
        let radius = a.margin(2.0);
        if radius.is_sharp() && radius.lo > 1e-6 && radius.hi < 1e6 {
            let side = if a.pattern[nearest] { -1.0 } else { 1.0 };
            let length = norm(&a.gradients[nearest], 2.0);
            let at = |share: f64| -> Vec<f64> {
                x.iter().zip(&a.gradients[nearest]).map(|(x, g)| x + side * share * radius.hi * g / length).collect()
            };
            prop_assert!(polyhedron.contains(&at(0.999), 0.0) && !polyhedron.contains(&at(1.001), 0.0));
        }
    }
}

proptest! {
    #![proptest_config(cases(64))]

    /// The paper's way, which sees patterns only.
    #[test]
    fn closed_forms_are_within_the_binary_searches(recipe in recipes(SMALL)) {
        let case = Case::new(&recipe, 2);
        prop_assume!(!case.is_doubtful());
        let here = case.linearization();
        let l1 = here.margins(&[Norm::L1], Method::Auto).unwrap().remove(0);
        let direction = &recipe.vectors(2, 1, recipe.inputs)[0];
        let d = Tensor::new(&direction[..], &candle_core::Device::Cpu).unwrap();
        let along = here.directional_margins(&d.unsqueeze(0).unwrap().unsqueeze(0).unwrap()).unwrap();
        let search = Search::default();
        for (i, a) in case.analyses.iter().enumerate() {
            let by_search = here.l1_margin_by_search(i, search).unwrap();
            assert_bracket(by_search.inside, by_search.outside, l1.radius[i], a.margin(1.0), search);
            let by_search = here.directional_margin_by_search(i, &d, search).unwrap();
            assert_bracket(by_search.inside, by_search.outside, along.step[i], a.directional_margin(direction), search);
        }
    }

    /// Exact zeros with a gradient: the margin is 0, and such a neuron limits it.
    #[test]
    fn a_neuron_at_zero_makes_the_margin_zero(recipe in recipes_of(Numbers::Lattice, LARGE), p in norms()) {
        let recipe = Recipe { quirks: [&recipe.quirks[..], &[Quirk::NoBias]].concat(), ..recipe };
        let case = Case::new(&recipe, 8);
        let here = case.linearization();
        let margins = here.margins(&[Norm::new(p).unwrap()], Method::Auto).unwrap().remove(0);
        for (i, a) in case.analyses.iter().enumerate() {
            let at_zero = |j: usize| a.neurons[j] == 0.0 && a.gradients[j].iter().any(|g| *g != 0.0);
            let expected = (0..a.neurons.len()).find(|j| at_zero(*j));
            prop_assert!(margins.radius[i] == 0.0 || expected.is_none());
            prop_assert_eq!(here.on_boundary()[i], a.neurons.contains(&0.0));
            if margins.radius[i] == 0.0 {
                // Or one whose gradient cancels to 0, which float64 cannot tell.
                let limiting = margins.limiting[i].and_then(|neuron| here.position(neuron));
                prop_assert_eq!(limiting.map(|j| a.neurons[j]), Some(0.0));
            }
        }
    }

    /// A network whose every unit is dead is one affine map: no neuron limits it.
    #[test]
    fn dead_units_never_limit(recipe in recipes(LARGE), p in norms()) {
        let mut fc = recipe.network();
        fc.layers[0].weight.iter_mut().for_each(|row| row.fill(0.0));
        let network = bridge::network(&fc, DType::F64).unwrap();
        let x = bridge::batch(&recipe.points(2), DType::F64).unwrap();
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        let margins = here.margins(&[Norm::new(p).unwrap()], Method::Auto).unwrap().remove(0);
        prop_assert_eq!(margins.radius, vec![f64::INFINITY; 2]);
        prop_assert_eq!(margins.limiting, vec![None; 2]);
        prop_assert!(here.axis_margins().unwrap().step.iter().all(|step| step.is_infinite()));
        prop_assert!(numbers(&here.output_jacobians().unwrap()).iter().all(|v| *v == 0.0));
    }

    /// However small the gradient is, its margin is that of the same network with everything scaled up: nothing
    /// underflows to "no gradient", which would certify too much.
    #[test]
    fn small_gradients_still_limit(recipe in recipes_of(Numbers::Gaussian, LARGE), p in norms(), exponent in 1i32..30) {
        let scale = f64::from(-exponent).exp2();
        let mut fc = recipe.network();
        fc.layers[0].weight.iter_mut().flatten().for_each(|w| *w *= scale);
        fc.layers[0].bias.iter_mut().for_each(|b| *b *= scale);
        let points = recipe.points(2);
        let analyses: Vec<Analysis> = points.iter().map(|x| Analysis::new(&fc, x, F64)).collect();
        prop_assume!(!analyses.iter().any(Analysis::is_doubtful));
        let network = bridge::network(&fc, DType::F64).unwrap();
        let x = bridge::batch(&points, DType::F64).unwrap();
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        let case = Case { fc, points, analyses, network, x };
        for p in [p, 1.0 + 1e-3, 1.0 + 1e-6] {
            assert_margins(&case, &here, p, &here.margins(&[Norm::new(p).unwrap()], Method::Auto).unwrap()[0]);
        }
    }
}

/// A search's bracket must overlap the closed form, up to what rounding hides from both.
fn assert_bracket(inside: f64, outside: f64, closed: f64, expected: Interval, search: Search) {
    let found = Interval {
        lo: inside,
        hi: outside,
    };
    assert!(
        inside <= outside && found.meets(expected),
        "{found:?} for {closed:e}, known to be in {expected:?}"
    );
    if outside.is_finite() {
        // The search may stop early only where the points no longer differ: 1e-15 of a point of size 1 to 10.
        assert!(
            outside - inside <= search.relative * outside + 1e-14,
            "{found:?}"
        );
    } else {
        assert!(expected.hi * 8.0 >= search.cap, "{found:?} for {closed:e}");
    }
}

/// The suite's intervals must be worth something: nearly all are narrow.
#[test]
fn the_oracle_is_sharp() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut sharp = 0;
    for _ in 0..200 {
        let recipe = recipes(LARGE).new_tree(&mut runner).unwrap().current();
        let case = Case::new(&recipe, 1);
        sharp += usize::from(
            !case.is_doubtful() && case.analyses[0].margin(2.0).is_sharp()
                || case.analyses[0].margin(2.0).lo == 0.0,
        );
    }
    assert!(sharp >= 190, "{sharp} of 200");
}
