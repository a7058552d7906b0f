//! Objectives, their gradients in all parameters, and steps of training.

use crate::networks::{Kind, Model};
use crate::{assert_same, both, near, numbers};
use candle_core::{DType, Device, Tensor};
use candle_nn::loss::cross_entropy;
use loclin_models::{BatchStatistics, Trace};
use loclin_objectives::{
    Engine, Gamma, MmrConfig, Probes, RollConfig, SampledConfig, cure, distance, elle, grad_align,
    grad_cert, gradient_norm, jump_weighted, jump_weighted_sampled, mmr, relaxed, roll, sampled,
};
use loclin_regions::Norm;
use loclin_tensor::{AdamConfig, AdamVariant, OptimizerConfig, SgdConfig, random};

const BATCH: usize = 4;

/// What a regulariser is found from.
struct Here<'a> {
    trace: &'a Trace,
    x: &'a Tensor,
    y: &'a Tensor,
}

type Objective = fn(&Here<'_>) -> loclin_objectives::Result<Tensor>;

fn all(share: f64) -> RollConfig {
    RollConfig {
        c: 0.7,
        gamma: Gamma::Percent(share),
    }
}

fn probes(here: &Here<'_>, probes: Probes) -> loclin_objectives::Result<Tensor> {
    sampled(
        here.trace,
        SampledConfig { c: 0.7, probes },
        &mut random::stream(8, &[]),
    )
}

/// Every objective that a training can have.
const OBJECTIVES: [(&str, Objective); 15] = [
    (
        "vanilla",
        |here| Ok((here.trace.output().sum_all()? * 0.0)?),
    ),
    ("roll", |here| roll(here.trace, all(100.0))),
    ("roll of a third", |here| roll(here.trace, all(30.0))),
    ("relaxed", |here| relaxed(here.trace, 0.7)),
    ("distance", |here| distance(here.trace)),
    ("sampled axes", |here| probes(here, Probes::Axes(2))),
    ("sampled signs", |here| probes(here, Probes::Signs(2))),
    ("jump-weighted", |here| {
        jump_weighted(here.trace, here.y, 0.7)
    }),
    ("jump-weighted, sampled", |here| {
        jump_weighted_sampled(here.trace, here.y, 0.7, &mut random::stream(8, &[]))
    }),
    ("cure", |here| cure(here.trace, here.x, here.y, 0.1)),
    ("elle", |here| {
        elle(here.trace, here.x, here.y, 0.1, &mut random::stream(8, &[]))
    }),
    ("gradient norm", |here| gradient_norm(here.trace, here.y)),
    ("grad align", |here| {
        grad_align(here.trace, here.x, here.y, 0.1, &mut random::stream(8, &[]))
    }),
    ("mmr", |here| {
        let config = MmrConfig {
            norm: Norm::LINF,
            share: Gamma::Percent(30.0),
            boundary: 1.0,
            decision: 1.0,
        };
        mmr(here.trace, here.y, config)
    }),
    ("grad cert", |here| {
        grad_cert(here.trace, here.x, here.y, 0.05)
    }),
];

/// The objectives of a kind. Only chains know interval bounds.
fn objectives(kind: Kind) -> impl Iterator<Item = (&'static str, Objective)> {
    let known = move |name: &str| name != "grad cert" || kind == Kind::Chain;
    OBJECTIVES.into_iter().filter(move |(name, _)| known(name))
}

/// The loss, with what a step updates beside the parameters.
fn loss(model: &Model, x: &Tensor, objective: Objective) -> (Tensor, Vec<BatchStatistics>) {
    let labels: Vec<u32> = (0..BATCH as u32).map(|i| i % 3).collect();
    let y = Tensor::new(labels, &Device::Cpu).unwrap();
    let (trace, statistics) = model.trace(x);
    let task = cross_entropy(trace.output(), &y).unwrap();
    let here = Here {
        trace: &trace,
        x,
        y: &y,
    };
    let regulariser = (objective(&here).unwrap() * 0.3).unwrap();
    ((task + regulariser).unwrap(), statistics)
}

/// The loss, and its gradients in all parameters in the order of their names.
fn value_and_gradients(kind: Kind, dtype: DType, objective: Objective) -> [Vec<f64>; 2] {
    let (model, x) = (kind.model(dtype), kind.inputs(BATCH, dtype));
    let (loss, _) = loss(&model, &x, objective);
    let gradients = loss.backward().unwrap();
    let read = model
        .parameters
        .named()
        .into_iter()
        .flat_map(|(_, variable)| {
            let zeros = || vec![0.0; variable.elem_count()];
            gradients.get(&variable).map_or_else(zeros, numbers)
        });
    let read = read.collect();
    [numbers(&loss), read]
}

/// Sums of a few hundred products in another order; a regulariser's root or quotient magnifies that a little.
fn share(dtype: DType) -> f64 {
    if dtype == DType::F64 { 1e-11 } else { 1e-3 }
}

#[test]
fn objectives_and_their_gradients_are_the_same() {
    for kind in Kind::ALL {
        for dtype in [DType::F64, DType::F32] {
            for (name, objective) in objectives(kind) {
                let [loops, tensors] = both(|| value_and_gradients(kind, dtype, objective));
                let what = format!("{kind:?} {dtype:?} {name}");
                for (loops, tensors) in loops.iter().zip(&tensors) {
                    near(&what, share(dtype), loops, tensors);
                }
            }
        }
    }
}

#[test]
fn engines_are_chosen_with_loops_only() {
    for (kind, engine) in [
        (Kind::Chain, Engine::Chain),
        (Kind::Sequence, Engine::Recurrence),
        (Kind::Residual, Engine::General),
    ] {
        let [loops, tensors] = both(|| Engine::of(&kind.model(DType::F64).network()));
        assert_eq!((loops, tensors), (engine, Engine::General), "{kind:?}");
    }
}

/// A few steps of every optimiser, statistics of batches included.
#[test]
fn training_steps_are_the_same() {
    let sgd = OptimizerConfig::Sgd(SgdConfig {
        learning_rate: 0.05,
        momentum: 0.9,
        nesterov: true,
        weight_decay: 1e-3,
    });
    let adam = |variant| {
        OptimizerConfig::Adam(AdamConfig {
            learning_rate: 1e-2,
            weight_decay: 1e-3,
            variant,
            ..AdamConfig::default()
        })
    };
    let optimizers = [sgd, adam(AdamVariant::Adam), adam(AdamVariant::AmsGrad)];
    for kind in [Kind::Chain, Kind::Sequence, Kind::Residual] {
        for config in optimizers {
            let what = format!("{kind:?} {config:?}");
            // Adam divides by roots of gradients' squares, however small these are.
            assert_same(&what, 1e-8, || {
                let (model, x) = (kind.model(DType::F64), kind.inputs(BATCH, DType::F64));
                let mut optimizer = config.build(model.parameters.named()).unwrap();
                for _ in 0..3 {
                    let (loss, statistics) = loss(&model, &x, |here| roll(here.trace, all(100.0)));
                    optimizer.step(&loss.backward().unwrap()).unwrap();
                    BatchStatistics::update(&statistics, &model.parameters, 0.1).unwrap();
                }
                let named = model.parameters.named().into_iter();
                named.flat_map(|(_, variable)| numbers(&variable)).collect()
            });
        }
    }
}
