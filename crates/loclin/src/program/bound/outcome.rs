//! What `loclin bound` says of a dataset.

use std::path::PathBuf;

use loclin_data::Applied;
use loclin_regions::Guarantee;
use loclin_report::stats::Percentiles;
use serde::{Deserialize, Serialize};

use super::options::What;
use super::row::{Answer, Farthest, Row, name};
use crate::program::compute::Dtype;
use crate::program::domain::InputBox;

/// What is known after asking about a dataset.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The model, as asked for.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub model: PathBuf,
    /// The dataset, as it calls itself.
    pub data: String,
    /// Number of inputs.
    pub inputs: usize,
    /// What is bounded.
    pub what: What,
    /// The same in words.
    pub question: String,
    /// The ball's norm: `1`, `2`, `inf` or another p.
    pub norm: String,
    /// The domain that balls are cut with; `None` if they are whole.
    pub domain: Option<InputBox>,
    /// For each radius asked for, what there is over the inputs.
    pub radii: Vec<Summary>,
    /// The same of the largest radii, where they were asked for.
    pub largest: Option<Largest>,
    /// The answers, input by input.
    pub results: Vec<Row>,
    /// What is claimed of all that is proved: `proved` or `estimate`.
    #[serde(serialize_with = "name")]
    pub guarantee: Guarantee,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The table, if one was asked for.
    #[serde(serialize_with = "crate::program::outcome::optional_path")]
    pub out: Option<PathBuf>,
    /// The inputs found, if they were asked for.
    #[serde(serialize_with = "crate::program::outcome::optional_path")]
    pub witness: Option<PathBuf>,
    /// The proofs, if they were asked for.
    #[serde(serialize_with = "crate::program::outcome::optional_path")]
    pub proof: Option<PathBuf>,
    /// The report, if one was asked for.
    #[serde(serialize_with = "crate::program::outcome::optional_path")]
    pub report: Option<PathBuf>,
    /// The floating-point type.
    pub dtype: Dtype,
    /// What was done to the inputs.
    pub preprocessing: Applied,
}

/// One radius, over all inputs.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The radius.
    pub eps: f64,
    /// Inputs with an answer.
    pub inputs: usize,
    /// The largest values found.
    pub found: Option<Percentiles>,
    /// The bounds.
    pub proved: Option<Percentiles>,
    /// Share of the inputs for which both are one number.
    pub exact: f64,
    /// Share of the inputs for which the top k or the class is proved to stay; `None` for other questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stays: Option<f64>,
    /// Shares of numbers whose sign is proved to stay; `None` for other questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signs_proved: Option<Percentiles>,
}

/// The largest radii, over all inputs.
#[derive(Clone, Debug, Serialize)]
pub struct Largest {
    /// What was allowed.
    pub allowed: String,
    /// The radii proved.
    pub proved: Option<Percentiles>,
    /// The same as multiples of the margin, where that is positive and finite.
    pub times_margin: Option<Percentiles>,
}

impl Summary {
    /// Of one radius.
    pub(super) fn of(eps: f64, rows: &[Row], what: What) -> Self {
        let answers = rows.iter().flat_map(|row| &row.bounds);
        let answers: Vec<&Answer> = answers
            .filter(|answer| answer.eps == eps && answer.refused.is_none())
            .collect();
        let percentiles = |of: fn(&Answer) -> Option<f64>| {
            let values: Vec<f64> = answers.iter().filter_map(|answer| of(answer)).collect();
            Percentiles::of(&values)
        };
        let share = |of: fn(&Answer) -> bool| {
            let count = answers.iter().filter(|answer| of(answer)).count();
            count as f64 / rows.len() as f64
        };
        Self {
            eps,
            inputs: answers.len(),
            found: percentiles(|answer| answer.found),
            proved: percentiles(|answer| answer.proved),
            exact: share(|answer| answer.exact),
            stays: what
                .is_decision()
                .then(|| share(|answer| answer.stays == Some(true))),
            signs_proved: percentiles(|answer| answer.signs_proved),
        }
    }
}

impl Largest {
    /// Of all inputs; `None` where no largest radius was asked for.
    pub(super) fn of(rows: &[Row], allowed: Option<String>) -> Option<Self> {
        let largest = || rows.iter().filter_map(|row| row.largest.as_ref());
        let percentiles = |of: fn(&Farthest) -> Option<f64>| {
            Percentiles::of(&largest().filter_map(of).collect::<Vec<f64>>())
        };
        allowed.map(|allowed| Self {
            allowed,
            proved: percentiles(|largest| Some(largest.proved)),
            times_margin: percentiles(|largest| largest.times_margin),
        })
    }
}

/// What a result says beside its numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Shown {
    pub(super) model: String,
    pub(super) data: String,
    pub(super) what: What,
    pub(super) question: String,
    pub(super) norm: String,
    pub(super) domain: Option<InputBox>,
    pub(super) eps: Vec<f64>,
    pub(super) allowed: Option<String>,
    pub(super) dtype: Dtype,
    pub(super) preprocessing: Applied,
}

impl Outcome {
    /// Of these rows, which took so long; files are named afterwards.
    pub(super) fn new(shown: Shown, results: Vec<Row>, seconds: f64) -> Self {
        let guarantees = results.iter().map(|row| row.guarantee);
        let radii = shown
            .eps
            .iter()
            .map(|eps| Summary::of(*eps, &results, shown.what));
        Self {
            model: shown.model.into(),
            data: shown.data,
            inputs: results.len(),
            what: shown.what,
            question: shown.question,
            norm: shown.norm,
            domain: shown.domain,
            radii: radii.collect(),
            largest: Largest::of(&results, shown.allowed),
            guarantee: guarantees
                .reduce(Guarantee::weaker)
                .unwrap_or(Guarantee::Estimate),
            results,
            seconds,
            out: None,
            witness: None,
            proof: None,
            report: None,
            dtype: shown.dtype,
            preprocessing: shown.preprocessing,
        }
    }

    /// What the upper ends are called: nothing is proved of an estimate.
    pub fn claim(&self) -> &'static str {
        match self.guarantee {
            Guarantee::Proved => "proved",
            _ => "estimate",
        }
    }
}
