//! What is kept of measurements in a directory.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use candle_core::{DType, Device, Tensor};
use loclin_data::{Applied, Dataset};
use loclin_regions::distortion::State;
use serde::{Deserialize, Serialize};

use super::options::SearchOptions;
use super::record::{Record, Worst};
use crate::program::domain::InputBox;
use crate::program::errors::Usage;
use crate::program::files::{self, Lock};
use crate::program::jobs::Shard;

const SETTINGS: &str = "settings.json";
const RECORDS: &str = "distortion.csv";
const STATE: &str = "state.safetensors";
const WORST: &str = "worst.safetensors";

/// Everything that the records depend on but how many there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// SHA-256 of the model's file.
    model: String,
    data: String,
    eps: f64,
    domain: Option<InputBox>,
    samples: usize,
    population: usize,
    generations: usize,
    seed: u64,
    dtype: String,
    /// What was done to the inputs, in words; earlier versions did not say.
    #[serde(default)]
    preprocessing: Option<String>,
    /// Parts for proofs; earlier versions had none.
    #[serde(default)]
    parts: Option<usize>,
    /// Which part of the inputs is measured here; earlier versions had all.
    #[serde(default)]
    pub(super) shard: Shard,
    /// How many inputs all parts are to have together; earlier versions did not say.
    #[serde(default)]
    pub(super) inputs: Option<usize>,
}

impl Settings {
    /// Those of a measurement of `data` by the model with this digest.
    pub fn new(
        model: &str,
        preprocessing: &Applied,
        data: &Dataset,
        (options, domain): (&SearchOptions, Option<&InputBox>),
        (seed, shard): (u64, Shard),
        dtype: DType,
    ) -> Self {
        Self {
            model: model.to_owned(),
            data: data.name().to_owned(),
            eps: options.eps.value(),
            domain: domain.cloned(),
            samples: options.samples,
            population: options.population,
            generations: options.generations,
            seed,
            dtype: dtype.as_str().to_owned(),
            preprocessing: Some(preprocessing.to_string()),
            parts: Some(options.parts),
            shard,
            inputs: Some(data.len()),
        }
    }
}

impl Settings {
    /// Refuses to go on with the measurements begun in the directory `path` with other settings than these.
    fn check(self, now: &Self, path: &Path) -> Result<(), Usage> {
        let path = path.display();
        // First, since the domain follows from it.
        match (&self.preprocessing, &now.preprocessing) {
            (Some(before), Some(now)) if before != now => {
                return Err(Usage::new(format!(
                    "{path}: the measurements begun here are of inputs that were prepared otherwise ({before}) than now ({now}); --out names another directory"
                )));
            }
            (None, _) => tracing::warn!(
                "{path}: begun by a version that did not keep what was done to the inputs; taken to be as now"
            ),
            _ => {}
        }
        let prepared_alike = Self {
            preprocessing: now.preprocessing.clone(),
            parts: self.parts.or(now.parts),
            inputs: now.inputs,
            ..self
        };
        match prepared_alike == *now {
            true => Ok(()),
            false => Err(Usage::new(format!(
                "{path}: the measurements begun here have other settings; only another --limit goes on with them, --out names another directory"
            ))),
        }
    }
}

/// A directory of measurements.
pub struct Directory {
    path: PathBuf,
    shard: Shard,
    _lock: Lock,
}

impl Directory {
    /// Makes the directory, or checks that what was begun there is the same.
    ///
    /// # Errors
    /// A directory that cannot be made, or measurements with other settings in it.
    pub fn open(path: &Path, settings: &Settings) -> anyhow::Result<Self> {
        files::create_dir(path)?;
        let lock = files::lock(path)?;
        let file = path.join(SETTINGS);
        if file.exists() {
            settings_of(path)?.check(settings, path)?;
            files::remove_leftovers(path)?;
        }
        files::write_atomic(&file, serde_json::to_string_pretty(settings)?.as_bytes())?;
        Ok(Self {
            path: path.to_owned(),
            shard: settings.shard,
            _lock: lock,
        })
    }

