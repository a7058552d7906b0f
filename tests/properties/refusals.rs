//! What is not a number, or no network, is refused by a typed error that names it.

use crate::cases;
use candle_core::{DType, Device, Tensor};
use loclin_models::{Error as ModelError, Model};
use loclin_regions::{Budget, Error, Linearization, Method, Norm, Search};
use loclin_tests::{
    bridge,
    strategies::{LARGE, SMALL, recipes},
};
use proptest::prelude::*;

/// What is not finite.
fn not_finite() -> impl Strategy<Value = f64> {
    prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)]
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn inputs_that_are_not_finite(recipe in recipes(LARGE), bad in not_finite(), at: prop::sample::Index) {
        let network = bridge::network(&recipe.network(), DType::F64).unwrap();
        let mut points = recipe.points(3);
        let at = at.index(3 * recipe.inputs);
        points[at / recipe.inputs][at % recipe.inputs] = bad;
        let x = bridge::batch(&points, DType::F64).unwrap();
        match Linearization::new(&network, &x, Budget::default()) {
            Err(Error::NotFinite { index, what, value }) => {
                prop_assert_eq!((index, what.as_str()), (at / recipe.inputs, "the input"));
                prop_assert_eq!(value.to_bits(), bad.to_bits());
            }
            other => prop_assert!(false, "{:?}", other.map(|_| ())),
        }
    }

    #[test]
    fn parameters_that_are_not_finite(recipe in recipes(LARGE), bad in not_finite(), at: prop::sample::Index) {
        let mut fc = recipe.network();
        let at = at.index(fc.parameters().len());
        *fc.parameter_mut(at).unwrap() = bad;
        let network = bridge::network(&fc, DType::F64).unwrap();
        let bytes = Model { network: network.clone(), normalization: None }.to_bytes().unwrap();
        let read = Model::from_bytes(&bytes, DType::F64, &Device::Cpu);
        assert!(matches!(&read, Err(ModelError::NotFinite { name, .. }) if name.starts_with("layers.")), "{:?}", read.map(|_| ()));

        // In memory: products with 0 are NaN as well, so that no such number goes unseen.
        let x = bridge::batch(&recipe.points(2), DType::F64).unwrap();
        match Linearization::new(&network, &x, Budget::default()).and_then(|here| here.margins(&[Norm::L1, Norm::L2, Norm::LINF], Method::Auto)) {
            Err(Error::NotFinite { what, .. }) => prop_assert!(!what.is_empty()),
            Err(other) => prop_assert!(false, "{}", other),
            Ok(margins) => prop_assert!(false, "certified {:?}", margins),
        }
    }

    /// Finite weights whose products are not: gradients overflow although every value is finite.
    #[test]
    fn gradients_that_overflow(recipe in recipes(SMALL)) {
        let mut fc = recipe.network();
        prop_assume!(fc.layers.len() > 2);
        for layer in &mut fc.layers {
            layer.bias.fill(1.0);
        }
        fc.layers[0].weight.iter_mut().for_each(|row| row.fill(1e200));
        fc.layers[1].weight.iter_mut().for_each(|row| { row.fill(1e200); row[0] = -1e200; });
        fc.layers[2].weight.iter_mut().for_each(|row| row.fill(0.0));
        // With the value 1 each, first-layer units make values of about 1e200, and gradients of 1e400.
        let network = bridge::network(&fc, DType::F64).unwrap();
        let x = Tensor::zeros((1, recipe.inputs), DType::F64, &Device::Cpu).unwrap();
        let here = match Linearization::new(&network, &x, Budget::default()) {
            Ok(here) => here,
            // Deeper layers may overflow in value already.
            Err(error) => { assert!(matches!(error, Error::NotFinite { .. })); return Ok(()); }
        };
        for norm in [Norm::L1, Norm::L2, Norm::LINF, Norm::new(3.0).unwrap()] {
            let margins = here.margins(&[norm], Method::Auto);
            assert!(matches!(&margins, Err(Error::NotFinite { .. })), "{:?}", margins);
        }
        assert!(matches!(here.axis_margins(), Err(Error::NotFinite { .. })));
    }

    #[test]
    fn directions_that_are_not_finite(recipe in recipes(LARGE), bad in not_finite(), at: prop::sample::Index) {
        let network = bridge::network(&recipe.network(), DType::F64).unwrap();
        let x = bridge::batch(&recipe.points(2), DType::F64).unwrap();
        let mut directions = recipe.vectors(2, 3, recipe.inputs);
        let at = at.index(3 * recipe.inputs);
        directions[at / recipe.inputs][at % recipe.inputs] = bad;
        let d = bridge::batch(&directions, DType::F64).unwrap().unsqueeze(0).unwrap();
        let margins = Linearization::new(&network, &x, Budget::default()).unwrap().directional_margins(&d);
        prop_assert!(margins.is_err(), "{:?}", margins);
    }

    #[test]
    fn numbers_that_are_no_norm(p in -10.0..1.0) {
        assert!(matches!(Norm::new(p), Err(Error::Norm(_))));
        assert!(matches!(p.to_string().parse::<Norm>(), Err(Error::Norm(_))));
        assert!(matches!(Norm::new(f64::NAN), Err(Error::Norm(_))));
    }

    #[test]
    fn arguments_out_of_range(recipe in recipes(SMALL), beyond in 2usize..9) {
        let network = bridge::network(&recipe.network(), DType::F64).unwrap();
        let x = bridge::batch(&recipe.points(2), DType::F64).unwrap();
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        let is_argument = |error: Option<Error>| matches!(error, Some(Error::Argument { .. }));
        assert!(is_argument(here.polyhedron(beyond).err()));
        assert!(is_argument(here.l1_margin_by_search(beyond, Search::default()).err()));
        assert!(is_argument(here.l1_margin_by_search(0, Search { relative: 0.0, ..Search::default() }).err()));
        assert!(is_argument(here.output_gradients(&[0]).err()));
        assert!(is_argument(here.output_gradients(&[0, recipe.outputs as u32]).err()));
        assert!(is_argument(loclin_regions::axes(&network, 0..recipe.inputs + beyond).err()));
        let wide = bridge::batch(&[vec![0.0; recipe.inputs + beyond]], DType::F64).unwrap();
        assert!(matches!(network.trace(&wide), Err(ModelError::InputShape { .. })));
        let directions = wide.unsqueeze(0).unwrap();
        assert!(here.directional_margins(&directions).is_err());
        assert!(here.directional_margins(&wide).is_err());
    }
}
