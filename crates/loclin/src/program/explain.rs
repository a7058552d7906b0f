//! `loclin explain`: one input, its gradient, how much that can change nearby, and how far it does not change.

mod reading;
mod subject;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use candle_core::DType;
use loclin_data::Split;
use loclin_models::Network;
use serde::Serialize;

use crate::program::compute::Dtype;
use crate::program::distortion::{Domain, Radius};
use crate::program::errors::Usage;
use crate::program::files;
use crate::program::model::ModelPath;
use crate::program::opened::{Trained, dtype};
use crate::program::options::{DataDir, Global};
use loclin_report::Report;

pub use reading::{Integration, Look, Reading, read};
pub use subject::Subject;

const EXAMPLE: &str = "\
Examples:
  loclin explain --model runs/cifar10-roll-seed0 --input 17
  loclin explain --model runs/cifar10-roll-seed0 --input cat.jpg --resize --out cat.png --report cat.html
  loclin explain --model resnet.onnx --input cat.png --label 3 --mean 0.49,0.48,0.45 --std 0.25,0.24,0.26
  loclin explain --model cnn.pth --architecture crates/loclin/architectures/digit-recognizer.toml --input 5 --data mnist";

/// Options of `explain`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The model
    #[command(flatten)]
    pub source: ModelPath,
    /// A JPEG or PNG file, or the number of an input of --data, from 0
    #[arg(long, value_name = "IMAGE_OR_INDEX")]
    pub input: String,
    /// Where a number counts: a dataset's name, a directory in its layout, or an .npy or .safetensors file of inputs
    /// [default: the dataset of the run directory]
    #[arg(long, value_name = "NAME_OR_PATH")]
    pub data: Option<String>,
    /// Which part of the dataset: train, valid or test
    #[arg(long, default_value = "test")]
    pub split: Split,
    /// Make an image of another size fit, whatever its proportions
    #[arg(long)]
    pub resize: bool,
    /// The class whose score is explained [default: the input's label, or the predicted class where it has none]
    #[arg(long, value_name = "CLASS")]
    pub label: Option<u32>,
    /// What an image's channels are normalised with, for a model that does not do it itself: means
    #[arg(long, value_name = "M,M,M", value_delimiter = ',', requires = "std")]
    pub mean: Vec<f64>,
    /// The same: standard deviations
    #[arg(long, value_name = "S,S,S", value_delimiter = ',', requires = "mean")]
    pub std: Vec<f64>,
    /// How far every pixel may move in the search for the gradient that differs most: a number or a quotient
    #[arg(long, value_name = "EPS", default_value = "8/256")]
    pub eps: Radius,
    /// The least and the largest value that a pixel may have
    #[arg(long, value_name = "LOW,HIGH", default_value = "0,1")]
    pub domain: Domain,
    /// Gradients that the search may evaluate
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub evaluations: usize,
    /// Gradients along the segment from black to the image, of which the integrated gradients are the mean
    #[arg(
        long,
        value_name = "N",
        default_value_t = 300,
        conflicts_with = "exact"
    )]
    pub steps: usize,
    /// Integrate exactly, through every region that the segment crosses; slow for large networks
    #[arg(long)]
    pub exact: bool,
    /// Where to draw the picture
    #[arg(long, value_name = "FILE.png", default_value = "explanation.png")]
    pub out: PathBuf,
    /// Write a report, too
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Where the datasets are
    #[command(flatten)]
    pub place: DataDir,
}

/// What was explained.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The model, as asked for.
    pub model: PathBuf,
    /// The input, as it calls itself.
    pub input: String,
    /// What was found out about it.
    #[serde(flatten)]
    pub reading: Reading,
    /// The picture.
    pub out: PathBuf,
    /// The report, if one was asked for.
    pub report: Option<PathBuf>,
    /// The floating-point type.
    pub dtype: Dtype,
}

