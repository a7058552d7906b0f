//! What a run says of itself.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use loclin_data::Applied;
use serde::{Deserialize, Serialize};

use crate::program::outcome::infinite;
use crate::program::run_directory::MODEL;
use crate::program::words::counted;

/// One validated epoch: a line of `metrics.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// units; infinite, `null` in JSON, where no neuron limits it, as the quartiles below.
    #[serde(deserialize_with = "infinite")]
    pub median_eps_2: f64,
    /// Their 25th percentile; 0, as all that follow, where an earlier version did not record it.
    #[serde(default, deserialize_with = "infinite")]
    pub p25_eps_2: f64,
    /// Their 75th percentile.
    #[serde(default, deserialize_with = "infinite")]
    pub p75_eps_2: f64,
    /// Steps of the optimiser since the run began.
    #[serde(default)]
    pub step: usize,
    /// The learning rate of the last of them.
    #[serde(default)]
    pub learning_rate: f64,
    /// The l2 norm of the gradient in all parameters, of what that step went down; infinite, `null` in JSON, where its square is.
    #[serde(default, deserialize_with = "infinite")]
    pub gradient_norm: f64,
    /// When the validation ended, by the clock of the machine, in UTC (RFC 3339); with `seconds` what two equal runs do not share.
    #[serde(default)]
    pub date: String,
}

impl Epoch {
    /// What stands above rows.
    pub fn columns() -> String {
        format!(
            "{:>5} {:>6}  {:>10}  {:>10}  {:>8}  {:>9} {:>9} {:>9}  {:>9}  {:>9}  {:>8}",
            "epoch",
            "step",
            "train loss",
            "valid loss",
            "accuracy",
            "p25 eps_2",
            "median",
            "p75",
            "rate",
            "gradient",
            "seconds",
        )
    }

    /// The epoch as a row of a table.
    pub fn row(&self) -> String {
        format!(
            "{:>5} {:>6}  {:>10.4}  {:>10.4}  {:>7.2}%  {:>9.3e} {:>9.3e} {:>9.3e}  {:>9.3e}  {:>9.3e}  {:>8.1}",
            self.epoch,
            self.step,
            self.train_loss,
            self.valid_loss,
            100.0 * self.accuracy,
            self.p25_eps_2,
            self.median_eps_2,
            self.p75_eps_2,
            self.learning_rate,
            self.gradient_norm,
            self.seconds,
        )
    }
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
        let epochs = counted(epochs, "epoch");
        writeln!(f, "trained {epochs} in {seconds:.1} s")?;
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
