//! What `loclin check` says of a table.

use std::fmt;
use std::path::PathBuf;

use anyhow::ensure;
use loclin_data::Applied;
use serde::Serialize;

use crate::program::domain::{InputBox, said};
use crate::program::words::counted;

/// Rows that do not hold which are shown; all of them are in the JSON.
const SHOWN: usize = 20;

/// What is known after checking a table.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The table.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub result: PathBuf,
    /// The model, as asked for.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub model: PathBuf,
    /// The dataset, as it calls itself.
    pub data: String,
    /// What was done to the inputs.
    pub preprocessing: Applied,
    /// The domain that balls are cut with; `None` if they are whole.
    pub domain: Option<InputBox>,
    /// Rows of the table.
    pub rows: usize,
    /// Rows of the sample, found again.
    pub checked: usize,
    /// Those of them with a radius that is so near the true one that rounding hides whether it is larger.
    pub undecided: usize,
    /// Rows whose guarantee is an estimate: they claim nothing.
    pub not_claimed: usize,
    /// Rows that claim something of an evaluation in another type, too: that is not looked at.
    pub deployed: usize,
    /// What the sample was drawn by.
    pub seed: u64,
    /// What does not hold.
    pub failures: Vec<Failure>,
}

/// Something that a row says and that is not so.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Failure {
    /// The row's line in the file.
    pub line: u64,
    /// The row's input.
    pub index: usize,
    /// What does not hold, in words.
    pub cause: String,
    /// For a radius, its norm.
    pub norm: Option<String>,
    /// For a radius, the number in the table.
    pub printed: Option<f64>,
    /// For a radius, the largest float that may be at most the true one.
    pub truth: Option<f64>,
    /// For a radius, the node of the neuron that limits it.
    pub layer: Option<String>,
    /// For a radius, the number of that neuron.
    pub neuron: Option<usize>,
}

impl Outcome {
    /// An error if something does not hold.
    ///
    /// # Errors
    /// At least one [`Failure`].
    pub fn verdict(&self) -> anyhow::Result<()> {
        let (count, result) = (self.failing(), self.result.display());
        let verb = if count == 1 { "does" } else { "do" };
        ensure!(
            count == 0,
            "{result}: {} {verb} not hold",
            counted(count, "row")
        );
        Ok(())
    }

    /// How many rows do not hold.
    fn failing(&self) -> usize {
        let mut lines: Vec<u64> = self.failures.iter().map(|failure| failure.line).collect();
        lines.dedup();
        lines.len()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in self.failures.iter().take(SHOWN) {
            writeln!(f, "{failure}")?;
        }
        if self.failures.len() > SHOWN {
            writeln!(f, "... and {} more", self.failures.len() - SHOWN)?;
        }
        let domain = said(self.domain.as_ref());
        writeln!(f, "inputs: {}; {domain}", self.preprocessing)?;
        if self.not_claimed > 0 {
            let count = self.not_claimed;
            writeln!(f, "{count} rows are estimates: they claim nothing")?;
        }
        if self.deployed > 0 {
            writeln!(
                f,
                "{} rows claim that nothing changes in an evaluation in another type either: not looked at, only the network as stored",
                self.deployed
            )?;
        }
        if self.undecided > 0 {
            let (count, are) = match self.undecided {
                1 => (1, "is"),
                count => (count, "are"),
            };
            writeln!(
                f,
                "{count} of the sample {are} as near the truth as rounding lets tell: not refuted"
            )?;
        }
        if self.checked == 0 && self.failing() == 0 {
            return write!(f, "checked 0 of {} rows: nothing is claimed", self.rows);
        }
        write!(f, "checked {} of {} rows: ", self.checked, self.rows)?;
        match self.failing() {
            0 if self.undecided > 0 => write!(f, "none is refuted"),
            0 => write!(f, "all hold"),
            1 => write!(f, "1 does not hold"),
            n => write!(f, "{n} do not hold"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} (line {}): {}", self.index, self.line, self.cause)
    }
}
