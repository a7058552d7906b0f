//! What `loclin distortion` says of a dataset.

use std::fmt;
use std::path::PathBuf;

use loclin_data::Applied;
use loclin_report::stats::Percentiles;
use serde::Serialize;

use super::record::Costs;
use crate::program::compute::Dtype;
use crate::program::domain::{InputBox, said};

/// What is known after measuring a dataset.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The model, as asked for.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub model: PathBuf,
    /// The dataset, as it calls itself.
    pub data: String,
    /// Number of inputs.
    pub inputs: usize,
    /// Share of correct predictions.
    pub accuracy: f64,
    /// The radius.
    pub eps: f64,
    /// The domain that the ball is cut with; `None` if it is whole.
    pub domain: Option<InputBox>,
    /// What the numbers took.
    pub costs: Costs,
    /// `||grad f(x)_y||_1`, what distortions are to be compared with.
    pub gradient: Percentiles,
    /// The mean distortion over uniform points.
    pub expected: Percentiles,
    /// The largest distortion that either search found.
    pub maximum: Percentiles,
    /// The largest that the genetic search found.
    pub genetic: Percentiles,
    /// The largest that ascent found.
    pub ascent: Percentiles,
    /// What is proved of the largest distortion: none is larger. `None` where nothing is.
    pub proved: Option<Percentiles>,
    /// Of so many inputs.
    pub proved_inputs: usize,
    /// Why not of all of them.
    pub not_proved: Option<String>,
    /// Share of the inputs for which ascent found more than the genetic search.
    pub ascent_finds_more: f64,
    /// The input with the largest distortion: its number in the dataset.
    pub worst: usize,
    /// Wall-clock seconds of this call.
    pub seconds: f64,
    /// The directory, if one was asked for.
    #[serde(serialize_with = "crate::program::outcome::optional_path")]
    pub out: Option<PathBuf>,
    /// The floating-point type.
    pub dtype: Dtype,
    /// What was done to the inputs.
    pub preprocessing: Applied,
    /// What makes the result doubtful, if anything does.
    pub warning: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} inputs of {}, eps {}, {}: {:.1} s",
            self.inputs, self.data, self.eps, self.dtype, self.seconds
        )?;
        writeln!(f, "inputs     {}", self.preprocessing)?;
        writeln!(f, "domain     {}", said(self.domain.as_ref()))?;
        let Costs {
            samples,
            genetic,
            ascent,
        } = self.costs;
        writeln!(
            f,
            "for each input {samples} uniform points, then {genetic} gradients by the genetic search and {ascent} by ascent"
        )?;
        writeln!(f, "accuracy   {:.2}%", 100.0 * self.accuracy)?;
        writeln!(
            f,
            "{:<22} {:>11} {:>11} {:>11} {:>11}",
            "l1 norm of a gradient", "P25", "P50", "P75", "P100"
        )?;
        let mut rows = vec![
            ("at the input", self.gradient),
            ("expected distortion", self.expected),
            ("largest found", self.maximum),
            ("  by genetic search", self.genetic),
            ("  by ascent", self.ascent),
        ];
        rows.extend(self.proved.map(|proved| ("at most (proved)", proved)));
        for (name, p) in rows {
            writeln!(
                f,
                "{name:<22} {:>11.4} {:>11.4} {:>11.4} {:>11.4}",
                p.p25, p.p50, p.p75, p.p100
            )?;
        }
        if let Some(cause) = &self.not_proved {
            let (proved, inputs) = (self.proved_inputs, self.inputs);
            writeln!(f, "proved for {proved} of {inputs} inputs: {cause}")?;
        }
        write!(
            f,
            "ascent finds more for {:.1}% of the inputs; the worst is input {}",
            100.0 * self.ascent_finds_more,
            self.worst
        )?;
        match &self.out {
            Some(out) => write!(f, "\n{}", out.display()),
            None => Ok(()),
        }
    }
}
