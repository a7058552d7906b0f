//! Tables of the parts of a job, put together batch by batch.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use loclin_tensor::file;
use serde_json::Value;

use crate::program::files;
use crate::program::jobs::{
    Done, Held, Job, JobError, Journal, MergeError, Named, Shard, is_there, placed,
};

/// A part: its table, and where the rows of each of its batches are there.
struct Part {
    path: PathBuf,
    job: Job,
    header: Vec<u8>,
    batches: BTreeMap<usize, Range<u64>>,
}

/// Parts that make up one job.
pub(super) struct Whole {
    parts: Vec<Part>,
    /// For each batch the part that has it.
    places: Vec<usize>,
    out: PathBuf,
    /// Whether an earlier result may be replaced.
    force: bool,
}

/// The tables of parts, nothing missing and nothing doubled, to be put together in `out`.
///
/// # Errors
/// A table that is there, without `force`; parts without a journal, of different jobs, or that do not make up one.
pub(super) fn whole(paths: &[PathBuf], out: &Path, force: bool) -> anyhow::Result<Whole> {
    check_new(out, force)?;
    let parts: Vec<Part> = paths
        .iter()
        .map(|path| read(path))
        .collect::<anyhow::Result<_>>()?;
    let first = parts.first().context("no parts")?;
    for part in &parts {
        same(first, part)?;
    }
    let named: Vec<Named<'_, usize>> = parts.iter().map(named).collect();
    let batches = first.job.batches;
    // Those that are there: a damaged journal may say that there are any number.
    let all = parts.iter().flat_map(|part| part.batches.keys().copied());
    let planned: BTreeSet<usize> = all.filter(|batch| *batch < batches).collect();
    let planned: Vec<usize> = planned.into_iter().collect();
    let places = placed(["batch", "batches"], &planned, &named)?;
    if planned.len() < batches {
        let is_missing = |batch: &usize| planned.binary_search(batch).is_err();
        let missing = (0..batches).filter(is_missing);
        let counts = [batches - planned.len(), batches];
        return Err(MergeError::missing("batches", counts, missing).into());
    }
    Ok(Whole {
        parts,
        places,
        out: out.to_owned(),
        force,
    })
}

/// Refuses to replace a table, unless it may be.
fn check_new(out: &Path, force: bool) -> Result<(), MergeError> {
    match is_there(out) && !force {
        true => Err(MergeError::Exists {
            out: out.to_owned(),
        }),
        false => Ok(()),
    }
}

impl Whole {
    /// The command whose job it is.
    pub(super) fn command(&self) -> &str {
        self.parts.first().map_or("", |part| &part.job.command)
    }

    /// The tables of parts that have rows.
    pub(super) fn filled(&self) -> impl Iterator<Item = &Path> {
        let filled = self.parts.iter().filter(|part| !part.batches.is_empty());
        filled.map(|part| &*part.path)
    }

    /// Writes the table of the whole job and its journal.
    ///
    /// # Errors
    /// Files that cannot be used, and a table that another process writes.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let out = &self.out;
        let (parts, places) = (&self.parts, &self.places);
        let first = parts.first().context("no parts")?;
        let mut held = Held::of(out)?;
        check_new(out, self.force)?;
        // The old journal goes before the table comes, and the table is whole before that.
        let table = files::Unnamed::new(out, |to| rows(parts, places, to))?;
        held.cut(0).with_context(|| out.display().to_string())?;
        table.named()?;
        let mut journals = parts
            .iter()
            .map(|part| Journal::of(&part.path))
            .collect::<Result<Vec<_>, _>>()?;
        held.replaced(|to| {
            let whole = Job {
                shard: Shard::default(),
                ..first.job.clone()
            };
            let mut bytes = first.header.len() as u64;
            write_line(to, &whole)?;
            for (batch, &at) in places.iter().enumerate() {
                let next = journals[at]
                    .next_done::<Value>()
                    .map_err(io::Error::other)?;
                let done = next.filter(|done| done.batch == batch);
                let done = done.ok_or(io::ErrorKind::InvalidData)?;
                let range = range(&parts[at], batch);
                bytes += range.end - range.start;
                write_line(to, &Done { bytes, ..done })?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn named(part: &Part) -> Named<'_, usize> {
    Named {
        place: &part.path,
        items: part.batches.keys().copied().collect(),
    }
}

fn write_line(to: &mut dyn Write, line: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}

/// What a part has.
fn read(path: &Path) -> anyhow::Result<Part> {
    let mut table = BufReader::new(files::open(path)?);
    let mut header = Vec::new();
    let named = || path.display().to_string();
    table.read_until(b'\n', &mut header).with_context(named)?;
    let length = table.get_ref().metadata().with_context(named)?.len();
    let mut journal = Journal::of(path)?;
    let job = journal.job().clone();
    let (mut batches, mut start) = (BTreeMap::new(), header.len() as u64);
    // All of each line is read, as it will be when it is copied.
    while let Some(next) = journal.next_done::<Value>()? {
        let Done { batch, bytes, .. } = next;
        let last = batches.last_key_value().map(|(last, _)| *last);
        ensure!(
            last.is_none_or(|last| last < batch),
            "{}: its journal has batch {batch} behind {}",
            path.display(),
            last.unwrap_or_default()
        );
        ensure!(
            (start..=length).contains(&bytes),
            "{}: it has {length} bytes, its journal says {bytes} behind batch {batch}",
            path.display()
        );
        if !next.is_in(table.get_mut(), start).with_context(named)? {
            let path = path.to_owned();
            return Err(JobError::Edited { path, batch }.into());
        }
        batches.insert(batch, start..bytes);
        start = bytes;
    }
    Ok(Part {
        path: path.to_owned(),
        job,
        header,
        batches,
    })
}

/// Refuses a part of another job.
fn same(first: &Part, other: &Part) -> Result<(), MergeError> {
    let refused = |cause: String| MergeError::Other {
        first: first.path.clone(),
        other: other.path.clone(),
        cause,
    };
    if first.job.command != other.job.command {
        return Err(refused(format!(
            "`{}` and `{}`",
            first.job.command, other.job.command
        )));
    }
    if let Some((name, here, there)) = first.job.settings.difference(&other.job.settings) {
        return Err(refused(format!("`{name}` is {here} and {there}")));
    }
    match (first.job.batches, &first.header) == (other.job.batches, &other.header) {
        true => Ok(()),
        false => Err(refused("their tables have other columns or batches".into())),
    }
}

/// Where the rows of a batch are.
fn range(part: &Part, batch: usize) -> Range<u64> {
    part.batches.get(&batch).map_or(0..0, Clone::clone)
}

/// The header, and the rows of all batches in order.
fn rows(parts: &[Part], places: &[usize], to: &mut dyn Write) -> io::Result<()> {
    let mut tables = parts
        .iter()
        .map(|part| file::open(&part.path))
        .collect::<io::Result<Vec<_>>>()?;
    if let Some(first) = parts.first() {
        to.write_all(&first.header)?;
    }
    for (batch, &at) in places.iter().enumerate() {
        let range = range(&parts[at], batch);
        tables[at].seek(SeekFrom::Start(range.start))?;
        let length = range.end - range.start;
        let copied = io::copy(&mut (&mut tables[at]).take(length), to)?;
        if copied != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
