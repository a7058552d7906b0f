//! `loclin check`: a table of margins, held against radii that are found in another way.

mod called;
mod cut;
mod measured;
mod outcome;
mod row;
mod statements;
mod truth;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use loclin_data::{Applied, Part, Rows};
use loclin_tensor::random;
use rand::Rng;

use crate::program::certify::{self, Row};
use crate::program::compute::Dtype;
use crate::program::domain::{DomainOptions, InputBox};
use crate::program::errors::Usage;
use crate::program::jobs::Journal;
use crate::program::model::ModelPath;
use crate::program::opened::Opened;
use crate::program::options::{Global, InputOptions};
use crate::program::progress::Bar;
use crate::program::proofs::Proofs;
use called::Called;
use measured::Claims;
use truth::Judge;

pub use outcome::{Failure, Outcome};

const EXAMPLE: &str = "\
Examples:
  loclin certify --model network.onnx --data inputs.npy --dtype f64 --out margins.csv
  loclin check margins.csv --model network.onnx --data inputs.npy
  loclin check margins.csv --model runs/demo-seed0 --sample 100 --seed 7
  loclin bound --model runs/demo-seed0 --limit 5 --eps 1/255 --proof proofs.json
  loclin check proofs.json --model runs/demo-seed0

A row holds if no radius is larger than the true one, and the rest of it is true; names of classes \
are held against --classes, or else must be the same in all rows. The neuron that is said to limit \
a radius is the nearest one where the radius is the true one; of a smaller radius, which is a bound, \
it need only be one of the network's. Radii are found again \
by exact arithmetic, where that takes too long by measuring every gradient with a bound of its rounding \
error, and within the domain that the table says. Rows whose guarantee is an estimate claim nothing; \
of those that say deployed(TYPE) the radii of the network as stored are found again, not what rounding in TYPE does.

A statement about a ball holds if every part of its proof, looked at again, is empty or bounded as it \
says, and the parts make up the ball: all of them are checked. The exit code is 1 if something does not hold.";

/// What the sample is drawn for, in the path of its random stream.
const STREAM: u64 = 0x63_68_65_63_6b;

/// Options of `check`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// A table of margins, as `certify --out` writes it, or proofs, as `bound --proof` does (.json)
    #[arg(value_name = "RESULT")]
    pub result: PathBuf,
    /// The model
    #[command(flatten)]
    pub source: ModelPath,
    /// How many rows to find again, drawn at random by --seed
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub sample: usize,
    /// Where the file of the domain is that the table names; a table that says an interval, or none, needs no more
    #[command(flatten)]
    pub domain: DomainOptions,
    /// The inputs that were certified, prepared as they were then
    #[command(flatten)]
    pub inputs: InputOptions,
}

/// Checks as the options say.
///
/// # Errors
/// A table, model or dataset that cannot be used, and a network that no other way knows. Rows that do not hold are no error
/// here but of [`Outcome::verdict`].
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    if args.sample == 0 {
        return Err(Usage::new("--sample 0: expected at least 1").into());
    }
    let is_proofs = args
        .result
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let proofs = is_proofs.then(|| Proofs::read(&args.result)).transpose()?;
    let table = match &proofs {
        Some(proofs) => certify::Table {
            domain: proofs.domain.clone(),
            ..certify::Table::default()
        },
        None => certify::read(&args.result)?,
    };
    // Claims are about the numbers as stored, whatever type they were computed in.
    let global = Global {
        dtype: Some(Dtype::F64),
        ..global.clone()
    };
    let opened = Opened::new(&args.source, &args.inputs, Rows::All, &global)?;
    let Opened {
        model,
        data,
        applied,
        classes: names,
        ..
    } = opened;
    let domain = domain(args, table.domain.as_deref(), &applied)?;
    let claiming = |row: &&Row| row.claims();
    let mut outcome = Outcome {
        result: args.result.clone(),
        model: args.source.model.clone(),
        data: data.name().to_owned(),
        preprocessing: applied,
        domain: domain.clone(),
        rows: table.rows.len(),
        checked: 0,
        undecided: 0,
        not_claimed: table.rows.len() - table.rows.iter().filter(claiming).count(),
        deployed: table.rows.iter().filter(|row| row.is_deployed()).count(),
        seed: global.seed.unwrap_or(0),
        failures: Vec::new(),
    };
    if let Some(proofs) = &proofs {
        ensure!(
            !proofs.statements.is_empty(),
            "{}: holds no statements: none of its inputs had an answer",
            args.result.display()
        );
        outcome.rows = proofs.statements.len();
        statements::check(proofs, &model, &data, &mut outcome)?;
    }
    let called = Called::new(
        &table.rows,
        names.as_ref(),
        args.inputs.classes.classes.is_some(),
    );
    let mut sound: Vec<&Row> = Vec::new();
    let mut lines: HashMap<usize, u64> = HashMap::new();
    for row in table.rows.iter().filter(claiming) {
        let mut found = row::plain(row, &table.norms, &data, names.as_ref(), &called);
        found.extend(row::doubled(row, lines.insert(row.index, row.line)));
        match found.is_empty() {
            true => sound.push(row),
            false => outcome.failures.extend(found),
        }
    }
    let sample = draw(sound, args.sample, outcome.seed);
    let bar = Bar::count("checking", sample.len() as u64);
    let indices: Vec<usize> = sample.iter().map(|row| row.index).collect();
    let parts = match indices.is_empty() {
        true => Vec::new(),
        false => data.tables(&indices)?,
    };
    for Part { positions, inputs } in parts {
        let judge = Judge::new(&model.raw(inputs.input_shape())?)?;
        let domain = domain.as_ref();
        let domain = domain.map(|domain| domain.of_shape(inputs.input_shape()));
        let domain = domain.transpose()?;
        for (at, position) in positions.iter().enumerate() {
            let row = sample[*position];
            let x = inputs.rows_f64(&[at])?;
            let claims = Claims {
                norms: &table.norms,
                radii: &row.radii,
                limiting: row
                    .limiting
                    .as_ref()
                    .and_then(|(layer, neuron)| judge.neuron(layer, *neuron)),
                leading: certify::leading(&table.norms),
                domain: domain.as_ref(),
            };
            let truth = judge.truth(&x, &claims);
            let truth = truth.with_context(|| named(row, &args.result, data.name()))?;
            outcome.undecided += usize::from(!truth.is_decided());
            outcome.checked += 1;
            let found = row::against(row, &table.norms, &truth, &judge, names.as_ref())?;
            outcome.failures.extend(found);
            bar.advance(1);
        }
    }
    outcome.failures.sort_by_key(|failure| failure.line);
    Ok(outcome)
}

