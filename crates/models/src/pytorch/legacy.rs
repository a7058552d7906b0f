//! The format of `torch.save` before PyTorch 1.6, and since then of `_use_new_zipfile_serialization=False`.
//!
//! Five pickles one after the other (a magic number, the protocol's version, sizes of the writer's integers, the object,
//! the list of its storages' keys), then each storage in the order of that list: how many numbers it holds, as eight bytes,
//! and the numbers.

use super::{
    bytes::Bytes,
    find,
    object::{Number, Object, Objects, Outcome},
    pickle,
    state_dict::{StateDict, is_counter, malformed, says},
    view::{self, Room},
};
use crate::error::Result;
use std::collections::HashMap;

/// The number that the first pickle is, `0x1950a86a20f9469cfc6c`, with the instruction before it.
const MAGIC: [u8; 12] = *b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
/// The one version of the protocol.
const VERSION: i64 = 1001;

/// Whether bytes begin as this format does.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(32)];
    start.windows(MAGIC.len()).any(|window| window == MAGIC)
}

/// The tensors of a file.
pub(super) fn tensors(bytes: &[u8]) -> Result<StateDict> {
    let (_, _, rest) = pickle::read(bytes).map_err(malformed)?;
    let (versions, version, rest) = pickle::read(rest).map_err(malformed)?;
    if versions[version] != Object::Int(VERSION) {
        let cause = format!(
            "version {:?} of the format, expected {VERSION}",
            versions[version]
        );
        return Err(malformed(cause));
    }
    let (_, _, rest) = pickle::read(rest).map_err(malformed)?;
    let (objects, root, rest) = pickle::read(rest).map_err(malformed)?;
    let entries = find::entries(&objects, root)?;
    let (keys, list, rest) = pickle::read(rest).map_err(malformed)?;
    let storages = storages(&objects, &keys, list, rest).map_err(malformed)?;
    let mut room = Room::of_file(bytes.len());
    let mut tensors = Vec::new();
    for (name, view) in entries {
        if is_counter(name) {
            continue;
        }
        let storage = storages.get(view.storage.key);
        let storage = storage.ok_or_else(|| says(name, "its storage is missing"))?;
        let tensor = view::read(view, storage, &mut room).map_err(|cause| says(name, cause))?;
        tensors.push((name.to_string(), tensor));
    }
    Ok(tensors)
}

/// The bytes of each storage by its key.
fn storages<'a>(
    objects: &Objects<'_>,
    keys: &Objects<'a>,
    list: usize,
    rest: &'a [u8],
) -> Outcome<HashMap<&'a str, &'a [u8]>> {
    let kinds: HashMap<&str, Number> = objects
        .iter()
        .filter_map(|object| match object {
            Object::Storage(storage) => Some((storage.key, storage.number)),
            _ => None,
        })
        .collect();
    let Object::List(list) = &keys[list] else {
        return Err("no list of storages".into());
    };
    let mut bytes = Bytes(rest);
    let mut found = HashMap::new();
    for id in list {
        let Object::Text(key) = keys[*id] else {
            return Err("a storage whose key is no text".into());
        };
        let kind = kinds.get(key).ok_or("a storage that no tensor has")?;
        let count = u64::from_le_bytes(bytes.array()?);
        let length = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(kind.width()));
        found.insert(
            key,
            bytes.take(length.ok_or("a storage larger than the file")?)?,
        );
    }
    Ok(found)
}
