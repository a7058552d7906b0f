//! `loclin distortion`: how much gradients change when inputs move a little.

mod eps;
mod record;
mod search;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use candle_core::{DType, Tensor};
use loclin_data::{Data, Dataset, Split};
use loclin_models::Network;
use serde::Serialize;

use crate::program::compute::Dtype;
use crate::program::errors::Usage;
use crate::program::model::ModelPath;
use crate::program::opened::Opened;
use crate::program::options::{DataDir, Global};
use crate::program::progress::Bar;
use crate::program::tensors;
use loclin_report::stats::Percentiles;

pub use eps::{Domain, Radius};
pub use record::{Directory, Record, Settings};
pub use search::Costs;
pub use search::{Measure, worst_of};

const EXAMPLE: &str = "\
Examples:
  loclin distortion --model runs/cifar10-roll-seed0 --eps 8/256 --limit 256 --out runs/distortion
  loclin distortion --model resnet.onnx --data photos,size=32 --eps 0.01 --samples 500 --population 300
  loclin distortion --model runs/demo-seed0 --eps 8/256 --limit 4 --population 100 --generations 10 --json";

/// Options of `distortion`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The model
    #[command(flatten)]
    pub source: ModelPath,
    /// A dataset's name, a directory in its layout, or a .safetensors file of labelled inputs [default: the dataset
    /// of the run directory]
    #[arg(long, value_name = "NAME_OR_PATH")]
    pub data: Option<String>,
    /// Which part of the dataset: train, valid or test
    #[arg(long, default_value = "test")]
    pub split: Split,
    /// Look at the first N inputs only
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// How the searches look
    #[command(flatten)]
    pub looks: Looks,
    /// Keep what is found in a directory: a row for each input and the worst input; what was begun there goes on
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where the datasets are
    #[command(flatten)]
    pub place: DataDir,
}

/// The ball and the searches in it.
#[derive(Clone, Debug, clap::Args)]
pub struct Looks {
    /// How far every number of an input may move: a number or a quotient
    #[arg(long, value_name = "EPS", default_value = "8/256")]
    pub eps: Radius,
    /// The least and the largest value that a number of an input may have
    #[arg(long, value_name = "LOW,HIGH", default_value = "0,1")]
    pub domain: Domain,
    /// Uniform points whose mean distortion is the expected one
    #[arg(long, value_name = "N", default_value_t = 8000)]
    pub samples: usize,
    /// Members of the genetic search
    #[arg(long, value_name = "N", default_value_t = 4800)]
    pub population: usize,
    /// Generations of the genetic search; ascent has as many gradient evaluations as it takes
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub generations: usize,
}

/// What is known after measuring a dataset.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The model, as asked for.
    pub model: PathBuf,
    /// The dataset, as it calls itself.
    pub data: String,
    /// Number of inputs.
    pub inputs: usize,
    /// Share of correct predictions.
    pub accuracy: f64,
    /// The radius.
    pub eps: f64,
    /// What the numbers took.
    pub costs: Costs,
    /// `||grad f(x)_y||_1`, what distortions are to be compared with.
    pub gradient: Percentiles,
    /// The mean distortion over uniform points.
    pub expected: Percentiles,
    /// The largest distortion that either search found.
    pub maximum: Percentiles,
    /// The largest that the genetic search found.
    pub genetic: Percentiles,
    /// The largest that ascent found.
    pub ascent: Percentiles,
    /// Share of the inputs for which ascent found more than the genetic search.
    pub ascent_finds_more: f64,
    /// The input with the largest distortion: its number in the dataset.
    pub worst: usize,
    /// Wall-clock seconds of this call.
    pub seconds: f64,
    /// The directory, if one was asked for.
    pub out: Option<PathBuf>,
    /// The floating-point type.
    pub dtype: Dtype,
}

/// Measures as the options say.
///
/// # Errors
/// A model or dataset that cannot be used, inputs without labels or outside the domain, or a directory that holds
/// other measurements.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    check(args)?;
    let opened = Opened::new(
        &args.source,
        args.data.as_deref(),
        args.split,
        &args.place,
        global,
    )?;
    let Data::Table(data) = opened.data else {
        let message = "--data: sequences of different lengths; distortion is measured for inputs of one shape";
        return Err(Usage::new(message).into());
    };
    let data = match args.limit {
        Some(limit) => data.take(limit)?,
        None => data,
    };
    let network = opened.model.raw(data.input_shape())?;
    let found = measure(
        &network,
        &data,
        &args.looks,
        global.seed.unwrap_or(0),
        args.out.as_deref(),
        &args.source.digest()?,
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
    Ok(Outcome {
        model: args.source.model.clone(),
        data: data.name().to_owned(),
        inputs: data.len(),
        accuracy: share(|record| record.label == record.prediction),
        eps: args.looks.eps.value(),
        costs: found.costs,
        gradient: percentiles(|record| record.gradient)?,
        expected: percentiles(|record| record.expected)?,
        maximum: percentiles(Record::maximum)?,
        genetic: percentiles(|record| record.genetic)?,
        ascent: percentiles(|record| record.ascent)?,
        ascent_finds_more: share(|record| record.ascent > record.genetic),
        worst: found.worst,
        seconds: found.seconds,
        out: args.out.clone(),
        dtype: opened.dtype,
    })
}

