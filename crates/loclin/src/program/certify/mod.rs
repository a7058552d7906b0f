//! `loclin certify`: the margins of every input of a dataset.

mod batch;
mod explained;
mod extremes;
mod job;
mod outcome;
mod page;
mod question;
mod regions;
mod result;
mod row;
mod run;
mod table;
mod tally;

use std::path::{Path, PathBuf};

use anyhow::Context;

use loclin_data::{Data, Rows};
use loclin_regions::{Estimate, Method, Norm};
use rand::TryRngCore;
use rand::rngs::OsRng;

use crate::program::compute::Dtype;
use crate::program::distortion::Radius;
use crate::program::domain::{DomainOptions, InputBox};
use crate::program::errors::Usage;
use crate::program::files;
use crate::program::jobs::{self, JobOptions, Seed, Settings};
use crate::program::model::ModelPath;
use crate::program::opened::Opened;
use crate::program::options::{Global, InputOptions};
use crate::program::outputs::{self, Named, inputs};

pub use batch::BATCH;
use job::Certified;
pub(crate) use job::{COMMAND, outcome_of};

pub use explained::{Above, Limiting, Worst};
pub use outcome::{Outcome, Search};
pub(super) use question::leading;
pub use question::{Deployed, Question};
pub(crate) use result::{Table, read};
pub use row::Row;
pub use run::{Certificates, certify, certify_all};

const EXAMPLE: &str = "\
Examples:
  loclin certify --model runs/demo-seed0 --at 1/255
  loclin certify --model RUN --data mnist --norm 2 --limit 1000 --dtype f64 --out margins.csv
  loclin certify --model network.onnx --data inputs.npy --norm 1 --norm inf --dtype f64
  loclin certify --model runs/vowels-vanilla-seed0 --norm 2 --dtype f64
  loclin certify --model resnet.onnx --data images.npy --dtype f64 --failure-probability 1e-9
  loclin certify --model network.onnx --data inputs.npy --norm 2 --deployed f32
  loclin certify --model cnn.pth --architecture digit-recognizer --data mnist
  loclin certify --model runs/mnist-vanilla-seed0 --data mnist --domain none
  loclin certify --model network.onnx --data inputs.npy --out margins.csv --resume
  loclin certify --model network.onnx --data inputs.npy --shard 3/8 --out margins-3.csv
  loclin certify --model resnet.onnx --data photos --resize 32 --mean 0.49,0.48,0.45 \\
      --std 0.25,0.24,0.26 --report margins.html";

/// Options of `certify`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The model
    #[command(flatten)]
    pub source: ModelPath,
    /// Certify the first N inputs only
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// The ball's norm: a number from 1, or inf; may be given several times [default: 1, 2 and inf]
    #[arg(long, value_name = "P")]
    pub norm: Vec<Norm>,
    /// Margins, of --norm or else l2, by what costs least: for large networks, by estimating every gradient and measuring the few that
    /// matter. For each input, its margin is too large with at most this probability, such as 1e-9, over directions drawn by
    /// a fresh seed of the operating system, which is shown; --seed draws those of an earlier result again. With 0, by
    /// proved bounds, as without this option where they cost least [default: what costs least and proves]
    #[arg(long, value_name = "P")]
    pub failure_probability: Option<f64>,
    /// Radii within which every evaluation of the network in this type takes the same side at every neuron, at every input whose
    /// numbers the type has, in whatever order it sums, its parameters rounded to the type: f32, f16 or bf16. Not for fast
    /// convolutions (Winograd, Fourier)
    #[arg(long, value_name = "TYPE", conflicts_with = "failure_probability")]
    pub deployed: Option<Deployed>,
    /// The domain of the inputs
    #[command(flatten)]
    pub domain: DomainOptions,
    /// Write an upper bound of each true radius into the table, too (columns upper_P): by how much a radius can be too small
    #[arg(long, requires = "out", conflicts_with = "deployed")]
    pub upper: bool,
    /// Say how many inputs have a radius above this one, in raw units of the input: a number or a quotient such as 1/255; may be
    /// given several times
    #[arg(long, value_name = "RADIUS")]
    pub at: Vec<Radius>,
    /// Write one row for each input: index, file, label, prediction, label_name, prediction_name, eps_P..., guarantee, layer,
    /// neuron, position, domain, score, place; names where the classes have some
    #[arg(long, value_name = "FILE.csv")]
    pub out: Option<PathBuf>,
    /// Write a page, too: distributions, limiting layers, the inputs at both ends
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Inputs of a batch, after each of which rows are written: what a stop may lose, and what parts of a job are made of
    /// [default: 512, fewer for large networks]
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// The job
    #[command(flatten)]
    pub job: JobOptions,
    /// The inputs
    #[command(flatten)]
    pub inputs: InputOptions,
}

