//! Measurements of the parts of the inputs, put together.

use std::path::{Path, PathBuf};

use super::directory::{Directory, check_new, table_of};
use super::job::of_directory;
use super::outcome::Outcome;
use super::table;
use crate::program::jobs::JobOptions;

/// Directories that are put together.
pub struct Whole<'a> {
    parts: &'a [PathBuf],
    directory: Directory,
}

/// Whether a directory has measurements.
pub fn is_part(directory: &Path) -> bool {
    table_of(directory).is_file()
}

impl<'a> Whole<'a> {
    /// The directory `out`, in which the measurements in the directories `parts` are to come together.
    ///
    /// # Errors
    /// Measurements that are there, without `force`; a directory that cannot be used.
    pub fn new(parts: &'a [PathBuf], out: &Path, force: bool) -> anyhow::Result<Self> {
        let options = JobOptions {
            force,
            ..JobOptions::default()
        };
        check_new(out, &options)?;
        let directory = Directory::open(out)?;
        Ok(Self { parts, directory })
    }

    /// Takes over the worst input when the table of the whole is there; what the whole says.
    ///
    /// # Errors
    /// A part without its worst input, and files that cannot be used.
    pub fn finish(self) -> anyhow::Result<Outcome> {
        self.directory.clear()?;
        let path = self.directory.path();
        let (shown, sum) = of_directory(path)?;
        if let Some(worst) = sum.worst() {
            for part in self.parts {
                let records = table::records(&table_of(part))?;
                if records.iter().any(|record| record.index == worst.index) {
                    self.directory.take_worst(part)?;
                }
            }
        }
        Ok(Outcome::new(shown, sum, Some(path.to_owned())))
    }
}
