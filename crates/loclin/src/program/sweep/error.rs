//! Why a sweep was refused.

use std::path::PathBuf;

use crate::program::config::ConfigError;
use crate::program::jobs::Shard;

/// Why a sweep was refused. The file is named by the error around it.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The text is not TOML, or a value has the wrong type, or a key is missing or unknown.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A key of the sweep that does not fit the others.
    #[error("`{key}`: expected {expected}")]
    Invalid {
        /// The key.
        key: String,
        /// What it takes.
        expected: String,
    },
    /// A configuration that a run would have and that no run can have.
    #[error("run `{run}`")]
    Config {
        /// The run's name.
        run: String,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// Two runs would share a directory.
    #[error(
        "two runs are called `{0}`: a value is listed twice, or two differ in signs that names leave out"
    )]
    SameName(String),
}

impl PlanError {
    pub(super) fn invalid(key: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Invalid {
            key: key.into(),
            expected: expected.into(),
        }
    }
}

/// Results in a directory that the runs of a sweep would replace.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// Those of another part.
    #[error("{}: the results of part {there} of a sweep, this is part {here}; --out names another directory, --force replaces them", file.display())]
    OtherPart {
        /// The file.
        file: PathBuf,
        /// Its part.
        there: Shard,
        /// The part that was to be run.
        here: Shard,
    },
    /// Those of another sweep.
    #[error("{}: the results of another sweep: it has a run `{run}`, and this one has none of that name; --out names another directory, --force replaces them", file.display())]
    OtherSweep {
        /// The file.
        file: PathBuf,
        /// A run that would be lost.
        run: String,
    },
    /// Nobody knows whose.
    #[error("{}: no results of a sweep; --out names another directory, --force replaces the file", file.display())]
    Unknown {
        /// The file.
        file: PathBuf,
        /// Why it is none, where it was read.
        source: Option<anyhow::Error>,
    },
}
