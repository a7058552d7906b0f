//! `cargo xtask reproduce`: the paper's experiments, each one command.
//!
//! An experiment returns its results as files in memory. Trainings go on where they were stopped, certificates are
//! kept beside the networks they certify, and results are written when they are whole. What is trained is said by
//! the files in `xtask/reproduce`.

pub mod all;
mod asked;
pub mod bounds;
mod certificate;
mod experiment;
pub mod figure1;
pub mod figure2;
pub mod figure3;
mod figure4;
mod markdown;
mod places;
mod predicted;
mod provenance;
mod results;
mod seeded;
mod spread;
pub mod stability;
mod stored;
pub mod table;
pub mod table2;
pub mod table4;
pub mod table5;

use loclin::program::options::Global;

pub use experiment::Experiment;
pub use places::Training;
pub use results::Outcome;

const EXAMPLE: &str = "\
Examples:
  cargo xtask reproduce figure1
  cargo xtask reproduce table1 --data-dir data --jobs 1
  cargo xtask reproduce table2 --peer python3 --peer-script roll_torch.py
  cargo xtask reproduce table1 --finished --out runs/table1-so-far
  cargo xtask reproduce all --check";

/// Options of `reproduce`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// What to reproduce.
    #[command(subcommand)]
    pub command: Command,
}

/// One experiment, or all.
#[derive(Clone, Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    /// One of them.
    #[command(flatten)]
    One(Experiment),
    /// All experiments that need no more than the data, one after the other
    All(all::Args),
}

/// Reproduces experiments.
///
/// # Errors
/// Data or directories that cannot be used, and whatever stops a training run.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::One(experiment) => experiment::run(experiment, global),
        Command::All(args) => all::run(args, global),
    }
}
