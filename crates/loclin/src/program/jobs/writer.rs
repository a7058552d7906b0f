//! A table and its journal, appended to batch by batch.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::IgnoredAny;

use super::error::JobError;
use super::journal::{Done, Job, Journal, journal_of};
use super::options::JobOptions;
use crate::program::files;

/// What is appended is also brought to the disk after so long: a machine that loses its power loses no more.
const PATIENCE: Duration = Duration::from_secs(5);

/// Appends to a table.
#[derive(Debug)]
pub struct Writer {
    out: PathBuf,
    header: Vec<u8>,
    job: Job,
    /// Whether an earlier result may be replaced.
    force: bool,
    open: Option<Open>,
    /// Bytes of the first line of a journal that has fewer batches than the job.
    grows: Option<u64>,
}

#[derive(Debug)]
struct Open {
    table: File,
    journal: File,
    bytes: u64,
    synced: Instant,
}

/// A job that begins or goes on.
#[derive(Debug)]
pub struct Begun {
    /// What appends to its table.
    pub writer: Writer,
    /// The batches that are done; where the job had more of them before, also such as it has no longer.
    pub done: BTreeSet<usize>,
}

/// Begins the job of the table `out`, or goes on with it as the options say. Nothing is written before the first batch is done.
///
/// # Errors
/// A result that is there already, of the same job without `--resume`, or of another one; a file that cannot be used.
pub fn begin(
    out: &Path,
    job: Job,
    header: Vec<u8>,
    options: &JobOptions,
) -> Result<Begun, JobError> {
    let kept = match options.force {
        true => None,
        false => Journal::open(out)?,
    };
    let mut writer = Writer {
        out: out.to_owned(),
        header,
        job,
        force: options.force,
        open: None,
        grows: None,
    };
    let Some(mut kept) = kept else {
        if out.exists() && !options.force {
            let (out, journal) = (out.to_owned(), journal_of(out));
            return Err(match options.resume {
                true => JobError::NoJournal { out, journal },
                false => JobError::Exists { out },
            });
        }
        return Ok(Begun {
            writer,
            done: BTreeSet::new(),
        });
    };
    if !options.resume {
        let out = out.to_owned();
        return Err(JobError::Exists { out });
    }
    check(&kept, &writer.job)?;
    let done = writer.go_on(&mut kept)?;
    Ok(Begun { writer, done })
}

/// Refuses to go on with another job.
fn check(kept: &Journal, job: &Job) -> Result<(), JobError> {
    let other = |name: &str, there: String, here: String| JobError::Other {
        place: kept.path().to_owned(),
        name: name.to_owned(),
        there,
        here,
    };
    let there = kept.job();
    if there.command != job.command {
        return Err(other("command", there.command.clone(), job.command.clone()));
    }
    if let Some((name, there, here)) = there.settings.difference(&job.settings) {
        return Err(other(&name, there, here));
    }
    // The settings say how many batches there are, or there may be more of them later.
    match there.shard == job.shard {
        true => Ok(()),
        false => Err(other(
            "shard",
            there.shard.to_string(),
            job.shard.to_string(),
        )),
    }
}

