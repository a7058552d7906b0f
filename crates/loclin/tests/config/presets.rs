//! The shipped presets: the values that they have always had, and the experiments that they are.

use std::path::Path;

use loclin::program::config::{Config, Gamma, Loss};
use loclin::program::options::Global;
use loclin::program::shipped::Kind;
use loclin::program::sweep::Plan;
use serde_json::{Map, Value};

/// Every key of every preset, one JSON object a line, from when each file held all of them.
const VALUES: &str = include_str!("presets.jsonl");

#[test]
fn every_preset_has_the_values_that_it_has_always_had() {
    let lines: Vec<Map<String, Value>> = VALUES
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), Kind::Preset.files().len());
    for mut expected in lines {
        let name = expected.remove("preset").unwrap();
        let config = Config::preset(name.as_str().unwrap(), &[]).unwrap();
        let Value::Object(found) = serde_json::to_value(config).unwrap() else {
            unreachable!()
        };
        // A key that is newer than the values has its default.
        for (key, value) in expected {
            assert_eq!(found[&key], value, "{name}: {key}");
        }
    }
}

#[test]
fn a_preset_says_only_what_differs_from_the_defaults() {
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    for shipped in Kind::Preset.files() {
        let mut table: toml::Table = shipped.text.parse().unwrap();
        assert!(table.remove("format").is_some(), "{}", shipped.name);
        for (key, value) in table {
            assert_ne!(defaults[&key], value, "{}: {key}", shipped.name);
        }
    }
}

#[test]
fn every_shipped_sweep_is_a_plan() {
    for shipped in Kind::Sweep.files() {
        let plan = Plan::load(Path::new(shipped.name), Path::new(""), &Global::default());
        assert!(plan.unwrap().runs.len() > 1, "{}", shipped.name);
    }
}

#[test]
fn the_presets_are_the_experiments_they_name() {
    let load = |name: &str| Config::preset(name, &[]).unwrap();
    // Table 1: both ROLL rows have gamma = 100 and lambda = 2.
    for (name, c) in [("mnist-roll-0.25", 0.25), ("mnist-roll-1", 1.0)] {
        let config = load(name);
        assert_eq!(
            (config.loss, config.c, config.lambda, config.gamma),
            (Loss::Roll, c, 2.0, Gamma::Percent(100.0))
        );
        assert_eq!(
            (config.hidden, config.learning_rate, config.momentum),
            (vec![300; 4], 0.01, 0.5)
        );
        assert_eq!(
            (config.batch_size, config.epochs, config.nesterov),
            (64, 20, true)
        );
    }
    // Table 4, with 120 axes for each of three channels.
    let config = load("caltech256-roll");
    assert_eq!(
        (config.loss, config.lambda, config.c, config.axes),
        (Loss::Axes, 0.001, 8.0, 360)
    );
    assert_eq!(
        [0.0, 9.9, 10.0].map(|epoch| config.learning_rate_at(epoch)),
        [0.005, 0.005, 0.0005]
    );
    // The best that we know of have the paper's data, architecture and budget.
    let paper = load("mnist-roll-1");
    for name in ["mnist-roll-same", "mnist-roll-less"] {
        let config = load(name);
        assert_eq!(config.loss, Loss::Roll, "{name}");
        assert_eq!(
            (config.dataset, config.hidden, config.epochs),
            (paper.dataset.clone(), paper.hidden.clone(), paper.epochs),
            "{name}"
        );
    }
    // A comparison is one of objectives only where nothing else differs.
    for (vanilla, roll) in [
        ("mnist-vanilla", "mnist-roll-0.25"),
        ("demo-vanilla", "demo"),
        ("cifar10-vanilla", "cifar10-roll"),
        ("cifar10-vanilla", "cifar10-jump-weighted"),
        ("caltech256-vanilla", "caltech256-roll"),
    ] {
        let (config, roll) = (load(vanilla), load(roll));
        assert_eq!(config.loss, Loss::Vanilla);
        let loss = roll.loss;
        assert_eq!(Config { loss, ..config }, roll);
    }
}
