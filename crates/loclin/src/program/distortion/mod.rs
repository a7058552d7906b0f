//! `loclin distortion`: how much gradients change when inputs move a little.

mod directory;
mod eps;
mod job;
mod measure;
mod options;
mod outcome;
mod parts;
mod proved;
mod record;
mod search;
mod table;

use std::path::PathBuf;

use loclin_data::{Data, Rows};

use crate::program::errors::Usage;
use crate::program::jobs::{self, JobOptions, Settings};
use crate::program::model::ModelPath;
use crate::program::opened::Opened;
use crate::program::options::{Global, InputOptions};
use crate::program::outputs::{self, Named, inputs};

pub use directory::{Directory, table_of};
pub use eps::{EpsError, Radius};
pub use measure::{Found, Made, UNIT, measure};
pub use options::SearchOptions;
pub use outcome::Outcome;
pub use parts::{Whole, is_part};
pub use record::{Costs, Record, Worst};
pub use search::{Measure, worst_of};

const EXAMPLE: &str = "\
Examples:
  loclin distortion --model runs/cifar10-roll-seed0 --eps 8/256 --limit 256 \\
      --out runs/distortion --resume
  loclin distortion --model resnet.onnx --data photos --resize 32 --eps 0.01 \\
      --samples 500 --population 300
  loclin distortion --model runs/demo-seed0 --eps 8/256 --limit 4 \\
      --population 100 --generations 10 --json";

/// Options of `distortion`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The model
    #[command(flatten)]
    pub source: ModelPath,
    /// Measure the first N inputs only
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// The ball and the searches
    #[command(flatten)]
    pub search: SearchOptions,
    /// Keep what is found in a directory: distortion.csv, a row for each input, with a journal beside it, and the worst input.
    /// --resume goes on there, also with a larger --limit
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How the job is divided, and how it goes on
    #[command(flatten)]
    pub job: JobOptions,
    /// The inputs, which must have labels
    #[command(flatten)]
    pub inputs: InputOptions,
}

/// Measures as the options say.
///
/// # Errors
/// A model or dataset that cannot be used, inputs without labels or outside the domain, or a directory that holds
/// other measurements.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    check(args)?;
    // Before anything is opened.
    args.job.shard()?;
    if let Some(out) = &args.out {
        let files = directory::files_of(out);
        let written = Named::default()
            .with("--out", &files)
            .with("--settings", &args.job.settings);
        outputs::check(
            &written,
            &inputs(&args.source, &args.inputs, &args.search.domain)?,
        )?;
        directory::check_new(out, &args.job)?;
    }
    let rows = args.limit.map_or(Rows::All, Rows::First);
    let opened = Opened::new(&args.source, &args.inputs, rows, global)?;
    let settings = match args.out {
        Some(_) => jobs::of_model(&args.source, global)?,
        None => Settings::default(),
    };
    let Data::Table(data) = opened.data else {
        let message = "--data: sequences of different lengths; distortion is measured for inputs of one shape";
        return Err(Usage::new(message).into());
    };
    let network = opened.model.raw(data.input_shape())?;
    let found = measure(
        &network,
        &data,
        &args.search,
        global.seed.unwrap_or(0),
        Made {
            model: &args.source.model.display().to_string(),
            settings: &settings,
            preprocessing: &opened.applied,
            dtype: opened.dtype,
        },
        args.out.as_deref().map(|out| (out, &args.job)),
        "measuring",
    )?;
    let outcome = Outcome::new(found.shown, found.sum, args.out.clone());
    if let Some(warning) = &outcome.warning {
        tracing::warn!("{warning}");
    }
    Ok(outcome)
}

fn check(args: &Args) -> anyhow::Result<()> {
    let SearchOptions {
        samples,
        population,
        parts,
        ..
    } = args.search;
    let least = [
        ("--limit", args.limit.unwrap_or(1), 1),
        ("--samples", samples, 1),
        ("--parts", parts, 1),
        ("--population", population, 2),
    ];
    match least.iter().find(|(_, given, least)| given < least) {
        Some((option, given, least)) => {
            Err(Usage::new(format!("{option} {given}: expected at least {least}")).into())
        }
        None => Ok(()),
    }
}
