//! What `loclin demo` says.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use loclin_data::Applied;
use loclin_report::stats::Percentiles;
use serde::Serialize;

/// What the demo found out.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The network trained on the task loss alone.
    pub vanilla: Row,
    /// The network trained with ROLL.
    pub roll: Row,
    /// Median l2 margin of the ROLL network over that of the vanilla one.
    pub median_eps_2_ratio: f64,
    /// What was done to the digits, for both networks.
    pub preprocessing: Applied,
    /// The report: `index.html` in the output directory.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub report: PathBuf,
    #[serde(skip)]
    pub(super) table: String,
}

/// One network of the table, certified on the held-out digits.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Share of correct predictions.
    pub accuracy: f64,
    /// Lower bound on the number of complete linear regions (Lemma 7).
    pub clr_lower: usize,
    /// Upper bound on it.
    pub clr_upper: usize,
    /// What is claimed of both: `proved` or `estimate`.
    pub clr_guarantee: String,
    /// Wall-clock seconds of training.
    pub training_seconds: f64,
    /// `eps_1`, `eps_2`, `eps_inf`: percentiles of the margins, in pixel units.
    #[serde(flatten)]
    pub margins: BTreeMap<String, Percentiles>,
    /// What is claimed of the margins: `proved`, `probable(P)` or `estimate`.
    pub guarantee: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.table.trim_end())?;
        writeln!(f)?;
        writeln!(f, "inputs: {}", self.preprocessing)?;
        writeln!(
            f,
            "The gradient of the ROLL network is constant {:.1} times as far (median l2 radius, {}).",
            self.median_eps_2_ratio, self.roll.guarantee
        )?;
        write!(f, "Report: {}", self.report.display())
    }
}
