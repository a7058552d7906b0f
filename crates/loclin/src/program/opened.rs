//! A model and the inputs that a command asks it about.

use std::path::Path;

use anyhow::{Context, bail};
use loclin_data::{Data, LeftOut, Rows, Split, source};
use loclin_models::ModelFile;

use crate::program::compute::Dtype;
use crate::program::errors::Usage;
use crate::program::model::ModelPath;
use crate::program::options::{DataDir, Global};
use crate::program::run_directory::Trained;
use crate::program::tensors;

/// A model, and data that it takes.
pub struct Opened {
    /// The model.
    pub model: ModelFile,
    /// Its inputs.
    pub data: Data,
    /// The type that the model's parameters were converted to.
    pub dtype: Dtype,
}

impl Opened {
    /// Opens the model and rows of the data of that name; without one, of the data of the run directory.
    ///
    /// # Errors
    /// A model or dataset that cannot be read, or that do not belong together.
    pub fn new(
        source: &ModelPath,
        named: Option<&str>,
        split: Split,
        rows: Rows,
        place: &DataDir,
        global: &Global,
    ) -> anyhow::Result<Self> {
        let run = Trained::of(&source.model)?;
        let dtype = dtype(global);
        let model = source.load(dtype.candle(), &global.device.open()?)?;
        let Some(name) = named.or(run.as_ref().map(|run| &run.dataset[..])) else {
            return Err(Usage::new("--data is needed where --model is not a run directory").into());
        };
        let seed = global.seed.or(run.as_ref().map(|run| run.seed));
        let data = rows_of(name, split, &place.data_dir, seed.unwrap_or(0), rows)?;
        let data = match (data, &model) {
            (Data::Table(table), ModelFile::Network(model)) => {
                tensors::fit(table, model.network.input_shape())?.into()
            }
            (Data::Sequences(sequences), ModelFile::Network(model)) => bail!(
                "{}: sequences of different lengths; the model takes inputs of shape {:?} only",
                sequences.name(),
                model.network.input_shape()
            ),
            (data, ModelFile::Recurrent(_)) => data,
        };
        Ok(Self { model, data, dtype })
    }
}

/// The floating-point type asked for, or float64, in which rounding errors are bounded, whatever the model's file has.
pub fn dtype(global: &Global) -> Dtype {
    global.dtype.unwrap_or(Dtype::F64)
}

/// The dataset `name`, with a word on the images that its options leave out; `-v` names all of them.
///
/// # Errors
/// A dataset that cannot be read.
pub fn data(name: &str, split: Split, data_dir: &Path, seed: u64) -> anyhow::Result<Data> {
    rows_of(name, split, data_dir, seed, Rows::All)
}

/// The same for some of its rows.
///
/// # Errors
/// A dataset that cannot be read, and a row that does not exist.
pub fn rows_of(
    name: &str,
    split: Split,
    data_dir: &Path,
    seed: u64,
    rows: Rows,
) -> anyhow::Result<Data> {
    let data = source::open_rows(name, split, Some(data_dir), seed, rows)
        .with_context(|| format!("dataset `{name}`: cannot load its {split} split"))?;
    if let [first, more @ ..] = data.left_out() {
        let (path, cause, count) = (first.path.display(), &first.cause, 1 + more.len());
        tracing::warn!(
            "dataset `{name}`: {count} images left out of its {split} split, the first of them {path}: {cause}"
        );
    }
    for LeftOut { path, cause } in data.left_out() {
        tracing::debug!("left out: {}: {cause}", path.display());
    }
    Ok(data)
}
