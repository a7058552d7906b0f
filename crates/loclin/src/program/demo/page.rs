//! The demo's report.

use std::path::Path;
use std::thread::available_parallelism;

use anyhow::Context;
use loclin_data::{Dataset, Split};
use loclin_report::{NetworkSummary, NormRadii, Report};

use super::certified::{Certified, NORMS};
use super::digits;
use crate::program::machine::VERSION;
use crate::program::options::Global;
use crate::program::toy::{self, Toy};
use crate::program::{process, train};

/// The numbers and pictures of the report.
pub(super) fn page(certified: &[Certified], global: &Global) -> anyhow::Result<Report> {
    let test = train::open(&certified[0].config, Split::Test, Path::new(""))?.into_table()?;
    tracing::info!("drawing the regions of three networks on the plane");
    // The paper's 5000 epochs, cut to what the picture needs, and the lambda that it took.
    let toy = Toy {
        seed: certified[0].config.seed,
        epochs: 1000,
        lambdas: vec![1.0],
    };
    let program = process::name();
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
        commands: vec![
            format!("{program} demo --seed {}", certified[0].config.seed),
            format!("{program} train --preset demo --out runs/roll"),
            format!(
                "{program} certify --model runs/roll --domain none --dtype f64 --out margins.csv"
            ),
        ],
        ..Report::default()
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
            NormRadii::of(norm.to_string(), margins.radius.clone()).context("no held-out digits")
        });
    Ok(NetworkSummary {
        name: (*name).into(),
        settings: config.loss.describe(config.lambda, &config.settings()),
        accuracy: row.accuracy,
        clr_lower: row.clr_lower,
        clr_upper: row.clr_upper,
        guarantee: certificates
            .guarantee()
            .weaker(certificates.regions.guarantee)
            .to_string(),
        points: certificates.regions.points,
        radii: radii.collect::<anyhow::Result<_>>()?,
        training_seconds: row.training_seconds,
    })
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
        pair("Preprocessing", certified[0].preprocessing.to_string()),
        pair("Guarantee of the radii", certified[0].row.guarantee.clone()),
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
        pair("Program", format!("version {VERSION}")),
    ]
}
