//! Any configuration is written and read back; any text is read or refused.

use loclin::program::compute::Dtype;
use loclin::program::config::{
    Architecture, Average, Config, DataLayout, Gamma, Loss, Optimizer, ResNetFamily, Schedule,
};
use proptest::prelude::*;

use crate::DEMO;

type Network = (
    String,
    (Architecture, Vec<usize>, usize),
    ResNetFamily,
    Vec<usize>,
    String,
    f64,
);

fn any_network() -> impl Strategy<Value = Network> {
    let architecture = prop_oneof![
        prop::collection::vec(1..=65_536_usize, 1..=64).prop_map(|hidden| (
            Architecture::Fc,
            hidden,
            0
        )),
        (1..=65_536_usize, 0.0..=1.0).prop_map(|(width, share)| {
            let negative = (share * width as f64) as usize;
            (Architecture::ScoRnn, vec![width], negative)
        }),
        (1..=65_536_usize).prop_map(|width| (Architecture::ResNet, vec![width], 0)),
    ];
    (
        "[^\\p{Cc}]{1,20}",
        architecture,
        prop_oneof![Just(ResNetFamily::Cifar), Just(ResNetFamily::ImageNet)],
        prop::collection::vec(1..=64_usize, 1..=8),
        "[^\\p{Cc}]{1,20}",
        0.0..1.0,
    )
}

/// What decides the network and the objective; the rest is the default.
fn any_subject() -> impl Strategy<Value = Config> {
    let gamma = prop_oneof![
        Just(Gamma::Max),
        (f64::MIN_POSITIVE..=100.0).prop_map(Gamma::Percent)
    ];
    let objective = (
        prop::sample::select(Loss::ALL),
        0.0..f64::MAX,
        0.0..f64::MAX,
        gamma,
        1..=i64::MAX as usize,
        0..=1_000_000_usize,
    );
    (any_network(), objective).prop_map(|(network, objective)| {
        let (dataset, (architecture, hidden, negative), family, blocks, init, negative_slope) =
            network;
        let (loss, lambda, c, gamma, axes, estimated_epochs) = objective;
        let init = match architecture {
            Architecture::ScoRnn => "seeded".to_owned(),
            Architecture::Fc | Architecture::ResNet => init,
        };
        let negative_slope = match architecture {
            Architecture::ResNet => 0.0,
            Architecture::Fc | Architecture::ScoRnn => negative_slope,
        };
        let loss = match (loss, architecture) {
            (Loss::GradCert, Architecture::ResNet | Architecture::ScoRnn) => Loss::Roll,
            (loss, _) => loss,
        };
        let gamma = match loss.takes_all() {
            true => Gamma::Percent(100.0),
            false => gamma,
        };
        let mean = loss.estimate().is_some() && gamma == Gamma::Percent(100.0);
        Config {
            dataset,
            architecture,
            hidden,
            negative,
            family,
            blocks,
            init,
            negative_slope,
            loss,
            lambda,
            c,
            gamma,
            axes,
            estimated_epochs: if mean { estimated_epochs } else { 0 },
            ..Config::default()
        }
    })
}

/// A configuration with something done to its inputs.
fn any_prepared() -> impl Strategy<Value = Config> {
    let number = || prop_oneof![Just(1.0), f64::MIN_POSITIVE..1e100];
    let scale = prop_oneof![
        Just("by-data".to_owned()),
        number().prop_map(|factor| factor.to_string()),
        (1u32..1000, 1u32..1000).prop_map(|(a, b)| format!("{a}/{b}")),
    ];
    let resize = prop_oneof![
        Just("none".to_owned()),
        (1..=4096_usize).prop_map(|side| side.to_string()),
        (1..=4096_usize, 1..=4096_usize).prop_map(|(height, width)| format!("{height}x{width}")),
    ];
    let moments = prop::collection::vec((-1e100..1e100, number()), 0..4);
    let layout = prop::sample::select(DataLayout::ALL);
    (any_subject(), scale, layout, moments, resize, any::<bool>()).prop_map(
        |(subject, scale, layout, moments, resize, exif_orientation)| {
            let (mean, std) = moments.into_iter().unzip();
            Config {
                scale,
                layout,
                mean,
                std,
                resize,
                exif_orientation,
                ..subject
            }
        },
    )
}

/// A configuration with another course of training.
fn any_config() -> impl Strategy<Value = Config> {
    let positive = || f64::MIN_POSITIVE..f64::MAX;
    let optimiser = (
        prop::sample::select(Optimizer::ALL),
        positive(),
        0.0..1.0,
        any::<bool>(),
        0.0..f64::MAX,
    );
    let schedule = (
        prop::sample::select(Schedule::ALL),
        f64::MIN_POSITIVE..=1.0,
        prop::collection::btree_set(1..=1_000_000_usize, 1..4),
        0.0..f64::MAX,
    );
    let average = (prop::sample::select(Average::ALL), 0.0..1.0, 0.0..1.0);
    let augmentation = (0..=1_000_000_usize, any::<bool>());
    let run = (
        1..=1_000_000_usize,
        1..=1_000_000_usize,
        1..=1_000_000_usize,
        0..=i64::MAX as u64,
        prop_oneof![Just(Dtype::F32), Just(Dtype::F64)],
        positive(),
    );
    let course = (schedule, average, augmentation);
    (any_prepared(), optimiser, course, run).prop_map(|(subject, optimiser, course, run)| {
        let (optimizer, learning_rate, momentum, nesterov, weight_decay) = optimiser;
        let (schedule, average, (crop_padding, flip)) = course;
        let (schedule, decay, decay_epochs, lambda_warmup) = schedule;
        let (average, average_from, average_decay) = average;
        let (batch_size, epochs, validate_every, seed, dtype, checkpoint_seconds) = run;
        Config {
            optimizer,
            learning_rate,
            momentum,
            nesterov: nesterov && momentum > 0.0,
            weight_decay,
            schedule,
            decay,
            decay_epochs: decay_epochs.into_iter().collect(),
            lambda_warmup,
            average,
            average_from: average_from * epochs as f64,
            average_decay,
            crop_padding,
            flip,
            batch_size,
            epochs,
            validate_every,
            seed,
            dtype,
            checkpoint_seconds,
            ..subject
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_equal(config in any_config()) {
        let text = config.to_toml().unwrap();
        prop_assert_eq!(Config::parse(&text, &[]).unwrap(), config);
    }

    #[test]
    fn any_text_and_any_override_are_read_or_refused(text in ".{0,200}", pair in ".{0,40}") {
        let _ = Config::parse(&text, &[]);
        let _ = Config::parse(&DEMO, &[pair]);
    }
}
