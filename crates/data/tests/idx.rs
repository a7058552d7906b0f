//! IDX files: what is written is read back, and no damage goes unnoticed.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod common;

use common::{assert_says, gzip, write};
use loclin_data::{Split, idx, mnist};
use proptest::prelude::*;

/// Dimensions and values of a small array.
fn arrays() -> impl Strategy<Value = (Vec<usize>, Vec<u8>)> {
    prop::collection::vec(1usize..6, 1..4).prop_flat_map(|dims| {
        let count: usize = dims.iter().product();
        (Just(dims), prop::collection::vec(any::<u8>(), count))
    })
}

proptest! {
    #[test]
    fn plain_and_gzip_files_read_back((dims, bytes) in arrays(), packed: bool) {
        let directory = tempfile::tempdir().unwrap();
        let plain = idx::encode(&dims, &bytes).unwrap();
        let path = write(directory.path(), "any name", &if packed { gzip(&plain) } else { plain });
        let read = idx::read(&path, dims.len() as u8).unwrap();
        prop_assert_eq!((read.dims, read.bytes), (dims, bytes));
    }

    /// A header byte has one right value and every byte counts, so cutting, appending or changing
    /// the header is always an error, and never a panic.
    #[test]
    fn a_damaged_file_is_an_error((dims, bytes) in arrays(), packed: bool, at: prop::sample::Index, flip in 1u8..) {
        let directory = tempfile::tempdir().unwrap();
        let plain = idx::encode(&dims, &bytes).unwrap();
        let form = |content: &[u8]| if packed { gzip(content) } else { content.to_vec() };
        let header = 4 + 4 * dims.len();

        let whole = form(&plain);
        let cut = whole[..at.index(whole.len())].to_vec();
        let appended = form(&[plain.as_slice(), &[flip]].concat());
        let mut changed = plain.clone();
        changed[at.index(header)] ^= flip;
        for damaged in [cut, appended, form(&changed)] {
            let path = write(directory.path(), "damaged", &damaged);
            let error = idx::read(&path, dims.len() as u8).unwrap_err();
            assert_says(&error, &["damaged", "found", "expected"]);
        }
    }

    /// Gzip carries a checksum of its content, so a changed byte of the packed form gives an error
    /// or (in the parts of its header without meaning) the same content.
    #[test]
    fn a_changed_gzip_byte_never_changes_values((dims, bytes) in arrays(), at: prop::sample::Index, flip in 1u8..) {
        let directory = tempfile::tempdir().unwrap();
        let mut packed = gzip(&idx::encode(&dims, &bytes).unwrap());
        let position = at.index(packed.len());
        packed[position] ^= flip;
        let path = write(directory.path(), "changed", &packed);
        if let Ok(read) = idx::read(&path, dims.len() as u8) {
            prop_assert_eq!((read.dims, read.bytes), (dims, bytes));
        }
    }

    #[test]
    fn any_bytes_at_all_are_read_or_refused(bytes: Vec<u8>, dims in 0u8..5, start in 0usize..5) {
        let directory = tempfile::tempdir().unwrap();
        let mut content = [0, 0, 8, dims][..start.min(4)].to_vec();
        content.extend(bytes);
        // Either is right here; that neither panics nor hangs is the property.
        if let Ok(read) = idx::read(&write(directory.path(), "any", &content), dims) {
            prop_assert_eq!(read.bytes.len(), read.dims.iter().product::<usize>());
        }
    }
}

#[test]
fn errors_name_file_finding_and_expectation() {
    let directory = tempfile::tempdir().unwrap();
    let image = idx::encode(&[1, 2, 2], &[0; 4]).unwrap();
    let with = |position: usize, byte: u8| {
        let mut bytes = image.clone();
        bytes[position] = byte;
        bytes
    };
    let huge: &[&str] = &[
        "dimensions: found 4278190081 x 2 x 2",
        "at most 4294967296 values",
    ];
    let cases: [(&str, Vec<u8>, &[&str]); 9] = [
        ("empty", vec![], &["magic number", "end of file", "4 bytes"]),
        (
            "zip",
            b"PK\x03\x04".to_vec(),
            &["magic number", "50 4b 03 04", "00 00 08 03"],
        ),
        (
            "floats",
            with(2, 0x0d),
            &["element type", "0x0d (32-bit float)", "0x08"],
        ),
        (
            "labels",
            idx::encode(&[4], &[0; 4]).unwrap(),
            &["number of dimensions: found 1, expected 3"],
        ),
        ("zero", with(7, 0), &["dimension 0: found 0", "at least 1"]),
        ("huge", with(4, 0xff), huge),
        (
            "short",
            image[..18].to_vec(),
            &["values: found 2 bytes", "4 bytes (1 x 2 x 2)"],
        ),
        (
            "long",
            [image.as_slice(), &[0]].concat(),
            &["trailing", "1 x 2 x 2"],
        ),
        (
            "half",
            gzip(&image)[..20].to_vec(),
            &["gzip stream", "whole and intact"],
        ),
    ];
    for (name, bytes, words) in cases {
        let words = [&[name], words].concat();
        let result = idx::read(&write(directory.path(), name, &bytes), 3);
        assert_says(&result.unwrap_err(), &words);
    }
    assert_says(
        &idx::read(directory.path(), 3).unwrap_err(),
        &["found a directory", "expected a file"],
    );
    assert_says(
        &idx::read(&directory.path().join("none"), 3).unwrap_err(),
        &["none"],
    );
}

