//! A model and the inputs that a command asks it about.

use std::path::Path;

use anyhow::{Context, bail};
use roll_data::{Data, Split, source};
use roll_models::ModelFile;

use crate::cli::{DataDir, Global};
use crate::compute::Dtype;
use crate::config::Config;
use crate::errors::Usage;
use crate::model::ModelPath;
use crate::{tensors, train};

/// A model, and data that it takes.
pub(crate) struct Opened {
    pub(crate) model: ModelFile,
    pub(crate) data: Data,
    pub(crate) dtype: Dtype,
}

impl Opened {
    /// Opens the model and the data of that name; without one, the data of the run directory.
    ///
    /// # Errors
    /// A model or dataset that cannot be read, or that do not belong together.
    pub(crate) fn new(
        source: &ModelPath,
        data: Option<&str>,
        split: Split,
        place: &DataDir,
        global: &Global,
    ) -> anyhow::Result<Self> {
        let config = configuration(&source.model)?;
        let dtype = dtype(global, config.as_ref());
        let model = source.load(dtype.candle(), &global.device.open()?)?;
        let Some(name) = data.or(config.as_ref().map(|config| &config.dataset[..])) else {
            return Err(Usage::new("--data is needed where --model is not a run directory").into());
        };
        let seed = global.seed.or(config.as_ref().map(|config| config.seed));
        let data = source::open(name, split, Some(&place.data_dir), seed.unwrap_or(0))
            .with_context(|| format!("cannot load the {split} split of `{name}`"))?;
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

/// The floating-point type asked for, or that of the run.
pub(crate) fn dtype(global: &Global, config: Option<&Config>) -> Dtype {
    let own = config.map(|config| config.dtype);
    global.dtype.or(own).unwrap_or(Dtype::F32)
}

/// The configuration of a run directory.
pub(crate) fn configuration(path: &Path) -> anyhow::Result<Option<Config>> {
    if !path.is_dir() {
        return Ok(None);
    }
    let config = Config::load(&path.join(train::CONFIG), &[]);
    config
        .map(Some)
        .with_context(|| format!("{}: not a run directory", path.display()))
}
