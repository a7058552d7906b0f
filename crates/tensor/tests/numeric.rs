//! Gradients by finite differences, and masks against sorting.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test itself does"
)]

use candle_core::{DType, Device, Tensor, Var};
use loclin_tensor::{Error, Result, all_finite, safe_divide, safe_sqrt, top_k_mask};
use proptest::prelude::*;

fn tensor(values: &[f64]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap()
}

/// The gradient of `sum of w f(x)` for distinct weights `w`.
fn gradient(values: &[f64], function: impl Fn(&Tensor) -> Result<Tensor>) -> Vec<f64> {
    let x = Var::from_tensor(&tensor(values)).unwrap();
    let weights: Vec<f64> = (0..values.len()).map(|i| 1.0 + i as f64).collect();
    let loss = (function(&x).unwrap() * tensor(&weights)).unwrap();
    let gradients = loss.sum_all().unwrap().backward().unwrap();
    gradients.get(&x).unwrap().to_vec1().unwrap()
}

fn central_difference(values: &[f64], function: impl Fn(&Tensor) -> Result<Tensor>) -> Vec<f64> {
    let at = |index: usize, step: f64| {
        let mut moved = values.to_vec();
        moved[index] += step;
        function(&tensor(&moved)).unwrap().to_vec1::<f64>().unwrap()[index]
    };
    (0..values.len())
        .map(|i| (1.0 + i as f64) * (at(i, 1e-5) - at(i, -1e-5)) / 2e-5)
        .collect()
}

fn assert_close(found: &[f64], expected: &[f64]) {
    for (found, expected) in found.iter().zip(expected) {
        // Steps of 1e-5: a truncation of 1e-10 times a third derivative, at
        // most 1e4 on the ranges below, and a rounding of 1e-16 / 1e-5.
        let tolerance = 1e-6 * (1.0 + expected.abs());
        assert!(
            (found - expected).abs() <= tolerance,
            "{found} against {expected}"
        );
    }
}

proptest! {
    #[test]
    fn the_gradient_of_safe_sqrt_is_that_of_the_root(
        values in prop::collection::vec(
            prop_oneof![0.05f64..100.0, -100.0f64..-0.05], 1..20),
    ) {
        assert_close(&gradient(&values, safe_sqrt), &central_difference(&values, safe_sqrt));
    }

    #[test]
    fn the_gradients_of_safe_divide_are_those_of_the_quotient(
        values in prop::collection::vec(
            prop_oneof![0.1f64..10.0, -10.0f64..-0.1], 1..20),
    ) {
        let other: Vec<f64> = values.iter().rev().copied().collect();
        let above = |x: &Tensor| safe_divide(x, &tensor(&other), 0.0);
        assert_close(&gradient(&values, above), &central_difference(&values, above));
        let below = |x: &Tensor| safe_divide(&tensor(&other), x, 0.0);
        assert_close(&gradient(&values, below), &central_difference(&values, below));
    }

    /// Scores from a small set, so that ties are frequent, with both zeros and
    /// infinities: the mask marks what a stable descending sort puts first.
    #[test]
    fn the_mask_marks_the_front_of_a_stable_sort(
        rows in (1usize..30).prop_flat_map(|n| {
            let score = prop::sample::select(vec![
                -0.0, 0.0, 1.0, -1.0, 0.5, 3.0, f64::INFINITY, f64::NEG_INFINITY,
            ]);
            let score = prop_oneof![score, -2.0f64..2.0];
            prop::collection::vec(prop::collection::vec(score, n), 1..5)
        }),
        share in 0.0f64..=1.0,
        single in any::<bool>(),
    ) {
        let n = rows[0].len();
        let k = (share * n as f64).round() as usize;
        let dtype = if single { DType::F32 } else { DType::F64 };
        let scores = Tensor::new(rows, &Device::Cpu)?.to_dtype(dtype)?;
        let mask = top_k_mask(&scores, k)?;
        prop_assert_eq!(mask.dtype(), dtype);
        let rounded = scores.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        for (row, mask) in rounded.iter().zip(mask.to_dtype(DType::F64)?.to_vec2::<f64>()?) {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&a, &b| row[b].partial_cmp(&row[a]).unwrap());
            let mut expected = vec![0.0; n];
            order[..k].iter().for_each(|&index| expected[index] = 1.0);
            prop_assert_eq!(mask, expected);
        }
    }
}

