//! `loclin demo`: the main job, end to end, on data that is in the program.
//!
//! Trains a vanilla and a ROLL network on the embedded digits, certifies both on held-out digits, and writes a
//! report with pictures.

mod digits;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::{Context, bail};
use candle_core::DType;
use loclin_data::{Data, Dataset, Split};
use loclin_models::{Model, Network};
use loclin_regions::{Method, Norm};
use serde::Serialize;

use crate::program::certify::{Certificates, certify};
use crate::program::config::{Config, Loss};
use crate::program::options::Global;
use crate::program::toy::{self, Toy};
use crate::program::{files, train};
use loclin_report::stats::Percentiles;
use loclin_report::{NetworkSummary, NormRadii, Report};

/// The two experiments: name in the report and directory, configuration.
const RUNS: [(&str, &str, &str); 2] = [
    (
        "vanilla",
        "vanilla",
        include_str!("../../presets/demo-vanilla.toml"),
    ),
    ("ROLL", "roll", include_str!("../../presets/demo.toml")),
];
const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::LINF];

const EXAMPLE: &str = "\
Examples:
  loclin demo
  loclin demo --json --seed 7 --out runs/demo-7";

/// Options of `demo`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// Directory of the report and of both runs; runs that were begun there go on
    #[arg(long, value_name = "DIR", default_value = "runs/demo")]
    pub out: PathBuf,
}

/// What the demo found out.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The network trained on the task loss alone.
    pub vanilla: Row,
    /// The network trained with ROLL.
    pub roll: Row,
    /// Median l2 margin of the ROLL network over that of the vanilla one.
    pub median_eps_2_ratio: f64,
    /// The report: `index.html` in the output directory.
    pub report: PathBuf,
    #[serde(skip)]
    table: String,
}

/// One network of the table, certified on the held-out digits.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Share of correct predictions.
    pub accuracy: f64,
    /// Lower bound on the number of complete linear regions (Lemma 7).
    pub clr_lower: usize,
    /// Upper bound on it.
    pub clr_upper: usize,
    /// Wall-clock seconds of training.
    pub training_seconds: f64,
    /// `eps_1`, `eps_2`, `eps_inf`: percentiles of the margins, in pixel units.
    #[serde(flatten)]
    pub margins: BTreeMap<String, Percentiles>,
}

/// A trained network, certified.
struct Certified {
    name: &'static str,
    config: Config,
    network: Network,
    certificates: Certificates,
    row: Row,
}

/// Trains, certifies and reports.
///
/// # Errors
/// An output directory that cannot be written or that holds runs of another configuration.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    let report_path = args.out.join("index.html");
    files::create_dir(&args.out)?;
    files::check_writable(&report_path)?;
    let mut certified = Vec::new();
    for (name, directory, text) in RUNS {
        let mut config = Config::parse(text, &[])?;
        config.apply(global);
        certified.push(train_and_certify(
            name,
            config,
            &args.out.join(directory),
            global,
        )?);
    }
    let [vanilla, roll] = &certified[..] else {
        bail!("the demo compares two networks")
    };
    let report = page(&certified, global)?;
    files::write_atomic(&report_path, loclin_report::render(&report)?.as_bytes())?;
    let median = |c: &Certified| c.row.margins.get("eps_2").map_or(f64::NAN, |p| p.p50);
    Ok(Outcome {
        median_eps_2_ratio: median(roll) / median(vanilla),
        vanilla: vanilla.row.clone(),
        roll: roll.row.clone(),
        report: report_path,
        table: loclin_report::text_table(&report.networks),
    })
}

fn train_and_certify(
    name: &'static str,
    config: Config,
    out: &Path,
    global: &Global,
) -> anyhow::Result<Certified> {
    // The demo's data is in the program: no directory of datasets is read.
    let open = |split| {
        train::open(&config, split, Path::new(""))?
            .into_table()
            .context("the digits")
    };
    let data: [Data; 2] = [open(Split::Train)?.into(), open(Split::Valid)?.into()];
    tracing::info!("training the {name} network on {} digits", data[0].len());
    let trained = train::train(&config, &data, out, true, global, name)?;
    let model = Model::load(&out.join(train::MODEL), DType::F64, &global.device.open()?)?;
    let network = model.raw()?;
    let test = open(Split::Test)?;
    tracing::info!("certifying it on {} held-out digits", test.len());
    let certificates = certify(&network, &test, &NORMS, Method::Auto, name)?;
    let row = Row {
        accuracy: certificates.accuracy().context("the digits have labels")?,
        clr_lower: certificates.regions.lower,
        clr_upper: certificates.regions.upper,
        training_seconds: trained.seconds,
        margins: certificates.percentiles()?,
    };
    Ok(Certified {
        name,
        config,
        network,
        certificates,
        row,
    })
}

