//! The results of all shards of a sweep, put together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::outcome::Outcome;
use super::row::Row;
use super::shard::Shard;
use super::table::Results;
use crate::program::files;

/// Options of `sweep merge`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Directories of the shards
    #[arg(required = true, value_name = "DIR")]
    pub shards: Vec<PathBuf>,
    /// Directory of the results of the whole sweep; runs stay where they are
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Why results do not make up one sweep.
#[derive(Debug, thiserror::Error)]
pub(super) enum MergeError {
    /// Configurations or rules differ.
    #[error("{}: of another sweep than {}", other.display(), first.display())]
    OtherSweep {
        /// The results named first.
        first: PathBuf,
        /// Those that differ.
        other: PathBuf,
    },
    /// A run has two results.
    #[error("run `{run}` is doubled: {} and {} both have it", first.display(), second.display())]
    Doubled {
        /// The run.
        run: String,
        /// Where it was found first.
        first: PathBuf,
        /// Where it was found again.
        second: PathBuf,
    },
    /// A result that the sweep does not ask for.
    #[error("{}: run `{run}` is no run of this sweep", place.display())]
    Unplanned {
        /// The run.
        run: String,
        /// Where it was found.
        place: PathBuf,
    },
    /// Runs without a result.
    #[error("{} of {planned} runs are missing: {}", runs.len(), listed(runs))]
    Missing {
        /// The runs.
        runs: Vec<String>,
        /// How many there should be.
        planned: usize,
    },
}

/// The first few of many names.
fn listed(runs: &[String]) -> String {
    let shown = runs.iter().take(5).map(|run| format!("`{run}`"));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if runs.len() > 5 {
        text.push_str(", ...");
    }
    text
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let parts = args
        .shards
        .iter()
        .map(|directory| Ok((directory.as_path(), Results::read(directory)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let results = merged(parts)?;
    files::create_dir(&args.out)?;
    let _lock = files::lock(&args.out)?;
    results.write(&args.out)?;
    Ok(Outcome::new(results, args.out.clone()))
}

/// Every run of the sweep exactly once, in the order of the plan.
fn merged(parts: Vec<(&Path, Results)>) -> Result<Results, MergeError> {
    let mut parts = parts.into_iter();
    // The command line asks for at least one.
    let Some((first, mut whole)) = parts.next() else {
        return Err(MergeError::Missing {
            runs: Vec::new(),
            planned: 0,
        });
    };
    let mut found: BTreeMap<String, (PathBuf, Row)> = BTreeMap::new();
    let planned: BTreeSet<&String> = whole.planned.iter().collect();
    let mut take = |place: &Path, rows: Vec<Row>| {
        for row in rows {
            let run = row.run.clone();
            if !planned.contains(&run) {
                let place = place.to_owned();
                return Err(MergeError::Unplanned { run, place });
            }
            if let Some((first, _)) = found.insert(run.clone(), (place.to_owned(), row)) {
                let second = place.to_owned();
                return Err(MergeError::Doubled { run, first, second });
            }
        }
        Ok(())
    };
    take(first, std::mem::take(&mut whole.rows))?;
    for (place, part) in parts {
        if (&part.sweep, &part.planned) != (&whole.sweep, &whole.planned) {
            return Err(MergeError::OtherSweep {
                first: first.to_owned(),
                other: place.to_owned(),
            });
        }
        take(place, part.rows)?;
    }
    let missing: Vec<String> = whole
        .planned
        .iter()
        .filter(|run| !found.contains_key(*run))
        .cloned()
        .collect();
    if !missing.is_empty() {
        return Err(MergeError::Missing {
            runs: missing,
            planned: whole.planned.len(),
        });
    }
    let rows = whole.planned.iter().filter_map(|run| found.remove(run));
    whole.rows = rows.map(|(_, row)| row).collect();
    whole.shard = Shard::default();
    Ok(whole.completed())
}
