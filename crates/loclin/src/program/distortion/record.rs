//! What is found out about one input.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// What was found out about one input: a row of `distortion.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number in the dataset.
    pub index: usize,
    /// Its class.
    pub label: u32,
    /// The class that the network gives it.
    pub prediction: u32,
    /// The l1 norm of the gradient of the true class at the input.
    pub gradient: f64,
    /// The mean distortion over uniform points.
    pub expected: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// The largest distortion that the genetic search found.
    pub genetic: f64,
    /// The largest that ascent found.
    pub ascent: f64,
    /// No input of the ball has a larger one; `None` where that is not proved, as in tables of earlier versions.
    #[serde(default)]
    pub proved: Option<f64>,
}

impl Record {
    /// The largest distortion found.
    pub fn maximum(&self) -> f64 {
        self.genetic.max(self.ascent)
    }
}

/// What the numbers of one input take, in gradients.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Costs {
    /// Uniform points.
    pub samples: usize,
    /// Evaluations of the genetic search.
    pub genetic: usize,
    /// Evaluations of ascent, at most as many.
    pub ascent: usize,
}

/// A point of the ball and the gradients at it and at the centre, all `[D]`.
pub struct Worst {
    /// How far the gradients are apart in l1 norm.
    pub distortion: f64,
    /// The point.
    pub point: Tensor,
    /// The gradient at the centre.
    pub gradient: Tensor,
    /// The gradient at the point.
    pub gradient_there: Tensor,
}
