//! The networks of a table.

use std::collections::BTreeMap;

use anyhow::Context;
use loclin::program::config::Config;
use serde::{Deserialize, Serialize};

use super::plan::{Plan, Row};
use crate::reproduce::certificate::Certificate;
use crate::reproduce::stored;

/// One trained network.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Network {
    pub(super) row: String,
    pub(super) seed: u64,
    #[serde(flatten)]
    pub(super) certificate: Certificate,
    /// The epoch that was chosen by validation loss, and the validation accuracy and margin there.
    pub(super) epoch: usize,
    pub(super) valid_accuracy: f64,
    pub(super) valid_median_eps_2: f64,
    /// All epochs.
    pub(super) training_seconds: f64,
    pub(super) training_threads: usize,
    #[serde(deserialize_with = "stored::config")]
    pub(super) config: Config,
}

/// One line for each network.
pub(super) fn csv(networks: &[Network]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (index, network) in networks.iter().enumerate() {
        let certificate = &network.certificate;
        let number = |value: f64| value.to_string();
        let mut cells: Vec<(String, String)> = [
            ("row", network.row.clone()),
            ("seed", network.seed.to_string()),
            ("accuracy", number(certificate.accuracy)),
            ("clr_lower", certificate.clr[0].to_string()),
            ("clr_upper", certificate.clr[1].to_string()),
            ("on_boundary", certificate.on_boundary.to_string()),
            ("shared_regions", certificate.shared_regions.to_string()),
            ("sharing_inputs", certificate.sharing_inputs.to_string()),
            ("mixed_regions", certificate.mixed_regions.to_string()),
            (
                "spearman",
                certificate.spearman.map_or(String::new(), number),
            ),
            ("epoch", network.epoch.to_string()),
            ("valid_accuracy", number(network.valid_accuracy)),
            ("valid_median_eps_2", number(network.valid_median_eps_2)),
            ("training_seconds", number(network.training_seconds)),
            ("training_threads", network.training_threads.to_string()),
            ("certification_seconds", number(certificate.seconds)),
        ]
        .map(|(name, cell)| (name.to_owned(), cell))
        .to_vec();
        for (norm, margins) in &certificate.margins {
            let percentiles = ["p25", "p50", "p75", "p100"].iter().zip(margins.all());
            cells.extend(percentiles.map(|(p, value)| (format!("{norm}_{p}"), number(value))));
        }
        let (names, record): (Vec<String>, Vec<String>) = cells.into_iter().unzip();
        if index == 0 {
            writer.write_record(names)?;
        }
        writer.write_record(record)?;
    }
    writer.into_inner().context("cannot finish the table")
}

/// The networks of each row that has any, in the order of the plan.
pub(super) fn by_row<'a>(
    plan: &'a Plan,
    networks: &'a [Network],
) -> Vec<(&'a Row, Vec<&'a Network>)> {
    let mut found: BTreeMap<&str, Vec<&Network>> = BTreeMap::new();
    for network in networks {
        found.entry(&network.row).or_default().push(network);
    }
    let row = |row: &'a Row| Some((row, found.remove(row.name.as_str())?));
    plan.rows.iter().filter_map(row).collect()
}
