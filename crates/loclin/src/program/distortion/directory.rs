//! What a directory of measurements has beside its table: the search that goes on, and the worst input.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use candle_core::{Device, Tensor};
use loclin_regions::distortion::State;

use super::record::{Record, Worst};
use crate::program::files::{self, Lock};
use crate::program::jobs::{self, JobError, JobOptions, Journal};

const TABLE: &str = "distortion.csv";
const STATE: &str = "state.safetensors";
const WORST: &str = "worst.safetensors";

/// What earlier versions, which kept no journal, wrote first.
const EARLIER: &str = "settings.json";

/// A directory of measurements, which this process alone has.
pub struct Directory {
    lock: Lock,
}

/// The table of the measurements in a directory.
pub fn table_of(directory: &Path) -> PathBuf {
    directory.join(TABLE)
}

/// The files of measurements in a directory.
pub(super) fn files_of(directory: &Path) -> [PathBuf; 4] {
    let table = table_of(directory);
    let [state, worst] = beside(directory);
    [jobs::journal_of(&table), table, state, worst]
}

/// What a directory has beside its table.
fn beside(directory: &Path) -> [PathBuf; 2] {
    [STATE, WORST].map(|name| directory.join(name))
}

/// Whether there are measurements in a directory, or files in their places.
pub(super) fn is_there(directory: &Path) -> bool {
    directory.join(EARLIER).exists()
        || jobs::is_there(&table_of(directory))
        || beside(directory).iter().any(|file| file.exists())
}

/// The file of the worst input of the measurements in a directory.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn worst_file(directory: &Path) -> anyhow::Result<Vec<u8>> {
    files::read(&directory.join(WORST)).context(
        "the worst input of a part; where it was stopped before it had one, --resume goes on with it",
    )
}

/// Refuses to begin where there are measurements, or to go on with those of a version without a journal or with files of nobody.
pub(super) fn check_new(directory: &Path, options: &JobOptions) -> Result<(), JobError> {
    if !options.force && directory.join(EARLIER).exists() {
        let place = directory.to_owned();
        return Err(JobError::Earlier { place });
    }
    let table = table_of(directory);
    options.check_new(&table)?;
    let mut beside = beside(directory).into_iter();
    match beside.find(|file| file.exists()) {
        Some(out) if !options.force && Journal::open(&table)?.is_none() => Err(JobError::Lost {
            out,
            journal: jobs::journal_of(&table),
        }),
        _ => Ok(()),
    }
}

impl Directory {
    /// Makes the directory, or takes it as it is.
    ///
    /// # Errors
    /// A directory that cannot be made, or in which another process is at work.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        files::create_dir(path)?;
        let lock = files::lock(path)?;
        files::remove_leftovers(path)?;
        Ok(Self { lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.lock.path()
    }

    /// Removes what belongs to earlier measurements.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub(super) fn clear(&self) -> anyhow::Result<()> {
        [STATE, WORST, EARLIER]
            .into_iter()
            .try_for_each(|name| self.remove(name))
    }

    /// Removes the state of a search: all are over.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub(super) fn forget(&self) -> anyhow::Result<()> {
        self.remove(STATE)
    }

    fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.lock.check()?;
        let file = self.path().join(name);
        match file.exists() {
            true => fs::remove_file(&file)
                .with_context(|| format!("{}: cannot remove the file", file.display())),
            false => Ok(()),
        }
    }

    /// What was kept of a search around an input; `None` if nothing of this one.
    ///
    /// # Errors
    /// A file that cannot be read, or is not the state of a search.
    pub fn kept(&self, index: usize, search: usize) -> anyhow::Result<Option<State>> {
        let file = self.path().join(STATE);
        if !file.exists() {
            return Ok(None);
        }
        let bytes = files::read(&file)?;
        let read = || -> anyhow::Result<Option<State>> {
            let mut tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)?;
            let of = tensors
                .remove(OF)
                .ok_or_else(|| anyhow!("no tensor `{OF}`"))?;
            if of.to_vec1::<u32>()? != [index as u32, search as u32] {
                return Ok(None);
            }
            let tensors = tensors.into_iter().collect();
            Ok(Some(State::from_tensors(tensors, &Device::Cpu)?))
        };
        read().with_context(|| format!("{}: not the state of a search", file.display()))
    }

    /// Keeps the state of a search in place of what was kept before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, index: usize, search: usize, state: &State) -> anyhow::Result<()> {
        let mut tensors = state.tensors()?;
        let of = Tensor::new(&[index as u32, search as u32], &Device::Cpu)?;
        tensors.insert(OF.to_owned(), of);
        let bytes = safetensors::serialize(tensors, None)?;
        Ok(self.lock.write(STATE, &bytes)?)
    }

    /// The input `x` `[in...]` with the largest distortion, the point that showed it, and the gradients at both.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn save_worst(&self, record: &Record, x: &Tensor, worst: &Worst) -> anyhow::Result<()> {
        let shape = x.dims();
        // One key: the order of several would differ from file to file.
        let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(record)?)]);
        let tensors = [
            ("input", x.clone()),
            ("gradient", worst.gradient.reshape(shape)?),
            ("worst_input", worst.point.reshape(shape)?),
            ("worst_gradient", worst.gradient_there.reshape(shape)?),
        ];
        let bytes = safetensors::serialize(tensors, Some(metadata))?;
        self.write_worst(&bytes)
    }

    /// The same, as a file's bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn write_worst(&self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.lock.write(WORST, bytes)?)
    }
}

/// Key of the record in the worst input's metadata.
const KEY: &str = "roll-distortion";

/// Which input and search a state belongs to.
const OF: &str = "of";
