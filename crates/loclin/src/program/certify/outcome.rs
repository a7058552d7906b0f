//! What `loclin certify` says of a dataset.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use loclin_data::Applied;
use loclin_regions::{Guarantee, Margins, Method};
use loclin_report::stats::Percentiles;
use serde::{Deserialize, Serialize};

use super::explained::{self, Above, Limiting, Worst};
use crate::program::compute::Dtype;
use crate::program::domain::{InputBox, said};
use crate::program::words::counted;

/// What is known after certifying a dataset.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The model, as asked for.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub model: PathBuf,
    /// The dataset, as it calls itself.
    pub data: String,
    /// Number of inputs certified.
    pub inputs: usize,
    /// Number of neurons (linear constraints) of the network; for sequences, of the longest one's.
    pub neurons: usize,
    /// Share of correct predictions; `None` without labels.
    pub accuracy: Option<f64>,
    /// The domain that balls are cut with; `None` if they are whole.
    pub domain: Option<InputBox>,
    /// Lower bound on the number of complete linear regions (Lemma 7).
    pub clr_lower: usize,
    /// Upper bound on the number of complete linear regions (Lemma 7).
    pub clr_upper: usize,
    /// What is claimed of both.
    #[serde(serialize_with = "guarantee_name")]
    pub clr_guarantee: Guarantee,
    /// Inputs at which some neuron is exactly 0: for them Lemma 7 does not hold, and the margin is 0 unless the gradients of
    /// those neurons are 0 too (as the differences of a max pooling over units that are all off).
    pub on_boundary: usize,
    /// The inputs whose margin (l2, or the first norm) is 0, by reason: `boundary`, `tie` or `undecided`.
    pub zero: BTreeMap<String, Zero>,
    /// `eps_1`, `eps_2`, ...: percentiles of the margins in raw input units.
    #[serde(flatten)]
    pub margins: BTreeMap<String, Percentiles>,
    /// For each norm, by column name, the input with the smallest radius.
    pub worst: BTreeMap<String, Worst>,
    /// For each radius that was asked for, the share of the inputs whose own is above it.
    #[serde(rename = "at")]
    pub above: Vec<Above>,
    /// The layers that limit the l2 radius, or that of the first norm, those that limit most first.
    pub limiting: Vec<Limiting>,
    /// What one level of 8 bits of a stored picture is in raw input units; `None` for other inputs.
    pub level: Option<f64>,
    /// Wall-clock seconds of the certification, data already loaded.
    pub seconds: f64,
    /// `inputs / seconds`.
    pub inputs_per_second: f64,
    /// What is claimed of the radii: `proved`, `probable(P)` or `estimate`.
    #[serde(serialize_with = "guarantee_name")]
    pub guarantee: Guarantee,
    /// How they were found, in words.
    pub method: String,
    /// The work of searching for the nearest neurons; `None` if every gradient was measured, or a chain's pruned search
    /// did it.
    pub search: Option<Search>,
    /// The file of margins, if one was asked for.
    #[serde(serialize_with = "crate::program::outcome::optional_path")]
    pub out: Option<PathBuf>,
    /// The report, if one was asked for.
    #[serde(serialize_with = "crate::program::outcome::optional_path")]
    pub report: Option<PathBuf>,
    /// The floating-point type.
    pub dtype: Dtype,
    /// What was done to the inputs.
    pub preprocessing: Applied,
    /// What makes the result doubtful, if anything does.
    pub warning: Option<String>,
    /// The classes that occur as a label or prediction, where they have names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<OfClass>,
}

/// What is known of the inputs of one class.
#[derive(Clone, Debug, Serialize)]
pub struct OfClass {
    /// Its number.
    pub class: u32,
    /// Its name.
    pub name: Option<String>,
    /// Inputs that are labelled with it; `None` without labels.
    pub labelled: Option<usize>,
    /// Inputs that are predicted to be of it.
    pub predicted: usize,
    /// Inputs of which both are so; `None` without labels.
    pub correct: Option<usize>,
}

/// Inputs whose margin is 0 for one reason.
#[derive(Clone, Debug, Serialize)]
pub struct Zero {
    /// How many there are.
    pub inputs: usize,
    /// The first of them.
    pub first: usize,
    /// Its file, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The layer of the neuron that makes its margin 0.
    pub layer: Option<String>,
    /// The neuron's number there.
    pub neuron: Option<usize>,
    /// Where it is there; empty where that is not known.
    pub place: String,
}

/// The work of a search by bounds or estimates.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Search {
    /// The probability, for each input, that its margin is too large; 0 if every neuron left out is excluded by
    /// proof.
    pub failure_probability: f64,
    /// The seed of the directions, where the result depends on it.
    pub seed: Option<u64>,
    /// Random directions pushed through the network.
    pub directions: usize,
    /// Neurons verified by their own gradients, of each input on average.
    pub verified_mean: f64,
    /// The same, at most.
    pub verified_max: usize,
}

