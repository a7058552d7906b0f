//! Writes small state dicts as `torch.save` does, also ones that it would not write.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{Cursor, Write};
use zip::{ZipWriter, write::SimpleFileOptions};

/// `BINUNICODE`.
fn text(text: &str) -> Vec<u8> {
    [
        b"X",
        &(text.len() as u32).to_le_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

/// `BININT`.
fn int(value: usize) -> Vec<u8> {
    [b"J", &(value as i32).to_le_bytes()[..]].concat()
}

fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(".to_vec(), items.concat(), b"t".to_vec()].concat()
}

/// A tensor of `f32` in storage `key` with these strides; the storage holds `count` numbers.
pub(crate) fn tensor(key: &str, count: usize, shape: &[usize], strides: &[usize]) -> Vec<u8> {
    let class = b"ctorch\nFloatStorage\n".to_vec();
    let storage = tuple(&[text("storage"), class, text(key), text("cpu"), int(count)]);
    let sizes = |sizes: &[usize]| tuple(&sizes.iter().map(|n| int(*n)).collect::<Vec<_>>());
    let hooks = b"ccollections\nOrderedDict\n)R".to_vec();
    let arguments = [
        [storage, b"Q".to_vec()].concat(),
        int(0),
        sizes(shape),
        sizes(strides),
        vec![0x89],
        hooks,
    ];
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n".to_vec(),
        tuple(&arguments),
        b"R".to_vec(),
    ]
    .concat()
}

/// A dictionary of tensors or of other objects, without what makes a pickle of it.
pub(crate) fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = entries
        .iter()
        .flat_map(|(name, value)| [text(name), value.clone()].concat())
        .collect();
    [b"}(", &items[..], b"u"].concat()
}

/// An object as a whole pickle.
pub(crate) fn whole_pickle(object: &[u8]) -> Vec<u8> {
    [b"\x80\x02", object, b"."].concat()
}

/// A dictionary of tensors, as a whole pickle.
pub(crate) fn pickle(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    whole_pickle(&dictionary(entries))
}

/// A file as PyTorch before 1.6 wrote it: the pickle, and the storages behind it.
pub(crate) fn legacy(pickle: &[u8], storages: &[(&str, Vec<f32>)]) -> Vec<u8> {
    let keys: Vec<u8> = storages.iter().flat_map(|(key, _)| text(key)).collect();
    let mut file = [
        &b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."[..],
        b"\x80\x02M\xe9\x03.",
        &whole_pickle(&dictionary(&[
            ("protocol_version", int(1001)),
            ("little_endian", vec![0x88]),
        ])),
        pickle,
        &whole_pickle(&[b"](", &keys[..], b"e"].concat()),
    ]
    .concat();
    for (_, values) in storages {
        file.extend((values.len() as u64).to_le_bytes());
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    file
}

/// The archive: the pickle and the storages.
pub(crate) fn archive(pickle: &[u8], storages: &[(&str, Vec<f32>)]) -> Vec<u8> {
    archive_of("archive", pickle, storages)
}

/// The same of a file of another name.
pub(crate) fn archive_of(name: &str, pickle: &[u8], storages: &[(&str, Vec<f32>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    zip.start_file(format!("{name}/data.pkl"), options).unwrap();
    zip.write_all(pickle).unwrap();
    for (key, values) in storages {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        zip.start_file(format!("{name}/data/{key}"), options)
            .unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
