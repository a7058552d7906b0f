//! What was put together: what its command says of the whole.

use std::fmt;

use serde::Serialize;

use crate::program::{bound, certify, distortion, sweep};

/// The outcome of the command whose parts these were.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// Of `bound`.
    Bound(bound::Outcome),
    /// Of `certify`.
    Certify(certify::Outcome),
    /// Of `distortion`.
    Distortion(distortion::Outcome),
    /// Of `sweep`.
    Sweep(sweep::Outcome),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bound(outcome) => outcome.fmt(f),
            Self::Certify(outcome) => outcome.fmt(f),
            Self::Distortion(outcome) => outcome.fmt(f),
            Self::Sweep(outcome) => outcome.fmt(f),
        }
    }
}
