//! Networks from ONNX files.
//!
//! The reader is Rust alone and is made for files that nobody vouches for: every length, dimension, name and path
//! is checked, memory stays within a small multiple of the file's size, and whatever cannot be translated exactly
//! is an error that names the node.
//!
//! The first dimension of the graph's input is the batch and must be 1 or symbolic; an input of rank 1 is a single
//! vector. The network is that of one input, and where the graph's output is no vector it is flattened.
//!
//! A node's name is that of the ONNX node, or of its output where the node has none.

mod constant;
mod elementwise;
mod external;
mod graph;
mod linear;
mod message;
mod reader;
mod shape;
mod translator;
mod window;
mod wire;

use crate::{
    error::{Error, Result},
    file::Model,
};
use candle_core::{DType, Device};
use std::path::Path;

/// Reads a model file. Parameters are converted to `dtype`; data outside the file is read from the file's folder
/// only.
///
/// # Errors
/// [`Error::File`] names the file and holds what [`from_bytes`] would say.
pub fn load(path: &Path, dtype: DType, device: &Device) -> Result<Model> {
    let error = |cause: String| Error::File {
        path: path.into(),
        cause,
    };
    let bytes = loclin_tensor::file::read(path).map_err(|e| error(e.to_string()))?;
    // The parent of a bare file name is the empty path.
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    reader::read(&bytes, Some(folder), dtype, device).map_err(|e| error(e.to_string()))
}

/// Reads the bytes of a model file that keeps no data outside itself.
///
/// # Errors
/// [`Error::Malformed`] if the bytes are no ONNX model, [`Error::UnsupportedOperator`], [`Error::Translation`] with
/// the node that cannot be translated and why, and [`Error::NotFinite`] for its parameters.
///
/// ```
/// use candle_core::{DType, Device};
/// let error = loclin_models::onnx::from_bytes(b"not a model", DType::F64, &Device::Cpu).unwrap_err();
/// assert!(error.to_string().starts_with("not a well-formed ONNX file"));
/// ```
pub fn from_bytes(bytes: &[u8], dtype: DType, device: &Device) -> Result<Model> {
    reader::read(bytes, None, dtype, device)
}

/// The operators that can be translated, in alphabetical order.
pub fn supported() -> impl Iterator<Item = &'static str> {
    reader::supported()
}
