//! Tensors that an ONNX model keeps in other files, which must lie in the model's folder.

use super::wire::Outcome;
use std::{
    collections::BTreeMap,
    io::{Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
};

/// How many bytes were read from each file so far: tensors that overlap without end must not make a small file
/// fill the memory.
pub(super) type Ledger = BTreeMap<PathBuf, u64>;

/// Reads the `count` bytes of a tensor whose `external_data` entries are given.
pub(super) fn read(
    entries: &[(&str, &str)],
    count: usize,
    model: Option<&Path>,
    ledger: &mut Ledger,
) -> Outcome<Vec<u8>> {
    let entry = |key| {
        let found = entries.iter().find(|(k, _)| *k == key);
        found.map(|(_, value)| *value)
    };
    let number = |key: &'static str| {
        let parse = |text: &str| text.parse::<u64>();
        entry(key)
            .map(|text| parse(text).map_err(|_| format!("external data with {key} `{text}`")))
            .transpose()
    };
    let location = entry("location").ok_or("external data without a location")?;
    let model = model.ok_or_else(|| {
        format!("external data in `{location}`, and the model was not read from a file")
    })?;
    let path = resolve(model, location)?;
    let says = |cause: String| format!("external data in `{location}`: {cause}");
    let mut file = loclin_tensor::file::open(&path).map_err(|e| says(e.to_string()))?;
    let available = file.metadata().map_err(|e| says(e.to_string()))?.len();
    let count = count as u64;
    if let Some(length) = number("length")?.filter(|length| *length != count) {
        return Err(says(format!(
            "{length} bytes, where the shape needs {count}"
        )));
    }
    let offset = number("offset")?.unwrap_or(0);
    if offset.checked_add(count).is_none_or(|end| end > available) {
        return Err(says(format!(
            "{count} bytes from {offset} on in a file of {available}"
        )));
    }
    let read = ledger.entry(path.clone()).or_default();
    *read = read.saturating_add(count);
    if *read > available.saturating_mul(2) {
        return Err(says("tensors overlap too often".into()));
    }
    file.seek(SeekFrom::Start(offset))
        .map_err(|e| says(e.to_string()))?;
    let mut data = Vec::new();
    file.take(count)
        .read_to_end(&mut data)
        .map_err(|e| says(e.to_string()))?;
    match data.len() as u64 == count {
        true => Ok(data),
        false => Err(says("the file ends early".into())),
    }
}

/// The file at `location` beside the model's file; an error if it leads out of the folder, also through a link. Where the model is a link
/// itself, as in caches that keep files elsewhere, the other may lead to where the model lies.
fn resolve(model: &Path, location: &str) -> Outcome<PathBuf> {
    // The parent of a bare file name is the empty path.
    let parent = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let folder = parent(model);
    let relative = Path::new(location);
    let inside = relative
        .components()
        .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    let leaves = || format!("external data in `{location}`, which is not in the model's folder");
    if !inside || location.is_empty() {
        return Err(leaves());
    }
    let absolute = |path: &Path| {
        path.canonicalize()
            .map_err(|e| format!("external data in `{location}`: {e}"))
    };
    let path = absolute(&folder.join(relative))?;
    let lies = parent(&absolute(model)?);
    match path.starts_with(absolute(&folder)?) || path.parent() == Some(&lies) {
        true => Ok(path),
        false => Err(leaves()),
    }
}
