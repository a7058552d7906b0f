//! What a command found, on standard output.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use loclin_report::printable;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The outcome as one JSON object or as text, on stdout.
///
/// # Errors
/// When it cannot be written; a reader that has seen enough is no error.
pub fn print(outcome: &(impl Serialize + Display), json: bool) -> anyhow::Result<()> {
    let mut text = if json {
        serde_json::to_string(outcome)?
    } else {
        // Names from files may hold control characters; JSON escapes them itself.
        printable(&outcome.to_string(), &['\n', '\t'])
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        // The reader has seen enough, as in `loclin completions bash | head -1`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write the result to standard output"),
    }
}

/// A path as text, with a mark for what is not UTF-8: JSON has no other strings.
pub(crate) fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// A number that may be infinite. JSON does not know that number: it is written as `null`, and read again here.
pub(crate) fn infinite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number: Option<f64> = Option::deserialize(deserializer)?;
    Ok(number.unwrap_or(f64::INFINITY))
}

/// [`path`] where there is one.
pub(crate) fn optional_path<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = path.as_ref().map(|path| path.to_string_lossy());
    text.serialize(serializer)
}

/// [`path`] for each of several.
pub(crate) fn paths<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}
