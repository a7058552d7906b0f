//! What `loclin certify` says of a dataset.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use loclin_report::stats::Percentiles;
use serde::Serialize;

use crate::program::compute::Dtype;

/// What is known after certifying a dataset.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The model, as asked for.
    pub model: PathBuf,
    /// The dataset, as it calls itself.
    pub data: String,
    /// Number of inputs certified.
    pub inputs: usize,
    /// Number of neurons (linear constraints) of the network; for sequences, of the longest one's.
    pub neurons: usize,
    /// Share of correct predictions; `None` without labels.
    pub accuracy: Option<f64>,
    /// Lower bound on the number of complete linear regions (Lemma 7).
    pub clr_lower: usize,
    /// Upper bound on the number of complete linear regions (Lemma 7).
    pub clr_upper: usize,
    /// Inputs at which some neuron is exactly 0: for them Lemma 7 does not hold, and the margin is 0 unless the gradients of
    /// those neurons are 0 too (as the differences of a max pooling over units that are all off).
    pub on_boundary: usize,
    /// `eps_1`, `eps_2`, ...: percentiles of the margins in raw input units.
    #[serde(flatten)]
    pub margins: BTreeMap<String, Percentiles>,
    /// Wall-clock seconds of the certification, data already loaded.
    pub seconds: f64,
    /// `inputs / seconds`.
    pub inputs_per_second: f64,
    /// How the nearest neurons were searched for; `None` if every gradient was measured.
    pub search: Option<Search>,
    /// The file of margins, if one was asked for.
    pub out: Option<PathBuf>,
    /// The floating-point type.
    pub dtype: Dtype,
}

/// The work that `--failure-probability` took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Search {
    /// The probability, for each input, that its margin is too large; 0 if every neuron left out is excluded by
    /// proof.
    pub failure_probability: f64,
    /// Random directions pushed through the network.
    pub directions: usize,
    /// Neurons verified by their own gradients, of each input on average.
    pub verified_mean: f64,
    /// The same, at most.
    pub verified_max: usize,
}

impl Search {
    /// The work for `own` inputs and for `others` more.
    pub(super) fn joined(self, own: usize, other: Self, others: usize) -> Self {
        let sum = self.verified_mean * own as f64 + other.verified_mean * others as f64;
        Self {
            verified_mean: sum / (own + others) as f64,
            verified_max: self.verified_max.max(other.verified_max),
            ..self
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.inputs_per_second;
        writeln!(
            f,
            "{} inputs of {}, {} neurons, {}: {:.1} s, {rate:.0} inputs/s",
            self.inputs, self.data, self.neurons, self.dtype, self.seconds
        )?;
        if let Some(accuracy) = self.accuracy {
            writeln!(f, "accuracy   {:.2}%", 100.0 * accuracy)?;
        }
        writeln!(f, "#CLR       {} to {}", self.clr_lower, self.clr_upper)?;
        if self.on_boundary > 0 {
            writeln!(
                f,
                "a neuron exactly at 0 (margin 0 where it has a gradient): {} inputs",
                self.on_boundary
            )?;
        }
        writeln!(
            f,
            "{:<10} {:>11} {:>11} {:>11} {:>11}",
            "margin", "P25", "P50", "P75", "P100"
        )?;
        for (name, p) in &self.margins {
            writeln!(
                f,
                "{name:<10} {:>11.4e} {:>11.4e} {:>11.4e} {:>11.4e}",
                p.p25, p.p50, p.p75, p.p100
            )?;
        }
        if let Some(search) = &self.search {
            writeln!(f, "{search}")?;
        }
        match &self.out {
            Some(out) => write!(f, "{}", out.display()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failure_probability {
            0.0 => write!(
                f,
                "exact: every neuron left out is excluded by a proved bound; "
            )?,
            p => write!(f, "exact but for a probability of {p:e} for each input; ")?,
        }
        let (directions, mean, max) = (self.directions, self.verified_mean, self.verified_max);
        write!(
            f,
            "{directions} directions, {mean:.0} candidates verified on average, {max} at most"
        )
    }
}
