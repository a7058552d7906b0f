//! Named tensors from a file: PyTorch's archive of a pickle and storages, or safetensors.

use super::{
    object::{Number, Object, Objects, Outcome, TensorView},
    pickle,
};
use crate::error::{Error, Result};
use candle_core::{Device, Tensor, safetensors::Load};
use half::{bf16, f16};
use safetensors::SafeTensors;
use std::{
    collections::{BTreeMap, HashSet},
    io::{Cursor, Read},
};
use zip::{ZipArchive, result::ZipError};

/// Keys under which checkpoints keep their state dict.
const NESTED: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// Tensors by name: in the order of the file for a pickle (that of the modules), in natural order of the names
/// (`layers.2` before `layers.10`) for safetensors, which keep none.
pub type StateDict = Vec<(String, Tensor)>;

/// Reads the bytes of a `.pth` (`torch.save` of a state dict, or of a dictionary that has one under `state_dict`,
/// `model_state_dict` or `model`) or a `.safetensors` file, on the CPU and in the file's precision.
///
/// Counters of batches (`num_batches_tracked`) are left out. Nothing in a pickle is executed.
///
/// # Errors
/// [`Error::Malformed`] for bytes that are neither, and [`Error::StateDict`] with the tensor that cannot be read.
pub fn state_dict(bytes: &[u8]) -> Result<StateDict> {
    let tensors = match bytes {
        // The length of a safetensors header may have any bytes; the header itself begins with a brace.
        [_, _, _, _, _, _, _, _, b'{', ..] => from_safetensors(bytes)?,
        [b'P', b'K', ..] => from_archive(bytes)?,
        // The pickles of `torch.save` before version 1.6 and of `pickle.dump` begin so.
        [0x80, ..] => {
            return Err(malformed(
                "a bare pickle; save with torch.save of PyTorch 1.6 or later".into(),
            ));
        }
        _ => from_safetensors(bytes)?,
    };
    let mut names = HashSet::new();
    match tensors
        .iter()
        .find(|(name, _)| !names.insert(name.as_str()))
    {
        Some((name, _)) => Err(says(name, "is there twice")),
        None => Ok(tensors),
    }
}

fn malformed(cause: String) -> Error {
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

fn from_safetensors(bytes: &[u8]) -> Result<StateDict> {
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
            if !tensor.dtype().is_float() {
                return Err(says(
                    &name,
                    format!("holds {:?}, not floats", tensor.dtype()),
                ));
            }
            if tensor.elem_count() == 0 {
                return Err(says(
                    name.as_str(),
                    format!("is empty: shape {:?}", tensor.dims()),
                ));
            }
            tensors.push((name, tensor));
        }
    }
    tensors.sort_by_cached_key(|(name, _)| natural(name));
    Ok(tensors)
}

fn is_counter(name: &str) -> bool {
    name.ends_with("num_batches_tracked")
}

/// Parts of a name between dots, numbers as numbers.
fn natural(name: &str) -> Vec<(u64, String)> {
    let part = |part: &str| match part.parse() {
        Ok(number) => (number, String::new()),
        Err(_) => (u64::MAX, part.to_string()),
    };
    name.split('.').map(part).collect()
}

/// An archive whose parts together may not be larger than itself (parts that overlap could be).
struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    left: u64,
}

impl Archive<'_> {
    fn part(&mut self, name: &str) -> Outcome<Option<Vec<u8>>> {
        let part = match self.zip.by_name(name) {
            Ok(part) => part,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(e) => return Err(format!("`{name}`: {e}")),
        };
        let size = part.size();
        let Some(left) = self.left.checked_sub(size) else {
            return Err(format!(
                "`{name}`: {size} bytes, more than the file has left"
            ));
        };
        self.left = left;
        let mut bytes = Vec::new();
        part.take(size)
            .read_to_end(&mut bytes)
            .map_err(|e| format!("`{name}`: {e}"))?;
        Ok(Some(bytes))
    }
}

