//! Model files: safetensors that say what they hold.
//!
//! The tensors are the parameters under their PyTorch names, so that `safetensors.torch.load_file` gives a
//! `state_dict`. The header's metadata holds, under the key `loclin` (`roll` in
//! files of earlier versions), a JSON object with the format's version,
//! the graph and the input normalisation; or, for sequences of any length, the recurrence.

use crate::{
    architectures::{Rnn, RnnConfig},
    error::{Error, Result, listed},
    network::Network,
    operator::Affine,
    operators::Standardize,
    spec::NetworkSpec,
    stored,
};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

/// The metadata key that holds the header.
const KEY: &str = "loclin";
/// The key of files of earlier versions.
const OLD_KEY: &str = "roll";
const FORMAT: u32 = 1;

/// The input normalisation `(x - mean) / std` that a network was trained with: one pair of numbers, or one for
/// each channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Means, in raw input units.
    pub mean: Vec<f64>,
    /// Standard deviations, in raw input units, positive.
    pub std: Vec<f64>,
}

impl Normalization {
    /// Normalises a batch of raw inputs `[B, in...]`, the channel (if there are several) being the first
    /// dimension of an input.
    ///
    /// # Errors
    /// [`Error::Config`] for numbers that make no normalisation or do not fit the inputs.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let standardize = Standardize::new(&self.mean, &self.std, x.dtype(), x.device())?;
        let shape = x.dims().get(1..).unwrap_or_default();
        let fits = standardize.output_shape(&[shape]);
        fits.map_err(|cause| Error::Config {
            field: "normalization",
            cause,
        })?;
        Ok(standardize.value(&[x], shape)?)
    }
}

/// A network and the normalisation of its inputs: what a model file holds.
#[derive(Debug, Clone)]
pub struct Model {
    /// The network of *normalised* inputs.
    pub network: Network,
    /// How raw inputs are normalised; `None` if the network takes them as they are.
    pub normalization: Option<Normalization>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    /// This or `recurrence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<NetworkSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recurrence: Option<RnnConfig>,
    normalization: Option<Normalization>,
}

/// What a model file may hold.
///
/// ```
/// use candle_core::{DType, Device};
/// use loclin_models::{ModelFile, Parameters, architectures::{Rnn, RnnConfig}};
///
/// let config = RnnConfig { inputs: 2, hidden: 4, outputs: 3, negative_slope: 0.1 };
/// let rnn = Rnn::new(config, Parameters::seeded(0).builder(DType::F32, &Device::Cpu))?;
/// let bytes = ModelFile::Recurrent(rnn).to_bytes()?;
/// let model = ModelFile::from_bytes(&bytes, DType::F64, &Device::Cpu)?;
/// assert_eq!(model.raw(&[5, 2])?.input_shape(), [5, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub enum ModelFile {
    /// A network for inputs of one shape.
    Network(Model),
    /// A recurrent network for sequences of any length, taken as they are.
    Recurrent(Rnn),
}

impl ModelFile {
    /// The network of raw inputs of shape `input_shape`. A network for inputs of one shape is the same for every
    /// `input_shape`; a recurrent one must be given `[length, channels]`.
    ///
    /// # Errors
    /// A shape that the recurrent network cannot take.
    pub fn raw(&self, input_shape: &[usize]) -> Result<Network> {
        match self {
            Self::Network(model) => model.raw(),
            Self::Recurrent(rnn) => rnn.network_for(input_shape),
        }
    }

    /// The bytes of a model file. The same model gives the same bytes.
    ///
    /// # Errors
    /// [`Error::NoSpec`] with an operator that no file can hold.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        match self {
            Self::Network(model) => model.to_bytes(),
            Self::Recurrent(rnn) => {
                let header = Header {
                    format: FORMAT,
                    network: None,
                    recurrence: Some(rnn.config().clone()),
                    normalization: None,
                };
                write(&header, rnn.parameters())
            }
        }
    }

    /// Reads a model file's bytes; parameters are converted to `dtype` and must be finite.
    ///
    /// # Errors
    /// [`Error::Format`] for other bytes and for tensors that the graph does not use, [`Error::NotFinite`], and a graph that its parameters
    /// do not fit.
    pub fn from_bytes(bytes: &[u8], dtype: DType, device: &Device) -> Result<Self> {
        let header = header(bytes)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| Error::Format(e.to_string()))?;
        let mut parameters = HashMap::new();
        for (name, view) in tensors.tensors() {
            use candle_core::safetensors::Load;
            let tensor = view.load(device)?;
            stored::check_floats(&tensor)
                .map_err(|cause| Error::Format(format!("`{name}` {cause}")))?;
            check_finite(&name, &tensor)?;
            parameters.insert(name, tensor.to_dtype(dtype)?);
        }
        let names: BTreeSet<String> = parameters.keys().cloned().collect();
        let vars = VarBuilder::from_tensors(parameters, dtype, device);
        match (header.network, header.recurrence, header.normalization) {
            (Some(network), None, normalization) => {
                let model = Model {
                    network: network.build(vars)?,
                    normalization,
                };
                check_used(&names, &model.network.parameters())?;
                model.raw()?;
                Ok(Self::Network(model))
            }
            (None, Some(config), None) => {
                let rnn = Rnn::new(config, vars)?;
                check_used(&names, rnn.parameters())?;
                Ok(Self::Recurrent(rnn))
            }
            _ => Err(Error::Format(format!(
                "metadata `{KEY}` names neither one network nor one recurrence of raw sequences"
            ))),
        }
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// [`Error::File`] with the path and the cause.
    pub fn load(path: &Path, dtype: DType, device: &Device) -> Result<Self> {
        let error = |cause: String| Error::File {
            path: path.into(),
            cause,
        };
        let bytes = stored::read(path).map_err(error)?;
        Self::from_bytes(&bytes, dtype, device).map_err(|e| error(e.to_string()))
    }

    /// The same model with parameters cut off from differentiation (they share storage).
    ///
    /// # Errors
    /// Those of [`Network::detached`].
    pub fn detached(&self) -> Result<Self> {
        Ok(match self {
            Self::Network(model) => Self::Network(Model {
                network: model.network.detached()?,
                normalization: model.normalization.clone(),
            }),
            Self::Recurrent(rnn) => Self::Recurrent(rnn.detached()),
        })
    }

    /// The network for inputs of one shape, for those who need one.
    ///
    /// # Errors
    /// A recurrent network.
    pub fn into_network(self) -> Result<Model> {
        match self {
            Self::Network(model) => Ok(model),
            Self::Recurrent(_) => Err(Error::Format(
                "a recurrent network for sequences of any length, expected one for inputs of one shape"
                    .into(),
            )),
        }
    }
}

