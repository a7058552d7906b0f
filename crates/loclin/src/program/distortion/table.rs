//! The table of measurements: a row for each input.

use std::path::Path;

use anyhow::Context;

use super::record::Record;
use crate::program::files;

/// The names of the columns, the first line.
pub(super) const HEADER: &str =
    "index,label,prediction,gradient,expected,standard_error,genetic,ascent,proved\n";

/// The row of an input.
pub(super) fn line(record: &Record) -> anyhow::Result<Vec<u8>> {
    let mut builder = csv::WriterBuilder::new();
    let mut writer = builder.has_headers(false).from_writer(Vec::new());
    writer.serialize(record)?;
    writer.into_inner().context("cannot finish the row")
}

/// The rows of a table.
///
/// # Errors
/// A file that cannot be read, or a value that is none.
pub(super) fn records(file: &Path) -> anyhow::Result<Vec<Record>> {
    let rows = csv::Reader::from_reader(files::open(file)?).into_deserialize();
    rows.collect::<Result<Vec<Record>, _>>()
        .with_context(|| format!("{}: not a table of measurements", file.display()))
}
