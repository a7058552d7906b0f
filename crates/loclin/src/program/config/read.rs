//! From files, names and options to configurations.

use std::path::Path;

use anyhow::Context;

use super::error::ConfigError;
use super::inputs;
use super::keys::{Config, KEYS};
use super::write::FORMAT;
use crate::program::errors::Usage;
use crate::program::files;
use crate::program::objective::Settings;
use crate::program::options::Global;
use crate::program::shipped::{self, Kind};

/// The key of a file that says how it is to be read.
const FORMAT_KEY: &str = "format";

impl Config {
    /// Reads the file at `path`, then sets the `overrides`, each `key=value`.
    ///
    /// A key that the file does not have takes its default. A file without a `format` is of format 1, whose names of
    /// keys are understood. A value of an override is TOML; a bare word such as `roll` stands for the string.
    ///
    /// # Errors
    /// When the file cannot be read, is of a newer format, has a key that no configuration has, or a value has
    /// the wrong type or is out of its range. An error in an override is a [`Usage`] error.
    pub fn load(path: &Path, overrides: &[String]) -> anyhow::Result<Self> {
        let text = files::read_text(path)?;
        Self::parse(&text, overrides)
            .with_context(|| format!("{}: not a usable configuration", path.display()))
    }

    /// The configuration in a file, or the shipped preset of that name; a path is relative to `directory`.
    ///
    /// # Errors
    /// As [`Config::load`], and a name that is neither; the message lists the nearest names.
    pub fn find(given: &Path, directory: &Path, overrides: &[String]) -> anyhow::Result<Self> {
        let found = shipped::find(Kind::Preset, given, directory)?;
        Self::parse(&found.text, overrides)
            .with_context(|| format!("{}: not a usable configuration", found.place))
    }

    /// The shipped preset of that name.
    ///
    /// # Errors
    /// As [`Config::load`], and a name that no preset has; the message lists the nearest names.
    pub fn preset(name: &str, overrides: &[String]) -> anyhow::Result<Self> {
        let shipped = shipped::named(Kind::Preset, name)?;
        Self::parse(shipped.text, overrides).with_context(|| format!("preset `{name}`"))
    }

    /// Like [`Config::load`], for the text of a file.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, overrides: &[String]) -> anyhow::Result<Self> {
        let (mut table, mut config) = read(text)?;
        let stored = config.check();
        for pair in overrides {
            config = split(pair)
                .and_then(|(key, value)| set(&mut table, key, value))
                .map_err(|error| Usage::caused_by(format!("--set {pair}"), error))?;
        }
        config.check().map_err(|error| {
            let key = match &error {
                ConfigError::Invalid { key, .. } => *key,
                _ => "",
            };
            let set = overrides
                .iter()
                .rfind(|pair| pair.split_once('=').is_some_and(|(k, _)| k.trim() == key));
            match set {
                Some(pair) => Usage::caused_by(format!("--set {pair}"), error).into(),
                // A key of the file that what was set does not go with.
                None if stored.is_ok() => {
                    Usage::caused_by(format!("--set {}", overrides.join(" --set ")), error).into()
                }
                None => anyhow::Error::from(error),
            }
        })?;
        Ok(config)
    }

    /// This configuration with some keys set to other values.
    ///
    /// # Errors
    /// A key that no configuration has, or a value that its key does not take.
    pub fn with<'a>(
        &self,
        pairs: impl Iterator<Item = (&'a String, &'a toml::Value)>,
    ) -> Result<Self, ConfigError> {
        let (mut table, mut config) = (toml::Table::try_from(self)?, self.clone());
        for (key, value) in pairs {
            config = set(&mut table, key, value.clone())?;
        }
        config.check()?;
        Ok(config)
    }

    /// Gives `--seed` and `--dtype` the last word.
    pub fn apply(&mut self, global: &Global) {
        self.seed = global.seed.unwrap_or(self.seed);
        self.dtype = global.dtype.unwrap_or(self.dtype);
    }

    /// The settings of the regularisers.
    pub fn settings(&self) -> Settings {
        let Self {
            c,
            gamma,
            axes,
            radius,
            boundary_margin,
            decision_margin,
            ..
        } = *self;
        Settings {
            c,
            gamma,
            axes,
            radius,
            margins: [boundary_margin, decision_margin],
        }
    }
}

/// The keys of a file by their present names, and its typed reading.
fn read(text: &str) -> Result<(toml::Table, Config), ConfigError> {
    let spanned = toml::de::DeTable::parse(text)?;
    let mut table: toml::Table = toml::from_str(text)?;
    let format = format(table.remove(FORMAT_KEY))?;
    // In the order of the file, so that the first mistake is the one reported.
    let mut keys: Vec<_> = spanned.get_ref().keys().collect();
    keys.sort_by_key(|key| key.span().start);
    for key in keys {
        let name: &str = key.get_ref();
        let old = KEYS.iter().find(|key| key.was == Some(name));
        match old {
            Some(key) if format == 1 => {
                if let Some(value) = table.remove(name) {
                    table.insert(key.name.to_owned(), value);
                }
            }
            _ if name == FORMAT_KEY || KEYS.iter().any(|key| key.name == name) => {}
            _ => {
                let before = text.get(..key.span().start).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
                return Err(unknown(name, format!("line {line}, column {column}: ")));
            }
        }
    }
    // From the text, for an error in it has a line and a column.
    let mut config: Config = toml::from_str(text)?;
    if let Some((dataset, size)) = inputs::size_behind(&config.dataset).filter(|_| format < 3) {
        table.insert("dataset".to_owned(), dataset.clone().into());
        table.insert("resize".to_owned(), size.clone().into());
        config = Config {
            dataset,
            resize: size,
            ..config
        };
    }
    Ok((table, config))
}

/// The format of a file.
fn format(written: Option<toml::Value>) -> Result<i64, ConfigError> {
    let error = |found: &toml::Value, hint| ConfigError::Format {
        found: found.to_string(),
        known: FORMAT,
        hint,
    };
    match written {
        None => Ok(1),
        Some(toml::Value::Integer(format @ 1..=FORMAT)) => Ok(format),
        Some(found) => {
            let newer = found.as_integer().is_some_and(|format| format > FORMAT);
            let hint = match newer {
                true => ": the file is of a newer version of it",
                false => "",
            };
            Err(error(&found, hint))
        }
    }
}

/// The key and the value of `key=value`; a value that is not TOML is a string.
fn split(pair: &str) -> Result<(&str, toml::Value), ConfigError> {
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
fn set(table: &mut toml::Table, key: &str, value: toml::Value) -> Result<Config, ConfigError> {
    let Some(known) = KEYS.iter().find(|known| known.name == key) else {
        return Err(unknown(key, String::new()));
    };
    let shown = value.to_string();
    table.insert(known.name.to_owned(), value);
    table.clone().try_into().map_err(|_| ConfigError::Invalid {
        key: known.name,
        value: shown,
        expected: known.takes.to_string(),
    })
}

fn unknown(key: &str, place: String) -> ConfigError {
    let renamed = KEYS.iter().find(|known| known.was == Some(key));
    let distance = |name: &str| strsim::damerau_levenshtein(key, name);
    let nearest = renamed.or_else(|| KEYS.iter().min_by_key(|known| distance(known.name)));
    ConfigError::UnknownKey {
        place,
        key: key.to_owned(),
        nearest: nearest.map_or("", |known| known.name),
    }
}
