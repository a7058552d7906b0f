//! What a result is: its rows, what is said of it, and how its model and data are found again.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use csv::StringRecord;
use loclin_data::Data;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::ask::{Ask, Expected, Named};
use super::rows::Rows;
use crate::program::errors::Usage;
use crate::program::jobs::{Asked, Job, Journal, Settings};
use crate::program::options::Global;
use crate::program::run_directory::Trained;
use crate::program::{bound, certify, files, process};

/// A result.
pub(super) struct Source {
    pub(super) title: String,
    /// What it is, a sentence each.
    pub(super) lines: Vec<String>,
    pub(super) rows: Rows,
    /// How it was made.
    pub(super) settings: Vec<(String, String)>,
    /// What its bounds are bounds of, and the norm of the balls, where it has any.
    pub(super) bounds: Option<[String; 2]>,
    pub(super) ask: Ask,
}

/// Where the model and the data are now, where they were moved.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Moved {
    /// Where the model is, if it was moved
    #[arg(long, value_name = "PATH")]
    pub model: Option<PathBuf>,
    /// Where the data are, if they were moved
    #[arg(long, value_name = "NAME_OR_PATH")]
    pub data: Option<String>,
    /// Directory that holds one folder per dataset, if it was another
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// A command line of one of the commands that write results.
#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

#[derive(Debug, Subcommand)]
enum Command {
    Certify(Box<certify::Args>),
    Bound(Box<bound::Args>),
}

/// Opens a table with its journal, or a run directory.
///
/// # Errors
/// A path that is neither, or cannot be read.
pub(super) fn open(result: &Path, moved: &Moved) -> anyhow::Result<Source> {
    match result.is_dir() {
        true => of_run(result, moved),
        false => of_table(result, moved),
    }
}

fn of_table(path: &Path, moved: &Moved) -> anyhow::Result<Source> {
    let rows = Rows::read(path)?;
    let journal = Journal::open(path)?;
    let job = journal.as_ref().map(Journal::job);
    let shown = |name: &str| job.and_then(|job| job.shown.get(name)?.as_str());
    let mut lines = Vec::new();
    if let (Some(model), Some(data)) = (shown("model"), shown("data")) {
        lines.push(format!("What {model} says about {data}."));
    }
    if let Some(batch) = edited(path)? {
        let line = format!(
            "The table was changed since it was written (from its batch {batch} on): its rows are not what was found."
        );
        tracing::warn!("{}: {line}", path.display());
        lines.push(line);
    }
    let is_bound = job.is_some_and(|job| job.command == bound::COMMAND);
    let bounds = is_bound.then(|| {
        let what = shown("question").unwrap_or("what is asked");
        [what, shown("norm").unwrap_or("2")].map(str::to_owned)
    });
    let named = path.file_name().unwrap_or(path.as_os_str());
    Ok(Source {
        title: named.to_string_lossy().into_owned(),
        lines,
        settings: job.map(settings).unwrap_or_default(),
        bounds,
        ask: match job {
            Some(job) => of_job(path, job, moved)?,
            None => Ask::unknown(path),
        },
        rows,
    })
}

/// The first batch of which a table has not the rows that its journal says were written.
fn edited(path: &Path) -> anyhow::Result<Option<usize>> {
    let Some(mut journal) = Journal::open(path)? else {
        return Ok(None);
    };
    let named = || path.display().to_string();
    let mut table = files::open(path)?;
    let mut header = Vec::new();
    BufReader::new(&table)
        .read_until(b'\n', &mut header)
        .with_context(named)?;
    let mut start = header.len() as u64;
    while let Some(next) = journal.next_done::<IgnoredAny>()? {
        if !next.is_in(&mut table, start).with_context(named)? {
            return Ok(Some(next.batch));
        }
        start = next.bytes;
    }
    Ok(None)
}

/// How the model of a job is asked again.
fn of_job(path: &Path, job: &Job, moved: &Moved) -> anyhow::Result<Ask> {
    let parsed = match (&job.asked, &moved.model) {
        (Some(asked), _) => Line::read(&asked.arguments),
        // An earlier version did not write down how it was asked.
        (None, Some(model)) => Line::read(&[
            job.command.clone(),
            "--model".into(),
            model.to_string_lossy().into_owned(),
        ]),
        (None, None) => return Ok(Ask::unknown(path)),
    };
    let line = parsed.with_context(|| format!("{}.job: how it was asked", path.display()))?;
    let folder = job.asked.as_ref().map(|asked: &Asked| &*asked.folder);
    let expected = Expected {
        result: path.to_owned(),
        settings: job.settings.clone(),
    };
    Ok(Ask::new(line.named(moved, folder), Some(expected)))
}

