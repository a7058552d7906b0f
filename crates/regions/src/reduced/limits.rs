//! How long a bound may be worked on.

use std::time::Duration;

/// How long a bound may be worked on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Time; what was found and proved by then is the answer. With `None`, the same question has the same answer.
    pub time: Option<Duration>,
    /// Parts of the ball that are looked at. With 1, there is no branching.
    pub parts: usize,
    /// Whether all parts are kept as a proof that can be checked again.
    pub proof: bool,
}

impl Limits {
    /// No branching: one part, in the time that it takes.
    pub const ROOT: Self = Self {
        time: None,
        parts: 1,
        proof: false,
    };
}

impl Default for Limits {
    /// Ten seconds, and a million parts.
    fn default() -> Self {
        Self {
            time: Some(Duration::from_secs(10)),
            parts: 1_000_000,
            proof: false,
        }
    }
}
