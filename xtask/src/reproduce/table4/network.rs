//! What the page and the files of the results show of a network.

use loclin::program::config::Config;
use loclin::program::distortion::Costs;
use loclin_report::stats::Percentiles;
use serde::{Deserialize, Serialize};

use crate::reproduce::stored;

/// One trained and measured network.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::reproduce) struct Network {
    pub(in crate::reproduce) row: String,
    pub(in crate::reproduce) seed: u64,
    /// Share of correct predictions on all test images.
    pub(super) accuracy: f64,
    pub(super) test_images: usize,
    /// The first of them, over which the percentiles are.
    pub(super) measured_images: usize,
    pub(super) eps_2: Percentiles,
    pub(in crate::reproduce) gradient: Percentiles,
    pub(in crate::reproduce) expected: Percentiles,
    pub(in crate::reproduce) maximum: Percentiles,
    pub(super) genetic: Percentiles,
    pub(super) ascent: Percentiles,
    /// Share of the measured images.
    pub(super) ascent_finds_more: f64,
    pub(in crate::reproduce) costs: Costs,
    /// Images of which it is proved what no search can find more of, and why of others it is not.
    #[serde(default)]
    pub(super) proved: usize,
    #[serde(default)]
    pub(super) not_proved: Option<String>,
    /// The same images by shorter searches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shorter: Option<Shorter>,
    pub(super) neurons: usize,
    /// The epoch that was chosen by validation loss.
    pub(super) epoch: usize,
    /// All epochs.
    pub(super) training_seconds: f64,
    pub(super) measuring_seconds: f64,
    #[serde(deserialize_with = "stored::config")]
    pub(in crate::reproduce) config: Config,
}

/// What shorter searches of the same images found.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Shorter {
    pub(super) costs: Costs,
    pub(super) genetic: Percentiles,
    pub(super) ascent: Percentiles,
    /// Of each image the larger of both, over the larger of the long searches.
    pub(super) share: Percentiles,
}

impl Network {
    /// The file of its images' numbers.
    pub(in crate::reproduce) fn table(&self) -> String {
        format!("{}-seed{}.csv", self.row, self.seed)
    }
}
