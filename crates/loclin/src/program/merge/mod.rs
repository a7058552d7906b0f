//! `loclin merge`: the parts of a job put together.

mod outcome;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::program::outputs::{self, Named};
use crate::program::{bound, certify, distortion, sweep};

pub use outcome::Outcome;

const EXAMPLE: &str = "\
Examples:
  loclin merge margins-1.csv margins-2.csv margins-3.csv --out margins.csv
  loclin merge margins-*.csv --out margins.csv
  loclin merge runs/random-1 runs/random-2 runs/random-3 --out runs/random

The parts may be named in any order. Every part must be of the same job: the same model, data, options and seed, by their \
digests, and for tables the same version of the program. What is missing or doubled is named, and nothing is written then. \
Parts stay as they are: --out is none of them.";

/// Options of `merge`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The tables of the parts (with their journals beside them), or the directories of the parts of a sweep or of
    /// measurements of distortion
    #[arg(required = true, value_name = "FILE.csv|DIR")]
    pub parts: Vec<PathBuf>,
    /// The table or directory of the whole; runs of a sweep stay where they are
    #[arg(long, value_name = "FILE.csv|DIR")]
    pub out: PathBuf,
    /// Replace a result that is there
    #[arg(long)]
    pub force: bool,
}

/// Puts parts together.
///
/// # Errors
/// Parts of different jobs, or that are not all of one job; files that cannot be used.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    // What is replaced would be gone before all of it was read.
    let out = Named::default().with("--out", [&args.out]);
    outputs::check(&out, &Named::default().with("a part", &args.parts))?;
    for part in &args.parts {
        fs::metadata(part).with_context(|| part.display().to_string())?;
    }
    if args.parts.iter().all(|part| distortion::is_part(part)) {
        let tables: Vec<PathBuf> = args
            .parts
            .iter()
            .map(|part| distortion::table_of(part))
            .collect();
        let whole = tables::whole(&tables, &distortion::table_of(&args.out), args.force)?;
        let directory = distortion::Whole::new(&args.parts, &args.out, args.force)?;
        let written = directory.write(|| whole.write())?;
        return Ok(Outcome::Distortion(written));
    }
    if args.parts.iter().all(|part| part.is_dir()) {
        return Ok(Outcome::Sweep(sweep::merge(
            &args.parts,
            &args.out,
            args.force,
        )?));
    }
    let whole = tables::whole(&args.parts, &args.out, args.force)?;
    let outcome_of = |table: &Path| -> anyhow::Result<Outcome> {
        let said = match whole.command() {
            bound::COMMAND => bound::outcome_of(table).map(Outcome::Bound),
            certify::COMMAND => certify::outcome_of(table).map(Outcome::Certify),
            command => Err(anyhow::anyhow!(
                "a job of `{command}`, which this version does not know"
            )),
        };
        said.with_context(|| table.display().to_string())
    };
    // What a part says is read before anything is written.
    for part in whole.filled() {
        outcome_of(part)?;
    }
    whole.write()?;
    outcome_of(&args.out)
}
