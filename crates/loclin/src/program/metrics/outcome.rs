//! What a run measured, as a table.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::program::train::Epoch;

/// The validated epochs of a run, and where they were written.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The epochs.
    pub epochs: Vec<Epoch>,
    /// The files.
    #[serde(serialize_with = "crate::program::outcome::paths")]
    pub written: Vec<PathBuf>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Epoch::columns())?;
        for epoch in &self.epochs {
            write!(f, "\n{}", epoch.row())?;
        }
        self.written
            .iter()
            .try_for_each(|file| write!(f, "\n{}", file.display()))
    }
}
