//! Objectives: values against plain loops, parameter gradients against central finite differences of the oracle.

use crate::cases;
use crate::problem::{Problem, is_close, scalar};
use candle_core::{DType, Device, Tensor};
use loclin_models::Trace;
use loclin_objectives::{
    Error, Gamma, Probes, RollConfig, SampledConfig, distance, relaxed, roll, sampled,
};
use loclin_tensor::random;
use loclin_tests::{
    Fc, bridge,
    objectives::{Regularizer, objective},
    strategies::{LARGE, Numbers, Recipe, SMALL, recipes, recipes_of},
};
use proptest::prelude::*;

/// A regulariser as the library is asked for it.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Distance,
    Relaxed { c: f64 },
    Roll { c: f64, gamma: u32 },
    Sampled { c: f64, axes: usize, seed: u64 },
}

fn asked() -> impl Strategy<Value = Asked> {
    let c = || prop_oneof![1 => Just(0.0), 4 => 0.1..8.0];
    prop_oneof![
        Just(Asked::Distance),
        c().prop_map(|c| Asked::Relaxed { c }),
        (c(), prop_oneof![Just(100u32), 1..=100u32])
            .prop_map(|(c, gamma)| Asked::Roll { c, gamma }),
        (c(), 1usize..4, any::<u64>()).prop_map(|(c, axes, seed)| Asked::Sampled { c, axes, seed }),
    ]
}

/// What the library answers, and the oracle's regularisers that this may be: one, or one for each draw of axes.
fn ask(asked: Asked, trace: &Trace) -> (Tensor, Vec<Regularizer>) {
    let neurons = trace.pre_activations().unwrap().unwrap().dim(1).unwrap();
    match asked {
        Asked::Distance => (distance(trace).unwrap(), vec![Regularizer::Distance]),
        Asked::Relaxed { c } => (
            relaxed(trace, c).unwrap(),
            vec![Regularizer::Roll { c, count: 1 }],
        ),
        Asked::Roll { c, gamma } => {
            let config = RollConfig {
                c,
                gamma: Gamma::Percent(f64::from(gamma)),
            };
            // Whole percents in whole numbers: the share, rounded up.
            let count = (gamma as usize * neurons).div_ceil(100);
            (
                roll(trace, config).unwrap(),
                vec![Regularizer::Roll { c, count }],
            )
        }
        Asked::Sampled { c, axes, seed } => {
            let size = trace.network().input_size();
            let axes = axes.min(size);
            let drawn = sampled(
                trace,
                SampledConfig {
                    c,
                    probes: Probes::Axes(axes),
                },
                &mut random::stream(seed, &[]),
            )
            .unwrap();
            let subsets = (0u32..1 << size).filter(|set| set.count_ones() as usize == axes);
            let axes_of = |set: u32| (0..size).filter(|k| set >> k & 1 == 1).collect();
            (
                drawn,
                subsets
                    .map(|set| Regularizer::Sampled {
                        c,
                        axes: axes_of(set),
                    })
                    .collect(),
            )
        }
    }
}