/// The domain that a table says its balls are cut with, or the one asked for: they must agree. A table that says none has whole
/// balls.
fn domain(
    args: &Args,
    of_table: Option<&str>,
    inputs: &Applied,
) -> anyhow::Result<Option<InputBox>> {
    let said = of_table.and_then(InputBox::of_word);
    let asked = args.domain.read(said.clone(), inputs)?;
    let cause = match (of_table, &asked) {
        (None, None) => return Ok(None),
        // What holds in a part of a ball need not hold in the whole ball.
        (None, Some(_)) => "its balls are whole, as it names no domain; leave --domain out".into(),
        (Some(of_table), asked) if said.is_some() => {
            if asked.as_ref().is_some_and(|asked| asked.word() == of_table) {
                return Ok(said);
            }
            format!("its balls are cut with the domain {of_table}; leave --domain out")
        }
        (Some(of_table), None) => {
            format!("balls are cut with the domain of `{of_table}`; --domain says where that is")
        }
        (Some(of_table), Some(asked)) if !is_file(asked, of_table, &args.result) => {
            format!("its balls are cut with the domain of `{of_table}`, and --domain names another")
        }
        (Some(_), Some(_)) => return Ok(asked),
    };
    Err(Usage::new(format!("{}: {cause}", args.result.display())).into())
}

/// Whether a domain was read from the file that a table names: by what its journal says of it, or else by its name.
fn is_file(asked: &InputBox, of_table: &str, table: &Path) -> bool {
    let InputBox::Ends { file, sha256, .. } = asked else {
        return false;
    };
    let journal = Journal::of(table).ok();
    let kept = journal.and_then(|journal| {
        let domain = journal.job().settings.get("domain")?;
        Some(domain.get("sha256")?.as_str()?.to_owned())
    });
    match kept {
        Some(kept) => kept == *sha256,
        None => Path::new(file).file_name() == Path::new(of_table).file_name(),
    }
}

/// A row of a table and the input that it is about.
fn named(row: &Row, table: &Path, data: &str) -> String {
    let (index, line) = (row.index, row.line);
    let file = row.file.as_ref();
    let file = file.map_or(String::new(), |file| format!(", `{file}`"));
    let table = table.display();
    format!("{table}: row {index} (line {line}): {data}, input {index}{file}")
}

/// So many rows at random, in their order.
fn draw(mut rows: Vec<&Row>, count: usize, seed: u64) -> Vec<&Row> {
    let mut rng = random::stream(seed, &[STREAM]);
    let count = count.min(rows.len());
    for place in 0..count {
        let other = rng.random_range(place..rows.len());
        rows.swap(place, other);
    }
    rows.truncate(count);
    rows.sort_by_key(|row| row.line);
    rows
}
