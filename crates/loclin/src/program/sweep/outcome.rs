//! What a sweep found.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::mean::Mean;
use super::row::Row;
use super::select::Selected;
use super::table::{CSV, Results};

/// The results of a sweep, of one of its shards, or of all of them together.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The directory of the results.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub out: PathBuf,
    /// Runs of the whole sweep.
    pub planned: usize,
    /// The runs done here, in the order of the plan.
    pub rows: Vec<Row>,
    /// The means of a cross-validation, one for each configuration; empty for one shard of several.
    pub means: Vec<Mean>,
    /// What the selection rules of the sweep chose; empty for one shard of several.
    pub selected: Vec<Selected>,
    /// The directories that the runs are in, if not that of the results.
    #[serde(skip)]
    parts: Vec<PathBuf>,
    #[serde(skip)]
    text: String,
}

impl Outcome {
    /// Of the results in the directory `out`.
    pub(super) fn new(results: Results, out: PathBuf) -> Self {
        Self {
            text: results.text(),
            planned: results.planned.len(),
            rows: results.rows,
            means: results.means,
            selected: results.selected,
            parts: Vec::new(),
            out,
        }
    }

    /// With runs that stay in the directories of parts.
    pub(super) fn with_parts(self, parts: Vec<PathBuf>) -> Self {
        Self { parts, ..self }
    }

    /// The directory of a run.
    pub fn directory(&self, run: &str) -> PathBuf {
        let mut places = self.parts.iter().map(|part| part.join(run));
        let there = places.find(|place| place.is_dir());
        there.unwrap_or_else(|| self.out.join(run))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text.trim_end())?;
        let (rows, planned) = (self.rows.len(), self.planned);
        write!(
            f,
            "{rows} of {planned} runs: {}",
            self.out.join(CSV).display()
        )
    }
}