impl Search {
    /// That of margins by bounds or estimates.
    pub(super) fn of(margins: &Margins) -> Option<Self> {
        let (failure_probability, seed) = match margins.method {
            Method::Bound => (0.0, None),
            Method::Estimate(estimate) => (estimate.failure_probability, Some(estimate.seed)),
            _ => return None,
        };
        let gradients = &margins.work.gradients;
        Some(Self {
            failure_probability,
            seed,
            directions: margins.work.directions,
            verified_mean: gradients.iter().sum::<usize>() as f64 / gradients.len() as f64,
            verified_max: gradients.iter().copied().max().unwrap_or(0),
        })
    }

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

impl Outcome {
    /// What the radii mean, in words that have a name each.
    pub(super) fn explained(&self) -> Vec<(&'static str, String)> {
        let applied = &self.preprocessing;
        let mut all = Vec::new();
        for (column, worst) in &self.worst {
            let words = explained::worst_in_words(&explained::norm(column), worst, applied);
            all.push(("worst", words));
        }
        for (column, margins) in &self.margins {
            let norm = explained::norm(column);
            let words = explained::median_in_words(&norm, margins.p50, applied);
            all.push(("median", words));
        }
        all.extend(self.above.iter().map(|above| ("above", above.in_words())));
        let limiting = explained::limiting_in_words(&self.limiting, self.inputs);
        all.extend(limiting.map(|words| ("limited by", words)));
        all
    }

    /// Why margins are 0, a line for each reason.
    pub(super) fn zero_in_words(&self) -> impl Iterator<Item = String> {
        let word = |(reason, zero): (&String, &Zero)| {
            let (why, remedy) = why(reason, self.guarantee);
            format!("{zero}: {why}; {remedy}")
        };
        self.zero.iter().map(word)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.inputs_per_second;
        writeln!(
            f,
            "{} of {}, {} neurons, {}: {:.1} s, {rate:.0} inputs/s",
            counted(self.inputs, "input"),
            self.data,
            self.neurons,
            self.dtype,
            self.seconds
        )?;
        writeln!(f, "inputs     {}", self.preprocessing)?;
        writeln!(f, "domain     {}", said(self.domain.as_ref()))?;
        if let Some(accuracy) = self.accuracy {
            writeln!(f, "accuracy   {:.2}%", 100.0 * accuracy)?;
        }
        let (lower, upper) = (self.clr_lower, self.clr_upper);
        writeln!(f, "#CLR       {lower} to {upper} ({})", self.clr_guarantee)?;
        if self.on_boundary > 0 {
            writeln!(
                f,
                "at 0       {} inputs have a neuron exactly at 0; their radius is 0 where it has a gradient, as a maximum of units that are all off has not",
                self.on_boundary
            )?;
        }
        for zero in self.zero_in_words() {
            writeln!(f, "margin 0   {zero}")?;
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
        for (name, words) in self.explained() {
            writeln!(f, "{name:<10} {words}")?;
        }
        match self.inputs {
            0 => writeln!(f, "no inputs in this part")?,
            _ => writeln!(f, "guarantee  {}: {}", self.guarantee, self.method)?,
        }
        if let Some(search) = &self.search {
            writeln!(f, "work       {search}")?;
        }
        match &self.out {
            Some(out) => write!(f, "{}", out.display()),
            None => Ok(()),
        }
    }
}

fn guarantee_name<S: serde::Serializer>(guarantee: &Guarantee, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&guarantee.name())
}

/// What a reason for a margin of 0 means, and what helps.
fn why(reason: &str, guarantee: Guarantee) -> (&'static str, &'static str) {
    match reason {
        "undecided" if matches!(guarantee, Guarantee::Deployed { .. }) => (
            "an evaluation in that type may put the neuron on another side",
            "a type with more digits may not",
        ),
        "tie" => (
            "entries of a maximum are exactly equal, as those of max pooling over a constant background are",
            "average pooling or a convolution with a stride has no such ties, and `bound` says how much the gradient can change around the input",
        ),
        "undecided" => (
            "rounding leaves the neuron's side undecided, and exact arithmetic would take too long",
            "`bound` says how much the gradient can change around the input whatever the side",
        ),
        _ => (
            "exactly where an activation's slope changes",
            "`bound` says how much the gradient can change around the input, on both sides",
        ),
    }
}

impl fmt::Display for Zero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs = if self.inputs == 1 { "input" } else { "inputs" };
        write!(f, "{} {inputs}, first {}", self.inputs, self.first)?;
        if let Some(file) = &self.file {
            write!(f, ", {file}")?;
        }
        match (&self.layer, self.neuron, &self.place[..]) {
            (Some(layer), Some(neuron), "") => write!(f, " (neuron {neuron} of {layer})"),
            (Some(layer), Some(_), place) => write!(f, " ({layer}, {place})"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (directions, mean, max) = (self.directions, self.verified_mean, self.verified_max);
        write!(
            f,
            "{directions} directions, {mean:.0} gradients on average, {max} at most"
        )?;
        match self.seed {
            Some(seed) => write!(f, "; --seed {seed}"),
            None => Ok(()),
        }
    }
}