#[test]
fn encode_refuses_what_read_would_refuse() {
    for (dims, bytes) in [
        (&[2, 2][..], 3),
        (&[0, 2], 0),
        (&[usize::MAX, 3], 1),
        (&[], 0),
    ] {
        assert!(idx::encode(dims, &vec![0; bytes]).is_err(), "{dims:?}");
    }
}

/// A directory in MNIST's layout with `n` images of 2 x 2 and these labels.
fn layout(n: usize, labels: &[u8]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let images: Vec<u8> = (0..4 * n).map(|value| value as u8).collect();
    for (part, separator) in [("train", "-"), ("t10k", ".")] {
        let images = idx::encode(&[n, 2, 2], &images).unwrap();
        write(
            directory.path(),
            &format!("{part}-images{separator}idx3-ubyte.gz"),
            &gzip(&images),
        );
        let labels = idx::encode(&[labels.len()], labels).unwrap();
        write(
            directory.path(),
            &format!("{part}-labels{separator}idx1-ubyte"),
            &labels,
        );
    }
    directory
}

#[test]
fn a_directory_of_images_and_labels_is_a_dataset() {
    let directory = layout(24, &[3; 24]);
    let test = mnist::load_directory(directory.path(), Split::Test, 0).unwrap();
    assert_eq!((test.len(), test.input_shape()), (24, &[1, 2, 2][..]));
    assert_eq!(
        test.rows_f64(&[1]).unwrap(),
        [4.0, 5.0, 6.0, 7.0].map(|byte| byte / 255.0)
    );
    assert_eq!(test.labels(), Some(&[3; 24][..]));
    assert_eq!(test.moments().unwrap().mean, [0.1307]);
    let parts = [Split::Train, Split::Valid]
        .map(|split| mnist::load_directory(directory.path(), split, 5).unwrap());
    assert_eq!(parts.map(|part| part.len()), [22, 2]);
}

#[test]
fn images_and_labels_that_disagree_are_named_both() {
    let error = mnist::load_directory(layout(3, &[0, 1]).path(), Split::Test, 0).unwrap_err();
    assert_says(
        &error,
        &[
            "t10k-images.idx3-ubyte.gz holds 3 rows",
            "t10k-labels.idx1-ubyte holds 2",
        ],
    );
    let error = mnist::load_directory(layout(3, &[0, 10, 1]).path(), Split::Train, 0).unwrap_err();
    assert_says(
        &error,
        &["train-labels-idx1-ubyte: row 1", "label 10", "0 to 9"],
    );
}

#[test]
fn a_directory_that_lacks_a_file_says_which() {
    let directory = layout(2, &[0, 1]);
    std::fs::remove_file(directory.path().join("t10k-labels.idx1-ubyte")).unwrap();
    let error = mnist::load_directory(directory.path(), Split::Test, 0).unwrap_err();
    assert_says(
        &error,
        &[
            "no t10k labels",
            "t10k-labels-idx1-ubyte, t10k-labels-idx1-ubyte.gz, t10k-labels.idx1",
        ],
    );
    std::fs::create_dir(directory.path().join("t10k-labels-idx1-ubyte")).unwrap();
    let error = mnist::load_directory(directory.path(), Split::Test, 0).unwrap_err();
    assert_says(
        &error,
        &["t10k-labels-idx1-ubyte: found a directory, expected a file"],
    );
    let file = write(directory.path(), "file", b"");
    assert_says(
        &mnist::load_directory(&file, Split::Test, 0).unwrap_err(),
        &["expected a directory"],
    );
}
