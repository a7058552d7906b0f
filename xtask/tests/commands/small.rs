//! Configurations of small networks on small data.

use std::fs;
use std::path::Path;

use crate::fixture::{demo_config, text};

/// Writes `LOSS.toml` into a directory: the demonstration's configuration with two small layers, on other data.
pub(crate) fn configuration(directory: &Path, data: &Path, loss: &str, epochs: usize) {
    let mut config: toml::Table = fs::read_to_string(demo_config()).unwrap().parse().unwrap();
    let own = format!(
        "dataset = {:?}\nhidden = [7, 5]\nepochs = {epochs}\nloss = \"{loss}\"",
        text(data)
    );
    config.extend(own.parse::<toml::Table>().unwrap());
    fs::write(directory.join(format!("{loss}.toml")), config.to_string()).unwrap();
}
