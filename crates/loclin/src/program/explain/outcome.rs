//! What `loclin explain` says.

use std::fmt;
use std::path::PathBuf;

use loclin_data::Applied;
use serde::Serialize;

use super::reading::Reading;
use crate::program::compute::Dtype;

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
    /// The picture.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub out: PathBuf,
    /// The report, if one was asked for.
    #[serde(serialize_with = "crate::program::outcome::optional_path")]
    pub report: Option<PathBuf>,
    /// The floating-point type.
    pub dtype: Dtype,
    /// What was done to the input.
    pub preprocessing: Applied,
}

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
        writeln!(f, "inputs: {}", self.preprocessing)?;
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
        write!(f, "{}", self.out.display())?;
        match &self.report {
            Some(report) => write!(f, "\n{}", report.display()),
            None => Ok(()),
        }
    }
}