/// The inputs of a run's own data, whose radii nobody has found yet.
fn of_run(path: &Path, moved: &Moved) -> anyhow::Result<Source> {
    if moved.model.is_some() {
        let message = format!(
            "--model: {} is a run directory, whose model it is",
            path.display()
        );
        return Err(Usage::new(message).into());
    }
    // What is no run directory is said so, before its model is missed.
    Trained::of(path)?;
    let model = path.to_string_lossy().into_owned();
    let line = Line::read(&["certify".into(), "--model".into(), model])?;
    let ask = Ask::new(line.named(moved, None), None);
    let rows = match ask.opened() {
        Ok(opened) => rows_of(&opened.data)?,
        Err(notice) => bail!("{}: {}", notice.title, notice.lines.join(" ")),
    };
    let shown = path.display();
    Ok(Source {
        title: shown.to_string(),
        lines: vec![format!(
            "The inputs of a trained network. Radii are found when an input is opened; `{} certify --model {shown} --out \
             margins.csv` finds those of all.",
            process::name()
        )],
        rows,
        settings: Vec::new(),
        bounds: None,
        ask,
    })
}

fn rows_of(data: &Data) -> anyhow::Result<Rows> {
    let has_files = data.path(0).is_some();
    let row = |index: usize| {
        let mut record = vec![index.to_string()];
        record.extend(data.path(index).map(|path| path.display().to_string()));
        let labels = data.labels();
        let label = labels.and_then(|labels| labels.get(index));
        record.extend(labels.map(|_| label.map_or(String::new(), u32::to_string)));
        StringRecord::from(record)
    };
    let mut header = vec!["index"];
    header.extend(has_files.then_some("file"));
    header.extend(data.labels().map(|_| "label"));
    Rows::new(&header.into(), (0..data.len()).map(row).collect())
}

/// How a job's numbers were made, in the order of a report.
fn settings(job: &Job) -> Vec<(String, String)> {
    let names = [
        ("model", "model, SHA-256"),
        ("data", "rows of the data, SHA-256"),
        ("inputs", "inputs"),
        ("preprocessing", "preprocessing"),
        ("dtype", "floating-point type"),
        ("seed", "seed"),
        ("version", "version"),
    ];
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let settings: &Settings = &job.settings;
    let known = names.iter().filter_map(|(name, shown)| {
        let value = settings.get(name).filter(|value| !value.is_null())?;
        Some(((*shown).to_owned(), text(value)))
    });
    let command = job.asked.as_ref().map(|asked| {
        let line = [&["loclin".to_owned()], &asked.arguments[..]].concat();
        ("command".to_owned(), line.join(" "))
    });
    command.into_iter().chain(known).collect()
}

impl Line {
    /// Reads the arguments of a command.
    fn read(arguments: &[String]) -> anyhow::Result<Self> {
        let program = ["loclin".to_owned()];
        Ok(Self::try_parse_from(program.iter().chain(arguments))?)
    }

    /// The model, the data and what is done to them, where they are now.
    fn named(self, moved: &Moved, folder: Option<&Path>) -> Named {
        let global = self.global;
        let mut named = match self.command {
            Command::Certify(args) => Named {
                source: args.source,
                inputs: args.inputs,
                rows: args
                    .limit
                    .map_or(loclin_data::Rows::All, loclin_data::Rows::First),
                first: 0,
                domain: args.domain,
                global,
            },
            Command::Bound(args) => Named {
                source: args.source,
                inputs: args.inputs,
                rows: match (args.index, args.limit) {
                    (Some(index), _) => loclin_data::Rows::One(index),
                    (None, Some(limit)) => loclin_data::Rows::First(limit),
                    (None, None) => loclin_data::Rows::All,
                },
                first: args.index.unwrap_or(0),
                domain: args.balls.domain,
                global,
            },
        };
        if let Some(folder) = folder {
            named.below(folder);
        }
        if let Some(model) = &moved.model {
            named.source.model.clone_from(model);
        }
        if moved.data.is_some() {
            named.inputs.data.clone_from(&moved.data);
        }
        if let Some(place) = &moved.data_dir {
            named.inputs.place.data_dir.clone_from(place);
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_read_again() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let line = Line::read(&words(
            "--quiet certify --model net.onnx --data a.npy --out m.csv --limit 3",
        ));
        let moved = Moved {
            data: Some("b.npy".into()),
            ..Moved::default()
        };
        let named = line.unwrap().named(&moved, None);
        assert_eq!(named.source.model, Path::new("net.onnx"));
        assert_eq!(named.inputs.data.as_deref(), Some("b.npy"));
        let line = Line::read(&words(
            "bound --model a.onnx --data b.npy --index 4 --eps 0.1",
        ));
        assert_eq!(line.unwrap().named(&Moved::default(), None).first, 4);
        assert!(Line::read(&words("train")).is_err());
    }
}
