//! The data of runs, and the digests by which a run knows its own again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};
use loclin_data::{Data, Moments, Preprocessing, Split, source};

use crate::program::config::{Architecture, Config, SEEDED, inputs};
use crate::program::{files, jobs, opened};

/// Where the data of runs are. The digest of a dataset, or of a file of initial weights, is found once, whatever number of runs ask for it.
#[derive(Debug)]
pub struct Datasets {
    data_dir: PathBuf,
    digests: Mutex<BTreeMap<String, String>>,
}

impl Datasets {
    /// Those in the directory of datasets.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            digests: Mutex::default(),
        }
    }

    /// Training and validation data of a configuration.
    pub(super) fn both(&self, config: &Config) -> anyhow::Result<[Data; 2]> {
        let open = |split| open(config, split, &self.data_dir);
        classes_by_labels([open(Split::Train)?, open(Split::Valid)?])
    }

    /// The digests that were found, by the names that configurations have for the datasets and files.
    pub fn digests(&self) -> BTreeMap<String, String> {
        let digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        digests.clone()
    }

    /// SHA-256 of the file of initial weights; `None` for those that are drawn, and where there is no such file.
    pub(super) fn initial(&self, config: &Config) -> anyhow::Result<Option<String>> {
        let path = Path::new(&config.init);
        if config.init == SEEDED || !path.exists() {
            return Ok(None);
        }
        self.once(config.init.clone(), || Ok(files::digest(path)?))
            .map(Some)
    }

    /// The digest of a name, found at the first time.
    fn once(
        &self,
        name: String,
        digest: impl FnOnce() -> anyhow::Result<String>,
    ) -> anyhow::Result<String> {
        // Held meanwhile, so that runs side by side read files once.
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = digests.get(&name) {
            return Ok(digest.clone());
        }
        let digest = digest()?;
        digests.insert(name, digest.clone());
        Ok(digest)
    }

    /// SHA-256 of all rows that train or validate by whatever seed, as they are stored; of images as they are decoded, and resized if they
    /// are.
    pub(super) fn digest(&self, config: &Config) -> anyhow::Result<String> {
        let name = &config.dataset;
        let mut called = name.clone();
        if config.resize != inputs::NO_SIZE {
            called.push_str(&format!(", resize {}", config.resize));
        }
        if config.exif_orientation {
            called.push_str(", exif_orientation");
        }
        let preprocessing = config.preprocessing()?;
        let request = source::Request {
            data_dir: Some(&self.data_dir),
            preprocessing: &preprocessing,
            ..source::Request::of(Split::Train)
        };
        self.once(called, || {
            jobs::digest(|sink| source::training_content(name, &request, sink))
                .with_context(|| format!("dataset `{name}`: cannot read it again"))
        })
    }
}

/// Training and validation data; where nobody says how many classes there are, the labels of both do, which count from 0.
fn classes_by_labels(both: [Data; 2]) -> anyhow::Result<[Data; 2]> {
    let [train, valid] = match both {
        [Data::Table(train), Data::Table(valid)] if train.classes().is_none() => [train, valid],
        both => return Ok(both),
    };
    let labels = [&train, &valid]
        .into_iter()
        .filter_map(|table| table.labels());
    let Some(&largest) = labels.flatten().max() else {
        return Ok([train.into(), valid.into()]);
    };
    let (name, rows) = (train.name(), train.len() + valid.len());
    let classes = match usize::try_from(largest) {
        Ok(largest) if largest < rows => largest + 1,
        _ => bail!(
            "{name}: found the label {largest} among {rows} rows, expected classes that are numbered from 0 on, no more than rows"
        ),
    };
    Ok([
        train.with_classes(classes)?.into(),
        valid.with_classes(classes)?.into(),
    ])
}

/// The dataset of a configuration.
///
/// # Errors
/// A dataset that cannot be read.
pub fn open(config: &Config, split: Split, data_dir: &Path) -> anyhow::Result<Data> {
    let mut preprocessing = config.preprocessing()?;
    if config.architecture == Architecture::ScoRnn {
        preprocessing = opened::of_steps(preprocessing)?;
    }
    let request = source::Request {
        data_dir: Some(data_dir),
        seed: config.seed,
        fold: config.fold()?,
        preprocessing: &preprocessing,
        ..source::Request::of(split)
    };
    let data = opened::read(&config.dataset, &request).map_err(of_training)?;
    let Preprocessing { mean, std, .. } = preprocessing;
    match data {
        _ if mean.is_empty() => Ok(data),
        Data::Table(table) => Ok(table.with_moments(Moments { mean, std })?.into()),
        Data::Sequences(sequences) => bail!(
            "{}: sequences are taken as they are; leave mean and std empty",
            sequences.name()
        ),
    }
}

/// What is said of a name that is none: of the formats those that hold labels, without which nothing is trained.
fn of_training(error: anyhow::Error) -> anyhow::Error {
    let Some(loclin_data::Error::UnknownDataset {
        given,
        known,
        nearest,
    }) = error.downcast_ref()
    else {
        return error;
    };
    let hint = nearest
        .as_ref()
        .map(|name| format!("; did you mean {name:?}?"));
    anyhow::anyhow!(
        "dataset {given:?}: found no such name or path, expected data with labels: one of {known}, a directory in the layout of one of \
         them or with one folder of images for each class, a .safetensors file of `inputs` and `labels`, or \
         inputs.npy,labels=labels.npy{}",
        hint.unwrap_or_default()
    )
}
