//! Reading of files that a person names: regular ones only.
//!
//! A pipe, socket or device has no end that a reader could rely on, and opening a pipe waits for a writer.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file, or a link to one.
///
/// # Errors
/// What the system says, and a directory, pipe, socket or device, which is not opened.
///
/// ```
/// let error = loclin_tensor::file::open(&std::env::temp_dir()).unwrap_err();
/// assert_eq!(error.to_string(), "found a directory, expected a file");
/// ```
pub fn open(path: &Path) -> io::Result<File> {
    let metadata = fs::metadata(path)?;
    if metadata.is_file() {
        return File::open(path);
    }
    let found = match metadata.is_dir() {
        true => "found a directory, expected a file",
        false => "found a pipe, socket or device, expected a file",
    };
    Err(io::Error::other(found))
}

/// All bytes of a regular file.
///
/// # Errors
/// Those of [`open`], and a file for which the system has no memory.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
