//! `loclin explain`: one input, its gradient, how much that can change nearby, and how far it does not.

mod integrated;
mod nearby;
mod numbers;
mod options;
mod outcome;
mod pictures;
mod reading;
mod subject;

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use candle_core::{DType, Tensor};
use loclin_data::{Applied, Data};
use loclin_models::Network;
use loclin_regions::attribution::Noise;
use loclin_report::{Explanation, Report};

use crate::program::classes;
use crate::program::distortion::UNIT;
use crate::program::domain::{self, InputBox, ordered, said};
use crate::program::errors::Usage;
use crate::program::opened::{Loaded, Opened};
use crate::program::options::Global;
use crate::program::outputs::{self, Named, inputs};
use crate::program::{files, process};

pub use integrated::{Integrated, Integration};
pub use nearby::{Nearby, NearbyOptions, Point};
pub use options::Args;
pub use outcome::{Outcome, Outcomes};
pub use pictures::Drawing;
pub use reading::{ReadOptions, Reading, read};
pub use subject::Subject;

use numbers::Form;

/// Explains as the options say.
///
/// # Errors
/// A model or input that cannot be used, or files that cannot be written.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcomes> {
    if args.evaluations < 3 {
        let message = format!(
            "--evaluations {}: expected at least 3, which one step of the search takes",
            args.evaluations
        );
        return Err(Usage::new(message).into());
    }
    if args.steps == 0 || args.smooth == Some(0) {
        return Err(Usage::new("--steps, --smooth: expected at least 1").into());
    }
    if !(args.noise.is_finite() && args.noise >= 0.0) {
        let message = format!("--noise {}: expected a number of at least 0", args.noise);
        return Err(Usage::new(message).into());
    }
    let nearby = nearby_options(args)?;
    let forms: Vec<Form> = args
        .out
        .iter()
        .map(|path| Form::of(path))
        .collect::<Result<_, _>>()?;
    let written = Named::default()
        .with("--out", &args.out)
        .with("--report", &args.report);
    let read = inputs(&args.source, &args.data, &args.domain)?
        .with("--input", &args.inputs)
        .with("--baseline", [&args.baseline]);
    outputs::check(&written, &read)?;
    for path in args.out.iter().chain(&args.report) {
        files::check_new(path, args.force)?;
    }
    let loaded = Loaded::new(&args.source, &args.data, global)?;
    let baseline = Baseline::read(args, &loaded)?;
    let open = |input: &String| subject::open(&loaded, &args.data, input);
    let opened: Vec<(Opened, Subject)> = args.inputs.iter().map(open).collect::<Result<_, _>>()?;
    let subjects: Vec<&Subject> = opened.iter().map(|(_, subject)| subject).collect();
    for (path, form) in args.out.iter().zip(&forms) {
        numbers::check(path, *form, &subjects)?;
    }
    let explain = |opened| explain(args, opened, &baseline, nearby, global);
    let all: Vec<(Subject, Outcome)> = opened.into_iter().map(explain).collect::<Result<_, _>>()?;
    let explanations = explanations(args, &all)?;
    for (path, form) in args.out.iter().zip(forms) {
        match form {
            Form::Picture => {
                let canvas = loclin_report::figure::pictures(&explanations)?;
                files::write_atomic(path, &canvas.png()?)?;
            }
            _ => numbers::write(path, form, &all)?,
        }
    }
    if let Some(path) = &args.report {
        files::write_atomic(path, page(args, explanations, &all)?.as_bytes())?;
    }
    Ok(Outcomes(
        all.into_iter().map(|(_, outcome)| outcome).collect(),
    ))
}

/// What is found out about one of the inputs.
fn explain(
    args: &Args,
    (opened, subject): (Opened, Subject),
    baseline: &Baseline,
    nearby: NearbyOptions,
    global: &Global,
) -> anyhow::Result<(Subject, Outcome)> {
    let Opened {
        model,
        data,
        dtype,
        applied,
        classes: names,
    } = opened;
    let network = model.raw(&subject.shape)?;
    let is_speech = matches!(data, Data::Sequences(_));
    let domain = data.domain().or((!is_speech).then_some(UNIT));
    let seed = global.seed.unwrap_or(0);
    let x = subject.tensor(network.input_shape(), DType::F64, network.device())?;
    let options = ReadOptions {
        eps: args.eps.value(),
        domain: args.domain.read(InputBox::of_data(domain), &applied)?,
        evaluations: args.evaluations,
        seed,
        integration: match args.exact {
            true => Integration::Exact,
            false => Integration::Steps(args.steps),
        },
        baseline: Some(baseline.like(&x, &applied)?),
        noise: args.smooth.map(|samples| Noise {
            samples,
            deviation: args.noise,
            seed,
        }),
        nearby: Some(nearby),
    };
    check_label(args.label, &network)?;
    let label = args.label.or(subject.label);
    let assumed = args.domain.domain.is_none() && data.domain().is_none() && !is_speech;
    let mut reading = read(&network, &x, label, &options)
        .map_err(|error| domain::error_of_input(error, subject.name.clone(), assumed))?;
    if let Some(names) = names {
        reading.label_name = names.name(reading.label);
        reading.prediction_name = names.name(reading.prediction);
        let numbers = 0..classes::count(network.output_size()) as u32;
        let all = numbers.map(|class| names.name(class).unwrap_or_default());
        reading.class_names = Some(all.collect());
    }
    let outcome = Outcome {
        model: args.source.model.clone(),
        input: subject.name.clone(),
        reading,
        eps: options.eps,
        seed: options.seed,
        baseline: baseline.to_string(),
        out: args.out.clone(),
        report: args.report.clone(),
        dtype,
        preprocessing: applied,
    };
    Ok((subject, outcome))
}

