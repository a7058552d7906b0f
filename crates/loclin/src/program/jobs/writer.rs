//! A table and its journal, appended to batch by batch.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use loclin_tensor::file;
use serde::Serialize;
use serde::de::IgnoredAny;

use super::error::JobError;
use super::held::Held;
use super::journal::{Done, Job, Journal, is_there, journal_of};
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
    journal: Held,
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
    // A table comes after its journal: whoever begins in between is not to find one without the other.
    let has_table = out.exists();
    let has_journal = !options.force && Journal::open(out)?.is_some();
    let mut writer = Writer {
        out: out.to_owned(),
        header,
        job,
        force: options.force,
        open: None,
        grows: None,
    };
    if !has_journal {
        if has_table && !options.force {
            let (out, journal) = (out.to_owned(), journal_of(out));
            return Err(match options.resume {
                true => JobError::Lost { out, journal },
                false => JobError::Exists { out },
            });
        }
        return Ok(Begun {
            writer,
            done: BTreeSet::new(),
        });
    }
    if !options.resume {
        let out = out.to_owned();
        return Err(JobError::Exists { out });
    }
    let held = Held::of(out)?;
    // What it says now that no other process writes it.
    let mut kept = Journal::of(out)?;
    check(&kept, &writer.job)?;
    let done = writer.go_on(&mut kept, held)?;
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
    if there.shard != job.shard {
        let [there, here] = [there.shard, job.shard].map(|own| own.to_string());
        return Err(other("shard", there, here));
    }
    // They say how many batches there are, or there may be more of them later.
    match there.settings.difference(&job.settings) {
        Some((name, there, here)) => Err(other(&name, there, here)),
        None => Ok(()),
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
            rows: Some(files::digest_of(rows)?),
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
        open.journal.append(&line).map_err(journal)?;
        open.bytes = bytes;
        if open.synced.elapsed() >= PATIENCE {
            open.table.sync_data().map_err(journal)?;
            open.journal.sync().map_err(journal)?;
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
        open.journal.sync().map_err(failed)?;
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
        let mut bytes = serde_json::to_vec(&self.job)?;
        bytes.push(b'\n');
        let kept = files::read(&journal_of(&self.out))?;
        bytes.extend_from_slice(kept.get(head as usize..).unwrap_or_default());
        let journal = open.journal.replaced(|to| to.write_all(&bytes))?;
        Ok(Open { journal, ..open })
    }

    /// A new table with its header, and a new journal.
    fn create(&self) -> anyhow::Result<Open> {
        let mut first = serde_json::to_vec(&self.job)?;
        first.push(b'\n');
        let held = Held::of(&self.out)?;
        // What another process began since this one did.
        if !self.force && is_there(&self.out) {
            let out = self.out.clone();
            return Err(JobError::Exists { out }.into());
        }
        // The table goes before the journal comes: there is never a journal beside the table of another job.
        if self.out.exists() {
            fs::remove_file(&self.out).map_err(|source| JobError::File {
                action: "replace the table",
                path: self.out.clone(),
                source,
            })?;
        }
        let journal = held.replaced(|to| to.write_all(&first))?;
        Ok(self.opened(journal, 0)?)
    }

    /// Both files, the table cut after so many bytes.
    fn opened(&self, journal: Held, table_bytes: u64) -> Result<Open, JobError> {
        let failed = |action| {
            move |source| JobError::File {
                action,
                path: self.out.clone(),
                source,
            }
        };
        let open = || -> std::io::Result<File> {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(&self.out)?;
            file.set_len(table_bytes)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let mut table = open().map_err(failed("write the file"))?;
        let mut bytes = table_bytes;
        if bytes == 0 {
            let header = table.write_all(&self.header);
            header.map_err(failed("write the table's header"))?;
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
    fn go_on(&mut self, kept: &mut Journal, mut held: Held) -> Result<BTreeSet<usize>, JobError> {
        let failed = |source| JobError::File {
            action: "read the file",
            path: self.out.clone(),
            source,
        };
        // A job that was stopped before its first rows has no table yet.
        let mut rows = match file::open(&self.out) {
            Ok(rows) => Some(rows),
            Err(cause) if cause.kind() == ErrorKind::NotFound => None,
            Err(cause) => return Err(failed(cause)),
        };
        let length = rows
            .as_ref()
            .map(File::metadata)
            .transpose()
            .map_err(failed)?;
        let length = length.map_or(0, |metadata| metadata.len());
        let mut done = BTreeSet::new();
        self.grows = (kept.job().batches < self.job.batches).then_some(kept.bytes());
        let (mut table, mut journal) = (0, kept.bytes());
        let mut start = self.header.len() as u64;
        while let Some(next) = kept.next_done::<IgnoredAny>()? {
            let Done { batch, bytes, .. } = next;
            if bytes > length || !done.insert(batch) {
                break;
            }
            let is_whole =
                |rows: &mut File| Ok(ends_a_row(rows, bytes)? && next.is_in(rows, start)?);
            let is_whole = rows.as_mut().map(is_whole).transpose();
            if !is_whole.map_err(failed)?.unwrap_or(false) {
                let path = self.out.clone();
                return Err(JobError::Edited { path, batch });
            }
            (start, table, journal) = (bytes, bytes, kept.bytes());
        }
        held.cut(journal).map_err(|source| JobError::File {
            action: "write the file",
            path: journal_of(&self.out),
            source,
        })?;
        self.open = Some(self.opened(held, table)?);
        Ok(done)
    }
}

/// Whether so many bytes of a table are whole rows.
fn ends_a_row(table: &mut File, bytes: u64) -> std::io::Result<bool> {
    let mut last = [0];
    table.seek(SeekFrom::Start(bytes.saturating_sub(1)))?;
    table.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::jobs::{Settings, Shard};

    /// A job of two batches at `out`, begun as the options say and done; whether it was.
    fn is_done(out: &Path, options: &JobOptions) -> anyhow::Result<()> {
        let job = Job::new(
            "certify",
            Shard::default(),
            2,
            Settings::default(),
            serde_json::Value::Null,
        );
        let Begun { mut writer, done } = begin(out, job, b"index\n".to_vec(), options)?;
        for batch in (0..2).filter(|batch| !done.contains(batch)) {
            writer.append(batch, format!("{batch}\n").as_bytes(), &())?;
        }
        writer.finish()
    }

    /// Whoever of several has the table has it with its journal; locks are those of open files, so threads stand for processes.
    #[cfg(unix)]
    #[test]
    fn one_of_several_that_begin_at_once_has_the_table_with_its_journal() {
        let options = |force, resume| JobOptions {
            force,
            resume,
            ..JobOptions::default()
        };
        let ways = [(false, false), (true, false), (false, true)];
        let ways = ways.map(|(force, resume)| options(force, resume));
        let dir = tempfile::tempdir().unwrap();
        for round in 0..150 {
            let (options, out) = (&ways[round % 3], dir.path().join(format!("{round}.csv")));
            // Every other round over an earlier result, which only some ways touch.
            if round % 2 == 1 {
                is_done(&out, &ways[0]).unwrap();
            }
            let begin = std::sync::Barrier::new(4);
            let one = || {
                begin.wait();
                is_done(&out, options)
            };
            let ends: Vec<anyhow::Result<()>> = std::thread::scope(|scope| {
                let all = [(); 4].map(|()| scope.spawn(one));
                all.map(|thread| thread.join().unwrap()).into()
            });
            let has_one = ends.iter().any(Result::is_ok);
            assert!(has_one || (round % 2 == 1 && round % 3 == 0), "{ends:?}");
            for error in ends.into_iter().filter_map(Result::err) {
                let error = error.downcast::<JobError>().unwrap();
                let is_refused = matches!(error, JobError::Exists { .. } | JobError::Busy { .. });
                assert!(is_refused, "{error}");
            }
            assert_eq!(fs::read(&out).unwrap(), b"index\n0\n1\n");
            let mut journal = Journal::of(&out).unwrap();
            for (batch, bytes) in [(0, 8), (1, 10)] {
                let done = journal.next_done::<()>().unwrap().unwrap();
                assert_eq!((done.batch, done.bytes), (batch, bytes), "round {round}");
            }
            assert!(journal.next_done::<()>().unwrap().is_none());
        }
    }

    /// A table that somebody edited is refused, and left as it is.
    #[test]
    fn nothing_goes_on_behind_rows_that_were_changed() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("margins.csv");
        is_done(&out, &JobOptions::default()).unwrap();
        let resume = JobOptions {
            resume: true,
            ..JobOptions::default()
        };
        let journal = fs::read(journal_of(&out)).unwrap();
        // Longer than it was, and of the same length.
        for (edited, batch) in [(&b"index\n0 0\n1\n"[..], 0), (b"index\n0\n2\n", 1)] {
            fs::write(&out, edited).unwrap();
            let error = is_done(&out, &resume).unwrap_err();
            let expected = format!("rows of batch {batch}");
            assert!(error.to_string().contains(&expected), "{error}");
            assert_eq!(fs::read(&out).unwrap(), edited);
            assert_eq!(fs::read(journal_of(&out)).unwrap(), journal);
        }
    }

    /// A process that was killed before it wrote anything leaves nothing that stands in the way.
    #[test]
    fn an_empty_journal_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("margins.csv");
        fs::write(journal_of(&out), b"").unwrap();
        let resume = JobOptions {
            resume: true,
            ..JobOptions::default()
        };
        for options in [JobOptions::default(), resume] {
            assert!(options.check_new(&out).is_ok());
            drop(Held::of(&out).unwrap());
            assert!(!journal_of(&out).exists());
            fs::write(journal_of(&out), b"").unwrap();
            is_done(&out, &options).unwrap();
            assert!(options.check_new(&out).is_ok() == options.resume);
            fs::remove_file(&out).unwrap();
            fs::write(journal_of(&out), b"").unwrap();
        }
    }

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
        if cfg!(unix) {
            for other in [&mut second, &mut forced] {
                let error = refused(other.append(0, b"0\n", &()));
                assert!(matches!(error, JobError::Busy { .. }), "{error}");
            }
        }
        first.append(1, b"1\n", &()).unwrap();
        first.finish().unwrap();
        let error = refused(second.append(0, b"0\n", &()));
        assert!(matches!(error, JobError::Exists { .. }), "{error}");
        assert_eq!(fs::read(&out).unwrap(), b"index\n0\n1\n");
        forced.append(0, b"0\n", &()).unwrap();
        forced.finish().unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"index\n0\n");
    }
}
