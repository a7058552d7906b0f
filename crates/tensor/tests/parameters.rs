//! Seeded initialisation, sharing, snapshots and loading.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test itself does"
)]

use std::collections::BTreeMap;

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::Init;
use candle_nn::init::{DEFAULT_KAIMING_NORMAL, DEFAULT_KAIMING_UNIFORM};
use loclin_tensor::{Error, Parameters, Result};
use proptest::prelude::*;

const HINTS: [(&str, Init); 5] = [
    ("constant", Init::Const(0.5)),
    (
        "uniform",
        Init::Uniform {
            lo: -0.25,
            up: 0.75,
        },
    ),
    (
        "normal",
        Init::Randn {
            mean: 2.0,
            stdev: 0.1,
        },
    ),
    ("kaiming_uniform", DEFAULT_KAIMING_UNIFORM),
    ("kaiming_normal", DEFAULT_KAIMING_NORMAL),
];

fn create(seed: u64, dtype: DType, hints: &[(&str, Init)]) -> BTreeMap<String, Vec<f64>> {
    let parameters = Parameters::seeded(seed);
    let builder = parameters.builder(dtype, &Device::Cpu);
    for (name, hint) in hints {
        builder.get_with_hints((6, 5), name, *hint).unwrap();
    }
    values(&parameters)
}

fn values(parameters: &Parameters) -> BTreeMap<String, Vec<f64>> {
    let tensors = parameters.tensors().unwrap();
    tensors
        .into_iter()
        .map(|(name, t)| (name, flat(&t)))
        .collect()
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    flat.to_vec1().unwrap()
}

proptest! {
    /// A value depends on the seed and the name alone: creating the same
    /// parameters in another order, or only some of them, changes nothing,
    /// and `f32` is `f64` rounded.
    #[test]
    fn a_value_is_a_function_of_seed_and_name(
        seed in any::<u64>(),
        order in Just(HINTS.to_vec()).prop_shuffle(),
        kept in 1..HINTS.len(),
    ) {
        let all = create(seed, DType::F64, &HINTS);
        for (name, found) in create(seed, DType::F64, &order[..kept]) {
            prop_assert_eq!(&found, &all[&name], "{}", name);
        }
        for (name, found) in create(seed, DType::F32, &order) {
            let rounded: Vec<_> = all[&name].iter().map(|&v| f64::from(v as f32)).collect();
            prop_assert_eq!(found, rounded, "{}", name);
        }
        let other = create(seed.wrapping_add(1), DType::F64, &HINTS);
        prop_assert_ne!(&other["normal"], &all["normal"]);
        prop_assert_ne!(&all["kaiming_uniform"], &all["uniform"]);
    }
}

/// Bounds, means and spreads of 10,000 draws, each within five standard
/// errors of what the hint says.
#[test]
fn hints_are_honoured() -> Result<()> {
    let shape = Shape::from((100, 100));
    let third = 1.0 / 3f64.sqrt();
    let kaiming = (2.0f64 / 100.0).sqrt();
    let bound = kaiming * 3f64.sqrt();
    for (name, hint, mean, stdev, low, high) in [
        ("uniform", HINTS[1].1, 0.25, 0.5 * third, -0.25, 0.75),
        ("normal", HINTS[2].1, 2.0, 0.1, 1.0, 3.0),
        ("kaiming_uniform", HINTS[3].1, 0.0, kaiming, -bound, bound),
        (
            "kaiming_normal",
            HINTS[4].1,
            0.0,
            kaiming,
            -10.0 * kaiming,
            10.0 * kaiming,
        ),
    ] {
        let parameters = Parameters::seeded(11);
        let builder = parameters.builder(DType::F64, &Device::Cpu);
        let drawn = flat(&builder.get_with_hints(shape.clone(), name, hint)?);
        let count = drawn.len() as f64;
        assert!(drawn.iter().all(|v| (low..=high).contains(v)), "{name}");
        let found = drawn.iter().sum::<f64>() / count;
        assert!(
            (found - mean).abs() < 5.0 * stdev / count.sqrt(),
            "{name}: mean {found}"
        );
        let variance = drawn.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        // The relative standard error of a variance is at most that of the
        // normal distribution, sqrt(2 / n).
        let ratio = variance / stdev.powi(2);
        assert!(
            (ratio - 1.0).abs() < 5.0 * (2.0 / count).sqrt(),
            "{name}: variance {variance}"
        );
    }
    assert_eq!(create(0, DType::F32, &HINTS[..1])["constant"], [0.5; 30]);
    Ok(())
}

