//! How the runs of a sweep ended.

use loclin_data::Applied;
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::program::train::{Epoch, Outcome};

/// The name of the run with whose accuracy the rules compare.
pub(super) const VANILLA: &str = "vanilla";

/// Whether a run of that name is one that the rules compare with.
pub(super) fn is_vanilla(run: &str) -> bool {
    let rest = run.strip_prefix(VANILLA);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
}

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its directory in that of the sweep.
    pub run: String,
    /// What it has of its own, by key of the configuration.
    pub varied: Table,
    /// How it ended.
    #[serde(flatten)]
    pub status: Status,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "status")]
pub enum Status {
    /// All epochs were trained.
    Done {
        /// Wall-clock seconds of all epochs.
        seconds: f64,
        /// The epoch whose network was saved.
        best: Box<Epoch>,
        /// What was done to the inputs; earlier versions did not say.
        #[serde(default)]
        preprocessing: Option<Applied>,
    },
    /// The loss was no longer finite.
    Diverged {
        /// Where, and what it was.
        reason: String,
    },
}

impl Status {
    /// The best epoch of a run that ended well.
    pub fn best(&self) -> Option<&Epoch> {
        match self {
            Self::Done { best, .. } => Some(best),
            Self::Diverged { .. } => None,
        }
    }
}

impl From<Outcome> for Status {
    fn from(outcome: Outcome) -> Self {
        Self::Done {
            seconds: outcome.seconds,
            best: Box::new(outcome.best),
            preprocessing: outcome.preprocessing,
        }
    }
}
