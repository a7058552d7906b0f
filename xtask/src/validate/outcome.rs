//! What was validated.

use std::fmt;

use serde::Serialize;

use super::step::Step;

/// The steps and how long each took.
#[derive(Debug, Serialize)]
pub struct Validated {
    /// In the order in which they ran.
    pub steps: Vec<Timed>,
    /// Tests that tested nothing, for want of a file from outside; none where they were not run.
    pub skipped_tests: Option<usize>,
}

/// One step.
#[derive(Debug, Serialize)]
pub struct Timed {
    /// Which.
    pub step: Step,
    /// Seconds of wall clock; none when the steps were only listed.
    pub seconds: Option<f64>,
}

impl fmt::Display for Validated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Timed { step, seconds } in &self.steps {
            match seconds {
                Some(seconds) => writeln!(f, "{:<12}{seconds:>8.1} s", step.to_string())?,
                None => writeln!(f, "{:<12}{}", step.to_string(), step.what())?,
            }
        }
        if let Some(count) = self.skipped_tests {
            writeln!(f, "{count} tests skipped for want of a file from outside")?;
        }
        Ok(())
    }
}
