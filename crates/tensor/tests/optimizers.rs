//! The optimisers against PyTorch, and the promises about their state.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test itself does"
)]

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use loclin_tensor::{
    AdamConfig, AdamVariant, Error, Optimizer, OptimizerConfig, Result, Sgd, SgdConfig, random,
};
use serde_json::Value;

const REFERENCE: &str = include_str!("fixtures/optimizers.json");

fn variants() -> BTreeMap<&'static str, OptimizerConfig> {
    let sgd = |learning_rate, momentum, nesterov, weight_decay| {
        OptimizerConfig::Sgd(SgdConfig {
            learning_rate,
            momentum,
            nesterov,
            weight_decay,
        })
    };
    let adam = |beta1, beta2, epsilon, weight_decay, variant| {
        OptimizerConfig::Adam(AdamConfig {
            learning_rate: 0.03,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            variant,
        })
    };
    use AdamVariant::{Adam, AmsGrad};
    BTreeMap::from([
        ("sgd", sgd(0.05, 0.0, false, 0.0)),
        ("sgd-decay", sgd(0.05, 0.0, false, 0.1)),
        ("sgd-momentum", sgd(0.05, 0.8, false, 0.0)),
        ("sgd-nesterov", sgd(0.01, 0.5, true, 0.0)),
        ("sgd-nesterov-decay", sgd(0.05, 0.9, true, 0.02)),
        ("adam", adam(0.9, 0.999, 1e-8, 0.0, Adam)),
        ("adam-decay", adam(0.7, 0.95, 1e-4, 0.1, Adam)),
        ("amsgrad", adam(0.6, 0.8, 1e-8, 0.0, AmsGrad)),
        ("amsgrad-decay", adam(0.9, 0.999, 1e-8, 0.1, AmsGrad)),
    ])
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|number| number.as_f64().unwrap()).collect()
}

fn shaped(name: &str, values: &[f64], dtype: DType) -> Tensor {
    let shape: &[usize] = if name == "weight" { &[3, 2] } else { &[4] };
    let tensor = Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
    tensor.to_dtype(dtype).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    flat.to_vec1().unwrap()
}

/// Gradients of the given values: those of `sum of p * value`.
fn gradients(parameters: &[(String, Var)], values: &BTreeMap<String, Tensor>) -> GradStore {
    let mut loss = Tensor::zeros((), parameters[0].1.dtype(), &Device::Cpu).unwrap();
    for (name, variable) in parameters {
        if let Some(value) = values.get(name) {
            let term = (variable.as_tensor() * value).unwrap().sum_all().unwrap();
            loss = (loss + term).unwrap();
        }
    }
    loss.backward().unwrap()
}

/// The parameters of the reference, in an order that is not the sorted one.
fn start(dtype: DType) -> Vec<(String, Var)> {
    let reference: Value = serde_json::from_str(REFERENCE).unwrap();
    ["weight", "bias"]
        .map(|name| {
            let tensor = shaped(name, &numbers(&reference["start"][name]), dtype);
            (name.to_string(), Var::from_tensor(&tensor).unwrap())
        })
        .to_vec()
}

fn reference_gradients(dtype: DType) -> Vec<BTreeMap<String, Tensor>> {
    let reference: Value = serde_json::from_str(REFERENCE).unwrap();
    let steps = reference["gradients"].as_array().unwrap().iter();
    steps
        .map(|step| {
            let entries = step.as_object().unwrap().iter();
            entries
                .map(|(name, value)| (name.clone(), shaped(name, &numbers(value), dtype)))
                .collect()
        })
        .collect()
}

#[test]
fn every_variant_follows_pytorch() -> Result<()> {
    let reference: Value = serde_json::from_str(REFERENCE).unwrap();
    let recorded: Vec<_> = reference["values"].as_object().unwrap().keys().collect();
    assert_eq!(recorded, variants().keys().collect::<Vec<_>>());
    for (variant, config) in variants() {
        let parameters = start(DType::F64);
        let mut optimizer = config.build(parameters.clone())?;
        for (step, values) in reference_gradients(DType::F64).iter().enumerate() {
            if step == 4 {
                optimizer.set_learning_rate(optimizer.learning_rate() / 2.0)?;
            }
            optimizer.step(&gradients(&parameters, values))?;
            for (name, variable) in &parameters {
                let expected = numbers(&reference["values"][variant][step][name]);
                for (found, expected) in flat(variable).into_iter().zip(expected) {
                    // PyTorch fuses some multiplications and additions: a few
                    // roundings of 1e-16 a step, over eight steps.
                    assert!(
                        (found - expected).abs() <= 1e-12 * expected.abs(),
                        "{variant}, step {step}, {name}: {found} against {expected}"
                    );
                }
            }
        }
    }
    Ok(())
}

