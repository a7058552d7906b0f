//! What `loclin distortion` says of a dataset.

use std::fmt;
use std::path::PathBuf;

use loclin_data::Applied;
use loclin_report::stats::Percentiles;
use serde::Serialize;

use super::job::{Shown, Sum};
use super::record::{Costs, Record};
use crate::program::chance;
use crate::program::compute::Dtype;
use crate::program::domain::{InputBox, said};
use crate::program::words::counted;

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
    /// Share of correct predictions; this and what follows are `None` of a part without inputs.
    pub accuracy: Option<f64>,
    /// The radius.
    pub eps: f64,
    /// The domain that the ball is cut with; `None` if it is whole.
    pub domain: Option<InputBox>,
    /// What the numbers took.
    pub costs: Costs,
    /// `||grad f(x)_y||_1`, what distortions are to be compared with.
    pub gradient: Option<Percentiles>,
    /// The mean distortion over uniform points.
    pub expected: Option<Percentiles>,
    /// The largest distortion that either search found.
    pub maximum: Option<Percentiles>,
    /// The largest that the genetic search found.
    pub genetic: Option<Percentiles>,
    /// The largest that ascent found.
    pub ascent: Option<Percentiles>,
    /// What is proved of the largest distortion: none is larger. `None` where nothing is.
    pub proved: Option<Percentiles>,
    /// Of so many inputs.
    pub proved_inputs: usize,
    /// Why not of all of them.
    pub not_proved: Option<String>,
    /// Share of the inputs for which ascent found more than the genetic search.
    pub ascent_finds_more: Option<f64>,
    /// The input with the largest distortion: its number in the dataset.
    pub worst: Option<usize>,
    /// Wall-clock seconds of all inputs.
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

impl Outcome {
    pub(super) fn new(shown: Shown, sum: Sum, out: Option<PathBuf>) -> Self {
        let (records, inputs) = (&sum.records, sum.records.len());
        let percentiles = |of: fn(&Record) -> f64| {
            let values: Vec<f64> = records.iter().map(of).collect();
            Percentiles::of(&values)
        };
        let count = |of: fn(&Record) -> bool| records.iter().filter(|record| of(record)).count();
        let share = |count: usize| (inputs > 0).then(|| count as f64 / inputs as f64);
        let proved: Vec<f64> = records.iter().filter_map(|record| record.proved).collect();
        let correct = count(|record| record.label == record.prediction);
        Self {
            warning: chance::warning(correct, inputs, shown.outputs),
            model: shown.model.into(),
            data: shown.data,
            inputs,
            accuracy: share(correct),
            eps: shown.eps,
            domain: shown.domain,
            costs: shown.costs,
            gradient: percentiles(|record| record.gradient),
            expected: percentiles(|record| record.expected),
            maximum: percentiles(Record::maximum),
            genetic: percentiles(|record| record.genetic),
            ascent: percentiles(|record| record.ascent),
            proved: Percentiles::of(&proved),
            proved_inputs: proved.len(),
            ascent_finds_more: share(count(|record| record.ascent > record.genetic)),
            worst: sum.worst().map(|record| record.index),
            not_proved: sum.not_proved,
            seconds: sum.seconds,
            out,
            dtype: shown.dtype,
            preprocessing: shown.preprocessing,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} of {}, eps {}, {}: {:.1} s",
            counted(self.inputs, "input"),
            self.data,
            self.eps,
            self.dtype,
            self.seconds
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
        if let Some(accuracy) = self.accuracy {
            writeln!(f, "accuracy   {:.2}%", 100.0 * accuracy)?;
        }
        writeln!(
            f,
            "{:<22} {:>11} {:>11} {:>11} {:>11}",
            "l1 norm of a gradient", "P25", "P50", "P75", "P100"
        )?;
        let rows = [
            ("at the input", self.gradient),
            ("expected distortion", self.expected),
            ("largest found", self.maximum),
            ("  by genetic search", self.genetic),
            ("  by ascent", self.ascent),
            ("at most (proved)", self.proved),
        ];
        for (name, percentiles) in rows {
            let Some(p) = percentiles else {
                continue;
            };
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
        match (self.ascent_finds_more, self.worst) {
            (Some(more), Some(worst)) => write!(
                f,
                "ascent finds more for {:.1}% of the inputs; the worst is input {worst}",
                100.0 * more
            )?,
            _ => write!(f, "no inputs in this part")?,
        }
        match &self.out {
            Some(out) => write!(f, "\n{}", out.display()),
            None => Ok(()),
        }
    }
}