/// At and around the kink: values and gradients are exactly 0 where `x <= 0`,
/// even behind an inner gradient of 0, and a NaN is not hidden.
#[test]
fn the_root_at_zero() {
    let values = [0.0, -0.0, -1.0, f64::NEG_INFINITY, 4.0];
    let root = safe_sqrt(&tensor(&values)).unwrap();
    assert_eq!(root.to_vec1::<f64>().unwrap(), [0.0, 0.0, 0.0, 0.0, 2.0]);
    assert_eq!(gradient(&values, safe_sqrt), [0.0, 0.0, 0.0, 0.0, 1.25]);
    let norm = |x: &Tensor| safe_sqrt(&x.sqr()?);
    assert_eq!(gradient(&[0.0, -3.0], norm), [0.0, -2.0]);
    let root = safe_sqrt(&tensor(&[f64::NAN])).unwrap();
    assert!(root.to_vec1::<f64>().unwrap()[0].is_nan());
}

#[test]
fn the_quotient_at_zero() {
    let values = [1.0, 2.0];
    let below = |x: &Tensor| safe_divide(x, &tensor(&[0.0, 4.0]), f64::INFINITY);
    assert_eq!(gradient(&values, below), [0.0, 0.5]);
    let above = |x: &Tensor| safe_divide(&tensor(&values), x, f64::INFINITY);
    assert_eq!(gradient(&[0.0, 4.0], above), [0.0, -0.25]);
}

/// The mask is a constant: nothing flows back into the scores through it.
#[test]
fn masks_are_constant_in_differentiation() -> Result<()> {
    let scores = Var::new(&[[1.0, 3.0, 2.0]], &Device::Cpu)?;
    for k in [1, 3] {
        let mask = top_k_mask(&scores, k)?;
        assert!(mask.sum_all()?.backward()?.get(&scores).is_none());
        let chosen = (scores.as_tensor() * &mask)?.sum_all()?.backward()?;
        let gradient = chosen.get(&scores).unwrap();
        assert_eq!(gradient.to_vec2::<f64>()?, mask.to_vec2::<f64>()?);
    }
    Ok(())
}

#[test]
fn masks_refuse_what_has_no_answer() -> Result<()> {
    let scores = Tensor::new(&[[1.0, 2.0], [3.0, f64::NAN]], &Device::Cpu)?;
    let error = top_k_mask(&scores, 1).unwrap_err();
    assert!(
        matches!(error, Error::NanScore { row: 1, column: 1 }),
        "{error}"
    );
    let error = top_k_mask(&scores, 3).unwrap_err();
    assert!(
        matches!(error, Error::TooFewScores { k: 3, available: 2 }),
        "{error}"
    );
    top_k_mask(&tensor(&[1.0]), 1).unwrap_err();
    let empty = Tensor::zeros((3, 0), DType::F32, &Device::Cpu)?;
    assert_eq!(top_k_mask(&empty, 0)?.dims(), [3, 0]);
    Ok(())
}

#[test]
fn finiteness_is_seen_through_any_position_and_layout() -> Result<()> {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for index in 0..6 {
            let mut values = vec![f64::MAX; 6];
            assert!(all_finite(&tensor(&values))?);
            values[index] = bad;
            let matrix = tensor(&values).reshape((2, 3))?;
            assert!(!all_finite(&matrix.t()?)?);
            assert!(!all_finite(&matrix.to_dtype(DType::F32)?)?);
        }
    }
    assert!(all_finite(&Tensor::new(&[1u32], &Device::Cpu)?)?);
    Ok(())
}
