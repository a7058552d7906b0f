//! `loclin train`: one training run in one directory.
//!
//! A run directory holds `config.toml` (the complete effective configuration), `model.safetensors` (the best
//! epoch by validation loss, regulariser included), `last.safetensors` (everything that a resumed run needs) and
//! `metrics.jsonl` (an object per validated epoch). Each is whole or absent at any moment, and a run that was killed and
//! resumed ends with the same bits as one that was not.

mod checkpoint;
mod learner;
mod objective;
mod trainer;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use loclin_data::{Data, Split};
use serde::{Deserialize, Serialize};

use crate::program::config::{Config, SEEDED};
use crate::program::errors::Usage;
use crate::program::options::{DataDir, Global};
use crate::program::{files, opened};

/// The complete effective configuration of a run.
pub const CONFIG: &str = "config.toml";
/// The best network of a run.
pub const MODEL: &str = "model.safetensors";
const LAST: &str = "last.safetensors";
const METRICS: &str = "metrics.jsonl";

const EXAMPLE: &str = "\
Examples:
  loclin train --config crates/loclin/presets/demo.toml --out runs/demo
  loclin train --config crates/loclin/presets/mnist-roll-1.toml --set epochs=5 --set loss=sampled
  loclin train --config crates/loclin/presets/demo.toml --out runs/demo --resume";

/// Options of `train`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The experiment, a file such as those in crates/loclin/presets
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Change one key of the configuration; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The run's directory [default: runs/NAME-seedN, after the configuration's file]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the run in the directory, if one was begun there
    #[arg(long)]
    pub resume: bool,
    /// Where the datasets are
    #[command(flatten)]
    pub data: DataDir,
}

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
    /// Median l2 margin of the first 1000 validation inputs (of the first 50 for a residual network), in raw input
    /// units.
    pub median_eps_2: f64,
}

/// What a finished run says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The run's directory.
    pub run: PathBuf,
    /// Epochs trained.
    pub epochs: usize,
    /// The epoch whose network is in `model.safetensors`.
    pub best: Epoch,
    /// Wall-clock seconds of all epochs.
    pub seconds: f64,
}

/// A loss that is no longer finite: the run cannot go on, and another learning rate or lambda may do better.
#[derive(Debug, thiserror::Error)]
#[error("{0}; a smaller learning_rate or lambda may help")]
pub struct Diverged(String);

impl Outcome {
    fn new(run: &Path, history: &[Epoch]) -> anyhow::Result<Self> {
        Ok(Self {
            run: run.to_owned(),
            epochs: history.last().map_or(0, |last| last.epoch),
            best: best(history).context("no epoch was trained")?.clone(),
            seconds: history.iter().map(|epoch| epoch.seconds).sum(),
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
        writeln!(
            f,
            "best epoch {epoch}: validation loss {valid_loss:.4}, accuracy {:.2}%, median eps_2 {median_eps_2:.3e}",
            100.0 * accuracy
        )?;
        writeln!(f, "{run}/{MODEL}")?;
        write!(f, "next: loclin certify --model {run}")
    }
}

/// Trains as the options say.
///
/// # Errors
/// A configuration, dataset or directory that cannot be used, or a loss that is no longer finite.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    let mut config = Config::load(&args.config, &args.set)?;
    config.apply(global);
    let out = args.out.clone().unwrap_or_else(|| {
        let name = args
            .config
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        PathBuf::from(format!("runs/{name}-seed{}", config.seed))
    });
    let open = |split| open(&config, split, &args.data.data_dir);
    let data = [open(Split::Train)?, open(Split::Valid)?];
    train(&config, &data, &out, args.resume, global, "training")
}

/// The dataset of a configuration.
pub fn open(config: &Config, split: Split, data_dir: &Path) -> anyhow::Result<Data> {
    opened::data(&config.dataset, split, data_dir, config.seed)
}

/// Trains `config` on `[training, validation]` data in the directory `out`, going on from its checkpoint if it
/// has one and `resume` allows it.
pub fn train(
    config: &Config,
    data: &[Data; 2],
    out: &Path,
    resume: bool,
    global: &Global,
    label: &str,
) -> anyhow::Result<Outcome> {
    // The directory last: what cannot be trained leaves nothing behind.
    let mut trainer = trainer::Trainer::new(config, data, global.device.open()?)?;
    if config.init != SEEDED && !out.join(LAST).exists() {
        trainer.initialise(Path::new(&config.init))?;
    }
    prepare(out, config, resume)?;
    let history = trainer.run(out, label)?;
    Outcome::new(out, &history)
}

/// What a run of `config` in the directory `out` says of itself if all its epochs are trained. Its data are not read.
pub fn finished(config: &Config, out: &Path) -> anyhow::Result<Option<Outcome>> {
    let [begun, last] = [CONFIG, LAST].map(|name| out.join(name));
    if !last.exists() || !config.continues(&Config::load(&begun, &[])?) {
        return Ok(None);
    }
    // The checkpoint is written last of all, so what it counts as done is there.
    let progress = checkpoint::progress(&last)?;
    match progress.epoch == config.epochs {
        true => Outcome::new(out, &progress.history).map(Some),
        false => Ok(None),
    }
}

/// The epoch with the least validation loss, the first of equal ones.
fn best(history: &[Epoch]) -> Option<&Epoch> {
    history
        .iter()
        .min_by(|a, b| a.valid_loss.total_cmp(&b.valid_loss))
}

/// Makes the directory and writes the configuration, or checks that it is the one of the run begun there.
fn prepare(out: &Path, config: &Config, resume: bool) -> anyhow::Result<()> {
    files::create_dir(out)?;
    if out.join(LAST).exists() {
        if !resume {
            let dir = out.display();
            let message = format!(
                "{dir}: a run was begun here; --resume goes on with it, --out names another directory"
            );
            return Err(Usage::new(message).into());
        }
        let begun = Config::load(&out.join(CONFIG), &[])?;
        if !config.continues(&begun) {
            let path = out.join(CONFIG);
            let message = format!(
                "{}: the run begun here has another configuration; only more epochs (unless schedule = \"cosine\") and other checkpoint_seconds go on with it, --out names another directory",
                path.display()
            );
            return Err(Usage::new(message).into());
        }
    }
    if resume {
        files::remove_leftovers(out)?;
    }
    files::write_atomic(&out.join(CONFIG), config.to_toml()?.as_bytes())?;
    Ok(())
}
