//! The model that `--model` names: a run, our own file, or somebody else's.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use candle_core::{DType, Device};
use loclin_models::architectures::StemPooling;
use loclin_models::pytorch::{self, Architecture, TORCHVISION, TorchvisionConfig};
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
    /// What network a PyTorch state dict belongs to: a file, a name of those that `loclin config list` shows, or
    /// torchvision/NAME, such as torchvision/resnet50
    #[arg(long, value_name = "NAME_OR_FILE")]
    pub architecture: Option<PathBuf>,
    /// The value of an ONNX graph whose regions are asked for [default: its output, without a softmax or argmax behind it]
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    /// The shape of one input of an ONNX graph that leaves sizes open, or of torchvision/NAME, such as 3,224,224
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    pub input_shape: Vec<usize>,
}

/// What an ONNX file is.
const ONNX: &str = "an ONNX graph";

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
        let found = shipped::find(Kind::Architecture, given, Path::new(""));
        let found = found.map_err(|error| error.of_option("--architecture"))?;
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
    /// A file that cannot be read, is not a model, or does not fit its architecture; options that are not for its kind.
    pub fn load(&self, dtype: DType, device: &Device) -> anyhow::Result<ModelFile> {
        Ok(self.read(dtype, device)?.0)
    }

    /// The same with the type of its inputs, where the file says that they are whole numbers.
    ///
    /// # Errors
    /// Those of [`ModelPath::load`].
    pub fn read(
        &self,
        dtype: DType,
        device: &Device,
    ) -> anyhow::Result<(ModelFile, Option<&'static str>)> {
        let file = self.file();
        if file.exists() {
            // Before a library reads it; what is missing has an error of its own.
            files::check_readable(&file)?;
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        let is_graph = ends(&[".onnx", ".onnx.gz"]);
        self.check_options(match () {
            () if is_graph => Some(ONNX),
            () if ends(&[".nnet"]) => Some("an NNet file"),
            () if self.model.is_dir() => Some("a run directory"),
            () => None,
        })?;
        if let Some(architecture) = &self.architecture {
            let described = self.described(architecture)?;
            let model = state_dict(&file, described, dtype, device)?;
            return Ok((ModelFile::Network(model), None));
        }
        if is_graph {
            let loaded = self.graph(&file, dtype, device)?;
            return Ok((ModelFile::Network(loaded.model), loaded.integers));
        }
        if ends(&[".nnet"]) {
            let model = nnet::load(&file, dtype, device)?;
            return Ok((ModelFile::Network(model), None));
        }
        if ends(&[".safetensors"]) {
            return Ok((ModelFile::load(&file, dtype, device)?, None));
        }
        let path = self.model.display();
        if ends(&[".pth", ".pt"]) {
            return Err(undescribed(&file)?);
        }
        fs::metadata(&self.model).with_context(|| format!("{path}: cannot read the model"))?;
        bail!(
            "{path}: not a model; expected a run directory, .safetensors, .onnx, .onnx.gz, .nnet, .pth or .pt"
        )
    }

    /// Refuses options that say nothing about the model; `whole` is what it is where it says itself which network it is.
    fn check_options(&self, whole: Option<&str>) -> Result<(), Usage> {
        let path = self.model.display();
        let is_graph = whole == Some(ONNX);
        if let (Some(_), Some(what)) = (&self.architecture, whole) {
            let message = format!(
                "--architecture: for a PyTorch state dict; {path} is {what}, which says itself what network it is; leave it out"
            );
            return Err(Usage::new(message));
        }
        if let (Some(output), false) = (&self.output, is_graph) {
            let message = format!(
                "--output {output}: names a value of an ONNX graph; {path} is none; leave it out"
            );
            return Err(Usage::new(message));
        }
        if !(self.input_shape.is_empty() || is_graph || self.architecture.is_some()) {
            let message = format!(
                "--input-shape: for an ONNX graph or a network of torchvision (--architecture torchvision/NAME); {path} is neither; \
                 leave it out"
            );
            return Err(Usage::new(message));
        }
        Ok(())
    }

    /// What the architecture's name or file says.
    fn described(&self, given: &Path) -> anyhow::Result<Described> {
        let network = given
            .strip_prefix("torchvision")
            .ok()
            .filter(|_| !given.exists());
        let Some(network) = network else {
            if !self.input_shape.is_empty() {
                let message = "--input-shape: for a state dict, `input_shape` in the file of --architecture says it";
                return Err(Usage::new(message).into());
            }
            return Described::read(given);
        };
        let input_shape = match self.input_shape[..] {
            [] => [3, 224, 224],
            [channels, height, width] => [channels, height, width],
            _ => {
                let message =
                    "--input-shape: expected channels, height and width, such as 3,224,224";
                return Err(Usage::new(message).into());
            }
        };
        let network = network.to_string_lossy().into_owned();
        if !TORCHVISION.contains(&&network[..]) {
            let known = TORCHVISION.join(", ");
            let message = format!("--architecture torchvision/{network}: expected one of {known}");
            return Err(Usage::new(message).into());
        }
        let config = TorchvisionConfig {
            network,
            input_shape,
        };
        Ok(Described {
            architecture: Architecture::Torchvision(config),
            normalization: None,
        })
    }

    /// An ONNX file, with a word on what is left out of it.
    fn graph(&self, file: &Path, dtype: DType, device: &Device) -> anyhow::Result<onnx::Loaded> {
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
        Ok(loaded)
    }
}

/// Why a state dict without --architecture is not read: what else it is, or what it holds.
fn undescribed(file: &Path) -> anyhow::Result<anyhow::Error> {
    let place = file.display().to_string();
    let tensors = pytorch::state_dict(&files::read(file)?).context(place.clone())?;
    let names = tensors.iter().take(8);
    let names: Vec<String> = names
        .map(|(name, tensor)| format!("`{}` {:?}", name.escape_default(), tensor.dims()))
        .collect();
    let more = match tensors.len().saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "{place}: a PyTorch state dict needs --architecture; its tensors are {}{more}",
        names.join(", ")
    );
    Ok(Usage::new(message).into())
}

fn state_dict(
    file: &Path,
    described: Described,
    dtype: DType,
    device: &Device,
) -> anyhow::Result<Model> {
    let Described {
        architecture,
        normalization,
    } = described;
    let model = pytorch::load(file, &architecture, dtype, device)?;
    if let Architecture::ResNet(config) = &architecture
        && config.pooling == Some(StemPooling::Average)
    {
        let path = file.display();
        tracing::warn!(
            "{path}: average pooling in the stem, as described; torchvision's has max pooling"
        );
    }
    Ok(Model {
        normalization,
        ..model
    })
}