proptest! {
    #![proptest_config(cases(160))]

    #[test]
    fn values_and_gradients_are_right(recipe in recipes(SMALL), asked in asked(), lambda in 0.01..2.0f64) {
        let problem = Problem::new(&recipe);
        let trace = problem.trace();
        let (regularizer, candidates) = ask(asked, &trace);
        let penalty = (regularizer * lambda).unwrap();
        let loss = (problem.task(&trace) + penalty).unwrap();
        // Draws of axes may have equal values; the gradient tells them apart.
        let at_loss = |candidate: &&Regularizer| is_close(problem.value(&problem.fc, lambda, candidate).value, scalar(&loss));
        let gradient = problem.gradient(&loss);
        let checks = candidates.iter().filter(at_loss).map(|candidate| problem.check(lambda, candidate, &gradient));
        let verdict = checks.reduce(|one, other| one.or(other));
        prop_assert_eq!(verdict, Some(Ok(())), "the loss is {}", loss);
    }

    /// Eq. 7 is Eq. 9 with one neuron, and Eq. 10 with all axes is Eq. 9 with all neurons.
    #[test]
    fn objectives_meet_where_they_must(recipe in recipes(LARGE), c in 0.0..8.0, seed: u64) {
        let problem = Problem::new(&recipe);
        let trace = problem.trace();
        let max = roll(&trace, RollConfig { c, gamma: Gamma::Max }).unwrap();
        prop_assert_eq!(scalar(&relaxed(&trace, c).unwrap()), scalar(&max));
        let all = roll(&trace, RollConfig { c, gamma: Gamma::Percent(100.0) }).unwrap();
        let config = SampledConfig { c, probes: Probes::Axes(recipe.inputs) };
        let every_axis = sampled(&trace, config, &mut random::stream(seed, &[])).unwrap();
        prop_assert!(is_close(scalar(&every_axis), scalar(&all)), "{} {}", every_axis, all);
        let (a, b) = (problem.gradient(&every_axis), problem.gradient(&all));
        // Sums of some hundred paths, that may cancel to the precision of the largest.
        let scale = b.iter().fold(1.0, |m: f64, g| m.max(g.abs()));
        prop_assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-11 * scale));
        // More neurons: a smaller mean of the largest.
        let half = roll(&trace, RollConfig { c, gamma: Gamma::Percent(50.0) }).unwrap();
        prop_assert!(scalar(&all) <= scalar(&half) * (1.0 + 1e-12) && scalar(&half) <= scalar(&max) * (1.0 + 1e-12));
    }

    /// Dead neurons have no distance; they must not turn the others' gradients into NaN.
    #[test]
    fn dead_neurons_do_not_poison(recipe in recipes(LARGE), all: bool) {
        let mut recipe = recipe;
        recipe.quirks = vec![loclin_tests::strategies::Quirk::Dead];
        let mut problem = Problem::new(&recipe);
        if all {
            problem.fc.layers[0].weight.iter_mut().for_each(|row| row.fill(0.0));
            (problem.network, problem.variables) = bridge::trainable(&problem.fc).unwrap();
        }
        let trace = problem.trace();
        for loss in [distance(&trace).unwrap(), relaxed(&trace, 1.0).unwrap(), roll(&trace, RollConfig { c: 1.0, gamma: Gamma::Percent(30.0) }).unwrap()] {
            prop_assert!(scalar(&loss).is_finite());
            prop_assert!(problem.gradient(&loss).iter().all(|g| g.is_finite()));
        }
        if all {
            prop_assert!(problem.gradient(&distance(&trace).unwrap()).iter().all(|g| *g == 0.0));
        }
    }
}

