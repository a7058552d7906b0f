//! `loclin certify`: the margins of every input of a dataset.

mod run;
mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use loclin_data::Split;
use loclin_regions::{Estimate, Guarantee, Margins, Method, Norm};
use serde::Serialize;

use crate::program::compute::Dtype;
use crate::program::errors::Usage;
use crate::program::files;
use crate::program::model::ModelPath;
use crate::program::opened::Opened;
use crate::program::options::{DataDir, Global};
use loclin_report::stats::Percentiles;

pub use run::{BATCH, Certificates, certify, certify_all};

const EXAMPLE: &str = "\
Examples:
  loclin certify --model runs/demo-seed0
  loclin certify --model RUN --data mnist --norm 2 --limit 1000 --dtype f64 --out margins.csv
  loclin certify --model network.onnx --data inputs.npy --norm 1 --norm inf --dtype f64
  loclin certify --model runs/vowels-vanilla-seed0 --norm 2 --dtype f64
  loclin certify --model resnet.onnx --data images.npy --dtype f64 --failure-probability 1e-9
  loclin certify --model cnn.pth --architecture crates/loclin/architectures/digit-recognizer.toml --data mnist";

/// Options of `certify`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The model
    #[command(flatten)]
    pub source: ModelPath,
    /// A dataset's name, a directory in its layout, or an .npy or .safetensors file of inputs [default:
    /// the dataset of the run directory]
    #[arg(long, value_name = "NAME_OR_PATH")]
    pub data: Option<String>,
    /// Which part of the dataset: train, valid or test
    #[arg(long, default_value = "test")]
    pub split: Split,
    /// Certify the first N inputs only
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// The ball's norm: a number from 1, or inf; may be given several times [default: 1, 2 and inf]
    #[arg(long, value_name = "P")]
    pub norm: Vec<Norm>,
    /// l2 margins by what costs least: for large networks, by estimating every gradient and measuring the few that
    /// matter, each too large with at most this probability, such as 1e-9; with 0, by proved bounds, as without this
    /// option where they cost least [default: what costs least and proves]
    #[arg(long, value_name = "P")]
    pub failure_probability: Option<f64>,
    /// Write one row for each input: index,label,prediction,eps_P...,guarantee,layer,neuron
    #[arg(long, value_name = "FILE.csv")]
    pub out: Option<PathBuf>,
    /// Where the datasets are
    #[command(flatten)]
    pub place: DataDir,
}

/// What is known after certifying a dataset.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The model, as asked for.
    pub model: PathBuf,
    /// The dataset, as it calls itself.
    pub data: String,
    /// Number of inputs certified.
    pub inputs: usize,
    /// Number of neurons (linear constraints) of the network; for sequences, of the longest one's.
    pub neurons: usize,
    /// Share of correct predictions; `None` without labels.
    pub accuracy: Option<f64>,
    /// Lower bound on the number of complete linear regions (Lemma 7).
    pub clr_lower: usize,
    /// Upper bound on the number of complete linear regions (Lemma 7).
    pub clr_upper: usize,
    /// Inputs at which some neuron is exactly 0: for them Lemma 7 does not hold, and the margin is 0 unless the gradients of
    /// those neurons are 0 too (as the differences of a max pooling over units that are all off).
    pub on_boundary: usize,
    /// `eps_1`, `eps_2`, ...: percentiles of the margins in raw input units.
    #[serde(flatten)]
    pub margins: BTreeMap<String, Percentiles>,
    /// Wall-clock seconds of the certification, data already loaded.
    pub seconds: f64,
    /// `inputs / seconds`.
    pub inputs_per_second: f64,
    /// What is claimed of the radii: `proved`, `probable(P)` or `estimate`.
    #[serde(serialize_with = "guarantee_name")]
    pub guarantee: Guarantee,
    /// How they were found, in words.
    pub method: String,
    /// The work of searching for the nearest neurons; `None` if every gradient was measured, or a chain's pruned search
    /// did it.
    pub search: Option<Search>,
    /// The file of margins, if one was asked for.
    pub out: Option<PathBuf>,
    /// The floating-point type.
    pub dtype: Dtype,
}

/// The work of a search by bounds or estimates.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Search {
    /// The probability, for each input, that its margin is too large; 0 if every neuron left out is excluded by
    /// proof.
    pub failure_probability: f64,
    /// Random directions pushed through the network.
    pub directions: usize,
    /// Neurons verified by their own gradients, of each input on average.
    pub verified_mean: f64,
    /// The same, at most.
    pub verified_max: usize,
}

impl Search {
    /// That of margins by bounds or estimates.
    fn of(margins: &Margins) -> Option<Self> {
        let failure_probability = match margins.method {
            Method::Bound => 0.0,
            Method::Estimate(estimate) => estimate.failure_probability,
            _ => return None,
        };
        let gradients = &margins.work.gradients;
        Some(Self {
            failure_probability,
            directions: margins.work.directions,
            verified_mean: gradients.iter().sum::<usize>() as f64 / gradients.len() as f64,
            verified_max: gradients.iter().copied().max().unwrap_or(0),
        })
    }

