//! `cargo xtask bench`: how long the work takes, here and in PyTorch.
//!
//! Absolute times of one machine mean little; `--peer` measures the same work in PyTorch in the same run, and what
//! counts are the ratios. Medians throughout.

mod certify;
mod convolution;
mod estimators;
mod faster;
mod machine;
mod options;
mod peer;
mod residual;
mod residual_estimates;
mod scaling;
mod spread;
mod step;
mod subject;

use std::fmt;

use serde::Serialize;

pub use options::{Args, Work};
pub(crate) use step::Times;

use loclin::program::errors::Usage;
use loclin::program::options::Global;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Where.
    #[serde(flatten)]
    machine: machine::Machine,
    #[serde(flatten)]
    step: Option<step::Outcome>,
    #[serde(flatten)]
    residual: Option<residual::Outcome>,
    #[serde(flatten)]
    convolution: Option<convolution::Outcome>,
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
    // In the pool, as the program's own training.
    rayon::scope(|_| measured(args, global))
}

fn measured(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    for (option, value) in [("--limit", args.limit), ("--runs", Some(args.runs))] {
        if value == Some(0) {
            return Err(Usage::new(format!("{option} 0: expected at least 1")).into());
        }
    }
    let peer = peer::Peer::new(args)?;
    let wanted = |work| args.work.is_none_or(|only| only == work);
    Ok(Outcome {
        residual: args
            .residual()
            .then(|| residual::measure(args, global, peer.as_ref()))
            .transpose()?,
        // Not a part of everything: it says what the others are made of.
        convolution: (args.work == Some(Work::Convolution))
            .then(|| convolution::measure(args, global, peer.as_ref()))
            .transpose()?,
        step: (wanted(Work::Step) && !args.residual())
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
        if let Some(residual) = &self.residual {
            write!(f, "\n{residual}")?;
        }
        if let Some(convolution) = &self.convolution {
            write!(f, "\n{convolution}")?;
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
