//! `loclin explain`: one input, its gradient, how much that can change nearby, and how far it does not.

mod nearby;
mod options;
mod outcome;
mod reading;
mod subject;

use std::time::Duration;

use anyhow::{Context, ensure};
use candle_core::DType;
use loclin_data::Applied;
use loclin_models::Network;
use loclin_report::Report;

use crate::program::compute::Dtype;
use crate::program::distortion::UNIT;
use crate::program::domain::{InputBox, said};
use crate::program::errors::Usage;
use crate::program::opened::Opened;
use crate::program::options::Global;
use crate::program::{files, process};

pub use nearby::{Nearby, NearbyOptions, Point};
pub use options::Args;
pub use outcome::Outcome;
pub use reading::{Integrated, Integration, ReadOptions, Reading, read};
pub use subject::Subject;

/// Explains as the options say.
///
/// # Errors
/// A model or input that cannot be used, or files that cannot be written.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    if args.evaluations == 0 || args.steps == 0 {
        return Err(Usage::new("--evaluations, --steps: expected at least 1").into());
    }
    let nearby = nearby_options(args)?;
    files::check_writable(&args.out)?;
    if let Some(report) = &args.report {
        files::check_writable(report)?;
    }
    let index = args.input.parse::<usize>().ok();
    let opened = subject::open(args, index, global)?;
    let Opened {
        model,
        data,
        dtype,
        applied,
    } = opened;
    let model = model
        .into_network()
        .with_context(|| args.source.model.display().to_string())?;
    let network = model.raw()?;
    let domain = args
        .domain
        .read(InputBox::of_data(data.domain().or(Some(UNIT))))?;
    let names = args
        .classes
        .names(network.output_size(), data.class_names())?;
    let subject = Subject::of(data, index)?;
    let options = ReadOptions {
        eps: args.eps.value(),
        domain,
        evaluations: args.evaluations,
        seed: global.seed.unwrap_or(0),
        integration: match args.exact {
            true => Integration::Exact,
            false => Integration::Steps(args.steps),
        },
        nearby: Some(nearby),
    };
    let label = args.label.or(subject.label);
    check_label(label, &network, &subject)?;
    let named = || subject.name.clone();
    let x = subject.tensor(network.input_shape(), DType::F64, network.device())?;
    let mut reading = read(&network, &x, label, &options).with_context(named)?;
    if let Some(names) = &names {
        reading.label_name = names.name(reading.label);
        reading.prediction_name = names.name(reading.prediction);
    }
    let explanation = loclin_report::Explanation {
        heading: subject.name.clone(),
        lines: reading.lines(args.eps),
        curve: reading.curve(),
        panels: reading.panels(&subject)?,
    };
    let canvas = loclin_report::figure::pictures(std::slice::from_ref(&explanation))?;
    files::write_atomic(&args.out, &canvas.png()?)?;
    if let Some(path) = &args.report {
        let page = page(args, &explanation, dtype, &applied, options.domain.as_ref())?;
        files::write_atomic(path, page.as_bytes())?;
    }
    Ok(Outcome {
        model: args.source.model.clone(),
        input: subject.name,
        reading,
        out: args.out.clone(),
        report: args.report.clone(),
        dtype,
        preprocessing: applied,
    })
}

/// What is asked about balls.
fn nearby_options(args: &Args) -> anyhow::Result<NearbyOptions> {
    let refuse = || {
        Usage::new(format!(
            "--time {}: expected seconds, at least 0",
            args.time
        ))
    };
    let time = Duration::try_from_secs_f64(args.time).map_err(|_| refuse())?;
    if args.top == 0 {
        return Err(Usage::new("--top 0: expected at least 1").into());
    }
    // The end of all times has to be an instant.
    let time = time.min(Duration::from_secs(24 * 3600));
    Ok(NearbyOptions {
        time,
        top: args.top,
    })
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
    applied: &Applied,
    domain: Option<&InputBox>,
) -> anyhow::Result<String> {
    let settings = [
        ("model", args.source.model.display().to_string()),
        ("input", args.input.clone()),
        ("preprocessing", applied.to_string()),
        ("domain", said(domain)),
        ("floating-point type", dtype.to_string()),
    ];
    let page = loclin_report::render(&Report {
        title: "One input, explained".into(),
        settings: settings
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        explanations: vec![explanation.clone()],
        commands: vec![format!(
            "{} explain --model {} --input {} --eps {}",
            process::name(),
            args.source.model.display(),
            args.input,
            args.eps
        )],
        ..Report::default()
    })?;
    Ok(page)
}
