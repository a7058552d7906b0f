//! The command `sweep`.

use std::path::{Path, PathBuf};

use super::merge;
use super::outcome::Outcome;
use super::plan::{Plan, Planned};
use super::pool::{Workers, execute};
use super::row::Row;
use super::shard::Shard;
use super::table;
use crate::program::errors::Usage;
use crate::program::files;
use crate::program::options::{DataDir, Global};

const EXAMPLE: &str = "\
Examples:
  loclin sweep --config digits
  loclin sweep --config mnist-random --shard 2/3 --out runs/random-2
  loclin sweep merge runs/random-1 runs/random-2 runs/random-3 --out runs/random";

/// Options of `sweep`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE, args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What else than to run a sweep.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The sweep: a file, or a name of those that `loclin config list` shows
    #[arg(long, value_name = "NAME_OR_FILE")]
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
    let plan = Plan::load(config, Path::new(""), global)?;
    let default = || PathBuf::from(format!("runs/sweep-{}", plan.name));
    let out = args.out.clone().unwrap_or_else(default);
    files::create_dir(&out)?;
    let _lock = files::lock(&out)?;
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
    Ok(Outcome::new(results, out))
}
