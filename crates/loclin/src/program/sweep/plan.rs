//! From a sweep file to the runs it asks for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::error::PlanError;
use super::folds;
use super::planned::Planned;
use super::random::{Draw, drawn};
use super::row::VANILLA;
use super::select::Rule;
use crate::program::config::Config;
use crate::program::errors::Usage;
use crate::program::files;
use crate::program::options::Global;
use crate::program::shipped::{self, Kind};

/// Most runs of one sweep: a grid beyond this is a slip of the pen.
const MOST_RUNS: usize = 10_000;

/// The bytes of the longest name that what varies makes by itself: seed and part come behind it, and file systems take 255.
const LONGEST_NAME: usize = 180;

/// A sweep file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The base configuration: the name of a preset, or a path relative to the sweep's file.
    base: PathBuf,
    /// The configuration of the run with whose accuracy the rules compare, another such name or path; it is taken as it is.
    vanilla: Option<PathBuf>,
    search: Search,
    /// Into how many parts the training data are divided, each of which validates once.
    folds: Option<usize>,
    /// How many runs a random search makes, and the seed of its choices.
    trials: Option<usize>,
    seed: Option<u64>,
    /// What is changed in every run.
    #[serde(default)]
    set: Table,
    /// What varies: for each key the values, or for a random search a range.
    vary: Table,
    #[serde(default)]
    select: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Search {
    Grid,
    Random,
}

/// The runs of a sweep, in order, and what is chosen from them.
#[derive(Clone, Debug)]
pub struct Plan {
    /// That of its file, without folder and extension.
    pub name: String,
    /// In the order in which they are begun.
    pub runs: Vec<Planned>,
    pub(super) rules: Vec<Rule>,
}

impl Plan {
    /// Reads a sweep, a file or the shipped one of that name, and the configurations that it builds on; a path is
    /// relative to `directory`. `--seed` and `--dtype` have the last word.
    ///
    /// # Errors
    /// A file that cannot be read, a name that is none, and a sweep or a configuration that cannot be used.
    pub fn load(given: &Path, directory: &Path, global: &Global) -> anyhow::Result<Self> {
        let found = shipped::find(Kind::Sweep, given, directory);
        let found = found.map_err(|error| error.of_option("--config"))?;
        let unusable = || format!("{}: not a usable sweep", found.place);
        let written: Written = toml::from_str(&found.text)
            .map_err(PlanError::from)
            .with_context(unusable)?;
        for (key, given) in [
            ("seed", global.seed.is_some()),
            ("dtype", global.dtype.is_some()),
        ] {
            if given && written.vary.contains_key(key) {
                let message = format!("--{key}: the sweep varies `{key}` itself");
                return Err(Usage::new(message).into());
            }
        }
        let config =
            |given: &Path| Config::find(given, &found.directory, &[]).with_context(unusable);
        let vanilla = written.vanilla.as_deref().map(config).transpose()?;
        let base = config(&written.base)?;
        Self::new(found.name.clone(), &written, &base, vanilla, global).with_context(unusable)
    }

    fn new(
        name: String,
        written: &Written,
        base: &Config,
        vanilla: Option<Config>,
        global: &Global,
    ) -> Result<Self, PlanError> {
        for rule in &written.select {
            rule.check(vanilla.is_some())?;
        }
        if let Some(key) = written
            .set
            .keys()
            .find(|key| written.vary.contains_key(*key))
        {
            let expected = format!("nothing, because `vary.{key}` says what it is in each run");
            return Err(PlanError::invalid(format!("set.{key}"), expected));
        }
        if let Some(folds) = written.folds {
            folds::check(folds, [("set", &written.set), ("vary", &written.vary)])?;
        }
        // Behind what the sweep sets: the command line has the last word.
        let with_options = |mut run: Planned| {
            run.config.apply(global);
            run
        };
        let vanilla = vanilla.map(|config| {
            with_options(Planned {
                name: VANILLA.to_owned(),
                varied: Table::new(),
                config,
            })
        });
        let varying = varying(written, base)?.into_iter().map(with_options);
        let varying: Vec<Planned> = varying.collect();
        // Means over seeds are compared with means over the same.
        let seeds = written.vary.get("seed").and_then(|seeds| seeds.as_array());
        let several = written.search == Search::Grid && seeds.is_some_and(|seeds| seeds.len() > 1);
        let vanilla: Vec<Planned> = match vanilla {
            Some(vanilla) if several || written.folds.is_some() => {
                folds::with_seeds(&vanilla, &varying)?
            }
            vanilla => vanilla.into_iter().collect(),
        };
        let mut runs = [vanilla, varying].concat();
        if let Some(folds) = written.folds {
            if runs.len() * folds > MOST_RUNS {
                let expected = format!("at most {MOST_RUNS} runs with all parts");
                return Err(PlanError::invalid("folds", expected));
            }
            runs = folds::each(&runs, folds)?;
        }
        Ok(Self {
            name,
            runs,
            rules: written.select.clone(),
        })
    }