/// Values and state cross a save and a restore into fresh objects; the rest of
/// the run has the same bits, also when one parameter has no state yet.
#[test]
fn a_restored_run_continues_to_the_bit() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let steps = reference_gradients(dtype);
        for (variant, config) in variants() {
            for saved_after in 0..steps.len() {
                let parameters = start(dtype);
                let mut optimizer = config.build(parameters.clone())?;
                let without_early_bias = |step: usize, values: &BTreeMap<String, Tensor>| {
                    let mut values = values.clone();
                    if step < 3 {
                        values.remove("bias");
                    }
                    values
                };
                let mut restored = None;
                for (step, values) in steps.iter().enumerate() {
                    if step == saved_after {
                        let copies: Vec<_> = parameters
                            .iter()
                            .map(|(name, p)| Ok((name.clone(), Var::from_tensor(&p.copy()?)?)))
                            .collect::<Result<_>>()?;
                        let mut other = config.build(copies.clone())?;
                        other.load_state(&optimizer.state()?)?;
                        restored = Some((copies, other));
                    }
                    let values = without_early_bias(step, values);
                    optimizer.step(&gradients(&parameters, &values))?;
                    if let Some((copies, other)) = &mut restored {
                        other.step(&gradients(copies, &values))?;
                    }
                }
                let (copies, other) = restored.unwrap();
                for ((name, kept), (_, copy)) in parameters.iter().zip(&copies) {
                    assert_eq!(flat(kept), flat(copy), "{variant}, {dtype:?}, {name}");
                }
                let (kept, copy) = (optimizer.state()?, other.state()?);
                assert!(kept.keys().eq(copy.keys()), "{variant}");
                for (name, tensor) in &kept {
                    assert_eq!(flat(tensor), flat(&copy[name]), "{variant}, {name}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_parameter_without_a_gradient_is_left_alone() -> Result<()> {
    for (variant, config) in variants() {
        let parameters = start(DType::F64);
        let before = flat(&parameters[1].1);
        let mut optimizer = config.build(parameters.clone())?;
        let mut values = reference_gradients(DType::F64).swap_remove(0);
        values.remove("bias");
        optimizer.step(&gradients(&parameters, &values))?;
        assert_eq!(flat(&parameters[1].1), before, "{variant}");
        let state = optimizer.state()?;
        assert!(
            state.keys().all(|name| name.starts_with("weight.")),
            "{variant}"
        );
    }
    Ok(())
}

/// The state that was read is a snapshot, and a transposed gradient, as layers
/// give it, is the same as its row-major copy.
#[test]
fn layouts_and_snapshots() -> Result<()> {
    let rng = &mut random::stream(1, &[]);
    let value = random::normal(rng, (37, 21), DType::F64, &Device::Cpu)?;
    let gradient = random::normal(rng, (21, 37), DType::F64, &Device::Cpu)?.t()?;
    for (variant, config) in variants() {
        let run = |gradient: &Tensor| -> Result<_> {
            let variable = Var::from_tensor(&value)?;
            let mut optimizer = config.build(vec![("w".into(), variable.clone())])?;
            let mut store = Var::zeros((), DType::F64, &Device::Cpu)?.backward()?;
            store.insert(&variable, gradient.clone());
            optimizer.step(&store)?;
            let state = optimizer.state()?;
            let before: Vec<_> = state.values().map(flat).collect();
            optimizer.step(&store)?;
            let after: Vec<_> = state.values().map(flat).collect();
            assert_eq!(before, after, "{variant}");
            Ok(flat(&variable))
        };
        assert_eq!(run(&gradient)?, run(&gradient.contiguous()?)?, "{variant}");
    }
    Ok(())
}

#[test]
fn a_state_that_does_not_fit_is_refused_and_changes_nothing() -> Result<()> {
    for variant in ["sgd-momentum", "amsgrad"] {
        let parameters = start(DType::F64);
        let mut optimizer = variants()[variant].build(parameters.clone())?;
        let values = &reference_gradients(DType::F64)[0];
        optimizer.step(&gradients(&parameters, values))?;
        let state = optimizer.state()?;
        let offender = match variant {
            "amsgrad" => "weight.first_moment",
            _ => "weight.momentum",
        };
        let with = |name: &str, tensor: Tensor| {
            let mut state = state.clone();
            state.insert(name.into(), tensor);
            state
        };
        let scalar = |value: i64| Tensor::new(value, &Device::Cpu).unwrap();
        let mut cases = vec![
            (with("other.momentum", scalar(0)), "other.momentum"),
            (with(offender, scalar(0)), offender),
        ];
        if variant == "amsgrad" {
            cases.push((with("bias.step", scalar(-1)), "bias.step"));
            cases.push((with("bias.step", values["bias"].clone()), "bias.step"));
            let mut missing = state.clone();
            missing.remove("bias.largest_second_moment");
            cases.push((missing, "bias.largest_second_moment"));
        }
        for (bad, name) in cases {
            let error = optimizer.load_state(&bad).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            for (name, tensor) in optimizer.state()? {
                assert_eq!(flat(&tensor), flat(&state[&name]), "{variant}, {name}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_gradient_that_does_not_fit_is_refused_before_anything_moves() -> Result<()> {
    let parameters = start(DType::F64);
    let before: Vec<_> = parameters.iter().map(|(_, p)| flat(p)).collect();
    let mut optimizer = variants()["sgd"].build(parameters.clone())?;
    let mut store = gradients(&parameters, &reference_gradients(DType::F64)[0]);
    for bad in [
        Tensor::zeros((2, 3), DType::F64, &Device::Cpu)?,
        Tensor::zeros((3, 2), DType::F32, &Device::Cpu)?,
    ] {
        store.insert(&parameters[0].1, bad);
        let error = optimizer.step(&store).unwrap_err();
        assert!(error.to_string().contains("gradient of weight"), "{error}");
    }
    let after: Vec<_> = parameters.iter().map(|(_, p)| flat(p)).collect();
    assert_eq!(before, after);
    Ok(())
}

/// Configurations with one number out of its range, and its name.
fn with_everywhere(bad: f64) -> [(OptimizerConfig, &'static str); 6] {
    let (learning_rate, sgd, adam) = (bad, SgdConfig::default(), AdamConfig::default());
    [
        (
            OptimizerConfig::Sgd(SgdConfig {
                learning_rate,
                ..sgd
            }),
            "learning_rate",
        ),
        (
            OptimizerConfig::Sgd(SgdConfig {
                weight_decay: bad,
                ..sgd
            }),
            "weight_decay",
        ),
        (
            OptimizerConfig::Adam(AdamConfig {
                learning_rate,
                ..adam
            }),
            "learning_rate",
        ),
        (
            OptimizerConfig::Adam(AdamConfig {
                epsilon: bad,
                ..adam
            }),
            "epsilon",
        ),
        (
            OptimizerConfig::Adam(AdamConfig { beta2: bad, ..adam }),
            "beta2",
        ),
        (
            OptimizerConfig::Adam(AdamConfig {
                weight_decay: bad,
                ..adam
            }),
            "weight_decay",
        ),
    ]
}

#[test]
fn configurations_outside_their_ranges_are_refused() {
    let sgd = SgdConfig::default();
    let adam = AdamConfig::default();
    let mut cases = vec![
        (
            OptimizerConfig::Sgd(SgdConfig {
                momentum: 1.0,
                ..sgd
            }),
            "momentum",
        ),
        (
            OptimizerConfig::Sgd(SgdConfig {
                nesterov: true,
                ..sgd
            }),
            "momentum",
        ),
        (
            OptimizerConfig::Adam(AdamConfig { beta1: 1.0, ..adam }),
            "beta1",
        ),
        (
            OptimizerConfig::Adam(AdamConfig {
                beta2: -0.1,
                ..adam
            }),
            "beta2",
        ),
    ];
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        cases.extend(with_everywhere(bad));
    }
    for (config, expected) in cases {
        match config.build(start(DType::F32)) {
            Err(Error::Hyperparameter { field, .. }) => assert_eq!(field, expected, "{config:?}"),
            other => panic!("{config:?}: {other:?}"),
        }
    }
    let mut optimizer = Sgd::new(start(DType::F32), sgd).unwrap();
    optimizer.set_learning_rate(f64::NAN).unwrap_err();
    assert_eq!(optimizer.learning_rate(), sgd.learning_rate);
    let twice = [start(DType::F32), start(DType::F32)].concat();
    let error = Sgd::new(twice, sgd).unwrap_err();
    assert!(matches!(error, Error::DuplicateParameter { name } if name == "bias"));
}
