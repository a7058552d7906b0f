//! `loclin train`: one training run in one directory.
//!
//! A run directory holds `config.toml` (the complete effective configuration), `model.safetensors` (the best
//! epoch by validation loss, regulariser included), `last.safetensors` (everything that a resumed run needs) and
//! `metrics.jsonl` (an object per validated epoch). Each is whole or absent at any moment, and a run that was killed and
//! resumed ends with the same bits as one that was not.

mod batch;
mod checkpoint;
mod command;
mod datasets;
mod directory;
mod learner;
mod optimizer;
mod outcome;
mod parts;
mod trainer;

pub use crate::program::run_directory::{CONFIG, MODEL};
pub use command::{Args, run, train};
pub use datasets::{Datasets, open};
pub use directory::{check_configuration, finished};
pub use outcome::{Diverged, Epoch, Outcome};
pub use parts::Parts;
