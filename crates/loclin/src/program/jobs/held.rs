//! A table that one process alone writes.
//!
//! Whoever writes a table or its journal holds the journal: the lock of the file that has its name. A new journal is locked before it
//! takes that name from the old one, which is held until then, so there is no moment at which two processes hold one table.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::JobError;
use super::journal::journal_of;
use crate::program::files::{self, FileError};

/// The journal of a table, held by this process. It is made where there is none; one in which nothing was written goes again.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    file: File,
}

impl Held {
    /// Takes the table `out` for this process.
    ///
    /// Where the file system has no locks it is taken without one.
    ///
    /// # Errors
    /// When another process has it, or the journal cannot be opened.
    pub fn of(out: &Path) -> Result<Self, JobError> {
        let path = journal_of(out);
        let failed = |source| JobError::File {
            action: "write the file",
            path: path.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::other("it is not a regular file")));
        }
        if is_locked(&file, &path) || !files::is_at(&file, &path).map_err(failed)? {
            return Err(JobError::Busy { path });
        }
        Ok(Self { path, file })
    }

    /// Leaves its first bytes, behind which it goes on.
    ///
    /// # Errors
    /// The file's.
    pub fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        self.file.seek(SeekFrom::End(0))?;
        Ok(())
    }

    /// Appends to it.
    ///
    /// # Errors
    /// The file's.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_all(line)
    }

    /// Brings it to the disk.
    ///
    /// # Errors
    /// The file's.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// A whole new journal in its place, held like it.
    ///
    /// # Errors
    /// When it cannot be written; the old one is there then.
    pub fn replaced(
        self,
        produce: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Self, FileError> {
        let path = self.path.clone();
        // Elsewhere a file that is open cannot be replaced, and one that is locked cannot be read.
        let old = cfg!(unix).then_some(self);
        let file = files::write_locked(&path, produce)?;
        if old.is_none() {
            // A file system without locks has none to give back.
            let _ = file.unlock();
        }
        Ok(Self { path, file })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let is_empty = |file: fs::Metadata| file.is_file() && file.len() == 0;
        if fs::metadata(&self.path).is_ok_and(is_empty) {
            // What is left of it when this fails is taken for none.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Locks the file for this process; whether another one has it.
fn is_locked(file: &File, path: &Path) -> bool {
    if !cfg!(unix) {
        return false;
    }
    match file.try_lock() {
        Ok(()) => false,
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(cause)) => {
            tracing::warn!(
                "{}: the file system has no locks ({cause}); a second process that writes it would not be noticed",
                path.display()
            );
            false
        }
    }
}
