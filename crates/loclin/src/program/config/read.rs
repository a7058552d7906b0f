//! The keys of a configuration file: which there are, and what is said about a wrong one.

use std::collections::BTreeSet;

use super::Config;

/// Every key in the order of [`Config`], and what it expects; the words of the messages.
const KEYS: [(&str, &str); 34] = [
    (
        "dataset",
        r#""digits", "mnist", "cifar10", "caltech256", "japanese-vowels" or the path of a directory"#,
    ),
    ("architecture", r#""fc", "scornn" or "resnet""#),
    ("hidden", "a list of 1 to 64 widths, each 1 to 65536"),
    ("negative", "an integer of at least 0"),
    ("family", r#""cifar" or "imagenet""#),
    ("blocks", "a list of 1 to 8 numbers, each 1 to 64"),
    (
        "init",
        r#""seeded" or the path of a .pth or .safetensors file"#,
    ),
    ("negative_slope", "a number in [0, 1)"),
    (
        "loss",
        r#""vanilla", "distance", "relaxed", "roll", "sampled" or "axes""#,
    ),
    ("lambda", "a number of at least 0"),
    ("c", "a number of at least 0"),
    ("gamma", r#"a number in (0, 100] or "max""#),
    ("axes", "an integer of at least 1"),
    ("optimizer", r#""sgd", "adam" or "amsgrad""#),
    ("learning_rate", "a number above 0"),
    ("momentum", "a number in [0, 1)"),
    ("nesterov", "true or false"),
    ("weight_decay", "a number of at least 0"),
    ("schedule", r#""constant", "cosine" or "step""#),
    ("decay", "a number in (0, 1]"),
    (
        "decay_epochs",
        "a list of increasing epochs, each at least 1",
    ),
    ("lambda_warmup", "a number of at least 0"),
    ("estimated_epochs", "an integer of at least 0"),
    ("average", r#""none", "tail" or "ema""#),
    ("average_from", "a number of at least 0"),
    ("average_decay", "a number in [0, 1)"),
    ("crop_padding", "an integer from 0 to 1000000"),
    ("flip", "true or false"),
    ("batch_size", "an integer from 1 to 1000000"),
    ("epochs", "an integer from 1 to 1000000"),
    ("validate_every", "an integer from 1 to 1000000"),
    ("seed", "an integer from 0 to 2^63 - 1"),
    ("dtype", r#""f32" or "f64""#),
    ("checkpoint_seconds", "a number of at least 0"),
];

/// Why a configuration was refused. File and option are named by the error around it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text is not TOML, or a value has the wrong type; the message shows line and column.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A key that no configuration has.
    #[error("{place}unknown key `{key}`; the nearest known key is `{nearest}`")]
    UnknownKey {
        /// Line and column, or nothing for an option.
        place: String,
        /// The key as written.
        key: String,
        /// The known key most like it.
        nearest: &'static str,
    },
    /// A key that every configuration has.
    #[error("missing key `{key}`: {expected}")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// What it takes.
        expected: &'static str,
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

/// The file's table and its typed reading, after its keys were found to be the known ones.
pub(super) fn complete(text: &str) -> Result<(toml::Table, Config), ConfigError> {
    let spanned = toml::de::DeTable::parse(text)?;
    let mut missing: BTreeSet<&str> = KEYS.iter().map(|(key, _)| *key).collect();
    // In the order of the file, so that the first mistake is the one reported.
    let mut keys: Vec<_> = spanned.get_ref().keys().collect();
    keys.sort_by_key(|key| key.span().start);
    for key in keys {
        let name: &str = key.get_ref();
        if !missing.remove(name) {
            let before = text.get(..key.span().start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            return Err(unknown(name, format!("line {line}, column {column}: ")));
        }
    }
    if let Some((key, expected)) = KEYS.iter().find(|(key, _)| missing.contains(key)) {
        return Err(ConfigError::MissingKey { key, expected });
    }
    Ok((toml::from_str(text)?, toml::from_str(text)?))
}

/// The key and the value of `key=value`; a value that is not TOML is a string.
pub(super) fn split(pair: &str) -> Result<(&str, toml::Value), ConfigError> {
    let (key, value) = pair.split_once('=').ok_or(ConfigError::NoValue)?;
    let (key, value) = (key.trim(), value.trim());
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"));
    let parsed = parsed
        .ok()
        .and_then(|mut single| single.remove("value").filter(|_| single.is_empty()));
    Ok((
        key,
        parsed.unwrap_or_else(|| toml::Value::String(value.to_owned())),
    ))
}

/// Sets one key in the table and reads the whole again.
pub(super) fn set(
    table: &mut toml::Table,
    key: &str,
    value: toml::Value,
) -> Result<Config, ConfigError> {
    let Some((key, expected)) = KEYS.iter().find(|(known, _)| *known == key) else {
        return Err(unknown(key, String::new()));
    };
    let shown = value.to_string();
    table.insert((*key).to_owned(), value);
    table.clone().try_into().map_err(|_| ConfigError::Invalid {
        key,
        value: shown,
        expected: (*expected).to_owned(),
    })
}

fn unknown(key: &str, place: String) -> ConfigError {
    let distance = |known: &str| strsim::damerau_levenshtein(key, known);
    let nearest = KEYS
        .iter()
        .map(|(known, _)| *known)
        .min_by_key(|known| distance(known))
        .unwrap_or_default();
    ConfigError::UnknownKey {
        place,
        key: key.to_owned(),
        nearest,
    }
}

pub(super) fn expectation(key: &str) -> &'static str {
    KEYS.iter()
        .find(|(known, _)| *known == key)
        .map_or("", |(_, expected)| *expected)
}