    /// A digest of every configuration and rule: equal sweeps have equal ones, on any machine.
    pub(super) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for run in &self.runs {
            digest.update(format!("{}\n{:?}\n", run.name, run.config));
        }
        digest.update(format!("{:?}", self.rules));
        files::hexadecimal(&digest.finalize())
    }
}

/// The base configuration with what is set, and with each choice of what varies.
fn varying(written: &Written, base: &Config) -> Result<Vec<Planned>, PlanError> {
    let choices = match written.search {
        Search::Grid => grid(written)?,
        Search::Random => random(written)?,
    };
    let (mut runs, mut names) = (Vec::new(), BTreeSet::new());
    for (name, varied) in choices {
        let pairs = written.set.iter().chain(&varied);
        let config = base.with(pairs).map_err(|source| PlanError::Config {
            run: name.clone(),
            source,
        })?;
        if !names.insert(name.clone()) {
            return Err(PlanError::SameName(name));
        }
        runs.push(Planned {
            name,
            varied,
            config,
        });
    }
    Ok(runs)
}

/// Every combination of the listed values, the last key changing fastest.
fn grid(written: &Written) -> Result<Vec<(String, Table)>, PlanError> {
    for (key, given) in [
        ("trials", written.trials.is_some()),
        ("seed", written.seed.is_some()),
    ] {
        if given {
            let expected = r#"nothing where search = "grid", which takes every combination"#;
            return Err(PlanError::invalid(key, expected));
        }
    }
    let mut combinations = vec![Table::new()];
    for (key, values) in &written.vary {
        let listed = values.as_array().filter(|values| !values.is_empty());
        let values = listed.ok_or_else(|| {
            let expected = format!("a list of values, found {values}");
            PlanError::invalid(format!("vary.{key}"), expected)
        })?;
        // 1 and 1.0 are one value in two ways.
        let number = |value: &Value| value.as_float().or(value.as_integer().map(|n| n as f64));
        let is_again = |(at, value): &(usize, &Value)| {
            let own = number(value);
            own.is_some() && values[..*at].iter().any(|other| number(other) == own)
        };
        if let Some((_, again)) = values.iter().enumerate().find(is_again) {
            let expected = format!("different values, found {again} twice");
            return Err(PlanError::invalid(format!("vary.{key}"), expected));
        }
        let found = combinations.len() * values.len();
        if found > MOST_RUNS {
            let expected = format!("at most {MOST_RUNS} combinations, found {found} or more");
            return Err(PlanError::invalid("vary", expected));
        }
        let with = |value: &Value, combination: &Table| {
            let mut combination = combination.clone();
            combination.insert(key.clone(), value.clone());
            combination
        };
        combinations = combinations
            .iter()
            .flat_map(|combination| values.iter().map(|value| with(value, combination)))
            .collect();
    }
    Ok(combinations
        .into_iter()
        .map(|varied| (name_of(&varied), varied))
        .collect())
}

/// `trials` draws, each a function of the seed and its number, so that more trials keep those that there were.
fn random(written: &Written) -> Result<Vec<(String, Table)>, PlanError> {
    let trials = written.trials.filter(|n| (1..=MOST_RUNS).contains(n));
    let trials = trials.ok_or_else(|| {
        let found = written
            .trials
            .map_or_else(|| "none".to_owned(), |n| n.to_string());
        let expected =
            format!(r#"a number from 1 to {MOST_RUNS}, because search = "random", found {found}"#);
        PlanError::invalid("trials", expected)
    })?;
    let seed = written
        .seed
        .ok_or_else(|| PlanError::invalid("seed", r#"a number, because search = "random""#))?;
    let draws: Vec<(&String, Draw)> = written
        .vary
        .iter()
        .map(|(key, written)| Ok((key, Draw::parse(key, written)?)))
        .collect::<Result<_, PlanError>>()?;
    let trial = |number: usize| {
        let values = draws.iter().zip(0..).map(|((key, draw), position)| {
            ((*key).clone(), drawn(draw, seed, [number as u64, position]))
        });
        (format!("trial-{:04}", number + 1), values.collect())
    };
    Ok((0..trials).map(trial).collect())
}

/// `key=value,key=value`, in signs that file systems and shells take.
fn name_of(varied: &Table) -> String {
    let pairs = varied.iter().map(|(key, value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+".contains(c);
        let words: Vec<&str> = value
            .split(|c| !plain(c) && c != '-')
            .filter(|w| !w.is_empty())
            .collect();
        format!("{key}={}", words.join("-"))
    });
    let name = pairs.collect::<Vec<_>>().join(",");
    match name.len() {
        0 => "base".to_owned(),
        1..=LONGEST_NAME => name,
        _ => {
            let digest = files::hexadecimal(&Sha256::digest(&name)[..8]);
            format!(
                "{}-{digest}",
                &name[..name.floor_char_boundary(LONGEST_NAME - 17)]
            )
        }
    }
}