fn check(args: &Args) -> anyhow::Result<()> {
    let Looks {
        samples,
        population,
        ..
    } = args.looks;
    let least = [
        ("--limit", args.limit.unwrap_or(1), 1),
        ("--samples", samples, 1),
        ("--population", population, 2),
    ];
    match least.iter().find(|(_, given, least)| given < least) {
        Some((option, given, least)) => {
            Err(Usage::new(format!("{option} {given}: expected at least {least}")).into())
        }
        None => Ok(()),
    }
}

/// The records of a dataset.
pub struct Found {
    pub records: Vec<Record>,
    pub costs: Costs,
    /// Which record has the largest distortion.
    pub worst: usize,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// Measures every input of `data` at the network of raw inputs; in the directory `out`, if there is one, goes on where
/// it was stopped and leaves the worst input.
pub fn measure(
    network: &Network,
    data: &Dataset,
    looks: &Looks,
    seed: u64,
    out: Option<&std::path::Path>,
    model: &str,
    label: &str,
) -> anyhow::Result<Found> {
    let start = std::time::Instant::now();
    let measure = Measure::new(network, looks)?;
    let labels = labels(data, network)?;
    let settings = Settings::new(model, data, looks, seed, network.dtype());
    let directory = out.map(|out| Directory::open(out, &settings)).transpose()?;
    let mut records = match &directory {
        Some(directory) => directory.records()?,
        None => Vec::new(),
    };
    records.truncate(data.len());
    let bar = Bar::count(label, data.len() as u64);
    bar.advance(records.len() as u64);
    while records.len() < data.len() {
        let index = records.len();
        let named = || format!("{}, input {index}", data.name());
        let x = input(data, index, network).with_context(named)?;
        let record = measure
            .record(index, &x, labels[index], seed, directory.as_ref())
            .with_context(named)?;
        records.push(record);
        if let Some(directory) = &directory {
            directory.save(&records)?;
        }
        bar.advance(1);
    }
    let larger = |best: usize, index: usize| {
        let of = |index: usize| records[index].maximum();
        if of(index) > of(best) { index } else { best }
    };
    let worst = (0..records.len()).fold(0, larger);
    if let Some(directory) = &directory {
        let x = input(data, worst, network)?;
        // Found again: a search is a function of its seed.
        let found = measure.worst(&x, &records[worst], seed)?;
        directory.save_worst(&records[worst], &x, &found)?;
    }
    Ok(Found {
        records,
        costs: measure.costs(),
        worst,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// One input `[in...]` in the network's dtype.
fn input(data: &Dataset, index: usize, network: &Network) -> anyhow::Result<Tensor> {
    let x = tensors::inputs(data, &[index], DType::F64, network.device())?;
    Ok(x.squeeze(0)?)
}

/// The labels, all of them outputs of the network.
fn labels(data: &Dataset, network: &Network) -> anyhow::Result<Vec<u32>> {
    let labels = data.labels().with_context(|| {
        format!(
            "{}: no labels; the distortion is that of the true class's gradient",
            data.name()
        )
    })?;
    let outputs = network.output_size();
    let wrong = labels
        .iter()
        .position(|label| *label as usize >= outputs.max(2));
    ensure!(
        wrong.is_none(),
        "{}: the label of input {} is {}; the model has {outputs} outputs",
        data.name(),
        wrong.unwrap_or(0),
        labels[wrong.unwrap_or(0)]
    );
    Ok(labels.to_vec())
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} inputs of {}, eps {}, {}: {:.1} s",
            self.inputs, self.data, self.eps, self.dtype, self.seconds
        )?;
        let Costs {
            samples,
            genetic,
            ascent,
        } = self.costs;
        writeln!(
            f,
            "for each input {samples} uniform points, then {genetic} gradients by the genetic search and {ascent} by ascent"
        )?;
        writeln!(f, "accuracy   {:.2}%", 100.0 * self.accuracy)?;
        writeln!(
            f,
            "{:<22} {:>11} {:>11} {:>11} {:>11}",
            "l1 norm of a gradient", "P25", "P50", "P75", "P100"
        )?;
        for (name, p) in [
            ("at the input", self.gradient),
            ("expected distortion", self.expected),
            ("maximum distortion", self.maximum),
            ("  by genetic search", self.genetic),
            ("  by ascent", self.ascent),
        ] {
            writeln!(
                f,
                "{name:<22} {:>11.4} {:>11.4} {:>11.4} {:>11.4}",
                p.p25, p.p50, p.p75, p.p100
            )?;
        }
        write!(
            f,
            "ascent finds more for {:.1}% of the inputs; the worst is input {}",
            100.0 * self.ascent_finds_more,
            self.worst
        )?;
        match &self.out {
            Some(out) => write!(f, "\n{}", out.display()),
            None => Ok(()),
        }
    }
}
