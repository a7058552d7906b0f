//! `cargo xtask bench`: how long the work takes, here and in PyTorch.
//!
//! Absolute times of one machine mean little; `--peer` measures the same work in PyTorch in the same run, and what
//! counts are the ratios. Medians throughout.

mod certify;
mod estimators;
mod machine;
mod peer;
mod scaling;
mod step;
mod subject;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

pub(crate) use step::Times;

use loclin::program::errors::Usage;
use loclin::program::options::{DataDir, Global};

const EXAMPLE: &str = "\
Examples:
  cargo xtask bench step
  cargo xtask bench step --data mnist --peer python3 --peer-script roll_torch.py
  cargo xtask bench certify --model runs/mnist-vanilla-seed0 --data mnist
  cargo xtask bench scaling --json";

/// Options of `bench`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// What to measure [default: everything]
    #[arg(value_enum)]
    pub work: Option<Work>,
    /// The labelled dataset to train on and to certify: a name or a directory
    #[arg(long, value_name = "NAME_OR_PATH", default_value = "digits")]
    pub data: String,
    /// The network to certify, a run directory or a file [default: one trained here, without a regulariser]
    #[arg(long, value_name = "PATH")]
    pub model: Option<PathBuf>,
    /// Certify the first N test inputs only
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Measurements of each kind; their median counts
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub runs: usize,
    /// Measure PyTorch too, with this Python
    #[arg(long, value_name = "PYTHON")]
    pub peer: Option<PathBuf>,
    /// The program that measures PyTorch [default: ../shared/peer/roll_torch.py beside the workspace]
    #[arg(long, value_name = "FILE.py", requires = "peer")]
    pub peer_script: Option<PathBuf>,
    /// Where the datasets are
    #[command(flatten)]
    pub place: DataDir,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Work {
    /// One step of training: vanilla, exact ROLL, approximate ROLL
    Step,
    /// The margins of a trained network
    Certify,
    /// A step's growth with inputs, width, depth and batch
    Scaling,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Where.
    #[serde(flatten)]
    machine: machine::Machine,
    #[serde(flatten)]
    step: Option<step::Outcome>,
    #[serde(flatten)]
    certify: Option<certify::Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scaling: Option<scaling::Outcome>,
}

/// Measures as the options say.
///
/// # Errors
/// A dataset, model or PyTorch that cannot be used.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    for (option, value) in [("--limit", args.limit), ("--runs", Some(args.runs))] {
        if value == Some(0) {
            return Err(Usage::new(format!("{option} 0: expected at least 1")).into());
        }
    }
    let peer = peer::Peer::new(args)?;
    let wanted = |work| args.work.is_none_or(|only| only == work);
    Ok(Outcome {
        step: wanted(Work::Step)
            .then(|| step::measure(args, global, peer.as_ref()))
            .transpose()?,
        certify: wanted(Work::Certify)
            .then(|| certify::measure(args, global, peer.as_ref()))
            .transpose()?,
        scaling: wanted(Work::Scaling)
            .then(|| scaling::measure(args, global))
            .transpose()?,
        machine: machine::Machine::here(),
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        if let Some(step) = &self.step {
            write!(f, "\n{step}")?;
        }
        if let Some(certify) = &self.certify {
            write!(f, "\n{certify}")?;
        }
        if let Some(scaling) = &self.scaling {
            write!(f, "\n{scaling}")?;
        }
        Ok(())
    }
}

/// One line of a table of times against others': `what`, and how many times shorter the time is.
fn faster(f: &mut fmt::Formatter<'_>, what: &str, own: f64, other: f64) -> fmt::Result {
    writeln!(f, "  {what:<44} {:>9.2} times faster", other / own)
}
