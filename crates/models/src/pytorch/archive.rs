//! The archive of `torch.save` since PyTorch 1.6: a pickle, and a part for each storage.

use super::{
    find,
    object::Outcome,
    pickle, refusals,
    state_dict::{StateDict, is_counter, malformed, says},
    view::{self, Room},
};
use crate::error::Result;
use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
};
use zip::{
    ZipArchive,
    read::{ArchiveOffset, Config},
    result::ZipError,
};

/// The tensors of an archive.
pub(super) fn tensors(bytes: &[u8]) -> Result<StateDict> {
    // Nothing stands before the archive. Where its start is searched for, a first entry of the directory that is as long as the records
    // behind the directory (`data.pkl` below a name of 21 characters) is skipped.
    let config = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    let zip = ZipArchive::with_config(config, Cursor::new(bytes));
    let zip = zip.map_err(|e| malformed(e.to_string()))?;
    let names: Vec<String> = zip
        .file_names()
        .filter_map(|name| Some(name.ok()?.into_owned()))
        .collect();
    if let Some(refusal) = refusals::archive(&names) {
        return Err(refusal);
    }
    let prefixes = names.iter().filter_map(|name| {
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
    let (objects, root, _) = pickle::read(&pickle).map_err(malformed)?;

    let mut storages: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut room = Room::of_file(bytes.len());
    let mut tensors = Vec::new();
    for (name, view) in find::entries(&objects, root)? {
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
        let tensor =
            view::read(view, &storages[key], &mut room).map_err(|cause| says(name, cause))?;
        tensors.push((name.to_string(), tensor));
    }
    Ok(tensors)
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
