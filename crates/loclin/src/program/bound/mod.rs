//! `loclin bound`: what can change in a ball around an input, found and proved, and how far one may go.

mod job;
mod kept;
mod measure;
mod options;
mod outcome;
mod page;
mod question;
mod row;
mod table;
mod text;

use std::path::Path;
use std::time::Instant;

use loclin_data::{Data, Dataset, Part, Rows, npy};

use crate::program::compute::Dtype;
use crate::program::domain::InputBox;
use crate::program::errors::Usage;
use crate::program::files;
use crate::program::jobs::{self, Seed, Settings};
use crate::program::opened::{self, Opened};
use crate::program::options::Global;
use crate::program::outputs::{self, Named, inputs};
use crate::program::proofs::Proofs;

pub(crate) use job::{COMMAND, outcome_of};
use measure::Measure;
pub use options::{About, Allowed, Args, Balls, Of, What};
use outcome::Shown;
pub use outcome::{Largest, Outcome, Summary};
pub use question::Asked;
pub use row::{Answer, Farthest, Row};
use table::Table;

/// Bounds as the options say.
///
/// # Errors
/// A model or dataset that cannot be used, an operator that does not say what it selects from, or an output that cannot be
/// written.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    if args.limit == Some(0) {
        return Err(Usage::new("--limit 0: expected at least 1").into());
    }
    let asked = Asked::new(args)?;
    check_outputs(args)?;
    if args.proof.is_some() && opened::dtype(global) != Dtype::F64 {
        let message =
            "--proof: bounds in float32 are estimates, which nothing proves; leave --dtype out";
        return Err(Usage::new(message).into());
    }
    let shard = args.job.shard()?;
    let rows = match (args.index, args.limit) {
        (Some(index), _) => Rows::One(index),
        (None, Some(limit)) => Rows::First(limit),
        (None, None) => Rows::All,
    };
    let opened = Opened::new(&args.source, &args.inputs, rows, global);
    let Opened {
        model,
        data,
        dtype,
        applied,
        ..
    } = opened.map_err(|error| no_row(args, error))?;
    if args.witness.is_some() {
        check_shapes(&data)?;
    }
    let domain = InputBox::of_data(data.domain());
    let domain = args.balls.domain.read(domain, &applied)?;
    let shown = Shown {
        model: args.source.model.display().to_string(),
        data: data.name().to_owned(),
        what: asked.what(),
        question: asked.said(),
        norm: asked.norm.to_string(),
        domain: domain.clone(),
        eps: asked.eps.clone(),
        allowed: asked.allowed(),
        dtype,
        preprocessing: applied,
    };
    let settings = match args.out {
        Some(_) => settings(args, global, (&data, &shown), &asked)?,
        None => Settings::default(),
    };
    let root = args.inputs.data.as_deref().map(Path::new);
    let results = job::run(
        job::Bounded {
            measure: Measure::new(
                &model,
                (&data, args.index.unwrap_or(0), root),
                &asked,
                domain.as_ref(),
            ),
            table: Table {
                asked: &asked,
                has_files: data.path(0).is_some(),
            },
            inputs: data.len(),
            keeps_bounds: [&args.witness, &args.proof, &args.report]
                .iter()
                .any(|file| file.is_some()),
        },
        args.out.as_deref(),
        (settings, &shown),
        (shard, &args.job),
    )?;
    if let Some(file) = &args.witness {
        write_witnesses(file, &data, &results)?;
    }
    if let Some(file) = &args.proof {
        let domain = domain.as_ref().map(InputBox::word);
        files::write_atomic(file, &proofs(&results, &asked, domain).to_bytes()?)?;
    }
    let outcome = Outcome {
        out: args.out.clone(),
        witness: args.witness.clone(),
        proof: args.proof.clone(),
        report: args.report.clone(),
        ..Outcome::new(shown, results, start.elapsed().as_secs_f64())
    };
    if let Some(file) = &args.report {
        let page = page::page(&outcome, &data)?;
        files::write_atomic(file, page.as_bytes())?;
    }
    Ok(outcome)
}

