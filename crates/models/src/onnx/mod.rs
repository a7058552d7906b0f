//! Networks from ONNX files.
//!
//! The reader is Rust alone and is made for files that nobody vouches for: every length, dimension, name and path
//! is checked, memory stays within a small multiple of the file's size, and whatever cannot be translated exactly
//! is an error that names the node.
//!
//! The first dimension of the graph's input is the batch, symbolic or of any size; an input of rank 1 is a single
//! vector. The network is that of one input: what the graph computes for a batch of one. Where the file fixes a batch of
//! several and then mixes them, all of it is one input. Where the graph's output is no vector it is flattened.
//!
//! Whatever does not depend on the input is computed, shapes included. Operators at the end that make probabilities or
//! labels of scores are left out, which [`load_with`] says.
//!
//! A node's name is that of the ONNX node, or of its output where the node has none.

mod activations;
mod arithmetic;
mod batches;
mod blocks;
mod body;
mod calls;
mod constant;
mod contraction;
mod convolution;
mod dims;
mod element;
mod evaluate;
mod external;
mod forms;
mod frames;
mod fused;
mod geometry;
mod interface;
mod largest;
mod lifting;
mod linear;
mod message;
mod moves;
mod nodes;
mod padding;
mod picks;
mod pooling;
mod reader;
mod recurrent;
mod reduce;
mod refusals;
mod resize;
mod scalar;
mod scatter;
mod select;
mod sequences;
mod shaping;
mod sorting;
mod translator;
mod value;
mod wire;

pub use interface::Options;
pub use reader::Loaded;

use crate::{
    error::{Error, Result},
    file::Model,
    foreign,
};
use candle_core::{DType, Device};
use std::path::Path;

/// Reads a model file, packed by gzip or not. Parameters are converted to `dtype`; data outside the file is read from the
/// file's folder only.
///
/// # Errors
/// [`Error::File`] names the file and holds what [`from_bytes`] would say.
pub fn load(path: &Path, dtype: DType, device: &Device) -> Result<Model> {
    Ok(load_with(path, &Options::default(), dtype, device)?.model)
}

/// [`load`] with a choice of what is read, which says what was left out.
///
/// # Errors
/// Those of [`load`], and options that do not fit the file.
pub fn load_with(path: &Path, options: &Options, dtype: DType, device: &Device) -> Result<Loaded> {
    let error = |cause: String| Error::File {
        path: path.into(),
        cause,
    };
    let bytes = loclin_tensor::file::read(path).map_err(|e| error(e.to_string()))?;
    read(&bytes, Some(path), options, dtype, device).map_err(|e| error(e.to_string()))
}

/// Reads the bytes of a model file that keeps no data outside itself.
///
/// # Errors
/// [`Error::Malformed`] if the bytes are no ONNX model, [`Error::Unreadable`], [`Error::UnsupportedOperator`],
/// [`Error::Translation`] with the node that cannot be translated and why, and [`Error::NotFinite`] for its parameters.
///
/// ```
/// use candle_core::{DType, Device};
/// let error = loclin_models::onnx::from_bytes(b"not a model", DType::F64, &Device::Cpu).unwrap_err();
/// assert!(error.to_string().starts_with("not a well-formed ONNX file"));
/// ```
pub fn from_bytes(bytes: &[u8], dtype: DType, device: &Device) -> Result<Model> {
    Ok(from_bytes_with(bytes, &Options::default(), dtype, device)?.model)
}

/// [`from_bytes`] with a choice of what is read, which says what was left out.
///
/// # Errors
/// Those of [`from_bytes`], and options that do not fit the file.
pub fn from_bytes_with(
    bytes: &[u8],
    options: &Options,
    dtype: DType,
    device: &Device,
) -> Result<Loaded> {
    read(bytes, None, options, dtype, device)
}

/// The operators that can be translated, in alphabetical order.
pub fn supported() -> impl Iterator<Item = &'static str> {
    reader::supported()
}

fn read(
    bytes: &[u8],
    model: Option<&Path>,
    options: &Options,
    dtype: DType,
    device: &Device,
) -> Result<Loaded> {
    let unpacked = foreign::unpacked(bytes).map_err(Error::Unreadable)?;
    if let Some(found) = foreign::named(&unpacked) {
        return Err(Error::Unreadable(format!("{found}, expected an ONNX file")));
    }
    let place = translator::Place {
        size: unpacked.len(),
        model,
        dtype,
        device: device.clone(),
    };
    reader::read(&unpacked, options, &place)
}
