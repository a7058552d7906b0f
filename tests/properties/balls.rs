//! The promise itself: inside a certified ball nothing changes, and just outside it something does.

use crate::{Case, cases, numbers};
use candle_core::{DType, Tensor};
use loclin_regions::{Budget, Linearization, Method, Norm, patterns};
use loclin_tests::{
    Analysis, Fc, bridge, dual, norm,
    strategies::{LARGE, Recipe, recipes},
};
use proptest::{prelude::*, test_runner::TestRunner};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Exp1, StandardNormal};
use std::cell::Cell;

/// The share of the radius that is tried.
const INSIDE: f64 = 1.0 - 1e-9;
/// Points in each ball.
const POINTS: usize = 512;

/// A vector of lp norm at most 1; every other one on the sphere.
fn in_unit_ball(rng: &mut ChaCha8Rng, p: f64, size: usize, on_sphere: bool) -> Vec<f64> {
    let mut v: Vec<f64> = match p {
        // Half of the points of the l1 sphere are vertices: the paper's certificate.
        1.0 if rng.random() => {
            let mut vertex = vec![0.0; size];
            vertex[rng.random_range(0..size)] = 1.0;
            vertex
        }
        1.0 => (0..size).map(|_| rng.sample::<f64, _>(Exp1)).collect(),
        2.0 => (0..size).map(|_| rng.sample(StandardNormal)).collect(),
        // And half of those of the cube are its corners, where the paper gave up.
        _ if rng.random() => vec![1.0; size],
        _ => (0..size).map(|_| rng.random()).collect(),
    };
    v.iter_mut()
        .for_each(|v| *v = if rng.random() { *v } else { -*v });
    let radius = if on_sphere { 1.0 } else { rng.random::<f64>() };
    let scale = radius / norm(&v, p);
    v.iter().map(|v| v * scale).collect()
}

/// Whether no neuron comes closer to 0 within a radius than rounding reaches, in the worst case, so that a changed
/// pattern is an error and not a rounding. A neuron so close to 0 that it is hardly known has too small a ball.
pub(crate) fn is_resolved(fc: &Fc, a: &Analysis, p: f64, radius: f64) -> bool {
    let paths = Fc {
        negative_slope: fc.negative_slope.abs(),
        ..fc.absolute()
    }
    .neuron_gradients(&a.pattern);
    let q = dual(p);
    (0..a.neurons.len()).all(|j| {
        // No path from the input: every point sees the same bits.
        let is_constant = paths[j].iter().all(|path| *path == 0.0);
        let reach = radius * (norm(&a.gradients[j], q) + norm(&a.gradient_errors[j], q));
        // Once for the neuron at the centre, once for it at a point of the ball. Paths that cancel to a constant 0
        // do not cancel to the last bit, and fail here.
        is_constant || a.neurons[j].abs() - INSIDE * reach > 2.0 * a.neuron_errors[j]
    })
}

#[test]
fn nothing_changes_inside_certified_balls() {
    let (checked, drawn, unresolved) = (Cell::new(0usize), Cell::new(0usize), Cell::new(0usize));
    let config = ProptestConfig {
        source_file: Some(file!()),
        ..cases(128)
    };
    TestRunner::new(config)
        .run(&recipes(LARGE), |recipe| {
            let case = Case::new(&recipe, 2);
            let here = case.linearization();
            let all = [1.0, 2.0, f64::INFINITY];
            let margins = here
                .margins(&all.map(|p| Norm::new(p).unwrap()), Method::Auto)
                .unwrap();
            for (p, margins) in all.iter().zip(&margins) {
                for (i, x) in case.points.iter().enumerate() {
                    let radius = margins.radius[i];
                    drawn.set(drawn.get() + 1);
                    // Judged by the oracle's radius alone: too large a ball must not be excused.
                    let expected = case.analyses[i].margin(*p);
                    if expected.lo == 0.0
                        || !is_resolved(&case.fc, &case.analyses[i], *p, expected.hi.min(1e3))
                    {
                        unresolved.set(unresolved.get() + 1);
                        continue;
                    }
                    // A point on the boundary of a dead neuron only, or with no neuron to limit it, goes far.
                    assert_constant(&recipe, &case, &here, i, x, *p, INSIDE * radius.min(1e3));
                    checked.set(checked.get() + POINTS);
                }
            }
            Ok(())
        })
        .unwrap();
    let (checked, drawn, unresolved) = (checked.get(), drawn.get(), unresolved.get());
    assert!(checked >= 100_000, "only {checked} points checked");
    // Lattice networks often have neurons at 0, with a ball of radius 0: nothing to check there.
    assert!(
        unresolved * 2 < drawn,
        "{unresolved} of {drawn} balls too small"
    );
}

