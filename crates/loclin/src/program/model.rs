//! The model that `--model` names: a run, our own file, or somebody else's.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use candle_core::{DType, Device};
use loclin_models::pytorch::{self, Architecture};
use loclin_models::{Model, ModelFile, Normalization, onnx};
use serde::Deserialize;

use crate::program::errors::Usage;
use crate::program::shipped::{self, Kind};
use crate::program::{files, run_directory};

/// Which model, for the commands that read one.
#[derive(Clone, Debug, clap::Args)]
pub struct ModelPath {
    /// A run directory, or a model file: .safetensors, .onnx, or a PyTorch state dict (.pth, .pt)
    #[arg(long, value_name = "PATH")]
    pub model: PathBuf,
    /// What network a PyTorch state dict belongs to: a file, or a name of those that `loclin config list` shows
    #[arg(long, value_name = "NAME_OR_FILE")]
    pub architecture: Option<PathBuf>,
}

/// An architecture file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// The network.
    pub architecture: Architecture,
    /// What its inputs are normalised with.
    pub normalization: Option<Normalization>,
}

impl Described {
    /// Reads the file, or the shipped architecture of that name.
    ///
    /// # Errors
    /// A file that cannot be read, or describes no architecture, or a name that is neither.
    pub fn read(given: &Path) -> anyhow::Result<Self> {
        let found = shipped::find(Kind::Architecture, given, Path::new(""))?;
        toml::from_str(&found.text).with_context(|| format!("{}: not an architecture", found.place))
    }
}

impl ModelPath {
    /// The model's file, which for a run directory is in it.
    pub fn file(&self) -> PathBuf {
        match self.model.is_dir() {
            true => self.model.join(run_directory::MODEL),
            false => self.model.clone(),
        }
    }

    /// SHA-256 of the model's file, in hexadecimal digits.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn digest(&self) -> anyhow::Result<String> {
        Ok(files::digest(&self.file())?)
    }

    /// Reads the model, its parameters converted to `dtype`.
    ///
    /// # Errors
    /// A file that cannot be read, is not a model, or does not fit its architecture.
    pub fn load(&self, dtype: DType, device: &Device) -> anyhow::Result<ModelFile> {
        let file = self.file();
        if file.exists() {
            // Before a library reads it; what is missing has an error of its own.
            files::check_readable(&file)?;
        }
        if let Some(architecture) = &self.architecture {
            return Ok(ModelFile::Network(state_dict(
                &file,
                architecture,
                dtype,
                device,
            )?));
        }
        let extension = file.extension().and_then(|e| e.to_str());
        match extension.unwrap_or_default() {
            "safetensors" => Ok(ModelFile::load(&file, dtype, device)?),
            "onnx" => Ok(ModelFile::Network(onnx::load(&file, dtype, device)?)),
            "pth" | "pt" => {
                let path = self.model.display();
                let message = format!("{path}: a PyTorch state dict needs --architecture");
                Err(Usage::new(message).into())
            }
            _ => {
                let path = self.model.display();
                fs::metadata(&self.model)
                    .with_context(|| format!("{path}: cannot read the model"))?;
                bail!(
                    "{path}: not a model; expected a run directory, .safetensors, .onnx, .pth or .pt"
                )
            }
        }
    }
}

fn state_dict(
    file: &Path,
    architecture: &Path,
    dtype: DType,
    device: &Device,
) -> anyhow::Result<Model> {
    let Described {
        architecture,
        normalization,
    } = Described::read(architecture)?;
    let model = pytorch::load(file, &architecture, dtype, device)?;
    Ok(Model {
        normalization,
        ..model
    })
}