/// Where integrated gradients begin.
enum Baseline {
    /// At this number everywhere.
    Number(f64),
    /// At this input, as `--baseline` names it, to which this was done.
    Input(String, Subject, Box<Applied>),
}

impl Baseline {
    fn read(args: &Args, loaded: &Loaded<'_>) -> anyhow::Result<Self> {
        let named = format!("--baseline {}", args.baseline);
        match args.baseline.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Self::Number(number)),
            Ok(_) => Err(Usage::new(format!("{named}: expected a finite number")).into()),
            Err(_) => {
                let opened = subject::open(loaded, &args.data, &args.baseline);
                let (opened, subject) = opened.with_context(|| named.clone())?;
                Ok(Self::Input(named, subject, opened.applied.into()))
            }
        }
    }

    /// As an input like `x`, to which that was done.
    fn like(&self, x: &Tensor, inputs: &Applied) -> anyhow::Result<Tensor> {
        match self {
            Self::Number(number) => Ok(Tensor::full(*number, x.shape(), x.device())?),
            Self::Input(named, subject, own) => {
                let stored = own.stored_shape.as_deref();
                if own.moved.is_none() {
                    ordered(named, stored.unwrap_or_default(), inputs)?;
                }
                let tensor = subject.tensor(x.dims(), DType::F64, x.device());
                tensor.with_context(|| named.clone())
            }
        }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number} everywhere"),
            Self::Input(_, subject, applied) => {
                write!(f, "{}, {}", subject.name, applied.numbers())
            }
        }
    }
}

/// What is drawn of each input.
fn explanations(args: &Args, all: &[(Subject, Outcome)]) -> anyhow::Result<Vec<Explanation>> {
    let drawn = |(subject, Outcome { reading, .. }): &(Subject, Outcome)| {
        Ok(Explanation {
            heading: subject.name.clone(),
            lines: reading.lines(args.eps),
            curve: reading.curve(),
            panels: reading.panels(subject, Drawing::Signed)?,
            numbers: reading.numbers(subject),
        })
    };
    all.iter().map(drawn).collect()
}

/// Seconds; no more are taken, whatever is asked.
const DAY: f64 = 24.0 * 3600.0;

/// What is asked about balls.
fn nearby_options(args: &Args) -> anyhow::Result<NearbyOptions> {
    let refuse = || {
        Usage::new(format!(
            "--time {}: expected seconds, at least 0",
            args.time
        ))
    };
    // The end of all times has to be an instant.
    let seconds = if args.time > DAY { DAY } else { args.time };
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| refuse())?;
    if args.top == 0 {
        return Err(Usage::new("--top 0: expected at least 1").into());
    }
    Ok(NearbyOptions {
        time,
        top: args.top,
    })
}

/// Refuses a label that was asked for and that the network has no class for; those of data were looked at when they were opened.
fn check_label(label: Option<u32>, network: &Network) -> anyhow::Result<()> {
    let classes = classes::count(network.output_size());
    match label {
        Some(label) if label as usize >= classes => {
            let message = format!("--label {label}: expected a class below {classes}");
            Err(Usage::new(message).into())
        }
        _ => Ok(()),
    }
}

fn page(
    args: &Args,
    explanations: Vec<Explanation>,
    all: &[(Subject, Outcome)],
) -> anyhow::Result<String> {
    let outcomes = || all.iter().map(|(_, outcome)| outcome);
    let preprocessing = outcomes().map(|own| own.preprocessing.to_string());
    let domains = outcomes().map(|own| said(own.reading.domain.as_ref()));
    let types = outcomes().map(|own| own.dtype.to_string());
    let settings = [
        ("model", args.source.model.display().to_string()),
        ("inputs", args.inputs.join(", ")),
        ("preprocessing", different(preprocessing)),
        ("domain", different(domains)),
        ("baseline of integrated gradients", args.baseline.clone()),
        ("floating-point type", different(types)),
    ];
    let title = match all.len() {
        1 => "One input, explained".to_owned(),
        count => format!("{count} inputs, explained"),
    };
    let page = loclin_report::render(&Report {
        title,
        settings: settings
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        explanations,
        commands: vec![process::command_line()],
        ..Report::default()
    })?;
    Ok(page)
}

/// Each once: inputs of several kinds are prepared in several ways.
fn different(texts: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = Vec::new();
    for text in texts {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all.join("; ")
}
