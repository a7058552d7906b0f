//! Why a sweep was refused.

use crate::program::config::ConfigError;

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
