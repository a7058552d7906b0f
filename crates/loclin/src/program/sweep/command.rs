//! The command `sweep`.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::error::ResultsError;
use super::outcome::Outcome;
use super::plan::Plan;
use super::planned::Planned;
use super::pool::{Workers, execute};
use super::preview::{Answer, Preview};
use super::row::Row;
use super::table;
use crate::program::files;
use crate::program::jobs::{Choice, Shard};
use crate::program::options::{DataDir, Global};
use crate::program::train::{self, Datasets};

const EXAMPLE: &str = "\
Examples:
  loclin sweep --config digits
  loclin sweep --config digits --dry-run
  loclin sweep --config mnist-random --shard 2/3 --out runs/random-2
  loclin merge runs/random-1 runs/random-2 runs/random-3 --out runs/random";

/// Options of `sweep`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The sweep: a file, or a name of those that `loclin config list` shows
    #[arg(long, value_name = "NAME_OR_FILE")]
    pub config: PathBuf,
    /// Directory of the runs and of the results; what was begun there goes on [default: runs/sweep-NAME, after
    /// the sweep's file]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Run the I-th of N parts only, such as 1/3 (every N-th run from the I-th on), or with `auto` the one that Slurm, Kubernetes or
    /// HyperQueue says (LOCLIN_SHARDS is N where they do not); `loclin merge` puts the directories together
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Choice>,
    /// Replace results of another part or of another sweep; runs that are there go on
    #[arg(long)]
    pub force: bool,
    /// Say which runs there are and which are done already, and run none
    #[arg(long)]
    pub dry_run: bool,
    /// How many runs, and on what.
    #[command(flatten)]
    pub workers: Workers,
    /// Where the datasets are.
    #[command(flatten)]
    pub data: DataDir,
}

/// Runs a sweep.
///
/// # Errors
/// A sweep file or directory that cannot be used, results of another sweep without `--force`, and whatever stops a training run except a loss that is no longer finite: that is a result.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Answer> {
    let plan = Plan::load(&args.config, Path::new(""), global)?;
    let default = || PathBuf::from(format!("runs/sweep-{}", plan.name));
    let out = args.out.clone().unwrap_or_else(default);
    let shard = args.shard.map_or(Ok(Shard::default()), Choice::shard)?;
    let runs: Vec<Planned> = shard.part(&plan.runs).cloned().collect();
    let datasets = Datasets::new(&args.data.data_dir);
    args.workers.check()?;
    if args.dry_run {
        return Preview::new(&runs, &out, &datasets).map(Answer::Preview);
    }
    files::create_dir(&out)?;
    let held = files::lock(&out)?;
    let there = match check_own(&out, shard, &runs) {
        Err(cause) if !args.force => return Err(cause.into()),
        there => there.ok().flatten(),
    };
    // What another configuration was begun with stays as it is, with the results that are there.
    for run in &runs {
        let directory = out.join(&run.name);
        train::check_configuration(&directory, &run.config)
            .with_context(|| format!("run `{}`", run.name))?;
    }
    files::remove_leftovers(&out)?;
    // A run's row stays until there is a new one.
    let (rows, data) = there.map_or_else(Default::default, |there| (there.rows, there.data));
    let results = |new: Vec<Row>| {
        let row = |run: &Planned| {
            let mut both = new.iter().chain(&rows);
            both.find(|row| row.run == run.name).cloned()
        };
        let rows = runs.iter().filter_map(row).collect();
        let mut data = data.clone();
        data.extend(datasets.digests());
        table::Results::new(&plan, shard, rows, data)
    };
    let rows = execute(&runs, &out, &args.workers, &datasets, global, |rows| {
        results(rows.to_vec()).write(&held)
    })?;
    let results = results(rows);
    // Also where there was nothing to run.
    results.write(&held)?;
    Ok(Answer::Results(Outcome::new(results, out)))
}

/// The results in a directory, if there are any; refuses those that these would not contain. Those of a sweep that was extended contain all
/// that there were.
fn check_own(
    out: &Path,
    shard: Shard,
    runs: &[Planned],
) -> Result<Option<table::Results>, ResultsError> {
    let Some(file) = table::Results::there(out) else {
        return Ok(None);
    };
    let there = match file.ends_with(table::JSON) {
        true => table::Results::read(out).map_err(Some),
        // The program writes this table behind the other file.
        false => Err(None),
    };
    let there = match there {
        Ok(there) => there,
        Err(source) => return Err(ResultsError::Unknown { file, source }),
    };
    if there.shard != shard {
        let (there, here) = (there.shard, shard);
        return Err(ResultsError::OtherPart { file, there, here });
    }
    let is_lost = |row: &Row| !runs.iter().any(|run| run.name == row.run);
    match there.rows.iter().find(|row| is_lost(row)) {
        Some(Row { run, .. }) => {
            let run = run.clone();
            Err(ResultsError::OtherSweep { file, run })
        }
        None => Ok(Some(there)),
    }
}
