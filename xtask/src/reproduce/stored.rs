//! The numbers of a table as a file, from which its page can be made again.

use std::path::Path;

use anyhow::Context;
use loclin::program::config::Config;
use loclin::program::files;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};

use super::provenance::Provenance;

/// The name of the file.
pub(super) const FILE: &str = "networks.json";

/// Where numbers come from, and what is known of each network.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stored<N> {
    pub(super) provenance: Provenance,
    pub(super) networks: Vec<N>,
}

/// The contents of the file.
pub(super) fn to_json(numbers: &impl Serialize) -> anyhow::Result<Vec<u8>> {
    // By way of a value, whose keys are in order.
    let mut json = serde_json::to_vec_pretty(&serde_json::to_value(numbers)?)?;
    json.push(b'\n');
    Ok(json)
}

/// What the file in a directory of results holds.
pub(super) fn load<T: DeserializeOwned>(out: &Path) -> anyhow::Result<T> {
    let file = out.join(FILE);
    serde_json::from_str(&files::read_text(&file)?)
        .with_context(|| format!("{}: not the numbers of this table", file.display()))
}

/// A configuration of any format, as files of configurations are read.
pub(super) fn config<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Config, D::Error> {
    let table = toml::Table::deserialize(deserializer)?;
    Config::parse(&table.to_string(), &[]).map_err(|error| D::Error::custom(format!("{error:#}")))
}