/// Refuses files that cannot be written, and those of which a part of a job knows a part alone.
fn check_outputs(args: &Args) -> anyhow::Result<()> {
    let files = [
        ("--witness", &args.witness),
        ("--proof", &args.proof),
        ("--report", &args.report),
    ];
    let journal = args.out.as_deref().map(jobs::journal_of);
    let written = Named::default()
        .with("--out", &args.out)
        .with("the journal of --out", &journal)
        .with("--settings", &args.job.settings);
    let written = files.iter().fold(written, |written, (option, file)| {
        written.with(option, *file)
    });
    outputs::check(
        &written,
        &inputs(&args.source, &args.inputs, &args.balls.domain)?,
    )?;
    for (option, file) in files {
        let Some(file) = file else {
            continue;
        };
        if args.job.resume || args.job.shard.is_some() {
            let message = format!(
                "{option}: not with --resume or --shard; it needs all inputs in one process. Leave it out here, and ask again about the inputs that matter, with --index I {option} FILE"
            );
            return Err(Usage::new(message).into());
        }
        files::check_new(file, args.job.force)?;
    }
    if let Some(out) = &args.out {
        files::check_writable(out)?;
        args.job.check_new(out)?;
    }
    Ok(())
}

/// What the rows depend on.
fn settings(
    args: &Args,
    global: &Global,
    (data, shown): (&Data, &Shown),
    asked: &Asked,
) -> anyhow::Result<Settings> {
    let own = jobs::common(&args.source, data, global)?
        .with("preprocessing", shown.preprocessing.to_string())?
        .with("dtype", shown.dtype)?
        .with("domain", &shown.domain)?
        .with("first", args.index.unwrap_or(0))?
        .with("what", shown.what)?
        .with("norm", &shown.norm)?
        .with("eps", &shown.eps)?
        .with("rest", format!("{asked:?}"))?;
    let out = args.out.as_deref().unwrap_or(Path::new(""));
    jobs::agreed(own, Seed::None, out, &args.job, || Ok(0))
}

/// What proves the bounds of all inputs.
fn proofs(rows: &[Row], asked: &Asked, domain: Option<String>) -> Proofs {
    let of_row = |row: &Row| {
        let (index, own) = (row.index, row.statements.clone());
        own.into_iter()
            .map(move |statement| statement.of_input(index))
    };
    Proofs::new(asked.norm, domain, rows.iter().flat_map(of_row).collect())
}

/// An index that the data do not have is a wrong request.
fn no_row(args: &Args, error: anyhow::Error) -> anyhow::Error {
    match (args.index, error.downcast_ref()) {
        (Some(index), Some(loclin_data::Error::RowRange { name, rows, .. })) => {
            let message = format!("--index {index}: {name} has {rows} inputs, numbered from 0");
            Usage::new(message).into()
        }
        _ => error,
    }
}

/// The inputs, which an array can hold.
///
/// # Errors
/// Inputs of several shapes.
fn check_shapes(data: &Data) -> anyhow::Result<Dataset> {
    let all: Vec<usize> = (0..data.len()).collect();
    let mut parts = data.tables(&all)?;
    match (parts.pop(), parts.is_empty()) {
        (Some(Part { inputs, .. }), true) => Ok(inputs),
        _ => {
            let message =
                "--witness: sequences of different lengths; an array holds inputs of one shape";
            Err(Usage::new(message).into())
        }
    }
}

/// The input found for each input asked about, or that input itself where nothing was found.
fn write_witnesses(file: &Path, data: &Data, rows: &[Row]) -> anyhow::Result<()> {
    let table = check_shapes(data)?;
    let mut values = Vec::with_capacity(rows.len() * table.features());
    for (at, row) in rows.iter().enumerate() {
        match row.witness() {
            Some(witness) => values.extend_from_slice(witness),
            None => values.extend(table.rows_f64(&[at])?),
        }
    }
    let shape = [&[rows.len()], table.input_shape()].concat();
    Ok(files::write_atomic(file, &npy::encode(&shape, &values)?)?)
}
