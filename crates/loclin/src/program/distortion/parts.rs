//! Measurements of the parts of the inputs, put together.

use std::path::{Path, PathBuf};

use super::directory::{self, Directory, table_of};
use super::job::{Sum, of_directory};
use super::outcome::Outcome;
use super::record::Record;
use super::table;
use crate::program::jobs::MergeError;

/// Directories that are put together.
pub struct Whole {
    directory: Directory,
    /// The file of the worst input; `None` where there are no inputs.
    worst: Option<Vec<u8>>,
}

/// Whether a directory has measurements.
pub fn is_part(directory: &Path) -> bool {
    table_of(directory).is_file()
}

impl Whole {
    /// The directory `out`, in which the measurements in the directories `parts` are to come together.
    ///
    /// # Errors
    /// Measurements that are there, without `force`; a part without its worst input; a directory that cannot be used.
    pub fn new(parts: &[PathBuf], out: &Path, force: bool) -> anyhow::Result<Self> {
        if !force && directory::is_there(out) {
            let out = out.to_owned();
            return Err(MergeError::Exists { out }.into());
        }
        // Before anything is replaced.
        let worst = worst(parts)?;
        let directory = Directory::open(out)?;
        Ok(Self { directory, worst })
    }

    /// Has the table written, and the worst input beside it; what the whole says.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub fn write(self, table: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Outcome> {
        // Before the journal comes: a state beside a journal is of its job.
        self.directory.clear()?;
        table()?;
        if let Some(worst) = &self.worst {
            self.directory.write_worst(worst)?;
        }
        let path = self.directory.path();
        let (shown, sum) = of_directory(path)?;
        Ok(Outcome::new(shown, sum, Some(path.to_owned())))
    }
}

/// The file of the worst input of all parts, from the part that has it.
fn worst(parts: &[PathBuf]) -> anyhow::Result<Option<Vec<u8>>> {
    let mut all: Vec<(Record, &Path)> = Vec::new();
    for part in parts {
        let records = table::records(&table_of(part))?;
        all.extend(records.into_iter().map(|record| (record, part.as_path())));
    }
    all.sort_by_key(|(record, _)| record.index);
    let sum = Sum {
        records: all.iter().map(|(record, _)| *record).collect(),
        ..Sum::default()
    };
    let of = sum.worst().and_then(|worst| {
        let mut parts = all.iter();
        parts.find(|(record, _)| record.index == worst.index)
    });
    of.map(|(_, part)| directory::worst_file(part)).transpose()
}
