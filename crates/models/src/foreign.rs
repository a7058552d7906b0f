//! Bytes that are something else than a model: what they are, and what to do.

use flate2::read::MultiGzDecoder;
use std::{borrow::Cow, io::Read};

/// How many times larger than packed a file may be.
const RATIO: usize = 32;
/// What a small file may be unpacked to.
const FREE: usize = 1 << 16;

/// What bytes are that are no model, if that is known.
pub(crate) fn named(bytes: &[u8]) -> Option<&'static str> {
    let start = &bytes[..bytes.len().min(256)];
    let text = String::from_utf8_lossy(start)
        .trim_start()
        .to_ascii_lowercase();
    if text.starts_with("version https://git-lfs") {
        return Some("a pointer of git-lfs: fetch the file itself with `git lfs pull`");
    }
    if text.starts_with("<!doctype") || text.starts_with("<html") || text.starts_with("<?xml") {
        return Some("a web page: the download gave a page and not the file");
    }
    match bytes {
        [b'P', b'K', 3, 4, ..] => {
            Some("a zip archive: a PyTorch file, or something that must be unpacked")
        }
        [0x1f, 0x8b, ..] => Some("packed by gzip: unpack it first"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("packed by zstd: unpack it first"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("packed by xz: unpack it first"),
        [0x89, b'H', b'D', b'F', ..] => Some("an HDF5 file: export the Keras model to ONNX"),
        _ => None,
    }
}

/// The bytes unpacked, if they are packed by gzip, in one part or several.
pub(crate) fn unpacked(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(bytes));
    }
    let most = bytes.len().saturating_mul(RATIO).saturating_add(FREE);
    let mut found = Vec::new();
    let read = MultiGzDecoder::new(bytes)
        .take(most as u64 + 1)
        .read_to_end(&mut found);
    read.map_err(|cause| format!("packed by gzip, and cannot be unpacked: {cause}"))?;
    match found.len() > most {
        true => Err(format!(
            "packed by gzip to less than one {RATIO}th, which no model is: unpack it first"
        )),
        false => Ok(Cow::Owned(found)),
    }
}
