//! `loclin sweep`: many training runs from one file, side by side, and the best of them.
//!
//! A sweep file names a base configuration and what varies, on a grid or at random. Every run has a directory of
//! its own, named after what varies, so a sweep that was stopped at any point goes on, and one that was extended
//! by values or trials keeps what was done. The table of results (CSV and JSON) is written anew after each run.

mod merge;
mod plan;
mod pool;
mod random;
mod select;
mod shard;
mod table;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::program::errors::Usage;
use crate::program::files;
use crate::program::options::{DataDir, Global};

pub use plan::PlanError;
pub use select::Selected;
pub use shard::{Shard, ShardError};
pub use table::{Row, Status};

pub use plan::{Plan, Planned};
pub use pool::{Workers, execute};

const EXAMPLE: &str = "\
Examples:
  loclin sweep --config crates/loclin/sweeps/digits.toml
  loclin sweep --config crates/loclin/sweeps/mnist-random.toml --shard 2/3 --out runs/random-2
  loclin sweep merge runs/random-1 runs/random-2 runs/random-3 --out runs/random";

/// Options of `sweep`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE, args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What else than to run a sweep.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The sweep, a file such as those in crates/loclin/sweeps
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of the runs and of the results; what was begun there goes on [default: runs/sweep-NAME, after
    /// the sweep's file]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Run the I-th of N parts only, such as 1/3: every N-th run from the I-th on
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// How many runs, and on what.
    #[command(flatten)]
    pub workers: Workers,
    /// Where the datasets are.
    #[command(flatten)]
    pub data: DataDir,
}

/// What can be done with sweeps that were run.
#[derive(Clone, Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    /// Put the results of all shards together, after checking that no run is missing or doubled
    Merge(merge::Args),
}

/// The results of a sweep, of one of its shards, or of all of them together.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The directory of the results.
    pub out: PathBuf,
    /// Runs of the whole sweep.
    pub planned: usize,
    /// The runs done here, in the order of the plan.
    pub rows: Vec<Row>,
    /// What the selection rules of the sweep chose; empty for one shard of several.
    pub selected: Vec<Selected>,
    #[serde(skip)]
    text: String,
}

/// Runs a sweep, or merges its shards.
///
/// # Errors
/// A sweep file or directory that cannot be used, shards that do not make up one sweep, and whatever stops a
/// training run except a loss that is no longer finite: that is a result.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    if let Some(Command::Merge(args)) = &args.command {
        return merge::run(args);
    }
    let Some(config) = &args.config else {
        return Err(Usage::new("--config is needed").into());
    };
    let plan = Plan::load(config, global)?;
    let name = config.file_stem().unwrap_or_default();
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("runs/sweep-{}", name.to_string_lossy())));
    files::create_dir(&out)?;
    files::remove_leftovers(&out)?;
    let shard = args.shard.unwrap_or_default();
    let runs: Vec<Planned> = shard.part(&plan.runs).cloned().collect();
    let results = |rows: Vec<Row>| table::Results::new(&plan, shard, rows);
    let rows = execute(&runs, &out, &args.workers, &args.data, global, |rows| {
        results(rows.to_vec()).write(&out)
    })?;
    let results = results(rows);
    // Also where there was nothing to run.
    results.write(&out)?;
    Ok(Outcome {
        text: results.text(),
        planned: results.planned.len(),
        rows: results.rows,
        selected: results.selected,
        out,
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text.trim_end())?;
        let (rows, planned) = (self.rows.len(), self.planned);
        write!(
            f,
            "{rows} of {planned} runs: {}",
            self.out.join(table::CSV).display()
        )
    }
}
