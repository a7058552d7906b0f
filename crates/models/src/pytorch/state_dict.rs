//! Named tensors from a file: PyTorch's archive of a pickle and storages, or safetensors.

use super::ordering::Natural;
use crate::error::{Error, Result};
use crate::stored::check_floats;
use candle_core::{Device, Tensor, safetensors::Load};
use safetensors::SafeTensors;

/// Tensors by name: in the order of the file for a pickle (that of the modules), in natural order of the names
/// (`layers.2` before `layers.10`, `fc2` before `fc10`) for safetensors, which keep none.
pub type StateDict = Vec<(String, Tensor)>;

pub(super) fn malformed(cause: String) -> Error {
    Error::Malformed {
        format: "PyTorch",
        cause,
    }
}

/// An error at a tensor.
pub(super) fn says(name: impl Into<String>, cause: impl Into<String>) -> Error {
    Error::StateDict {
        name: name.into(),
        cause: cause.into(),
    }
}

/// The tensors of a safetensors file.
pub(super) fn from_safetensors(bytes: &[u8]) -> Result<StateDict> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| Error::Malformed {
        format: "safetensors",
        cause: e.to_string(),
    })?;
    let mut tensors = Vec::new();
    for (name, view) in file.tensors() {
        if !is_counter(&name) {
            let tensor = view
                .load(&Device::Cpu)
                .map_err(|e| says(name.as_str(), e.to_string()))?;
            check_floats(&tensor).map_err(|cause| says(name.as_str(), cause))?;
            if tensor.elem_count() == 0 {
                return Err(says(
                    name.as_str(),
                    format!("is empty: shape {:?}", tensor.dims()),
                ));
            }
            tensors.push((name, tensor));
        }
    }
    tensors.sort_by_cached_key(|(name, _)| Natural::of(name));
    Ok(tensors)
}

/// Whether a tensor counts batches, which nothing depends on.
pub(super) fn is_counter(name: &str) -> bool {
    name.ends_with("num_batches_tracked") || name == "n_averaged"
}