    /// The records of the first inputs; a torn last line, as of a process that was killed, goes from the table.
    ///
    /// # Errors
    /// A table that cannot be read, or in which rows are missing.
    pub fn records(&self) -> anyhow::Result<Vec<Record>> {
        let file = self.path.join(RECORDS);
        if !file.exists() {
            return Ok(Vec::new());
        }
        let bytes = files::read(&file)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        if whole < bytes.len() {
            files::write_atomic(&file, &bytes[..whole])?;
        }
        let records = parsed(&bytes[..whole], &file)?;
        let indices: Vec<usize> = (0..=records.last().map_or(0, |last| last.index)).collect();
        let mut planned = self.shard.part(&indices);
        let in_order = records.iter().all(|row| planned.next() == Some(&row.index));
        ensure!(in_order, "{}: rows are missing", file.display());
        Ok(records)
    }

    /// Appends a record to the table.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&self, record: &Record) -> anyhow::Result<()> {
        let file = self.path.join(RECORDS);
        let is_new = fs::metadata(&file).map_or(true, |metadata| metadata.len() == 0);
        let bytes = lines(std::slice::from_ref(record), is_new)?;
        let appended = || -> std::io::Result<()> {
            let mut table = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&file)?;
            // One write, and the disk before the state of the next search replaces that of this one.
            table.write_all(&bytes)?;
            table.sync_data()
        };
        appended().with_context(|| format!("{}: cannot append a row", file.display()))
    }

    /// What was kept of a search around an input; `None` if nothing of this one.
    ///
    /// # Errors
    /// A file that cannot be read, or is not the state of a search.
    pub fn kept(&self, index: usize, search: usize) -> anyhow::Result<Option<State>> {
        let file = self.path.join(STATE);
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
        Ok(files::write_atomic(&self.path.join(STATE), &bytes)?)
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
        Ok(files::write_atomic(&self.path.join(WORST), &bytes)?)
    }
}

/// The settings of the measurements in a directory.
pub(super) fn settings_of(path: &Path) -> anyhow::Result<Settings> {
    let file = path.join(SETTINGS);
    let text = files::read_text(&file)?;
    let settings = serde_json::from_str(&text);
    settings.with_context(|| format!("{}: not the settings of measurements", file.display()))
}

/// The records in a directory.
pub(super) fn records_of(path: &Path) -> anyhow::Result<Vec<Record>> {
    let file = path.join(RECORDS);
    parsed(&files::read(&file)?, &file)
}

/// Writes the measurements of all parts: their settings, their records, and the worst input, that of the part `worst`.
pub(super) fn write_whole(
    path: &Path,
    settings: &Settings,
    records: &[Record],
    worst: &Path,
) -> anyhow::Result<()> {
    files::create_dir(path)?;
    let _lock = files::lock(path)?;
    files::write_new(
        &path.join(SETTINGS),
        serde_json::to_string_pretty(settings)?.as_bytes(),
    )?;
    files::write_atomic(&path.join(RECORDS), &lines(records, true)?)?;
    Ok(files::write_atomic(
        &path.join(WORST),
        &files::read(&worst.join(WORST))?,
    )?)
}

/// Whether a directory has measurements.
pub(super) fn has_measurements(path: &Path) -> bool {
    path.join(SETTINGS).is_file()
}

fn parsed(bytes: &[u8], file: &Path) -> anyhow::Result<Vec<Record>> {
    let rows = csv::Reader::from_reader(bytes).into_deserialize();
    rows.collect::<Result<Vec<Record>, _>>()
        .with_context(|| format!("{}: not a table of measurements", file.display()))
}

/// Records as lines, below the names of the columns if there are none yet.
fn lines(records: &[Record], with_header: bool) -> anyhow::Result<Vec<u8>> {
    let mut builder = csv::WriterBuilder::new();
    let mut writer = builder.has_headers(with_header).from_writer(Vec::new());
    records
        .iter()
        .try_for_each(|record| writer.serialize(record))?;
    writer.into_inner().context("cannot finish the table")
}

/// Key of the record in the worst input's metadata.
const KEY: &str = "roll-distortion";

/// Which input and search a state belongs to.
const OF: &str = "of";
