//! What `loclin explain` says.

use std::fmt;
use std::path::PathBuf;

use loclin_data::Applied;
use loclin_regions::Guarantee;
use serde::{Serialize, Serializer};

use super::reading::Reading;
use crate::program::compute::Dtype;
use crate::program::outcome::print;

/// What was explained.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The model, as asked for.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub model: PathBuf,
    /// The input, as it calls itself.
    pub input: String,
    /// What was found out about it.
    #[serde(flatten)]
    pub reading: Reading,
    /// How far every number may move in the search, in raw units.
    pub eps: f64,
    /// The seed of the search and of the noise.
    pub seed: u64,
    /// Where integrated gradients begin, in words.
    pub baseline: String,
    /// The pictures and numbers of all inputs.
    #[serde(serialize_with = "crate::program::outcome::paths")]
    pub out: Vec<PathBuf>,
    /// The report, if one was asked for.
    #[serde(serialize_with = "crate::program::outcome::optional_path")]
    pub report: Option<PathBuf>,
    /// The floating-point type.
    pub dtype: Dtype,
    /// What was done to the input.
    pub preprocessing: Applied,
}

/// What was explained of each input.
#[derive(Clone, Debug, Serialize)]
pub struct Outcomes(pub Vec<Outcome>);

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reading {
            gradient_length,
            distortion,
            evaluations,
            integrated,
            ..
        } = &self.reading;
        writeln!(f, "{}: {}", self.input, self.reading.classes())?;
        writeln!(f, "{}", self.reading.scores())?;
        writeln!(f, "inputs: {}", self.preprocessing)?;
        writeln!(f, "baseline: {}", self.baseline)?;
        writeln!(f, "{}", self.reading.certificate())?;
        writeln!(
            f,
            "gradient: l1 norm {gradient_length:.4}; distortion up to {distortion:.4} in {evaluations} evaluations"
        )?;
        for line in self.reading.bounds() {
            writeln!(f, "{line}")?;
        }
        for (what, found) in ["the input", "the distorted input"].iter().zip(integrated) {
            writeln!(f, "integrated gradients of {what}: {found}")?;
        }
        Ok(())
    }
}

impl Outcomes {
    /// Prints all: as text, or as one JSON object a line.
    ///
    /// # Errors
    /// When standard output cannot be written to.
    pub fn print(&self, json: bool) -> anyhow::Result<()> {
        match json {
            true => self.0.iter().try_for_each(|own| print(own, true)),
            false => print(self, false),
        }
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in &self.0 {
            write!(f, "{outcome}")?;
        }
        let files = self
            .0
            .first()
            .map(|first| first.out.iter().chain(&first.report));
        files
            .into_iter()
            .flatten()
            .try_for_each(|path| writeln!(f, "{}", path.display()))
    }
}

pub(super) fn guarantee<S: Serializer>(guarantee: &Guarantee, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&guarantee.name())
}
