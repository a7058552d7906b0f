//! Networks from PyTorch's state dicts, `.pth` or `.safetensors`, given the architecture.
//!
//! A state dict holds tensors by name and no graph, so the caller says what the network is ([`Architecture`]); widths
//! and kernel sizes are taken from the tensors. A tensor that is missing, left over or of another shape is an error
//! that names it, as with PyTorch's `strict=True`. What wrappers put in front of all names is taken off
//! (`module.`, `_orig_mod.`, a common prefix) where the network does not have it.

mod architecture;
mod archive;
mod bytes;
mod find;
mod fit;
mod legacy;
mod names;
mod object;
mod ordering;
mod pickle;
mod read;
mod refusals;
mod renamed;
mod resolve;
mod sequential;
mod state_dict;
mod torchvision;
mod view;

pub use architecture::{Architecture, Layer};
pub use read::state_dict;
pub use state_dict::StateDict;
pub use torchvision::{NAMES as TORCHVISION, TorchvisionConfig};

use crate::{
    error::{Error, Result},
    file::Model,
    stored,
};
use candle_core::{DType, Device};
use std::path::Path;

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
/// Those of [`state_dict`]; [`Error::TensorNames`] with the tensors that are missing and left over; [`Error::StateDict`]
/// with the one that does not fit; [`Error::NotFinite`].
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
/// let architecture = Architecture::Fc { input_shape: None, negative_slope: 0.0, bias: true };
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
    let ordered = read::Format::of(bytes).keeps_order();
    let mut nearest: Option<Error> = None;
    for tensors in names::readings(read::state_dict(bytes)?) {
        let found = architecture
            .resolve(tensors, ordered)
            .and_then(|(spec, tensors)| fit::fit(&spec, tensors, dtype, device));
        match found {
            Ok(network) => {
                return Ok(Model {
                    network,
                    normalization: None,
                });
            }
            Err(error) if difference(&error).is_some() => {
                let before = nearest.as_ref().and_then(difference);
                if before.is_none_or(|before| difference(&error) < Some(before)) {
                    nearest = Some(error);
                }
            }
            // Names that fit are the right ones.
            Err(error) => return Err(error),
        }
    }
    Err(nearest.unwrap_or_else(|| Error::Graph("a state dict without tensors".into())))
}

/// How many names are missing or left over, if that is what is wrong.
fn difference(error: &Error) -> Option<usize> {
    match error {
        Error::TensorNames {
            missing, left_over, ..
        } => Some(missing.len() + left_over.len()),
        _ => None,
    }
}
