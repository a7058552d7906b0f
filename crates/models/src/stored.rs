//! Files of tensors, which are read only where their header describes a file of their length: a sparse file of any
//! length costs nothing on the disk.

use std::{
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use crate::foreign;
use candle_core::Tensor;
use loclin_tensor::{file, is_float};
use safetensors::tensor::Metadata;

/// The longest header that safetensors allows.
const MAX_HEADER: u64 = 100_000_000;

/// Why a stored tensor is no parameter, where it holds no floats that are computed with.
pub(crate) fn check_floats(tensor: &Tensor) -> Result<(), String> {
    match tensor.dtype() {
        dtype if is_float(dtype) => Ok(()),
        dtype => Err(format!("holds {dtype:?}, not floats of 16 bits or more")),
    }
}

/// All bytes of a safetensors file whose header has been checked, or of an archive or pickle; otherwise why not.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut file = file::open(path).map_err(|e| e.to_string())?;
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    let mut start = Vec::new();
    let read = (&mut file).take(9).read_to_end(&mut start);
    read.map_err(|e| e.to_string())?;
    match start[..] {
        // Archives and pickles as PyTorch writes them; their readers follow the structure.
        [b'P', b'K', .., last] | [0x80, .., last] if last != b'{' => {}
        [a, b, c, d, e, f, g, h, ..] => {
            let count = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            file.seek(SeekFrom::Start(8)).map_err(|e| e.to_string())?;
            check_header(&mut file, count, length)
                .or_else(|cause| Err(other(&mut file)?.unwrap_or(cause)))?;
        }
        // Too short for any format, whose readers say so.
        _ => {}
    }
    file.rewind().map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// What a file is that is no model, if that is known.
fn other(file: &mut (impl Read + Seek)) -> Result<Option<String>, String> {
    file.rewind().map_err(|e| e.to_string())?;
    let mut start = Vec::new();
    let read = file.take(256).read_to_end(&mut start);
    read.map_err(|e| e.to_string())?;
    Ok(foreign::named(&start).map(String::from))
}

/// Checks the `count` bytes of the header that come next in a safetensors file of `length` bytes.
fn check_header(file: &mut impl Read, count: u64, length: u64) -> Result<(), String> {
    let refuse = |cause: String| {
        Err(format!(
            "not a complete safetensors file ({cause}; {length} bytes)"
        ))
    };
    if count > MAX_HEADER.min(length.saturating_sub(8)) {
        return refuse(format!("its header claims {count} bytes"));
    }
    let mut header = Vec::new();
    let read = file.take(count).read_to_end(&mut header);
    read.map_err(|e| e.to_string())?;
    match serde_json::from_slice::<Metadata>(&header) {
        Err(cause) => refuse(format!("no header: {cause}")),
        Ok(described) if (described.data_len() as u64).checked_add(8 + count) != Some(length) => {
            let data = described.data_len();
            refuse(format!("its header describes {data} bytes of tensors"))
        }
        Ok(_) => Ok(()),
    }
}
