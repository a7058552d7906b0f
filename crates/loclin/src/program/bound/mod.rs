//! `loclin bound`: what can change in a ball around an input, found and proved, and how far one may go.

mod measure;
mod options;
mod outcome;
mod page;
mod question;
mod row;
mod table;
mod text;

use std::path::Path;
use std::time::{Duration, Instant};

use loclin_data::{Data, Rows, npy};
use loclin_regions::Guarantee;

use crate::program::domain::InputBox;
use crate::program::errors::Usage;
use crate::program::files;
use crate::program::opened::Opened;
use crate::program::options::Global;
use crate::program::proofs::{Proofs, Statement};

pub use measure::measure;
pub use options::{About, Allowed, Args, Balls, Of, What};
pub use outcome::{Largest, Outcome, Summary};
pub use question::Asked;
pub use row::{Answer, Farthest, Row};

/// The table is written again after so long: the most work that a kill may lose.
const PATIENCE: Duration = Duration::from_secs(30);

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
    for file in [&args.out, &args.witness, &args.proof, &args.report]
        .into_iter()
        .flatten()
    {
        files::check_writable(file)?;
    }
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
    } = opened.map_err(|error| no_row(args, error))?;
    let domain = args.balls.domain.read(InputBox::of_data(data.domain()))?;
    let root = args.inputs.data.as_deref().map(Path::new);
    let mut kept = Instant::now();
    let keep = |rows: &[Row]| match &args.out {
        Some(out) if kept.elapsed() >= PATIENCE => {
            kept = Instant::now();
            Ok(files::write_atomic(out, &table::csv(rows, &asked, root)?)?)
        }
        _ => Ok(()),
    };
    let first = args.index.unwrap_or(0);
    let results = measure(&model, &data, &asked, domain.as_ref(), first, keep)?;
    if let Some(out) = &args.out {
        files::write_atomic(out, &table::csv(&results, &asked, root)?)?;
    }
    if let Some(file) = &args.witness {
        write_witnesses(file, &data, &results)?;
    }
    if let Some(file) = &args.proof {
        let domain = domain.as_ref().map(InputBox::word);
        files::write_atomic(file, &proofs(&results, &asked, domain).to_bytes()?)?;
    }
    let guarantees = results.iter().map(|row| row.guarantee);
    let outcome = Outcome {
        model: args.source.model.clone(),
        data: data.name().to_owned(),
        inputs: data.len(),
        what: asked.what(),
        question: asked.said(),
        norm: asked.norm.to_string(),
        domain,
        radii: asked
            .eps
            .iter()
            .map(|eps| Summary::of(*eps, &results, asked.what()))
            .collect(),
        largest: Largest::of(&results, asked.allowed()),
        guarantee: guarantees
            .reduce(Guarantee::weaker)
            .unwrap_or(Guarantee::Estimate),
        results,
        seconds: start.elapsed().as_secs_f64(),
        out: args.out.clone(),
        witness: args.witness.clone(),
        report: args.report.clone(),
        dtype,
        preprocessing: applied,
    };
    if let Some(file) = &args.report {
        let page = page::page(&outcome, &data, args)?;
        files::write_atomic(file, page.as_bytes())?;
    }
    Ok(outcome)
}

/// What proves the bounds of all inputs.
fn proofs(rows: &[Row], asked: &Asked, domain: Option<String>) -> Proofs {
    let of_row = |row: &Row| -> Vec<Statement> {
        let bounds = row.bounds.iter().filter_map(|answer| answer.bound.as_ref());
        let statement = |bound: &loclin_regions::reduced::Bound| {
            let proof = bound.proof.as_ref()?;
            Statement::new(row.index, bound.radius, &row.question, bound.proved, proof)
        };
        bounds.filter_map(statement).collect()
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

/// The input found for each input asked about, or that input itself where nothing was found.
fn write_witnesses(file: &Path, data: &Data, rows: &[Row]) -> anyhow::Result<()> {
    let Data::Table(table) = data else {
        let message =
            "--witness: sequences of different lengths; an array holds inputs of one shape";
        return Err(Usage::new(message).into());
    };
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
