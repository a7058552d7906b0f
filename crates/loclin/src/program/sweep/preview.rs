//! What a sweep would do.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::Table;

use super::outcome::Outcome;
use super::planned::Planned;
use crate::program::train::{self, Datasets};

/// What `sweep` found, or what it would do.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// The results.
    Results(Outcome),
    /// The runs, of which none was begun.
    Preview(Preview),
}

/// The runs of a sweep, or of one of its shards.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// The directory of the results.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub out: PathBuf,
    /// The runs in the order in which they would be begun.
    pub planned: Vec<Expected>,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Expected {
    /// Its directory in that of the sweep.
    pub run: String,
    /// What it has of its own, by key of the configuration.
    pub varied: Table,
    /// Epochs of its configuration.
    pub epochs: usize,
    /// Whether all of them are trained already.
    pub done: bool,
}

impl Preview {
    /// Of `runs` in the directory `out`, which need not be there.
    pub(super) fn new(runs: &[Planned], out: &Path, datasets: &Datasets) -> anyhow::Result<Self> {
        let expected = |run: &Planned| {
            Ok(Expected {
                run: run.name.clone(),
                varied: run.varied.clone(),
                epochs: run.config.epochs,
                done: train::finished(&run.config, &out.join(&run.name), datasets)?.is_some(),
            })
        };
        Ok(Self {
            out: out.to_owned(),
            planned: runs.iter().map(expected).collect::<anyhow::Result<_>>()?,
        })
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Expected {
            run, epochs, done, ..
        } in &self.planned
        {
            let state = if *done { ", done" } else { "" };
            writeln!(f, "{run}: {epochs} epochs{state}")?;
        }
        let left = self.planned.iter().filter(|run| !run.done);
        let epochs: usize = left.clone().map(|run| run.epochs).sum();
        let (left, all, out) = (left.count(), self.planned.len(), self.out.display());
        write!(f, "{left} of {all} runs to do, {epochs} epochs: {out}")
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Results(outcome) => outcome.fmt(f),
            Self::Preview(preview) => preview.fmt(f),
        }
    }
}