proptest! {
    #![proptest_config(cases(12))]

    /// Each axis alone is as likely as any other, and their mean is the exact value.
    #[test]
    fn sampling_is_unbiased(recipe in recipes_of(Numbers::Gaussian, SMALL), c in 0.0..2.0) {
        let problem = Problem::new(&recipe);
        let trace = problem.trace();
        // The oracle's objective with the task subtracted: its weight enters linearly.
        let plain = |regularizer: &Regularizer| {
            let at = |lambda| objective(&problem.fc, &problem.points, &problem.labels, lambda, regularizer).value;
            at(1.0) - at(0.0)
        };
        let of_axis: Vec<f64> = (0..recipe.inputs).map(|k| plain(&Regularizer::Sampled { c, axes: vec![k] })).collect();
        let exact = scalar(&roll(&trace, RollConfig { c, gamma: Gamma::Percent(100.0) }).unwrap());
        prop_assert!(is_close(of_axis.iter().sum::<f64>() / recipe.inputs as f64, exact));

        let draws = 400;
        let mut hits = vec![0usize; recipe.inputs];
        for seed in 0..draws {
            let value = scalar(&sampled(&trace, SampledConfig { c, probes: Probes::Axes(1) }, &mut random::stream(seed, &[])).unwrap());
            let hit = of_axis.iter().position(|v| is_close(*v, value));
            prop_assert!(hit.is_some(), "{} is none of {:?}", value, of_axis);
            hit.into_iter().for_each(|k| hits[k] += 1);
        }
        let share = 1.0 / recipe.inputs as f64;
        let error = (draws as f64 * share * (1.0 - share)).sqrt();
        let distinct = of_axis.iter().enumerate().all(|(i, a)| of_axis[..i].iter().all(|b| !is_close(*a, *b)));
        for count in &hits {
            // Five standard errors of a binomial count; the seeds are fixed, so that it never fails by chance.
            prop_assert!(!distinct || (*count as f64 - draws as f64 * share).abs() <= 5.0 * error, "{:?}", hits);
        }
    }

    /// The mean over many draws of signs is the exact value, and its gradient the exact one.
    #[test]
    fn signs_are_unbiased(recipe in recipes_of(Numbers::Gaussian, SMALL), c in 0.0..2.0) {
        let problem = Problem::new(&recipe);
        let trace = problem.trace();
        let exact = roll(&trace, RollConfig { c, gamma: Gamma::Percent(100.0) }).unwrap();
        let draws = 300u64;
        // Of each draw, the value and then the gradient.
        let read = |value: &Tensor| [vec![scalar(value)], problem.gradient(value)].concat();
        let estimates: Vec<Vec<f64>> = (0..draws)
            .map(|seed| {
                let config = SampledConfig { c, probes: Probes::Signs(1) };
                read(&sampled(&trace, config, &mut random::stream(seed, &[])).unwrap())
            })
            .collect();
        for (i, expected) in read(&exact).iter().enumerate() {
            let mean = estimates.iter().map(|e| e[i]).sum::<f64>() / draws as f64;
            let variance = estimates.iter().map(|e| (e[i] - mean).powi(2)).sum::<f64>() / draws as f64;
            // Six standard errors, and rounding.
            let tolerance = 6.0 * (variance / draws as f64).sqrt() + 1e-11 * (1.0 + expected.abs());
            prop_assert!((mean - expected).abs() <= tolerance, "number {i}: {mean} +- {tolerance} for {expected}");
        }
    }

    #[test]
    fn hyper_parameters_out_of_range_are_named(recipe in recipes(SMALL), c in prop_oneof![-5.0..-1e-9, Just(f64::NAN), Just(f64::INFINITY)], gamma in prop_oneof![-5.0..=0.0, 100.1..1e9, Just(f64::NAN)]) {
        let problem = Problem::new(&recipe);
        let trace = problem.trace();
        let named = |result: loclin_objectives::Result<Tensor>, name: &str| match result {
            Err(Error::Config { field, .. }) => assert_eq!(field, name),
            other => panic!("{other:?}"),
        };
        let mut rng = random::stream(0, &[]);
        named(roll(&trace, RollConfig { c, gamma: Gamma::Max }), "c");
        named(relaxed(&trace, c), "c");
        named(sampled(&trace, SampledConfig { c, probes: Probes::Axes(1) }, &mut rng), "c");
        named(roll(&trace, RollConfig { c: 1.0, gamma: Gamma::Percent(gamma) }), "gamma");
        named(sampled(&trace, SampledConfig { c: 1.0, probes: Probes::Signs(0) }, &mut rng), "signs");
        for axes in [0, recipe.inputs + 1] {
            named(sampled(&trace, SampledConfig { c: 1.0, probes: Probes::Axes(axes) }, &mut rng), "axes");
        }
        assert!(gamma.to_string().parse::<Gamma>().is_err() && "half".parse::<Gamma>().is_err());

        let affine = Fc { layers: recipe.network().layers.split_off(recipe.hidden.len()), negative_slope: 0.0 };
        let trace = bridge::network(&affine, DType::F64).unwrap().trace(&Tensor::ones((1, affine.inputs()), DType::F64, &Device::Cpu).unwrap()).unwrap();
        assert!(matches!(distance(&trace), Err(Error::NoNeurons)));
        assert!(matches!(relaxed(&trace, 1.0), Err(Error::NoNeurons)));
    }
}

/// A whole percent of a whole number of neurons is exact: 7 % of 100 is 7, not the next number above 7.000000000000001.
#[test]
fn a_percentage_is_not_rounded_twice() {
    let recipe = Recipe {
        inputs: 2,
        hidden: vec![50, 50],
        outputs: 1,
        negative_slope: 0.0,
        numbers: Numbers::Gaussian,
        quirks: vec![],
        seed: 1,
    };
    let problem = Problem::new(&recipe);
    let trace = problem.trace();
    for gamma in 1..=100u32 {
        let (value, expected) = ask(Asked::Roll { c: 1.0, gamma }, &trace);
        let at = |lambda| {
            objective(
                &problem.fc,
                &problem.points,
                &problem.labels,
                lambda,
                &expected[0],
            )
            .value
        };
        assert!(
            is_close(scalar(&value), at(1.0) - at(0.0)),
            "gamma = {gamma}"
        );
    }
}
