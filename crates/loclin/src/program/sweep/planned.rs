//! One run of a sweep, before it is begun.

use toml::Table;

use crate::program::config::Config;

/// One run of a sweep.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its directory's name, unique in the sweep.
    pub name: String,
    /// What it has of its own, by key.
    pub varied: Table,
    /// The complete configuration.
    pub config: Config,
}