/// Checks points of a ball: the pattern and the gradients of the outputs, by the library and by the oracle.
fn assert_constant(
    recipe: &Recipe,
    case: &Case,
    here: &Linearization,
    i: usize,
    x: &[f64],
    p: f64,
    radius: f64,
) {
    let mut rng = recipe.rng(7);
    let points: Vec<Vec<f64>> = (0..POINTS)
        .map(|k| {
            let step = in_unit_ball(&mut rng, p, x.len(), k % 2 == 0);
            x.iter().zip(step).map(|(x, s)| x + radius * s).collect()
        })
        .collect();
    let there = Linearization::new(
        &case.network,
        &bridge::batch(&points, DType::F64).unwrap(),
        Budget::default(),
    )
    .unwrap();
    let pattern = here.patterns().unwrap().remove(i);
    assert!(
        there
            .patterns()
            .unwrap()
            .iter()
            .all(|other| *other == pattern),
        "p = {p}: another pattern within {radius:e}"
    );
    let own = numbers(&here.output_jacobians().unwrap().narrow(0, i, 1).unwrap());
    let errors = case.analyses[i].output_gradient_errors.concat();
    for (point, jacobian) in points
        .iter()
        .zip(numbers(&there.output_jacobians().unwrap()).chunks(own.len()))
    {
        assert_eq!(
            case.fc.pattern(point),
            case.analyses[i].pattern,
            "p = {p}: the oracle sees another pattern"
        );
        // The same products, in another order at most.
        assert!(
            jacobian
                .iter()
                .zip(&own)
                .zip(&errors)
                .all(|((a, b), e)| (a - b).abs() <= *e),
            "p = {p}: another gradient"
        );
    }
}

/// The unit vector of the lp norm along which a neuron approaches 0 fastest.
fn normal(gradient: &[f64], p: f64, towards: f64) -> Vec<f64> {
    let largest =
        gradient.iter().enumerate().fold(
            0,
            |k, (i, g)| if g.abs() > gradient[k].abs() { i } else { k },
        );
    let of = |(k, g): (usize, &f64)| match p {
        1.0 if k == largest => g.signum(),
        1.0 => 0.0,
        2.0 => g / norm(gradient, 2.0),
        _ if *g == 0.0 => 0.0,
        _ => g.signum(),
    };
    gradient
        .iter()
        .enumerate()
        .map(|pair| towards * of(pair))
        .collect()
}

#[test]
fn the_limiting_neuron_flips_just_outside() {
    let (tried, flipped) = (Cell::new(0usize), Cell::new(0usize));
    let config = ProptestConfig {
        source_file: Some(file!()),
        ..cases(256)
    };
    TestRunner::new(config)
        .run(&recipes(LARGE), |recipe| {
            let case = Case::new(&recipe, 4);
            let here = case.linearization();
            let start = here.patterns().unwrap();
            let all = [1.0, 2.0, f64::INFINITY];
            for (p, margins) in all.iter().zip(
                here.margins(&all.map(|p| Norm::new(p).unwrap()), Method::Auto)
                    .unwrap(),
            ) {
                for (i, x) in case.points.iter().enumerate() {
                    let (a, radius) = (&case.analyses[i], margins.radius[i]);
                    let Some(j) = margins.limiting[i].and_then(|neuron| here.position(neuron))
                    else {
                        continue;
                    };
                    // A thousandth of the distance must be more than rounding.
                    if 1e-3 * a.neurons[j].abs() <= a.neuron_errors[j] {
                        continue;
                    }
                    let step = normal(&a.gradients[j], *p, if a.pattern[j] { -1.0 } else { 1.0 });
                    let beyond: Vec<f64> = x
                        .iter()
                        .zip(&step)
                        .map(|(x, s)| x + 1.001 * radius * s)
                        .collect();
                    let trace = case
                        .network
                        .trace(
                            &Tensor::new(&beyond[..], &candle_core::Device::Cpu)
                                .unwrap()
                                .unsqueeze(0)
                                .unwrap(),
                        )
                        .unwrap();
                    prop_assert_ne!(
                        &patterns(&trace).unwrap()[0],
                        &start[i],
                        "p = {}: nothing changed",
                        p
                    );
                    let signs = numbers(&trace.signs().unwrap().unwrap());
                    let mut moved = (0..signs.len()).filter(|k| (signs[*k] > 0.0) != a.pattern[*k]);
                    // A neuron of a layer below may flip within the last thousandth, or at the same boundary (the only
                    // unit of a layer, without bias, is 0 together with all that reads it), and turn this one back.
                    let flips = (signs[j] > 0.0) != a.pattern[j];
                    tried.set(tried.get() + 1);
                    flipped.set(flipped.get() + usize::from(flips));
                    prop_assert!(
                        flips || moved.any(|k| k < j),
                        "p = {}: neuron {} did not flip",
                        p,
                        j
                    );
                }
            }
            Ok(())
        })
        .unwrap();
    let (tried, flipped) = (tried.get(), flipped.get());
    assert!(tried >= 1000, "only {tried} balls");
    assert!(
        // Of neurons with one boundary the one whose error is bounded worst is named: it may copy the one that flips.
        flipped * 10 >= tried * 9,
        "only {flipped} of {tried} limiting neurons flipped"
    );
}
