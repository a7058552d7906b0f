//! Seconds of the same work, several times.

use std::fmt;

use serde::Serialize;

/// The least and the median of some seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
}

impl Spread {
    /// `None` of none.
    pub(super) fn of(mut seconds: Vec<f64>) -> Option<Self> {
        seconds.sort_by(f64::total_cmp);
        let count = seconds.len();
        Some(Self {
            least: *seconds.first()?,
            median: (seconds[(count - 1) / 2] + seconds[count / 2]) / 2.0,
        })
    }

    /// How many times another's both are.
    pub(super) fn over(self, other: Self) -> String {
        let (least, median) = (self.least / other.least, self.median / other.median);
        format!("{least:.2} {median:.2}")
    }
}

impl fmt::Display for Spread {
    /// In milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} {:.2}", 1e3 * self.least, 1e3 * self.median)
    }
}
