//! Jacobians in four ways: the chain, the published perturbation, automatic differentiation one neuron at a time,
//! and the oracle's reverse mode.

use crate::{Case, assert_near, cases, numbers};
use candle_core::{DType, Tensor, Var};
use loclin_regions::Budget;
use loclin_tests::strategies::{LARGE, Numbers, recipes, recipes_of};
use proptest::prelude::*;

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn chain_perturbation_and_oracle_agree(recipe in recipes(LARGE), single: bool, bytes in 1usize..100_000) {
        let case = Case::in_dtype(&recipe, 3, if single { DType::F32 } else { DType::F64 });
        prop_assume!(!case.is_doubtful());
        let here = case.linearization_within(Budget { bytes });
        let chain = here.neuron_jacobians().unwrap();
        let perturbation = here.neuron_jacobians_by_perturbation().unwrap();
        let unit = if single { loclin_tests::F32 } else { loclin_tests::F64 };
        // The perturbation subtracts values at the axes from those at the origin: errors of values there, too.
        let at_axes = loclin_tests::Analysis::new(&case.fc, &vec![1.0; recipe.inputs], unit);
        for (i, a) in case.analyses.iter().enumerate() {
            for j in 0..case.fc.neurons() {
                assert_near(&chain[i][j], &a.gradients[j], &a.gradient_errors[j], "chain");
                let errors: Vec<f64> = a.gradient_errors[j].iter().map(|e| e + 2.0 * at_axes.neuron_errors[j]).collect();
                assert_near(&perturbation[i][j], &a.gradients[j], &errors, "perturbation");
            }
        }
    }

    #[test]
    fn output_jacobians_are_the_oracles(recipe in recipes(LARGE), bytes in 1usize..100_000) {
        let case = Case::new(&recipe, 4);
        prop_assume!(!case.is_doubtful());
        let here = case.linearization_within(Budget { bytes });
        let jacobians = here.output_jacobians().unwrap();
        prop_assert_eq!(jacobians.dims(), [4, recipe.outputs, recipe.inputs]);
        let expected: Vec<f64> = case.analyses.iter().flat_map(|a| a.output_gradients.concat()).collect();
        let errors: Vec<f64> = case.analyses.iter().flat_map(|a| a.output_gradient_errors.concat()).collect();
        assert_near(&numbers(&jacobians), &expected, &errors, "output gradient");

        let chosen: Vec<u32> = (0..4).map(|i| (i % recipe.outputs) as u32).collect();
        let gradients = numbers(&here.output_gradients(&chosen).unwrap());
        for (i, (a, o)) in case.analyses.iter().zip(&chosen).enumerate() {
            let row = &gradients[i * recipe.inputs..][..recipe.inputs];
            assert_near(row, &a.output_gradients[*o as usize], &a.output_gradient_errors[*o as usize], "one output");
        }
    }

    /// Where every sum is exact, so is every way: not one bit of difference.
    #[test]
    fn every_way_is_exact_on_the_lattice(recipe in recipes_of(Numbers::Lattice, LARGE)) {
        let case = Case::new(&recipe, 3);
        let here = case.linearization();
        let expected: Vec<Vec<Vec<f64>>> = case.analyses.iter().map(|a| a.gradients.clone()).collect();
        for found in [here.neuron_jacobians(), here.neuron_jacobians_by_perturbation()] {
            let rows = |rows: &loclin_regions::Rows| rows.iter().map(<[f64]>::to_vec).collect();
            let found: Vec<Vec<Vec<f64>>> = found.unwrap().iter().map(rows).collect();
            prop_assert_eq!(&found, &expected);
        }
    }
}

proptest! {
    #![proptest_config(cases(32))]

    /// Candle's own differentiation of the recorded pre-activations, one backward pass for each neuron.
    #[test]
    fn automatic_differentiation_agrees(recipe in recipes(LARGE)) {
        let case = Case::new(&recipe, 1);
        prop_assume!(!case.is_doubtful());
        let x = Var::from_tensor(&case.x).unwrap();
        let trace = case.network.trace(&x).unwrap();
        let neurons = trace.pre_activations().unwrap().unwrap();
        let a = &case.analyses[0];
        let gradient = |values: &Tensor, j: usize| {
            let gradients = values.narrow(1, j, 1).unwrap().sum_all().unwrap().backward().unwrap();
            numbers(gradients.get(&x).unwrap())
        };
        for j in 0..case.fc.neurons() {
            // Candle takes the derivative 1 of the ReLU at exactly 0, as the pattern does.
            assert_near(&gradient(&neurons, j), &a.gradients[j], &a.gradient_errors[j], "neuron by autograd");
        }
        for o in 0..recipe.outputs {
            assert_near(&gradient(trace.output(), o), &a.output_gradients[o], &a.output_gradient_errors[o], "output by autograd");
        }
    }
}