fn from_archive(bytes: &[u8]) -> Result<StateDict> {
    let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| malformed(e.to_string()))?;
    let prefixes = zip.file_names().filter_map(|name| {
        let name = name.ok()?;
        let prefix = name.strip_suffix("data.pkl")?;
        (prefix.is_empty() || prefix.ends_with('/')).then(|| prefix.to_string())
    });
    let prefixes: Vec<String> = prefixes.take(2).collect();
    let [prefix] = &prefixes[..] else {
        return Err(malformed("the archive must hold one data.pkl".into()));
    };
    let mut archive = Archive {
        zip,
        left: bytes.len() as u64,
    };
    let order = archive
        .part(&format!("{prefix}byteorder"))
        .map_err(malformed)?;
    if order.is_some_and(|order| order != b"little") {
        return Err(malformed("numbers are not in little-endian order".into()));
    }
    let pickle = archive
        .part(&format!("{prefix}data.pkl"))
        .map_err(malformed)?;
    let pickle = pickle.unwrap_or_default();
    let (objects, root) = pickle::read(&pickle).map_err(malformed)?;
    let entries = find(&objects, root)
        .ok_or_else(|| malformed("no dictionary of tensors in the pickle".into()))?;

    let mut storages: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    // Tied weights share a storage; tensors that share one without end must not fill the memory.
    let mut left = bytes.len().saturating_mul(4);
    let mut tensors = Vec::new();
    for (key, value) in entries {
        let Object::Text(name) = objects[*key] else {
            return Err(malformed("a state dict with a key that is no text".into()));
        };
        let Object::Tensor(view) = &objects[*value] else {
            return Err(says(name, "is no tensor"));
        };
        if is_counter(name) {
            continue;
        }
        let key = view.storage.key;
        if !storages.contains_key(key) {
            let storage = archive.part(&format!("{prefix}data/{key}"));
            let storage = storage.map_err(|cause| says(name, cause))?;
            storages.insert(
                key,
                storage.ok_or_else(|| says(name, "its storage is missing"))?,
            );
        }
        let storage = &storages[key];
        let tensor = read(view, storage, &mut left).map_err(|cause| says(name, cause))?;
        tensors.push((name.to_string(), tensor));
    }
    Ok(tensors)
}

/// The entries of the state dict in an object: itself, or what a checkpoint keeps under one of [`NESTED`], which may
/// be a list of one.
fn find<'o>(objects: &'o Objects<'_>, root: usize) -> Option<&'o [(usize, usize)]> {
    let mut at = root;
    // A bound, because a pickle can make an object that contains itself.
    for _ in 0..8 {
        at = match &objects[at] {
            Object::List(items) => match items[..] {
                [only] => only,
                _ => return None,
            },
            Object::Dict(entries) => {
                let nested = NESTED.iter().find_map(|wanted| {
                    let found = |(key, value): &&(usize, usize)| {
                        objects[*key] == Object::Text(wanted)
                            && matches!(objects[*value], Object::List(_) | Object::Dict(_))
                    };
                    entries.iter().find(found)
                });
                match nested {
                    Some((_, value)) => *value,
                    None => return Some(entries),
                }
            }
            _ => return None,
        };
    }
    None
}

fn read(view: &TensorView<'_>, storage: &[u8], left: &mut usize) -> Outcome<Tensor> {
    let TensorView { shape, strides, .. } = view;
    let width = match view.storage.number {
        Number::Double => 8,
        Number::Float => 4,
        Number::Half | Number::BFloat16 => 2,
        Number::Integer(bytes) => {
            return Err(format!("holds integers of {bytes} bytes, not floats"));
        }
    };
    if Some(storage.len()) != view.storage.count.checked_mul(width) {
        return Err(format!(
            "{} numbers of {width} bytes in a storage of {} bytes",
            view.storage.count,
            storage.len()
        ));
    }
    let outside = || format!("shape {shape:?} with strides {strides:?} is not within its storage");
    if shape.len() != strides.len() || shape.contains(&0) {
        return Err(format!("shape {shape:?} with strides {strides:?}"));
    }
    let mut steps = shape.iter().zip(strides);
    let last = steps.try_fold(view.offset, |last, (size, stride)| {
        last.checked_add((size - 1).checked_mul(*stride)?)
    });
    last.filter(|last| *last < view.storage.count)
        .ok_or_else(outside)?;
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    let bytes = count
        .and_then(|count| count.checked_mul(width))
        .ok_or_else(outside)?;
    *left = left
        .checked_sub(bytes)
        .ok_or("the tensors outgrow the file many times over")?;
    let places = places(view.offset, shape, strides);
    let tensor = match view.storage.number {
        Number::Double => gather(storage, &places, shape, f64::from_le_bytes),
        Number::Half => gather(storage, &places, shape, f16::from_le_bytes),
        Number::BFloat16 => gather(storage, &places, shape, bf16::from_le_bytes),
        _ => gather(storage, &places, shape, f32::from_le_bytes),
    };
    tensor.map_err(|e| e.to_string())
}

/// Where in the storage each number is, in row-major order.
fn places(offset: usize, shape: &[usize], strides: &[usize]) -> Vec<usize> {
    shape
        .iter()
        .zip(strides)
        .fold(vec![offset], |places, (size, stride)| {
            let along = |place: usize| (0..*size).map(move |i| place + i * stride);
            places.into_iter().flat_map(along).collect()
        })
}

fn gather<const N: usize, T: candle_core::WithDType>(
    storage: &[u8],
    places: &[usize],
    shape: &[usize],
    decode: impl Fn([u8; N]) -> T,
) -> candle_core::Result<Tensor> {
    let (numbers, _) = storage.as_chunks();
    let values: Vec<T> = places.iter().map(|&place| decode(numbers[place])).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}
