//! The journal of a job: what job it is, and which of its batches are done.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use loclin_tensor::file;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::JobError;
use super::settings::Settings;
use super::shard::Shard;
use crate::program::{files, process};

/// The format of journals that this version writes.
pub(super) const FORMAT: u32 = 1;

/// The first line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The format.
    pub format: u32,
    /// The command whose job it is.
    pub command: String,
    /// Which part of the job the table has.
    pub shard: Shard,
    /// How many batches the whole job has.
    pub batches: usize,
    /// What the numbers depend on.
    pub settings: Settings,
    /// What else the result says, such as how the model is called.
    pub shown: Value,
    /// How the command was asked; older journals do not say it.
    #[serde(default)]
    pub asked: Option<Asked>,
}

/// How a command was asked: nothing that a number depends on, but where to find again what it was asked about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The arguments, the command's name first.
    pub arguments: Vec<String>,
    /// The folder that paths are relative to.
    pub folder: PathBuf,
}

/// Any other line of a journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done<A> {
    /// The number of a batch that is done.
    pub batch: usize,
    /// How many bytes the table has with its rows.
    pub bytes: u64,
    /// The SHA-256 of its rows; older journals do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// What the result needs of the batch and the table does not say.
    pub about: A,
}

/// A journal that is read line by line.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    lines: BufReader<File>,
    job: Job,
    /// Bytes of the whole lines so far.
    bytes: u64,
    number: usize,
}

/// Whether there is a table at `out`, or the journal of one. A journal in which nothing is written is none: a process was stopped
/// before it began.
pub fn is_there(out: &Path) -> bool {
    out.exists()
        || fs::metadata(journal_of(out)).is_ok_and(|file| !file.is_file() || file.len() > 0)
}

/// Where the journal of a table is.
pub fn journal_of(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".job");
    name.into()
}

impl<A> Done<A> {
    /// Whether the rows from `start` on are those that were written.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn is_in(&self, table: &mut File, start: u64) -> io::Result<bool> {
        let Some(written) = &self.rows else {
            return Ok(true);
        };
        let Some(length) = self.bytes.checked_sub(start) else {
            return Ok(false);
        };
        table.seek(SeekFrom::Start(start))?;
        Ok(files::digest_of(table.take(length))? == *written)
    }
}

impl Job {
    /// A job of this version of the program.
    pub fn new(
        command: &str,
        shard: Shard,
        batches: usize,
        settings: Settings,
        shown: Value,
    ) -> Self {
        Self {
            format: FORMAT,
            command: command.to_owned(),
            shard,
            batches,
            settings,
            shown,
            asked: Asked::here(),
        }
    }
}

impl Asked {
    /// The command that this thread runs; `None` where nobody knows the folder.
    fn here() -> Option<Self> {
        let folder = std::env::current_dir().ok()?;
        // A folder that is no text could not be written.
        folder.to_str()?;
        Some(Self {
            arguments: process::arguments(),
            folder,
        })
    }
}

impl Journal {
    /// Opens the journal of the table `out`; `None` where there is none, or nothing is written in it.
    ///
    /// # Errors
    /// A file that cannot be read, or is no journal.
    pub fn open(out: &Path) -> Result<Option<Self>, JobError> {
        let path = journal_of(out);
        if !path.exists() {
            return Ok(None);
        }
        let action = "read the journal";
        let file = file::open(&path).map_err(|source| JobError::File {
            action,
            path: path.clone(),
            source,
        })?;
        let (mut lines, mut text) = (BufReader::new(file), Vec::new());
        let malformed = |cause: String| JobError::Malformed {
            path: path.clone(),
            cause,
        };
        let read = lines.read_until(b'\n', &mut text);
        read.map_err(|cause| malformed(cause.to_string()))?;
        if text.is_empty() {
            return Ok(None);
        }
        if !text.ends_with(b"\n") {
            return Err(malformed("line 1 has no end: a copy that was cut".into()));
        }
        // A later version may have other fields.
        #[derive(Deserialize)]
        struct Formatted {
            format: u32,
        }
        let first = |cause: serde_json::Error| malformed(format!("line 1: {cause}"));
        let Formatted { format } = serde_json::from_slice(&text).map_err(first)?;
        if format > FORMAT {
            return Err(JobError::Format {
                path,
                found: format,
                known: FORMAT,
            });
        }
        let job = serde_json::from_slice(&text).map_err(first)?;
        Ok(Some(Self {
            bytes: text.len() as u64,
            path,
            lines,
            job,
            number: 1,
        }))
    }

    /// The journal of the table `out`, which has to have one.
    ///
    /// # Errors
    /// As [`Journal::open`], and a table without a journal.
    pub fn of(out: &Path) -> Result<Self, JobError> {
        Self::open(out)?.ok_or_else(|| JobError::NoJournal {
            out: out.to_owned(),
            journal: journal_of(out),
        })
    }

    /// What job it is.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the lines that were read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next batch that is done; `None` at the end. A last line that is torn is none.
    ///
    /// # Errors
    /// A file that cannot be read, or another line that is wrong.
    pub fn next_done<A: DeserializeOwned>(&mut self) -> Result<Option<Done<A>>, JobError> {
        let mut text = Vec::new();
        self.number += 1;
        let malformed = |cause: &dyn std::fmt::Display| JobError::Malformed {
            path: self.path.clone(),
            cause: format!("line {}: {cause}", self.number),
        };
        let read = self.lines.read_until(b'\n', &mut text);
        read.map_err(|cause| malformed(&cause))?;
        if text.last() != Some(&b'\n') {
            return Ok(None);
        }
        let done = serde_json::from_slice(&text).map_err(|cause| malformed(&cause))?;
        self.bytes += text.len() as u64;
        Ok(Some(done))
    }
}
