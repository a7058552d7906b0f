//! Jump-weighted ROLL: values and parameter gradients against an oracle that finds what crossing a neuron changes by changing the
//! pattern and finding the gradient again.

use crate::cases;
use crate::problem::{Problem, is_close, scalar};
use candle_core::{Device, Tensor};
use loclin_objectives::{Error, Gamma, RollConfig, jump_weighted, jump_weighted_sampled, roll};
use loclin_tensor::random;
use loclin_tests::objectives::{Regularizer, jump_weights};
use loclin_tests::strategies::{LARGE, Numbers, SMALL, recipes, recipes_of};
use proptest::prelude::*;

fn classes(problem: &Problem) -> Tensor {
    Tensor::new(&problem.labels[..], &Device::Cpu).unwrap()
}

/// The weights of all inputs, the neurons' gradients measured along a direction where there is one.
fn weights(problem: &Problem, along: Option<&[f64]>) -> Vec<Vec<f64>> {
    let inputs = problem.points.iter().zip(&problem.labels);
    inputs
        .map(|(x, class)| jump_weights(&problem.fc, x, *class as usize, along))
        .collect()
}

/// All directions with coordinates +1 and -1.
fn directions(size: usize) -> Vec<Vec<f64>> {
    let sign = |set: u32, k: usize| if set >> k & 1 == 1 { 1.0 } else { -1.0 };
    (0u32..1 << size)
        .map(|set| (0..size).map(|k| sign(set, k)).collect())
        .collect()
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn all_gradients_are_weighed_by_what_crossing_changes(recipe in recipes_of(Numbers::Gaussian, SMALL), c in 0.0..4.0, lambda in 0.01..2.0f64) {
        let problem = Problem::new(&recipe);
        let trace = problem.trace();
        let value = jump_weighted(&trace, &classes(&problem), c).unwrap();
        let expected = Regularizer::Weighted { c, weights: weights(&problem, None), along: None };
        let loss = (problem.task(&trace) + (value * lambda).unwrap()).unwrap();
        let oracle = problem.value(&problem.fc, lambda, &expected).value;
        prop_assert!(is_close(oracle, scalar(&loss)), "{oracle} {loss}");
        prop_assert_eq!(problem.check(lambda, &expected, &problem.gradient(&loss)), Ok(()));
    }

    /// One of the pairs of directions explains the value and every entry of the gradient.
    #[test]
    fn sampled_is_one_of_its_draws(recipe in recipes_of(Numbers::Gaussian, SMALL), c in 0.0..4.0, seed: u64) {
        let mut problem = Problem::new(&recipe);
        problem.points.truncate(1);
        problem.labels.truncate(1);
        let trace = problem.trace();
        let value = jump_weighted_sampled(&trace, &classes(&problem), c, &mut random::stream(seed, &[])).unwrap();
        let loss = (problem.task(&trace) + value).unwrap();
        let gradient = problem.gradient(&loss);
        let all = directions(recipe.inputs);
        let mut verdict = Err("no pair has this value".to_owned());
        for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
            let weights = weights(&problem, Some(other));
            let candidate = Regularizer::Weighted { c, weights, along: Some(vec![one.clone()]) };
            if is_close(problem.value(&problem.fc, 1.0, &candidate).value, scalar(&loss)) {
                verdict = verdict.or(problem.check(1.0, &candidate, &gradient));
            }
        }
        prop_assert_eq!(verdict, Ok(()));
    }

    /// Weights have mean 1: where all neurons have one loss, weighing does not matter; and nothing is poisoned by neurons without gradient.
    #[test]
    fn weights_have_mean_one_and_dead_neurons_do_no_harm(recipe in recipes(LARGE)) {
        let problem = Problem::new(&recipe);
        let trace = problem.trace();
        for weights in weights(&problem, None) {
            let mean = weights.iter().sum::<f64>() / weights.len() as f64;
            prop_assert!((mean - 1.0).abs() < 1e-12, "{mean}");
        }
        let value = jump_weighted(&trace, &classes(&problem), 1.0).unwrap();
        prop_assert!(scalar(&value).is_finite() && scalar(&value) >= 0.0);
        prop_assert!(problem.gradient(&value).iter().all(|g| g.is_finite()));
    }
}

/// With slope 1 on both sides nothing changes at any boundary.
#[test]
fn where_no_crossing_changes_anything_it_is_roll() {
    let recipe = loclin_tests::strategies::Recipe {
        inputs: 3,
        hidden: vec![5, 4],
        outputs: 2,
        negative_slope: 1.0,
        numbers: Numbers::Gaussian,
        quirks: vec![],
        seed: 3,
    };
    let problem = Problem::new(&recipe);
    let trace = problem.trace();
    let gamma = Gamma::Percent(100.0);
    let all_alike = roll(&trace, RollConfig { c: 0.5, gamma }).unwrap();
    let value = jump_weighted(&trace, &classes(&problem), 0.5).unwrap();
    assert!(is_close(scalar(&value), scalar(&all_alike)));

    let refused = |classes: &[u32], c: f64, name: &str| {
        let classes = Tensor::new(classes, &Device::Cpu).unwrap();
        match jump_weighted(&trace, &classes, c) {
            Err(Error::Config { field, .. }) => assert_eq!(field, name),
            other => panic!("{other:?}"),
        }
    };
    refused(&[0, 1, 2], 1.0, "classes");
    refused(&[0, 1], 1.0, "classes");
    refused(&[0, 1, 0], -1.0, "c");
}
