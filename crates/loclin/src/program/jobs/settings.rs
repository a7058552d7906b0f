//! Everything that a job's numbers depend on.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a job's numbers depend on, by name: the digests of the model and of the data, the options, the seed, the version.
///
/// Two processes with equal settings write the same rows. How the data and files are called is no part of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(Map<String, Value>);

/// The key of the seed.
const SEED: &str = "seed";

/// The key of the data's digest.
const DATA: &str = "data";

impl Settings {
    /// The same with one more.
    ///
    /// # Errors
    /// A value that JSON does not know.
    pub fn with(mut self, name: &str, value: impl Serialize) -> Result<Self, serde_json::Error> {
        self.0.insert(name.to_owned(), serde_json::to_value(value)?);
        Ok(self)
    }

    /// The same with this seed.
    #[must_use]
    pub fn seeded(mut self, seed: Option<u64>) -> Self {
        self.0.insert(SEED.to_owned(), Value::from(seed));
        self
    }

    /// The seed of the job, where it has one.
    pub fn seed(&self) -> Option<u64> {
        self.0.get(SEED)?.as_u64()
    }

    /// The value of one, as it is written.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The first that differs: its name, the value here and the one there. Other inputs have another digest, so that the data are named
    /// where nothing else is.
    pub fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let names = self.0.keys().chain(other.0.keys());
        let differing = names.filter(|name| self.0.get(*name) != other.0.get(*name));
        let name = differing.min_by_key(|name| *name == DATA)?;
        let text = |of: &Self| of.0.get(name).map_or("nothing".into(), Value::to_string);
        Some((name.clone(), text(self), text(other)))
    }
}