#[test]
fn one_name_is_one_variable() -> Result<()> {
    let parameters = Parameters::seeded(0);
    let builder = parameters.builder(DType::F32, &Device::Cpu);
    let first = builder.get_with_hints((2, 3), "shared", HINTS[2].1)?;
    let second = builder.get_with_hints((2, 3), "shared", HINTS[0].1)?;
    assert_eq!(first.id(), second.id());
    assert_eq!(parameters.len(), 1);
    for error in [
        builder.get((3, 2), "shared").unwrap_err(),
        builder
            .to_dtype(DType::F64)
            .get((2, 3), "shared")
            .unwrap_err(),
        builder.get_unchecked("unknown").unwrap_err(),
        builder
            .get_with_hints(2, "unknown", Init::Const(f64::NAN))
            .unwrap_err(),
    ] {
        let message = error.to_string();
        assert!(
            message.contains("shared") || message.contains("unknown"),
            "{message}"
        );
    }
    assert_eq!(parameters.len(), 1, "a refused request creates nothing");
    Ok(())
}

#[test]
fn a_snapshot_is_independent_and_loads_back_into_the_same_network() -> Result<()> {
    let parameters = Parameters::seeded(3);
    let builder = parameters.builder(DType::F32, &Device::Cpu);
    let weight = builder.get_with_hints((4, 3), "weight", HINTS[2].1)?;
    builder.get_with_hints(4, "bias", HINTS[1].1)?;
    let snapshot = parameters.tensors()?;
    let before = values(&parameters);
    for (_, variable) in parameters.named() {
        variable.set(&variable.zeros_like()?)?;
    }
    assert_eq!(flat(&weight), [0.0; 12]);
    assert_eq!(flat(&snapshot["weight"]), before["weight"]);
    let wide: BTreeMap<_, _> = snapshot
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), tensor.to_dtype(DType::F64)?)))
        .collect::<Result<_>>()?;
    parameters.load(&wide)?;
    assert_eq!(values(&parameters), before);
    assert_eq!(
        flat(&weight),
        before["weight"],
        "networks see loaded values"
    );
    Ok(())
}

#[test]
fn tensors_that_do_not_fit_are_refused_and_change_nothing() -> Result<()> {
    let parameters = Parameters::seeded(3);
    let builder = parameters.builder(DType::F32, &Device::Cpu);
    builder.get_with_hints((4, 3), "weight", HINTS[2].1)?;
    builder.get_with_hints(4, "bias", HINTS[1].1)?;
    let before = values(&parameters);
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let load = |entries: &[(&str, &[usize])]| {
        let entries = entries.iter();
        parameters.load(
            &entries
                .map(|(name, shape)| (name.to_string(), zeros(shape)))
                .collect(),
        )
    };
    assert!(matches!(
        load(&[("bias", &[4])]),
        Err(Error::MissingTensor { name, .. }) if name == "weight"
    ));
    assert!(matches!(
        load(&[("bias", &[4]), ("scale", &[4]), ("weight", &[4, 3])]),
        Err(Error::UnexpectedTensor { name, .. }) if name == "scale"
    ));
    assert!(matches!(
        load(&[("bias", &[4]), ("weight", &[3, 4])]),
        Err(Error::ShapeMismatch { name, .. }) if name == "weight"
    ));
    assert_eq!(values(&parameters), before);
    Ok(())
}

#[test]
fn a_store_moves_towards_one_with_the_same_parameters_only() {
    let store = |hints: &[(&str, f64)], shape: usize| {
        let parameters = Parameters::seeded(0);
        let builder = parameters.builder(DType::F32, &Device::Cpu);
        for (name, value) in hints {
            let hint = Init::Const(*value);
            builder.get_with_hints(shape, name, hint).unwrap();
        }
        parameters
    };
    let mean = store(&[("a", 0.0), ("b", 10.0)], 3);
    // Equal weights: the mean of all targets so far, whatever it was before the first.
    for n in 1..=3 {
        let target = store(&[("a", f64::from(n)), ("b", -f64::from(n))], 3);
        mean.move_towards(&target, 1.0 / f64::from(n)).unwrap();
    }
    let expected = [("a", 2.0), ("b", -2.0)].map(|(name, mean)| (name.to_owned(), vec![mean; 3]));
    assert_eq!(values(&mean), BTreeMap::from(expected));
    mean.move_towards(&mean, 0.5).unwrap();

    let before = values(&mean);
    let refused = |target: &Parameters, share: f64| mean.move_towards(target, share).unwrap_err();
    let other = store(&[("a", 1.0), ("b", 1.0)], 3);
    for share in [-0.1, 1.1, f64::NAN] {
        let error = refused(&other, share);
        assert!(matches!(error, Error::Hyperparameter { .. }), "{error}");
    }
    let error = refused(&store(&[("a", 1.0)], 3), 0.5);
    assert!(
        matches!(&error, Error::MissingTensor { name, .. } if name == "b"),
        "{error}"
    );
    let error = refused(&store(&[("a", 1.0), ("b", 1.0), ("c", 1.0)], 3), 0.5);
    assert!(
        matches!(&error, Error::UnexpectedTensor { name, .. } if name == "c"),
        "{error}"
    );
    let error = refused(&store(&[("a", 1.0), ("b", 1.0)], 4), 0.5);
    assert!(
        matches!(&error, Error::ShapeMismatch { name, .. } if name == "a"),
        "{error}"
    );
    assert_eq!(values(&mean), before);
}
