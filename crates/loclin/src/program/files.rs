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

/// How the names of temporary files begin and end. Nobody else calls a file so.
const TEMPORARY: (&str, &str) = (".loclin-", ".unfinished");

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
    Unnamed::new(path, produce)?.named()
}

/// A file that is whole and on the disk, and has not got its name yet: dropped, it goes again.
#[derive(Debug)]
pub struct Unnamed {
    path: PathBuf,
    file: tempfile::NamedTempFile,
}

impl Unnamed {
    /// That which is to become `path`.
    ///
    /// # Errors
    /// As [`write_atomic_with`].
    pub fn new(
        path: &Path,
        produce: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Self, FileError> {
        let file = written(path, produce);
        Ok(Self {
            path: path.to_owned(),
            file: file.map_err(|source| FileError::new("write the file", path, source))?,
        })
    }

    /// Gives it its name, in place of what had it; the file, open behind its last byte.
    ///
    /// # Errors
    /// As [`write_atomic_with`].
    pub fn named(self) -> Result<fs::File, FileError> {
        let Self { path, file } = self;
        let named = file.persist(&path);
        let named = named.map_err(|error| FileError::new("write the file", &path, error.error))?;
        synced(&path)?;
        Ok(named)
    }
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
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
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
    path: PathBuf,
    held: Option<fs::File>,
}

impl Lock {
    /// Refuses to go on where the directory has been moved or removed, and another one of its name may be somebody else's.
    ///
    /// # Errors
    /// When the path no longer names the directory that is held.
    pub fn check(&self) -> Result<(), FileError> {
        let failed = |source| FileError::new("use the directory", &self.path, source);
        match &self.held {
            Some(held) if !is_at(held, &self.path).map_err(failed)? => Err(failed(io::Error::new(
                io::ErrorKind::NotFound,
                "it was moved or removed while this process was at work in it",
            ))),
            _ => Ok(()),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As [`write_atomic`], to the file of this name in the directory.
    ///
    /// # Errors
    /// Those of [`Lock::check`] and of [`write_atomic`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.check()?;
        let written = write_atomic(&self.path.join(name), bytes);
        // A directory that was moved meanwhile is why it failed.
        written.or_else(|error| self.check().and(Err(error)))
    }
}

/// Whether an open file or directory still has this name, which may be that of a new one.
///
/// # Errors
/// When nobody can say.
#[cfg(unix)]
pub fn is_at(file: &fs::File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let named = match fs::metadata(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        named => named?,
    };
    let own = file.metadata()?;
    Ok((own.dev(), own.ino()) == (named.dev(), named.ino()))
}

/// Other systems have no names of what is open.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn is_at(_: &fs::File, _: &Path) -> io::Result<bool> {
    Ok(true)
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
        Ok(()) => {
            let lock = Lock {
                path: path.to_owned(),
                held: Some(held),
            };
            // Another process may have moved it before it was locked.
            lock.check().map(|()| lock)
        }
        Err(fs::TryLockError::WouldBlock) => Err(failed(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another process is at work in it",
        ))),
        Err(fs::TryLockError::Error(cause)) => {
            tracing::warn!(
                "{}: the file system has no locks ({cause}); a second process there would not be noticed",
                path.display()
            );
            Ok(Lock {
                path: path.to_owned(),
                held: None,
            })
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
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let temporary = name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1);
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