impl Model {
    /// The network of *raw* inputs, normalisation included: the one to certify, since its margins are in raw
    /// units.
    ///
    /// # Errors
    /// Those of [`Network::standardized`].
    pub fn raw(&self) -> Result<Network> {
        match &self.normalization {
            Some(Normalization { mean, std }) => self.network.standardized(mean, std),
            None => Ok(self.network.clone()),
        }
    }

    /// The bytes of a model file. The same network gives the same bytes.
    ///
    /// # Errors
    /// [`Error::NoSpec`] with an operator that no file can hold.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let header = Header {
            format: FORMAT,
            network: Some(self.network.spec()?),
            recurrence: None,
            normalization: self.normalization.clone(),
        };
        write(&header, &self.network.parameters())
    }

    /// Reads a model file's bytes; parameters are converted to `dtype` and must be finite.
    ///
    /// # Errors
    /// [`Error::Format`] for other bytes, [`Error::NotFinite`], and a graph that its parameters do not fit.
    pub fn from_bytes(bytes: &[u8], dtype: DType, device: &Device) -> Result<Self> {
        ModelFile::from_bytes(bytes, dtype, device)?.into_network()
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// [`Error::File`] with the path and the cause.
    pub fn load(path: &Path, dtype: DType, device: &Device) -> Result<Self> {
        let error = |e: Error| Error::File {
            path: path.into(),
            cause: e.to_string(),
        };
        ModelFile::load(path, dtype, device)?
            .into_network()
            .map_err(error)
    }
}

fn write(header: &Header, parameters: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let json = serde_json::to_string(header).map_err(|e| Error::Format(e.to_string()))?;
    let metadata = HashMap::from([(KEY.to_string(), json)]);
    let views = parameters
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor));
    safetensors::serialize(views, Some(metadata)).map_err(|e| Error::Format(e.to_string()))
}

fn header(bytes: &[u8]) -> Result<Header> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| {
        Error::Format(format!(
            "not a complete safetensors file ({e}; {} bytes)",
            bytes.len()
        ))
    })?;
    let json = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(KEY).or_else(|| m.get(OLD_KEY)))
        .ok_or_else(|| {
            Error::Format(format!(
                "a safetensors file without the metadata key `{KEY}`: tensors of a state dict, which need an architecture (--architecture)"
            ))
        })?;
    let version = serde_json::from_str::<serde_json::Value>(json)
        .ok()
        .and_then(|v| v.get("format")?.as_u64());
    match version {
        Some(v) if v == u64::from(FORMAT) => {
            serde_json::from_str(json).map_err(|e| Error::Format(format!("metadata `{KEY}`: {e}")))
        }
        Some(v) => Err(Error::Format(format!(
            "format {v}; this program reads format {FORMAT}"
        ))),
        None => Err(Error::Format(format!("metadata `{KEY}` names no format"))),
    }
}

/// Refuses tensors of a file that are no parameters of its network.
fn check_used(names: &BTreeSet<String>, parameters: &[(String, Tensor)]) -> Result<()> {
    let own: BTreeSet<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    let left_over = names.iter().filter(|name| !own.contains(name.as_str()));
    let left_over: Vec<String> = left_over.cloned().collect();
    match left_over.is_empty() {
        true => Ok(()),
        false => Err(Error::Format(format!(
            "holds {}, which the network of metadata `{KEY}` does not use; expected its parameters alone",
            listed(&left_over)
        ))),
    }
}

pub(crate) fn check_finite(name: &str, tensor: &Tensor) -> Result<()> {
    let values = tensor
        .to_dtype(DType::F64)?
        .flatten_all()?
        .to_vec1::<f64>()?;
    match values.iter().find(|v| !v.is_finite()) {
        Some(&value) => Err(Error::NotFinite {
            name: name.into(),
            value,
        }),
        None => Ok(()),
    }
}
