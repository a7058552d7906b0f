//! Files that are either whole or absent, and errors that name them.
//!
//! A write goes to a temporary file in the target's own directory (a rename across file systems is
//! not atomic), is flushed and synced, renamed over the target, and the directory is synced so that
//! the new name survives a crash too. When any of it fails the target is as it was before and the
//! temporary file is removed.

use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use loclin_report::printable;
use loclin_tensor::file;
use sha2::{Digest, Sha256};

use crate::program::machine;

/// How the names of temporary files begin.
const TEMPORARY: &str = ".tmp-";

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {action}", path.display())]
pub struct FileError {
    /// What was tried, such as "write the file".
    pub action: &'static str,
    /// The file or directory that was meant.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl FileError {
    fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Replaces the content of `path` by `bytes`, or leaves everything as it was.
///
/// ```
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("metrics.jsonl");
/// loclin::program::files::write_atomic(&path, b"{}\n")?;
/// assert_eq!(std::fs::read(&path)?, b"{}\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the directory is missing or not writable, the disk is full, or `path` exists and is not a
/// regular file (renaming over a directory or a device would destroy or replace it).
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_atomic_with(path, |file| file.write_all(bytes))
}

/// Like [`write_atomic`], for content that is produced piece by piece.
///
/// # Errors
/// As [`write_atomic`], and whatever `produce` returns.
pub fn write_atomic_with(
    path: &Path,
    produce: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    write_locked(path, produce).map(drop)
}

/// Like [`write_atomic_with`]; the new file comes back, open behind its last byte. Where the file system has locks it was locked
/// before it got its name.
///
/// # Errors
/// As [`write_atomic_with`].
pub fn write_locked(
    path: &Path,
    produce: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<fs::File, FileError> {
    let failed = |source| FileError::new("write the file", path, source);
    let file = written(path, produce).map_err(failed)?;
    let file = file.persist(path).map_err(|error| failed(error.error))?;
    synced(path)?;
    Ok(file)
}

/// Like [`write_atomic`], for a file that must not exist yet.
///
/// # Errors
/// As [`write_atomic`], and where there is something at `path` already.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed = |source| FileError::new("write a new file", path, source);
    let file = written(path, |file| file.write_all(bytes)).map_err(failed)?;
    file.persist_noclobber(path)
        .map_err(|error| failed(error.error))?;
    synced(path)
}

