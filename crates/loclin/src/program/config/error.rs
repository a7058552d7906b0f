//! Why a configuration was refused.

/// Why a configuration was refused. File and option are named by the error around it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text is not TOML, or a value has the wrong type; the message shows line and column.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A format that this program does not read.
    #[error("`format` is {found}; this program reads formats 1 to {known}{hint}")]
    Format {
        /// As it is written.
        found: String,
        /// The newest that is read.
        known: i64,
        /// What to do about a newer one.
        hint: &'static str,
    },
    /// A key that no configuration has.
    #[error("{place}unknown key `{key}`; the nearest known key is `{nearest}`")]
    UnknownKey {
        /// Line and column, or nothing for an option.
        place: String,
        /// The key as written.
        key: String,
        /// The known key most like it, or the one that has its meaning now.
        nearest: &'static str,
    },
    /// A value out of range.
    #[error("`{key}` is {value}; expected {expected}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// Its value, as TOML.
        value: String,
        /// What it takes.
        expected: String,
    },
    /// A value that a file cannot hold.
    #[error("not to be written as TOML")]
    Unwritable(#[from] toml::ser::Error),
    /// An override without `=`.
    #[error("expected key=value")]
    NoValue,
}
