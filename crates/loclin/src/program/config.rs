//! The configuration of one training run: a flat TOML file.
//!
//! [`keys`](self::KEYS) is the one table of what there is. A file says its `format` and what differs from the defaults;
//! a run writes its complete effective configuration into its directory. A key that nobody knows is an error.

mod check;
mod choices;
mod error;
mod gamma;
pub(crate) mod inputs;
mod keys;
mod read;
mod schedule;
mod table;
mod write;

pub use crate::program::objective::{Here, Loss, Settings};
pub use choices::{Architecture, Average, DataLayout, Optimizer, Schedule};
pub use error::ConfigError;
pub use keys::{Config, KEYS, SEEDED};
pub use loclin_models::architectures::ResNetFamily;
pub use loclin_objectives::Gamma;
pub use table::{Key, Takes};
pub use write::FORMAT;