/// Certifies as the options say.
///
/// # Errors
/// A model or dataset that cannot be used, or an output that cannot be written.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    for (option, value) in [("--limit", args.limit), ("--batch", args.batch)] {
        if value == Some(0) {
            return Err(Usage::new(format!("{option} 0: expected at least 1")).into());
        }
    }
    let norms = norms(args)?;
    let shard = args.job.shard()?;
    let journal = args.out.as_deref().map(jobs::journal_of);
    let written = Named::default()
        .with("--out", &args.out)
        .with("the journal of --out", &journal)
        .with("--settings", &args.job.settings)
        .with("--report", &args.report);
    outputs::check(&written, &inputs(&args.source, &args.inputs, &args.domain)?)?;
    if let Some(out) = &args.out {
        files::check_writable(out)?;
        args.job.check_new(out)?;
    }
    if let Some(report) = &args.report {
        // The page of a job that goes on is that of its table.
        files::check_new(report, args.job.force || args.job.resume)?;
    }
    let rows = args.limit.map_or(Rows::All, Rows::First);
    let opened = Opened::new(&args.source, &args.inputs, rows, global)?;
    let Opened {
        model,
        data,
        dtype,
        applied,
        classes: names,
    } = opened;
    if let (Some(deployed), Dtype::F32) = (args.deployed, dtype) {
        let message =
            format!("--deployed {deployed}: needs --dtype f64, by which radii are proved");
        return Err(Usage::new(message).into());
    }
    let mut question = Question {
        norms,
        method: Method::Auto,
        deployed: args.deployed,
        upper: args.upper,
        domain: args
            .domain
            .read(InputBox::of_data(data.domain()), &applied)?,
    };
    let size = match args.batch {
        Some(size) => size,
        None => run::size(&model, &data)?,
    };
    let shown = job::Shown {
        model: args.source.model.display().to_string(),
        data: data.name().to_owned(),
        domain: question.domain.clone(),
        dtype,
        preprocessing: applied,
        classes: names.clone(),
        at: args.at.iter().map(|radius| radius.value()).collect(),
    };
    let settings = match &args.out {
        None if seed(args, global) == Seed::Drawn => {
            Settings::default().seeded(Some(fresh_seed()?))
        }
        None => Settings::default().seeded(global.seed),
        Some(out) => {
            let own = own_settings(args, global, (&data, &shown), &question, size)?;
            jobs::agreed(own, seed(args, global), out, &args.job, fresh_seed)?
        }
    };
    let drawn = settings.seed();
    question.method = method(args, drawn);
    let root = args.inputs.data.as_deref().map(Path::new);
    let certified = Certified {
        model: &model,
        data: &data,
        question: &question,
        names: names.as_ref(),
        root,
        shown: &shown,
        size,
    };
    let found = job::run(
        &certified,
        args.out.as_deref(),
        settings,
        (shard, &args.job),
    )?;
    let outcome = Outcome {
        report: args.report.clone(),
        ..found.outcome(shown, args.out.clone())?
    };
    if let Some(report) = &args.report {
        let page = page::page(&page::Certified {
            outcome: &outcome,
            tally: found.tally(),
            norms: &question.norms,
            data: &data,
            source: root,
            names: names.as_ref(),
            seed: drawn,
        })?;
        files::write_atomic(report, page.as_bytes())?;
    }
    if let Some(warning) = &outcome.warning {
        tracing::warn!("{warning}");
    }
    Ok(outcome)
}

/// What the rows depend on, but for the seed.
fn own_settings(
    args: &Args,
    global: &Global,
    (data, shown): (&Data, &job::Shown),
    question: &Question,
    size: usize,
) -> anyhow::Result<Settings> {
    let norms: Vec<String> = question.norms.iter().map(ToString::to_string).collect();
    let deployed = args.deployed.map(|deployed| deployed.to_string());
    Ok(jobs::common(&args.source, data, global)?
        .with("preprocessing", shown.preprocessing.to_string())?
        .with("dtype", shown.dtype)?
        .with("domain", &shown.domain)?
        .with("classes", &shown.classes)?
        .with("norms", norms)?
        .with("failure_probability", args.failure_probability)?
        .with("deployed", deployed)?
        .with("upper", args.upper)?
        .with("batch", size)?)
}

/// How margins are found.
fn method(args: &Args, seed: Option<u64>) -> Method {
    match (args.failure_probability, seed) {
        (Some(failure_probability), Some(seed)) if failure_probability > 0.0 => {
            Method::Probable(Estimate {
                failure_probability,
                seed,
            })
        }
        _ => Method::Auto,
    }
}

/// Where the seed comes from; what is proved has none.
fn seed(args: &Args, global: &Global) -> Seed {
    match (args.failure_probability, global.seed) {
        (None | Some(0.0), _) => Seed::None,
        (_, Some(seed)) => Seed::Given(seed),
        _ => Seed::Drawn,
    }
}

/// A seed that nobody can have known when the model was made: a network can be made such that the directions of a seed
/// that is known before miss what matters.
fn fresh_seed() -> anyhow::Result<u64> {
    let drawn = OsRng.try_next_u64();
    let drawn = drawn.context("the operating system gives no random number; name a --seed")?;
    // As large as a --seed can be.
    Ok(drawn >> 1)
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
    if norms.is_empty() {
        norms.push(Norm::L2);
    }
    Ok(norms)
}