    /// The work for `own` inputs and for `others` more.
    fn joined(self, own: usize, other: Self, others: usize) -> Self {
        let sum = self.verified_mean * own as f64 + other.verified_mean * others as f64;
        Self {
            verified_mean: sum / (own + others) as f64,
            verified_max: self.verified_max.max(other.verified_max),
            ..self
        }
    }
}

/// Certifies as the options say.
///
/// # Errors
/// A model or dataset that cannot be used, or an output that cannot be written.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    if args.limit == Some(0) {
        return Err(Usage::new("--limit 0: expected at least 1").into());
    }
    if let Some(out) = &args.out {
        files::check_writable(out)?;
    }
    let norms = norms(args)?;
    let seed = global.seed.unwrap_or(0);
    let method = match args.failure_probability {
        None => Method::Auto,
        Some(0.0) => Method::Bound,
        Some(failure_probability) => Method::Probable(Estimate {
            failure_probability,
            seed,
        }),
    };
    let Opened { model, data, dtype } = Opened::new(
        &args.source,
        args.data.as_deref(),
        args.split,
        &args.place,
        global,
    )?;
    let data = match args.limit {
        Some(limit) => data.take(limit)?,
        None => data,
    };
    let certificates = certify_all(&model, &data, &norms, method, "certifying")?;
    if let Some(out) = &args.out {
        files::write_atomic(out, &table::csv(&certificates)?)?;
    }
    let outcome = Outcome {
        model: args.source.model.clone(),
        data: data.name().to_owned(),
        inputs: data.len(),
        neurons: certificates.neurons,
        accuracy: certificates.accuracy(),
        clr_lower: certificates.regions.lower,
        clr_upper: certificates.regions.upper,
        on_boundary: certificates.regions.on_boundary,
        margins: certificates.percentiles()?,
        seconds: certificates.seconds,
        inputs_per_second: data.len() as f64 / certificates.seconds,
        guarantee: certificates.guarantee(),
        method: certificates
            .leading()
            .map_or(String::new(), |margins| margins.method.to_string()),
        search: certificates.search,
        out: args.out.clone(),
        dtype,
    };
    Ok(outcome)
}

/// The norms asked for without repetition, or those that there are.
fn norms(args: &Args) -> anyhow::Result<Vec<Norm>> {
    let mut norms: Vec<Norm> = Vec::new();
    for norm in &args.norm {
        if !norms.contains(norm) {
            norms.push(*norm);
        }
    }
    let Some(probability) = args.failure_probability else {
        if norms.is_empty() {
            norms.extend([Norm::L1, Norm::L2, Norm::LINF]);
        }
        return Ok(norms);
    };
    if !(0.0..1.0).contains(&probability) {
        let message = format!("--failure-probability {probability}: expected a number in [0, 1)");
        return Err(Usage::new(message).into());
    }
    if norms.iter().any(|norm| *norm != Norm::L2) {
        let message =
            "--failure-probability: only l2 margins are searched for; leave the other --norm out";
        return Err(Usage::new(message).into());
    }
    Ok(vec![Norm::L2])
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.inputs_per_second;
        writeln!(
            f,
            "{} inputs of {}, {} neurons, {}: {:.1} s, {rate:.0} inputs/s",
            self.inputs, self.data, self.neurons, self.dtype, self.seconds
        )?;
        if let Some(accuracy) = self.accuracy {
            writeln!(f, "accuracy   {:.2}%", 100.0 * accuracy)?;
        }
        writeln!(f, "#CLR       {} to {}", self.clr_lower, self.clr_upper)?;
        if self.on_boundary > 0 {
            writeln!(
                f,
                "a neuron exactly at 0 (margin 0 where it has a gradient): {} inputs",
                self.on_boundary
            )?;
        }
        writeln!(
            f,
            "{:<10} {:>11} {:>11} {:>11} {:>11}",
            "margin", "P25", "P50", "P75", "P100"
        )?;
        for (name, p) in &self.margins {
            writeln!(
                f,
                "{name:<10} {:>11.4e} {:>11.4e} {:>11.4e} {:>11.4e}",
                p.p25, p.p50, p.p75, p.p100
            )?;
        }
        writeln!(f, "guarantee  {}: {}", self.guarantee, self.method)?;
        if let Some(search) = &self.search {
            writeln!(f, "work       {search}")?;
        }
        match &self.out {
            Some(out) => write!(f, "{}", out.display()),
            None => Ok(()),
        }
    }
}

fn guarantee_name<S: serde::Serializer>(guarantee: &Guarantee, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&guarantee.name())
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (directions, mean, max) = (self.directions, self.verified_mean, self.verified_max);
        write!(
            f,
            "{directions} directions, {mean:.0} gradients on average, {max} at most"
        )
    }
}
