//! Any configuration is written and read back; any text is read or refused.

use loclin::program::compute::Dtype;
use loclin::program::config::{
    Architecture, Average, Config, Gamma, Loss, Optimizer, ResNetFamily, Schedule,
};
use proptest::prelude::*;

use crate::DEMO;

fn any_config() -> impl Strategy<Value = Config> {
    let loss = prop::sample::select(Loss::ALL);
    let gamma = prop_oneof![
        Just(Gamma::Max),
        (f64::MIN_POSITIVE..=100.0).prop_map(Gamma::Percent)
    ];
    let optimizer = prop::sample::select(Optimizer::ALL);
    let positive = || f64::MIN_POSITIVE..f64::MAX;
    let network = (
        "[^\\p{Cc}]{1,20}",
        prop_oneof![
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
        ],
        prop_oneof![Just(ResNetFamily::Cifar), Just(ResNetFamily::ImageNet)],
        prop::collection::vec(1..=64_usize, 1..=8),
        "[^\\p{Cc}]{1,20}",
        0.0..1.0,
    );
    let augmentation = (0..=1_000_000_usize, any::<bool>());
    let objective = (
        loss,
        0.0..f64::MAX,
        0.0..f64::MAX,
        gamma,
        1..=i64::MAX as usize,
    );
    let optimiser = (
        optimizer,
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
        0..=1_000_000_usize,
    );
    let average = (prop::sample::select(Average::ALL), 0.0..1.0, 0.0..1.0);
    let dtype = prop_oneof![Just(Dtype::F32), Just(Dtype::F64)];
    let run = (
        1..=1_000_000_usize,
        1..=1_000_000_usize,
        1..=1_000_000_usize,
        0..=i64::MAX as u64,
        dtype,
        positive(),
    );
    let course = (schedule, average, augmentation);
    (network, objective, optimiser, course, run).prop_map(
        |(network, objective, optimiser, course, run)| {
            let (dataset, (architecture, hidden, negative), family, blocks, init, negative_slope) =
                network;
            let (loss, lambda, c, gamma, axes) = objective;
            let (optimizer, learning_rate, momentum, nesterov, weight_decay) = optimiser;
            let (
                (schedule, decay, decay_epochs, lambda_warmup, estimated_epochs),
                (average, average_from, average_decay),
                (crop_padding, flip),
            ) = course;
            let init = match architecture {
                Architecture::ScoRnn => "seeded".to_owned(),
                Architecture::Fc | Architecture::ResNet => init,
            };
            let negative_slope = match architecture {
                Architecture::ResNet => 0.0,
                Architecture::Fc | Architecture::ScoRnn => negative_slope,
            };
            let (batch_size, epochs, validate_every, seed, dtype, checkpoint_seconds) = run;
            let gamma = if loss.is_estimate() {
                Gamma::Percent(100.0)
            } else {
                gamma
            };
            let nesterov = nesterov && momentum > 0.0;
            let mean = loss == Loss::Roll && gamma == Gamma::Percent(100.0);
            let estimated_epochs = if mean { estimated_epochs } else { 0 };
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
                optimizer,
                learning_rate,
                momentum,
                nesterov,
                weight_decay,
                schedule,
                decay,
                decay_epochs: decay_epochs.into_iter().collect(),
                lambda_warmup,
                estimated_epochs,
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
            }
        },
    )
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