fn page(certified: &[Certified], global: &Global) -> anyhow::Result<Report> {
    let test = train::open(&certified[0].config, Split::Test, Path::new(""))?.into_table()?;
    tracing::info!("drawing the regions of three networks on the plane");
    // The paper's 5000 epochs, cut to what the picture needs, and the lambda that it took.
    let toy = Toy {
        seed: certified[0].config.seed,
        epochs: 1000,
        lambdas: vec![1.0],
    };
    Ok(Report {
        title: "How far is the gradient constant?".into(),
        inputs: "held-out digits".into(),
        unit: "pixel units in [0,\u{a0}1]".into(),
        gradient_of: "the predicted digit’s score".into(),
        settings: settings(certified, &test, global),
        networks: certified
            .iter()
            .map(summary)
            .collect::<anyhow::Result<_>>()?,
        digits: digits::rows(certified, &test)?,
        toy: toy::panels(&toy)?,
        explanations: Vec::new(),
        commands: vec![
            format!("loclin demo --seed {}", certified[0].config.seed),
            "loclin train --config crates/loclin/presets/demo.toml --out runs/roll".into(),
            "loclin certify --model runs/roll --dtype f64 --out margins.csv".into(),
        ],
    })
}

fn summary(certified: &Certified) -> anyhow::Result<NetworkSummary> {
    let Certified {
        name,
        config,
        certificates,
        row,
        ..
    } = certified;
    let radii = NORMS
        .iter()
        .zip(&certificates.margins)
        .map(|(norm, margins)| {
            let p = Percentiles::of(&margins.radius).context("no held-out digits")?;
            let Percentiles {
                p25,
                p50,
                p75,
                p100,
            } = p;
            Ok(NormRadii {
                norm: norm.to_string(),
                p25,
                p50,
                p75,
                p100,
                values: margins.radius.clone(),
            })
        });
    Ok(NetworkSummary {
        name: (*name).into(),
        settings: words(config),
        accuracy: row.accuracy,
        clr_lower: row.clr_lower,
        clr_upper: row.clr_upper,
        points: certificates.regions.points,
        radii: radii.collect::<anyhow::Result<_>>()?,
        training_seconds: row.training_seconds,
    })
}

/// The objective's settings.
fn words(config: &Config) -> String {
    let Config {
        lambda,
        c,
        gamma,
        axes,
        ..
    } = config;
    match config.loss {
        Loss::Vanilla => String::new(),
        Loss::Distance => format!("λ = {lambda}"),
        Loss::Relaxed => format!("λ = {lambda}, C = {c}"),
        Loss::Roll => format!("λ = {lambda}, C = {c}, γ = {gamma}"),
        Loss::Sampled => format!("λ = {lambda}, C = {c}, a direction for each input"),
        Loss::Axes => format!("λ = {lambda}, C = {c}, {axes} axes a step"),
    }
}

fn settings(certified: &[Certified], test: &Dataset, global: &Global) -> Vec<(String, String)> {
    let config = &certified[0].config;
    let widths = config
        .hidden
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("-");
    let cores = available_parallelism().map_or(1, usize::from);
    let pair = |key: &str, value: String| (key.to_owned(), value);
    vec![
        pair(
            "Networks",
            format!("fully connected, hidden layers {widths}, ReLU"),
        ),
        pair(
            "Training",
            format!(
                "{} epochs, learning rate {}, batches of {}, {}",
                config.epochs, config.learning_rate, config.batch_size, config.dtype
            ),
        ),
        pair(
            "Certified on",
            format!("{} held-out MNIST digits, in f64", test.len()),
        ),
        pair("Seed", config.seed.to_string()),
        pair(
            "Machine",
            format!(
                "{} {}, {cores} cores, {}",
                std::env::consts::OS,
                std::env::consts::ARCH,
                global.device
            ),
        ),
        pair("Program", format!("version {}", env!("CARGO_PKG_VERSION"))),
    ]
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.table.trim_end())?;
        writeln!(f)?;
        writeln!(
            f,
            "The gradient of the ROLL network is provably constant {:.1} times as far (median l2 radius).",
            self.median_eps_2_ratio
        )?;
        write!(f, "Report: {}", self.report.display())
    }
}
