//! `loclin distortion`: how much gradients change when inputs move a little.

mod directory;
mod eps;
mod measure;
mod options;
mod outcome;
mod parts;
mod proved;
mod record;
mod search;

use std::path::PathBuf;

use anyhow::Context;
use loclin_data::{Data, Rows};
use loclin_report::stats::Percentiles;

use crate::program::chance;
use crate::program::errors::Usage;
use crate::program::jobs::{Choice, Shard};
use crate::program::model::ModelPath;
use crate::program::opened::Opened;
use crate::program::options::{Global, InputOptions};

pub use directory::{Directory, Settings};
pub use eps::{EpsError, Radius};
pub use measure::{Found, Made, UNIT, measure};
pub use options::SearchOptions;
pub use outcome::Outcome;
pub use parts::{Merged, is_part, merge};
pub use record::{Costs, Record, Worst};
pub use search::{Measure, worst_of};

const EXAMPLE: &str = "\
Examples:
  loclin distortion --model runs/cifar10-roll-seed0 --eps 8/256 --limit 256 --out runs/distortion
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
    /// Keep what is found in a directory: a row for each input and the worst input; what was begun there goes on
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Measure the I-th of N parts only, such as 3/8 (every N-th input from the I-th on), or with `auto` the one that Slurm, Kubernetes
    /// or HyperQueue says (LOCLIN_SHARDS is N where they do not); `loclin merge` puts the directories together
    #[arg(long, value_name = "I/N", requires = "out")]
    pub shard: Option<Choice>,
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
    let shard = args.shard.map_or(Ok(Shard::default()), Choice::shard)?;
    let rows = args.limit.map_or(Rows::All, Rows::First);
    let opened = Opened::new(&args.source, &args.inputs, rows, global)?;
    let Data::Table(data) = opened.data else {
        let message = "--data: sequences of different lengths; distortion is measured for inputs of one shape";
        return Err(Usage::new(message).into());
    };
    let network = opened.model.raw(data.input_shape())?;
    let found = measure(
        &network,
        &data,
        &args.search,
        (global.seed.unwrap_or(0), shard),
        args.out.as_deref(),
        Made {
            model: &args.source.digest()?,
            preprocessing: &opened.applied,
        },
        "measuring",
    )?;
    let percentiles = |of: fn(&Record) -> f64| {
        let values: Vec<f64> = found.records.iter().map(of).collect();
        Percentiles::of(&values).context("no inputs")
    };
    let count = found.records.len() as f64;
    let share = |of: fn(&Record) -> bool| {
        found.records.iter().filter(|record| of(record)).count() as f64 / count
    };
    let proved = found.records.iter().filter_map(|record| record.proved);
    let proved: Vec<f64> = proved.collect();
    let right = |record: &&Record| record.label == record.prediction;
    let correct = found.records.iter().filter(right).count();
    let warning = chance::warning(correct, found.records.len(), network.output_size());
    if let Some(warning) = &warning {
        tracing::warn!("{warning}");
    }
    Ok(Outcome {
        preprocessing: opened.applied.clone(),
        warning,
        model: args.source.model.clone(),
        data: data.name().to_owned(),
        inputs: found.records.len(),
        accuracy: share(|record| record.label == record.prediction),
        eps: args.search.eps.value(),
        domain: found.domain,
        costs: found.costs,
        gradient: percentiles(|record| record.gradient)?,
        expected: percentiles(|record| record.expected)?,
        maximum: percentiles(Record::maximum)?,
        genetic: percentiles(|record| record.genetic)?,
        ascent: percentiles(|record| record.ascent)?,
        proved: Percentiles::of(&proved),
        proved_inputs: proved.len(),
        not_proved: found.not_proved,
        ascent_finds_more: share(|record| record.ascent > record.genetic),
        worst: found.worst,
        seconds: found.seconds,
        out: args.out.clone(),
        dtype: opened.dtype,
    })
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