/// The temporary file that is to become `path`, with its content on the disk.
fn written(
    path: &Path,
    produce: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<tempfile::NamedTempFile> {
    let mut file = temporary(path)?;
    let mut buffered = BufWriter::new(file.as_file_mut());
    produce(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes the new name of `path` survive a crash.
fn synced(path: &Path) -> Result<(), FileError> {
    let directory = directory_of(path);
    sync_directory(directory)
        .map_err(|source| FileError::new("sync the directory", directory, source))
}

/// Whether [`write_atomic`] to `path` can be expected to succeed: for work whose result would be lost.
///
/// # Errors
/// As [`write_atomic`], but for a disk that is full.
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    let probed = temporary(path).map(drop);
    probed.map_err(|source| FileError::new("write the file", path, source))
}

/// Refuses a result that is there already, unless it may be replaced; else as [`check_writable`].
///
/// # Errors
/// A file at `path` without `force`, and those of [`check_writable`].
pub fn check_new(path: &Path, force: bool) -> Result<(), FileError> {
    if path.is_file() && !force {
        let cause = "there is a result already; --force replaces it";
        let source = io::Error::new(io::ErrorKind::AlreadyExists, cause);
        return Err(FileError::new("write the file", path, source));
    }
    check_writable(path)
}

/// The temporary file that is to become `path`, removed when dropped.
fn temporary(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    match fs::metadata(path) {
        Ok(existing) if !existing.is_file() => {
            return Err(io::Error::other("it exists and is not a regular file"));
        }
        // Anything else that is wrong with the path shows itself when the file is created.
        _ => {}
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    {
        // Temporary files are private by default; results are meant to be read by others. The umask applies.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(directory_of(path))?;
    // Tells `remove_leftovers` that its writer lives; a file system without locks has no such word.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// A directory that no other process that asks for it can have; the end of the process, however it comes, gives it back.
#[derive(Debug)]
pub struct Lock {
    _held: Option<fs::File>,
}

/// Takes the existing directory `path` for this process alone.
///
/// Where the file system has no locks the directory is taken without one.
///
/// # Errors
/// When another process has it.
pub fn lock(path: &Path) -> Result<Lock, FileError> {
    let failed = |source| FileError::new("use the directory", path, source);
    // A lock on the directory itself leaves no file behind.
    #[cfg(unix)]
    let held = fs::File::open(path);
    #[cfg(not(unix))]
    let held = fs::File::create(path.join(".lock"));
    let held = held.map_err(failed)?;
    match held.try_lock() {
        Ok(()) => Ok(Lock { _held: Some(held) }),
        Err(fs::TryLockError::WouldBlock) => Err(failed(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another process is at work in it",
        ))),
        Err(fs::TryLockError::Error(cause)) => {
            tracing::debug!("{}: no lock ({cause})", path.display());
            Ok(Lock { _held: None })
        }
    }
}

/// Removes the temporary files that killed writers left in `directory`; a living writer holds a lock on its own.
///
/// # Errors
/// When the directory cannot be read or a file cannot be removed.
pub fn remove_leftovers(directory: &Path) -> Result<(), FileError> {
    let failed = |source| FileError::new("remove temporary files", directory, source);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let temporary = entry.file_name().to_string_lossy().starts_with(TEMPORARY);
        if temporary && entry.file_type().map_err(failed)?.is_file() {
            let file = fs::File::open(entry.path()).map_err(failed)?;
            if !matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)) {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// Creates `path` and its missing parents; a directory that exists already is fine.
///
/// # Errors
/// When a file stands in the way or a parent is not writable.
pub fn create_dir(path: &Path) -> Result<(), FileError> {
    let failed = |source| FileError::new("create the directory", path, source);
    match fs::metadata(path) {
        Ok(existing) if existing.is_dir() => Ok(()),
        Ok(_) => Err(failed(io::Error::other("a file of this name exists"))),
        Err(_) => fs::create_dir_all(path).map_err(failed),
    }
}

/// Refuses a file that is none, or that is larger than the memory that there is.
///
/// # Errors
/// A directory, pipe, socket or device, which is not opened, and a file that is too large.
pub fn check_readable(path: &Path) -> Result<(), FileError> {
    let checked = file::open(path).and_then(|file| {
        let length = file.metadata()?.len();
        match machine::available_memory() {
            Some(available) if length > available => Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                format!("it has {length} bytes, and only {available} bytes of memory are free"),
            )),
            _ => Ok(()),
        }
    });
    checked.map_err(|source| FileError::new("read the file", path, source))
}

/// Opens a file to be read piece by piece.
///
/// # Errors
/// A directory, pipe, socket or device, which is not opened, and a file that cannot be.
pub fn open(path: &Path) -> Result<fs::File, FileError> {
    file::open(path).map_err(|source| FileError::new("read the file", path, source))
}

/// The whole file as text.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    String::from_utf8(read(path)?).map_err(|cause| {
        let cause = format!("not UTF-8: {}", cause.utf8_error());
        let source = io::Error::new(io::ErrorKind::InvalidData, cause);
        FileError::new("read the file", path, source)
    })
}

/// The whole file.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    check_readable(path)?;
    file::read(path).map_err(|source| FileError::new("read the file", path, source))
}

/// SHA-256 of the whole file, in hexadecimal digits.
///
/// # Errors
/// When it cannot be read.
pub fn digest(path: &Path) -> Result<String, FileError> {
    let failed = |source| FileError::new("read the file", path, source);
    let file = file::open(path).map_err(failed)?;
    digest_of(file).map_err(failed)
}

/// The SHA-256 of all that is read, in hexadecimal.
///
/// # Errors
/// Those of reading.
pub fn digest_of(mut from: impl Read) -> io::Result<String> {
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match from.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(hexadecimal(&hasher.finalize()))
}

/// Bytes as two digits each.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The directory `path` lies in; a bare file name lies in the current one.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

/// Other systems cannot open a directory as a file, and order the rename themselves.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// A path as tables have it: control characters escaped, and a mark for what is not UTF-8.
pub fn text(path: &Path) -> String {
    printable(&path.to_string_lossy(), &[])
}

/// [`text`] of a path below `root`, where it lies there.
pub fn text_below(path: &Path, root: Option<&Path>) -> String {
    let below = root.and_then(|root| path.strip_prefix(root).ok());
    let below = below.filter(|path| !path.as_os_str().is_empty());
    text(below.unwrap_or(path))
}

#[cfg(test)]
mod tests;
