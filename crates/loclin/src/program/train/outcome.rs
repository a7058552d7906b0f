//! What a run says of itself.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use loclin_data::Applied;
use serde::{Deserialize, Serialize};

use crate::program::run_directory::MODEL;

/// One validated epoch: a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Wall-clock seconds since the last validation, this one included.
    pub seconds: f64,
    /// Threads that they ran on; 0 where that was not recorded.
    #[serde(default)]
    pub threads: usize,
    /// Mean loss over the steps since the last validation: task loss + lambda * regulariser, lambda at its final value.
    pub train_loss: f64,
    /// The same on the validation inputs after the epoch, by the network with the mean of the weights once there
    /// is one; the best epoch has the least.
    pub valid_loss: f64,
    /// The task loss on the validation inputs.
    pub task_loss: f64,
    /// The regulariser on the validation inputs, not times lambda; 0 if there is none.
    pub regulariser: f64,
    /// Share of correct predictions on the validation inputs.
    pub accuracy: f64,
    /// Median l2 margin, of whole balls (Eq. 3), of the first 1000 validation inputs (of the first 50 for a residual network), in raw input
    /// units.
    pub median_eps_2: f64,
}

/// What a finished run says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The run's directory.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub run: PathBuf,
    /// Epochs trained.
    pub epochs: usize,
    /// The epoch whose network is in `model.safetensors`.
    pub best: Epoch,
    /// Wall-clock seconds of all epochs.
    pub seconds: f64,
    /// What was done to the inputs; `None` for a run that an earlier version finished.
    pub preprocessing: Option<Applied>,
}

/// A loss that is no longer finite: the run cannot go on, and another learning rate or lambda may do better.
#[derive(Debug, thiserror::Error)]
#[error("{0}; a smaller learning_rate or lambda may help")]
pub struct Diverged(pub(super) String);

impl Outcome {
    pub(super) fn new(
        run: &Path,
        history: &[Epoch],
        preprocessing: Option<Applied>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            run: run.to_owned(),
            epochs: history.last().map_or(0, |last| last.epoch),
            best: best(history).context("no epoch was trained")?.clone(),
            seconds: history.iter().map(|epoch| epoch.seconds).sum(),
            preprocessing,
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Epoch {
            epoch,
            valid_loss,
            accuracy,
            median_eps_2,
            ..
        } = &self.best;
        let (run, epochs, seconds) = (self.run.display(), self.epochs, self.seconds);
        writeln!(f, "trained {epochs} epochs in {seconds:.1} s")?;
        if let Some(preprocessing) = &self.preprocessing {
            writeln!(f, "inputs: {preprocessing}")?;
        }
        writeln!(
            f,
            "best epoch {epoch}: validation loss {valid_loss:.4}, accuracy {:.2}%, median eps_2 {median_eps_2:.3e}",
            100.0 * accuracy
        )?;
        write!(f, "{run}/{MODEL}")
    }
}

/// The epoch with the least validation loss, the first of equal ones.
pub(super) fn best(history: &[Epoch]) -> Option<&Epoch> {
    history
        .iter()
        .min_by(|a, b| a.valid_loss.total_cmp(&b.valid_loss))
}
