//! What lies in the directory of a training run, for the commands that read one.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context;
use loclin_data::{Fold, Preprocessing, source};
use serde::Deserialize;

use crate::program::compute::Dtype;
use crate::program::config::{Config, DataLayout, inputs};
use crate::program::files;

/// The complete effective configuration of a run.
pub const CONFIG: &str = "config.toml";
/// The best network of a run.
pub const MODEL: &str = "model.safetensors";
/// Everything that a resumed run needs.
pub const LAST: &str = "last.safetensors";
/// An object for each validated epoch.
pub const METRICS: &str = "metrics.jsonl";

/// The files of the run in a directory.
pub fn files_of(run: &Path) -> [PathBuf; 4] {
    [CONFIG, LAST, METRICS, MODEL].map(|name| run.join(name))
}

/// What the commands that read a run ask its configuration. They do not look at its other keys, which may be those of
/// another version of the program. What it does not say is the configuration's default.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct Trained {
    /// The dataset, by the name that opens it: of files those below a folder which the run directory is in, one of which the run was trained
    /// from; where there are none, those of that name from here.
    pub dataset: String,
    /// Other files of that name, those from here, where there are both.
    #[serde(skip)]
    pub also: Option<String>,
    /// The seed of every random number.
    pub seed: u64,
    /// Parts of the cross-validation that the run is one of; 0 for none.
    pub folds: usize,
    /// Which of them.
    pub fold: usize,
    /// The floating-point type.
    pub dtype: Dtype,
    /// What stored numbers were multiplied by, as the configuration says it.
    #[serde(deserialize_with = "inputs::text")]
    pub scale: String,
    /// Where the channels of arrays are.
    pub layout: DataLayout,
    /// The size of images, as the configuration says it.
    #[serde(deserialize_with = "inputs::text")]
    pub resize: String,
    /// Whether images are turned as their EXIF orientation says.
    pub exif_orientation: bool,
}

impl Default for Trained {
    fn default() -> Self {
        let Config {
            dataset,
            seed,
            folds,
            fold,
            dtype,
            scale,
            layout,
            resize,
            exif_orientation,
            ..
        } = Config::default();
        Self {
            dataset,
            also: None,
            seed,
            folds,
            fold,
            dtype,
            scale,
            layout,
            resize,
            exif_orientation,
        }
    }
}

impl Trained {
    /// That of a run directory; `None` for a path that is no directory.
    ///
    /// # Errors
    /// A directory without a configuration.
    pub fn of(path: &Path) -> anyhow::Result<Option<Self>> {
        if !path.is_dir() {
            return Ok(None);
        }
        let read = || -> anyhow::Result<Self> {
            let file = path.join(CONFIG);
            let text = files::read_text(&file)?;
            let read: Self = toml::from_str(&text).with_context(|| file.display().to_string())?;
            Ok(match inputs::size_behind(&read.dataset) {
                Some((dataset, resize)) => Self {
                    dataset,
                    resize,
                    ..read
                },
                None => read,
            })
        };
        let mut trained =
            read().with_context(|| format!("{}: not a run directory", path.display()))?;
        let here = env::current_dir().and_then(|folder| folder.canonicalize());
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut above = place.ancestors().skip(1);
        let below = |folder: &Path| {
            Some((
                folder == here.as_ref().ok()?,
                source::below(folder, &trained.dataset)?,
            ))
        };
        let is_here = source::below(Path::new(""), &trained.dataset).is_some();
        match above.find_map(below) {
            Some((false, there)) if is_here && there != trained.dataset => {
                trained.also = Some(std::mem::replace(&mut trained.dataset, there));
            }
            Some((_, there)) if !is_here => trained.dataset = there,
            _ => {}
        }
        Ok(Some(trained))
    }

    /// The part of a cross-validation that the run is, if it is one.
    ///
    /// # Errors
    /// A part that there is not.
    pub fn fold(&self) -> Result<Option<Fold>, loclin_data::Error> {
        inputs::fold(self.fold, self.folds)
    }

    /// What was done to the run's data, but for the normalisation, which is in its network.
    ///
    /// # Errors
    /// A scale or size that is none.
    pub fn preprocessing(&self) -> anyhow::Result<Preprocessing> {
        let keys = inputs::Keys {
            scale: &self.scale,
            layout: self.layout,
            resize: &self.resize,
            exif_orientation: self.exif_orientation,
        };
        Ok(keys.preprocessing()?)
    }
}
