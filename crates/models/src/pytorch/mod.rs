//! Networks from PyTorch's state dicts, `.pth` or `.safetensors`, given the architecture.
//!
//! A state dict holds tensors by name and no graph, so the caller says what the network is ([`Architecture`]); widths
//! and kernel sizes are taken from the tensors. A tensor that is missing, left over or of another shape is an error
//! that names it.

mod architecture;
mod object;
mod pickle;
mod renamed;
mod resolve;
mod sequential;
mod state_dict;

pub use architecture::{Architecture, Layer};
pub use state_dict::{StateDict, state_dict};

use state_dict::says;

use crate::{
    error::{Error, Result},
    file::{Model, check_finite},
    network::Network,
    spec::NetworkSpec,
    stored,
};
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use loclin_tensor::Parameters;
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

/// Reads a state dict from a file and builds the network of the given architecture with it; parameters are converted
/// to `dtype` and must be finite.
///
/// # Errors
/// [`Error::File`] names the file and holds what [`from_bytes`] would say.
pub fn load(
    path: &Path,
    architecture: &Architecture,
    dtype: DType,
    device: &Device,
) -> Result<Model> {
    let error = |cause: String| Error::File {
        path: path.into(),
        cause,
    };
    let bytes = stored::read(path).map_err(error)?;
    from_bytes(&bytes, architecture, dtype, device).map_err(|e| error(e.to_string()))
}

/// Reads a state dict from the bytes of a file, as [`load`] does.
///
/// # Errors
/// Those of [`state_dict`]; [`Error::StateDict`] with the tensor that does not fit; [`Error::NotFinite`].
///
/// ```
/// use candle_core::{DType, Device};
/// use loclin_models::{Mlp, Model, Parameters, pytorch::{self, Architecture}};
///
/// // Our own files are safetensors with PyTorch's names.
/// let config = Mlp { inputs: vec![3], hidden: vec![4], outputs: 2, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(1).builder(DType::F32, &Device::Cpu))?;
/// let bytes = Model { network, normalization: None }.to_bytes()?;
///
/// let architecture = Architecture::Fc { input_shape: None, negative_slope: 0.0 };
/// let model = pytorch::from_bytes(&bytes, &architecture, DType::F64, &Device::Cpu)?;
/// assert_eq!(model.network.spec()?, config.spec()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_bytes(
    bytes: &[u8],
    architecture: &Architecture,
    dtype: DType,
    device: &Device,
) -> Result<Model> {
    let (spec, tensors) = architecture.resolve(state_dict(bytes)?)?;
    Ok(Model {
        network: fit(&spec, tensors.into_iter().collect(), dtype, device)?,
        normalization: None,
    })
}

/// The network of a spec with exactly these tensors.
fn fit(
    spec: &NetworkSpec,
    tensors: BTreeMap<String, candle_core::Tensor>,
    dtype: DType,
    device: &Device,
) -> Result<Network> {
    // The same network with drawn parameters says which tensors it needs and of which shape.
    let drawn = Parameters::seeded(0);
    spec.build(drawn.builder(DType::F32, &Device::Cpu))?;
    let wanted: BTreeMap<_, _> = drawn.named().into_iter().collect();
    if let Some(name) = tensors.keys().find(|name| !wanted.contains_key(*name)) {
        let known: Vec<_> = wanted.keys().map(String::as_str).collect();
        return Err(says(
            name.as_str(),
            format!(
                "the architecture has no such parameter; it has {}",
                known.join(", ")
            ),
        ));
    }
    let mut parameters = HashMap::new();
    for (name, variable) in &wanted {
        let expected = variable.dims();
        let tensor = tensors.get(name).ok_or_else(|| {
            says(
                name.as_str(),
                format!("is missing; expected with shape {expected:?}"),
            )
        })?;
        if tensor.dims() != expected {
            let found = tensor.dims();
            return Err(says(
                name.as_str(),
                format!("has shape {found:?}, expected {expected:?}"),
            ));
        }
        check_finite(name, tensor)?;
        parameters.insert(name.clone(), tensor.to_device(device)?.to_dtype(dtype)?);
    }
    spec.build(VarBuilder::from_tensors(parameters, dtype, device))
}
