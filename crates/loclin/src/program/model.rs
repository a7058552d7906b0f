//! The model that `--model` names: a run, our own file, or somebody else's.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use candle_core::{DType, Device};
use loclin_models::pytorch::{self, Architecture};
use loclin_models::{Model, ModelFile, Normalization, nnet, onnx};
use serde::Deserialize;

use crate::program::errors::Usage;
use crate::program::shipped::{self, Kind};
use crate::program::{files, run_directory};

/// Which model, for the commands that read one.
#[derive(Clone, Debug, clap::Args)]
pub struct ModelPath {
    /// A run directory, or a model file: .safetensors, .onnx, .onnx.gz, .nnet, or a PyTorch state dict (.pth, .pt)
    #[arg(long, value_name = "PATH")]
    pub model: PathBuf,
    /// What network a PyTorch state dict belongs to: a file, or a name of those that `loclin config list` shows
    #[arg(long, value_name = "NAME_OR_FILE")]
    pub architecture: Option<PathBuf>,
    /// The value of an ONNX graph whose regions are asked for [default: its output, without a softmax or argmax behind it]
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    /// The shape of one input of an ONNX graph that leaves sizes open, such as 3,224,224
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    pub input_shape: Vec<usize>,
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
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        if ends(&[".onnx", ".onnx.gz"]) {
            return Ok(ModelFile::Network(self.graph(&file, dtype, device)?));
        }
        if ends(&[".nnet"]) {
            return Ok(ModelFile::Network(nnet::load(&file, dtype, device)?));
        }
        if ends(&[".safetensors"]) {
            return Ok(ModelFile::load(&file, dtype, device)?);
        }
        let path = self.model.display();
        if ends(&[".pth", ".pt"]) {
            let message = format!("{path}: a PyTorch state dict needs --architecture");
            return Err(Usage::new(message).into());
        }
        fs::metadata(&self.model).with_context(|| format!("{path}: cannot read the model"))?;
        bail!(
            "{path}: not a model; expected a run directory, .safetensors, .onnx, .onnx.gz, .nnet, .pth or .pt"
        )
    }

    /// An ONNX file, with a word on what is left out of it.
    fn graph(&self, file: &Path, dtype: DType, device: &Device) -> anyhow::Result<Model> {
        let options = onnx::Options {
            output: self.output.clone(),
            input_shape: (!self.input_shape.is_empty()).then(|| self.input_shape.clone()),
        };
        let loaded = onnx::load_with(file, &options, dtype, device)?;
        if !loaded.left_out.is_empty() {
            let (path, output) = (file.display(), &loaded.output);
            let heads = loaded.left_out.join(", ");
            tracing::warn!("{path}: regions of the logits `{output}`, without {heads} behind it");
        }
        Ok(loaded.model)
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