/// Explains as the options say.
///
/// # Errors
/// A model or input that cannot be used, or files that cannot be written.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    if args.evaluations == 0 || args.steps == 0 {
        return Err(Usage::new("--evaluations, --steps: expected at least 1").into());
    }
    files::check_writable(&args.out)?;
    if let Some(report) = &args.report {
        files::check_writable(report)?;
    }
    let run = Trained::of(&args.source.model)?;
    let dtype = dtype(global, run.as_ref());
    let model = args.source.load(dtype.candle(), &global.device.open()?)?;
    let model = model
        .into_network()
        .with_context(|| args.source.model.display().to_string())?;
    let network = with_normalization(args, model.raw()?)?;
    let subject = Subject::find(args, network.input_shape(), run.as_ref(), global)?;
    let look = Look {
        eps: args.eps.value(),
        domain: args.domain.0,
        evaluations: args.evaluations,
        seed: global.seed.unwrap_or(0),
        integration: match args.exact {
            true => Integration::Exact,
            false => Integration::Steps(args.steps),
        },
    };
    let label = args.label.or(subject.label);
    check_label(label, &network, &subject)?;
    let named = || subject.name.clone();
    let x = subject.tensor(network.input_shape(), DType::F64, network.device())?;
    let reading = read(&network, &x, label, &look).with_context(named)?;
    let explanation = loclin_report::Explanation {
        heading: subject.name.clone(),
        lines: reading.lines(args.eps),
        panels: reading.panels(&subject)?,
    };
    let canvas = loclin_report::figure::pictures(std::slice::from_ref(&explanation))?;
    files::write_atomic(&args.out, &canvas.png()?)?;
    if let Some(path) = &args.report {
        let page = page(args, &explanation, dtype)?;
        files::write_atomic(path, page.as_bytes())?;
    }
    Ok(Outcome {
        model: args.source.model.clone(),
        input: subject.name,
        reading,
        out: args.out.clone(),
        report: args.report.clone(),
        dtype,
    })
}

/// The network of inputs before the normalisation that the options give.
fn with_normalization(args: &Args, network: Network) -> anyhow::Result<Network> {
    if args.mean.is_empty() {
        return Ok(network);
    }
    let normalized = network.standardized(&args.mean, &args.std);
    normalized.context("--mean, --std: do not fit the model")
}

fn check_label(label: Option<u32>, network: &Network, subject: &Subject) -> anyhow::Result<()> {
    // A network with one output tells two classes apart.
    let classes = network.output_size().max(2);
    let Some(label) = label.filter(|label| *label as usize >= classes) else {
        return Ok(());
    };
    ensure!(
        subject.label != Some(label),
        "{}: its label is {label}; the model has {} outputs",
        subject.name,
        network.output_size()
    );
    let message = format!("--label {label}: expected a class below {classes}");
    Err(Usage::new(message).into())
}

fn page(
    args: &Args,
    explanation: &loclin_report::Explanation,
    dtype: Dtype,
) -> anyhow::Result<String> {
    let settings = [
        ("model", args.source.model.display().to_string()),
        ("input", args.input.clone()),
        ("floating-point type", dtype.to_string()),
    ];
    loclin_report::render(&Report {
        title: "One input, explained".into(),
        settings: settings
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        explanations: vec![explanation.clone()],
        commands: vec![format!(
            "loclin explain --model {} --input {} --eps {}",
            args.source.model.display(),
            args.input,
            args.eps
        )],
        ..Report::default()
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reading {
            label,
            prediction,
            gradient_length,
            distortion,
            evaluations,
            integrated,
            ..
        } = &self.reading;
        writeln!(f, "{}: class {label}, predicted {prediction}", self.input)?;
        writeln!(f, "{}", self.reading.certificate())?;
        writeln!(
            f,
            "gradient: l1 norm {gradient_length:.4}; distortion up to {distortion:.4} in {evaluations} evaluations"
        )?;
        for (what, found) in ["the input", "the distorted input"].iter().zip(integrated) {
            writeln!(f, "integrated gradients of {what}: {found}")?;
        }
        write!(f, "{}", self.out.display())?;
        match &self.report {
            Some(report) => write!(f, "\n{}", report.display()),
            None => Ok(()),
        }
    }
}
