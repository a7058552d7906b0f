//! Measurements as a job: one input after the other, appended to the table of a directory.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::ensure;
use loclin_data::Applied;
use serde::{Deserialize, Serialize};

use super::directory::{Directory, check_new, table_of};
use super::record::{Costs, Record};
use super::table;
use crate::program::compute::Dtype;
use crate::program::domain::InputBox;
use crate::program::jobs::{self, Begun, Job, JobError, JobOptions, Journal, Writer};

/// The name of the command whose jobs these are.
pub(super) const COMMAND: &str = "distortion";

/// What a result says beside its numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Shown {
    pub(super) model: String,
    pub(super) data: String,
    pub(super) eps: f64,
    pub(super) domain: Option<InputBox>,
    pub(super) costs: Costs,
    /// Outputs of the network.
    pub(super) outputs: usize,
    pub(super) dtype: Dtype,
    pub(super) preprocessing: Applied,
}

/// What the journal keeps of an input.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct About {
    /// SHA-256 of its numbers and its label.
    pub(super) input: String,
    pub(super) seconds: f64,
    /// Why nothing is proved of it.
    pub(super) not_proved: Option<String>,
}

/// What was measured so far, of all inputs or of those of a part.
#[derive(Debug, Default)]
pub(super) struct Sum {
    pub(super) records: Vec<Record>,
    /// Why nothing is proved of the first of those of which nothing is.
    pub(super) not_proved: Option<String>,
    pub(super) seconds: f64,
}

/// A directory whose measurements begin or go on.
pub(super) struct Kept {
    pub(super) directory: Directory,
    pub(super) writer: Writer,
    /// The inputs that are done, also such as there are no longer.
    pub(super) done: BTreeSet<usize>,
}

/// Begins, or goes on with what is in the directory; `digest` is that of an input. What was measured comes back too.
///
/// # Errors
/// Other measurements in the directory, other inputs than those that were measured, or files that cannot be used.
pub(super) fn begin(
    path: &Path,
    job: Job,
    options: &JobOptions,
    digest: impl Fn(usize) -> anyhow::Result<String>,
) -> anyhow::Result<(Kept, Sum)> {
    check_new(path, options)?;
    let directory = Directory::open(path)?;
    let table = table_of(path);
    let inputs = job.batches;
    let begun = jobs::begin(&table, job, table::HEADER.into(), options)?;
    let Begun { mut writer, done } = begun;
    let is_new = options.force || Journal::open(&table)?.is_none();
    let mut sum = Sum::default();
    if is_new {
        // Before the journal comes: a state beside a journal is of its job.
        directory.clear()?;
    } else {
        check_inputs(path, inputs, digest)?;
        sum = read(path, inputs)?;
        let count = sum.records.len();
        tracing::info!("{}: goes on behind {count} inputs", path.display());
    }
    writer.start()?;
    let kept = Kept {
        directory,
        writer,
        done,
    };
    Ok((kept, sum))
}

/// Refuses to go on where an input that was measured is another now.
fn check_inputs(
    path: &Path,
    inputs: usize,
    digest: impl Fn(usize) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let mut journal = Journal::of(&table_of(path))?;
    while let Some(done) = journal.next_done::<About>()? {
        if done.batch >= inputs {
            continue;
        }
        let (there, here) = (done.about.input, digest(done.batch)?);
        if there != here {
            let (place, name) = (journal.path().to_owned(), format!("input {}", done.batch));
            return Err(JobError::Other {
                place,
                name,
                there,
                here,
            }
            .into());
        }
    }
    Ok(())
}

/// What a directory has of the first inputs.
fn read(path: &Path, inputs: usize) -> anyhow::Result<Sum> {
    let table = table_of(path);
    let mut journal = Journal::of(&table)?;
    let mut sum = Sum::default();
    for record in table::records(&table)? {
        let done = journal.next_done::<About>()?;
        let done = done.filter(|done| done.batch == record.index);
        ensure!(
            done.is_some(),
            "{}: rows that its journal does not have",
            table.display()
        );
        if let Some(done) = done
            && record.index < inputs
        {
            sum.add(record, done.about);
        }
    }
    Ok(sum)
}

/// What a directory says, and what it has.
///
/// # Errors
/// A table or journal that cannot be read.
pub(super) fn of_directory(path: &Path) -> anyhow::Result<(Shown, Sum)> {
    let journal = Journal::of(&table_of(path))?;
    let shown = serde_json::from_value(journal.job().shown.clone())?;
    Ok((shown, read(path, journal.job().batches)?))
}

impl Sum {
    /// Takes an input in.
    pub(super) fn add(&mut self, record: Record, about: About) {
        self.records.push(record);
        self.seconds += about.seconds;
        self.not_proved = self.not_proved.take().or(about.not_proved);
    }

    /// The record with the largest distortion; of equal ones the first.
    pub(super) fn worst(&self) -> Option<&Record> {
        let mut worst: Option<&Record> = None;
        for record in &self.records {
            if worst.is_none_or(|worst| record.maximum() > worst.maximum()) {
                worst = Some(record);
            }
        }
        worst
    }
}
