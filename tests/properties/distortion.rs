//! Gradient distortion: what it measures, the promise of the certificate, and the searches.

use crate::{Case, balls::is_resolved, cases};
use candle_core::DType;
use loclin_regions::{
    Budget, Domain, Method, Norm,
    distortion::{Ascent, Ball, Distortion, Genetic, Search, State},
};
use loclin_tests::{
    Analysis, F64, bridge,
    strategies::{LARGE, recipes},
};
use proptest::prelude::*;

fn searches(seed: u64) -> [Search; 2] {
    [
        Search::Genetic(Genetic {
            population: 12,
            generations: 3,
            seed,
            ..Genetic::default()
        }),
        Search::Ascent(Ascent {
            starts: 5,
            steps: 4,
            seed,
            ..Ascent::default()
        }),
    ]
}

proptest! {
    #![proptest_config(cases(96))]

    /// Inside the certified radius the distortion is exactly 0, whoever looks and however.
    #[test]
    fn there_is_none_inside_the_certified_radius(recipe in recipes(LARGE), seed: u64) {
        let case = Case::new(&recipe, 1);
        let here = case.linearization();
        let radius = here.margins(&[Norm::LINF], Method::Auto).unwrap()[0].radius[0].min(1e3);
        prop_assume!(is_resolved(&case.fc, &case.analyses[0], f64::INFINITY, radius));
        let ball = Ball::new(&case.points[0], radius * (1.0 - 1e-6), None).unwrap();
        let distortion = Distortion::new(&case.network, ball, 0, Budget::default()).unwrap();
        prop_assert_eq!(distortion.expectation(40, seed).unwrap().mean, 0.0);
        for search in searches(seed) {
            prop_assert_eq!(search.run(&distortion).unwrap().best, 0.0);
        }
    }

    /// What is measured is the l1 distance of the oracle's gradients.
    #[test]
    fn it_is_the_distance_of_gradients(recipe in recipes(LARGE), bytes in 1usize..10_000) {
        let case = Case::new(&recipe, 6);
        prop_assume!(!case.is_doubtful());
        let output = recipe.outputs - 1;
        let ball = Ball::new(&case.points[0], 1.0, None).unwrap();
        let distortion = Distortion::new(&case.network, ball, output as u32, Budget { bytes }).unwrap();
        let found = distortion.at(&case.x).unwrap();
        let center = &case.analyses[0];
        for (found, a) in found.iter().zip(&case.analyses) {
            let both = a.output_gradients[output].iter().zip(&center.output_gradients[output]);
            let expected: f64 = both.map(|(a, b)| (a - b).abs()).sum();
            let errors = |a: &Analysis| a.output_gradient_errors[output].iter().sum::<f64>();
            let error = errors(a) + errors(center);
            prop_assert!((found - expected).abs() <= error, "{} {} {}", found, expected, error);
        }
    }

    /// A search stays in the ball, reports what it found truthfully, keeps to its budget, and goes on after a break with
    /// the same bits.
    #[test]
    fn searches_keep_their_promises(recipe in recipes(LARGE), seed: u64, radius in 0.01..2.0f64, pause in 0usize..5) {
        let case = Case::new(&recipe, 1);
        let output = recipe.outputs as u32 - 1;
        let domain = [-2.5, 1.5];
        let center: Vec<f64> = case.points[0].iter().map(|v| v.clamp(domain[0], domain[1])).collect();
        let cut = Domain::uniform(center.len(), domain[0], domain[1]).unwrap();
        let ball = Ball::new(&center, radius, Some(&cut)).unwrap();
        let distortion = Distortion::new(&case.network, ball.clone(), output, Budget::default()).unwrap();
        for search in searches(seed) {
            let whole = search.run(&distortion).unwrap();
            prop_assert_eq!(whole.evaluations, search.evaluations());
            prop_assert!(whole.history.windows(2).all(|pair| pair[0] <= pair[1]));
            let at = whole.worst_input.to_vec1::<f64>().unwrap();
            for ((value, lower), upper) in at.iter().zip(ball.lower()).zip(ball.upper()) {
                prop_assert!(lower <= value && value <= upper);
            }
            let fc = &case.fc;
            let analyses = [&at, &center].map(|x| Analysis::new(fc, x, F64));
            if !analyses.iter().any(Analysis::is_doubtful) {
                let again = distortion.at(&bridge::batch(&[at], DType::F64).unwrap()).unwrap()[0];
                // Batches of another size may be summed in another order.
                prop_assert!((again - whole.best).abs() <= 1e-9 * whole.best, "{} {}", again, whole.best);
            }

            let mut state = search.start(&distortion).unwrap();
            for _ in 0..pause.min(search.steps()) {
                search.step(&distortion, &mut state).unwrap();
            }
            let saved = state.tensors().unwrap();
            let mut state = State::from_tensors(saved, &candle_core::Device::Cpu).unwrap();
            while state.step < search.steps() {
                search.step(&distortion, &mut state).unwrap();
            }
            prop_assert_eq!(state.best.to_bits(), whole.best.to_bits());
            prop_assert_eq!(&state.history, &whole.history);
            prop_assert_eq!(state.worst_input.to_vec1::<f64>().unwrap(), whole.worst_input.to_vec1::<f64>().unwrap());
        }
    }

    /// Budgets are used and kept.
    #[test]
    fn budgets_are_kept(evaluations in 3usize..200_000, generations in 0usize..60, steps in 1usize..60) {
        let genetic = Genetic { generations, ..Genetic::default() }.within(evaluations);
        let ascent = Ascent { steps, ..Ascent::default() }.within(evaluations);
        for (search, slack) in [(Search::Genetic(genetic), generations + 1), (Search::Ascent(ascent), 2 * steps + 1)] {
            prop_assert!(search.evaluations() <= evaluations, "{:?}", search);
            prop_assert!(search.evaluations() + slack >= evaluations, "{:?}", search);
        }
    }
}