impl Writer {
    /// Writes the first lines of the table and of its journal already now, for a job that keeps something beside them; the journal of
    /// a job that had fewer batches says how many there are.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.open = Some(self.taken()?);
        Ok(())
    }

    /// Appends the rows of a batch, and then says that it is done.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn append<A: Serialize>(
        &mut self,
        batch: usize,
        rows: &[u8],
        about: &A,
    ) -> anyhow::Result<()> {
        let mut open = self.taken()?;
        let bytes = open.bytes + rows.len() as u64;
        let mut line = serde_json::to_vec(&Done {
            batch,
            bytes,
            about,
        })?;
        line.push(b'\n');
        open.table
            .write_all(rows)
            .map_err(|source| JobError::File {
                action: "append to the table",
                path: self.out.clone(),
                source,
            })?;
        let journal = |source| JobError::File {
            action: "append to the journal",
            path: journal_of(&self.out),
            source,
        };
        // After the rows: a batch that the journal has is in the table.
        open.journal.write_all(&line).map_err(journal)?;
        open.bytes = bytes;
        if open.synced.elapsed() >= PATIENCE {
            open.table.sync_data().map_err(journal)?;
            open.journal.sync_data().map_err(journal)?;
            open.synced = Instant::now();
        }
        self.open = Some(open);
        Ok(())
    }

    /// Ends the table: a part without batches has its header alone.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let open = self.taken()?;
        let failed = |source| JobError::File {
            action: "finish the table",
            path: self.out.clone(),
            source,
        };
        open.table.sync_all().map_err(failed)?;
        open.journal.sync_all().map_err(failed)?;
        Ok(())
    }

    /// Both files as they go on, made where there are none.
    fn taken(&mut self) -> anyhow::Result<Open> {
        match (self.open.take(), self.grows.take()) {
            (None, _) => self.create(),
            (Some(open), None) => Ok(open),
            (Some(open), Some(head)) => self.grown(open, head),
        }
    }

    /// The files with another first line of the journal in place of the one of so many bytes.
    fn grown(&self, open: Open, head: u64) -> anyhow::Result<Open> {
        let path = journal_of(&self.out);
        let mut bytes = serde_json::to_vec(&self.job)?;
        bytes.push(b'\n');
        let kept = files::read(&path)?;
        bytes.extend_from_slice(kept.get(head as usize..).unwrap_or_default());
        let table = open.bytes;
        // They are held by the one process that has them open.
        drop(open);
        files::write_atomic(&path, &bytes)?;
        Ok(self.opened(bytes.len() as u64, table)?)
    }

    /// A new table with its header, and a new journal.
    fn create(&self) -> anyhow::Result<Open> {
        let mut first = serde_json::to_vec(&self.job)?;
        first.push(b'\n');
        let path = journal_of(&self.out);
        self.check_free(&path)?;
        // The table goes before the journal comes: there is never a journal beside the table of another job.
        if self.out.exists() {
            fs::remove_file(&self.out).map_err(|source| JobError::File {
                action: "replace the table",
                path: self.out.clone(),
                source,
            })?;
        }
        files::write_atomic(&path, &first)?;
        Ok(self.opened(first.len() as u64, 0)?)
    }

    /// Refuses to replace what another process began since this one did, or, with `force`, what one is at work on.
    fn check_free(&self, journal: &Path) -> Result<(), JobError> {
        if !self.force && (self.out.exists() || journal.exists()) {
            let out = self.out.clone();
            return Err(JobError::Exists { out });
        }
        match File::open(journal) {
            Ok(file) if is_held(&file) => Err(JobError::Busy {
                path: journal.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Both files, cut after so many bytes and held for this process alone.
    fn opened(&self, journal_bytes: u64, table_bytes: u64) -> Result<Open, JobError> {
        let open = |path: &Path, bytes: u64| {
            let opened = || -> std::io::Result<File> {
                let mut options = OpenOptions::new();
                let mut file = options
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(path)?;
                if is_held(&file) {
                    return Err(std::io::ErrorKind::ResourceBusy.into());
                }
                file.set_len(bytes)?;
                file.seek(SeekFrom::End(0))?;
                Ok(file)
            };
            opened().map_err(|source| match source.kind() {
                std::io::ErrorKind::ResourceBusy => JobError::Busy {
                    path: path.to_owned(),
                },
                _ => JobError::File {
                    action: "write the file",
                    path: path.to_owned(),
                    source,
                },
            })
        };
        let journal = open(&journal_of(&self.out), journal_bytes)?;
        let mut table = open(&self.out, table_bytes)?;
        let mut bytes = table_bytes;
        if bytes == 0 {
            table
                .write_all(&self.header)
                .map_err(|source| JobError::File {
                    action: "write the table's header",
                    path: self.out.clone(),
                    source,
                })?;
            bytes = self.header.len() as u64;
        }
        Ok(Open {
            table,
            journal,
            bytes,
            synced: Instant::now(),
        })
    }

    /// Cuts both files behind the last batch that both have.
    fn go_on(&mut self, kept: &mut Journal) -> Result<BTreeSet<usize>, JobError> {
        let length = fs::metadata(&self.out).map_or(0, |metadata| metadata.len());
        let mut done = BTreeSet::new();
        self.grows = (kept.job().batches < self.job.batches).then_some(kept.bytes());
        let (mut table, mut journal) = (0, kept.bytes());
        while let Some(Done { batch, bytes, .. }) = kept.next_done::<IgnoredAny>()? {
            if bytes > length || !done.insert(batch) {
                break;
            }
            (table, journal) = (bytes, kept.bytes());
        }
        self.open = Some(self.opened(journal, table)?);
        Ok(done)
    }
}

/// Takes the file for this process; whether another one has it.
fn is_held(file: &File) -> bool {
    cfg!(unix) && matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::jobs::{Settings, Shard};

    /// A second process that began before the first one wrote anything takes nothing from it.
    #[test]
    fn what_another_process_began_since_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("margins.csv");
        let begun = |force| {
            let job = Job::new(
                "certify",
                Shard::default(),
                2,
                Settings::default(),
                serde_json::Value::Null,
            );
            let options = JobOptions {
                force,
                ..JobOptions::default()
            };
            begin(&out, job, b"index\n".to_vec(), &options)
                .unwrap()
                .writer
        };
        let [mut first, mut second, mut forced] = [false, false, true].map(begun);
        first.append(0, b"0\n", &()).unwrap();
        let refused =
            |result: anyhow::Result<()>| result.unwrap_err().downcast::<JobError>().unwrap();
        let error = refused(second.append(0, b"0\n", &()));
        assert!(matches!(error, JobError::Exists { .. }), "{error}");
        if cfg!(unix) {
            let error = refused(forced.append(0, b"0\n", &()));
            assert!(matches!(error, JobError::Busy { .. }), "{error}");
        }
        first.append(1, b"1\n", &()).unwrap();
        first.finish().unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"index\n0\n1\n");
        forced.append(0, b"0\n", &()).unwrap();
        forced.finish().unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"index\n0\n");
    }
}
