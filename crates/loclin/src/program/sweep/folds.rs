//! Every run of a sweep as the runs of a cross-validation.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::error::PlanError;
use super::planned::Planned;
use crate::program::config::Config;

/// The keys that no run says, because the sweep does.
const KEYS: [&str; 2] = ["folds", "fold"];

/// What is changed in every run, and what varies, may not divide the data: the sweep does.
pub(super) fn check(folds: usize, tables: [(&str, &Table); 2]) -> Result<(), PlanError> {
    if !(2..=1000).contains(&folds) {
        let expected = format!("a number from 2 to 1000, found {folds}");
        return Err(PlanError::invalid("folds", expected));
    }
    for (place, table) in tables {
        if let Some(key) = KEYS.iter().find(|key| table.contains_key(**key)) {
            let expected = format!("nothing where `folds = {folds}` divides the data");
            return Err(PlanError::invalid(format!("{place}.{key}"), expected));
        }
    }
    Ok(())
}

/// The run that the `others` are compared with, once for each of the seeds that they have: their means are over the same parts.
pub(super) fn with_seeds(vanilla: &Planned, others: &[Planned]) -> Result<Vec<Planned>, PlanError> {
    let (mut seeds, mut known) = (Vec::new(), BTreeSet::new());
    for run in others {
        if known.insert(run.config.seed) {
            seeds.push(run.config.seed as i64);
        }
    }
    // Names say what varies.
    let varies = others.iter().any(|run| run.varied.contains_key("seed"));
    let seeded = |seed: i64| {
        let seed = [("seed", Value::from(seed))];
        match varies {
            true => with(vanilla, &seed, &[]),
            false => with(vanilla, &[], &seed),
        }
    };
    seeds.into_iter().map(seeded).collect()
}

/// Each run once for each of the parts, those of a run in a row.
pub(super) fn each(runs: &[Planned], folds: usize) -> Result<Vec<Planned>, PlanError> {
    let count = folds as i64;
    let part = |run, fold: i64| with(run, &[("fold", fold.into())], &[("folds", count.into())]);
    runs.iter()
        .flat_map(|run| (0..count).map(move |fold| (run, fold)))
        .map(|(run, fold)| part(run, fold))
        .collect()
}

/// A run with more of its own, and more that its name does not say.
fn with(
    run: &Planned,
    own: &[(&str, Value)],
    more: &[(&str, Value)],
) -> Result<Planned, PlanError> {
    let (mut name, mut varied) = (run.name.clone(), run.varied.clone());
    for (key, value) in own {
        name.push_str(&format!(",{key}={value}"));
        varied.insert((*key).to_owned(), value.clone());
    }
    let all: Vec<(String, Value)> = own
        .iter()
        .chain(more)
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    let config: Result<Config, _> = run.config.with(all.iter().map(|(key, value)| (key, value)));
    let config = config.map_err(|source| PlanError::Config {
        run: name.clone(),
        source,
    })?;
    Ok(Planned {
        name,
        varied,
        config,
    })
}
