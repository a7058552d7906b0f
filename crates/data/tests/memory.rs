//! Hostile headers allocate nothing: a program of its own, because it watches its own memory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod common;

use std::fs::File;
use std::io::{self, Read, Write};

use common::{assert_says, npy, write};
use flate2::Compression;
use flate2::write::GzEncoder;
use loclin_data::{Data, Error, Rows, Split, cifar10, idx, npy as npy_file, source};

/// The most address space this program has had so far, in bytes.
fn peak() -> u64 {
    loclin_test_files::peak_memory("VmPeak").unwrap()
}

fn open_rows(name: &str, split: Split, seed: u64, rows: Rows) -> Result<Data, Error> {
    let request = source::Request {
        seed,
        rows,
        ..source::Request::of(split)
    };
    source::open_with(name, &request)
}

/// One after another: a thread of a test takes address space of its own.
#[test]
fn memory_is_taken_for_what_is_read() {
    what_a_header_claims_is_not_allocated();
    other_files_and_records_are_not_read();
    the_rest_of_a_packed_file_is_not_unpacked();
    rows_asked_for_are_those_of_the_whole();
}

fn what_a_header_claims_is_not_allocated() {
    const MIB: u64 = 1 << 20;
    let directory = tempfile::tempdir().unwrap();
    // Four GiB of values claimed, four bytes there.
    let claim = [
        0, 0, 8, 3, 0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 0, 1, 1, 2, 3, 4,
    ];
    let claiming = write(directory.path(), "claim", &claim);
    // Two values claimed, 256 MiB there.
    let bomb = directory.path().join("bomb");
    let mut encoder = GzEncoder::new(File::create(&bomb).unwrap(), Compression::fast());
    encoder.write_all(&[0, 0, 8, 1, 0, 0, 0, 2]).unwrap();
    io::copy(&mut io::repeat(0).take(256 * MIB), &mut encoder).unwrap();
    encoder.finish().unwrap();
    let text = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 2), }";
    let tensor = write(directory.path(), "claim.npy", &npy(text, &[0; 16]));
    let header_length = (1u64 << 40).to_le_bytes();
    let safetensors = write(directory.path(), "claim.safetensors", &header_length);

    let before = peak();
    assert_says(
        &idx::read(&claiming, 3).unwrap_err(),
        &["claim", "found 4 bytes"],
    );
    assert_says(&idx::read(&bomb, 1).unwrap_err(), &["bomb", "trailing"]);
    assert_says(
        &npy_file::read(&tensor).unwrap_err(),
        &["claim.npy", "found 16 bytes"],
    );
    assert!(source::open(safetensors.to_str().unwrap(), Split::Test, None, 0).is_err());
    // A hundred GiB of values that are really there, in a sparse file, and two rows of them asked for.
    let rows = (100 << 30) / (784 * 4);
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 784), }}");
    let sparse = [
        ("sparse.npy", npy(&text, &[])),
        ("sparse.safetensors", described(rows)),
    ];
    for (name, header) in sparse {
        let path = write(directory.path(), name, &header);
        let file = File::options().write(true).open(&path).unwrap();
        let end = header.len() as u64 + rows * 784 * 4;
        file.set_len(end).unwrap();
        let open = |split, rows| open_rows(path.to_str().unwrap(), split, 0, rows);
        for (rows, len) in [(Rows::First(2), 2), (Rows::One(30_000_000), 1)] {
            let read = open(Split::Test, rows).unwrap();
            assert_eq!((read.len(), read.least_features()), (len, 784));
        }
        assert_says(
            &open(Split::Test, Rows::One(rows as usize)).unwrap_err(),
            &[name, "row index"],
        );
        // One byte less, or one more.
        for length in [end - 1, end + 1] {
            file.set_len(length).unwrap();
            assert_says(
                &open(Split::Test, Rows::First(2)).unwrap_err(),
                &[name, "found", "expected"],
            );
        }
    }
    let growth = peak() - before;
    assert!(growth < 16 * MIB, "{growth} bytes beyond {before}");
}

/// The header of a `.safetensors` file of `rows` rows of 784 single-precision numbers.
fn described(rows: u64) -> Vec<u8> {
    let bytes = rows * 784 * 4;
    let text = format!(
        r#"{{"inputs":{{"dtype":"F32","shape":[{rows},784],"data_offsets":[0,{bytes}]}}}}"#
    );
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// With some rows asked for, other images are not even opened, and other records of CIFAR-10 not read.
fn other_files_and_records_are_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let image = image::RgbImage::from_pixel(2, 2, image::Rgb([1, 2, 3]));
    for class in ["a", "b"] {
        let folder = directory.path().join(class);
        std::fs::create_dir(&folder).unwrap();
        image.save(folder.join("0.png")).unwrap();
        write(&folder, "1.png", b"no image");
    }
    let name = directory.path().to_str().unwrap();
    assert_eq!(
        open_rows(name, Split::Test, 0, Rows::First(1))
            .unwrap()
            .len(),
        1
    );
    let one = open_rows(name, Split::Test, 0, Rows::One(2)).unwrap();
    assert_eq!(one.labels(), Some(&[1][..]));
    assert_says(
        &open_rows(name, Split::Test, 0, Rows::First(2)).unwrap_err(),
        &["1.png", "not a JPEG or PNG"],
    );
    // Rows are those that are left where some are left out.
    let skipping = format!("{name},broken=skip");
    let both = open_rows(&skipping, Split::Test, 0, Rows::First(2)).unwrap();
    assert_eq!(both.labels(), Some(&[0, 1][..]));

    // Ten million images, of which the file holds no block on the disk.
    let cifar = tempfile::tempdir().unwrap();
    let file = File::create(cifar.path().join(cifar10::TEST_FILE)).unwrap();
    file.set_len(3073 * 10_000_000).unwrap();
    let before = peak();
    let name = cifar.path().to_str().unwrap();
    for rows in [Rows::First(2), Rows::One(9_999_999)] {
        assert!(open_rows(name, Split::Test, 0, rows).is_ok());
    }
    assert!(peak() - before < 64 << 20);
}

/// A packed file is unpacked up to the last row asked for: one that ends behind it, or goes on for long, is as good.
fn the_rest_of_a_packed_file_is_not_unpacked() {
    let directory = tempfile::tempdir().unwrap();
    let rows = 1 << 22;
    let header = [
        &[0, 0, 8, 3],
        &u32::to_be_bytes(rows)[..],
        &[0, 0, 0, 28, 0, 0, 0, 28],
    ]
    .concat();
    let images = [header, vec![7; 5 * 784]].concat();
    let labels = [&[0, 0, 8, 1], &u32::to_be_bytes(rows)[..], &[3; 5]].concat();
    for (name, bytes) in [("images-idx3", images), ("labels-idx1", labels)] {
        let name = format!("t10k-{name}-ubyte.gz");
        write(directory.path(), &name, &common::gzip(&bytes));
    }
    let name = directory.path().to_str().unwrap();
    let before = peak();
    for rows in [Rows::First(5), Rows::One(4)] {
        let read = open_rows(name, Split::Test, 0, rows).unwrap();
        assert_eq!((read.least_features(), read.labels().unwrap()[0]), (784, 3));
    }
    for rows in [Rows::First(6), Rows::One(5), Rows::All] {
        assert_says(
            &open_rows(name, Split::Test, 0, rows).unwrap_err(),
            &["found 3920 bytes"],
        );
    }
    assert!(peak() - before < 64 << 20);
}

fn rows_asked_for_are_those_of_the_whole() {
    let directory = tempfile::tempdir().unwrap();
    let values: Vec<u8> = (0..60u8).collect();
    let labels: Vec<u8> = (0..20).map(|row| row % 10).collect();
    write(
        directory.path(),
        "a.npy",
        &npy(
            "{'descr': '|u1', 'fortran_order': False, 'shape': (20, 3)}",
            &values,
        ),
    );
    let header = r#"{"inputs":{"dtype":"U8","shape":[20,3],"data_offsets":[20,80]},"labels":{"dtype":"U8","shape":[20],"data_offsets":[0,20]}}"#;
    let length = (header.len() as u64).to_le_bytes();
    let bytes = [&length, header.as_bytes(), &labels, &values].concat();
    write(directory.path(), "a.safetensors", &bytes);
    for (folder, packed) in [("plain", false), ("packed", true)] {
        let folder = directory.path().join(folder);
        std::fs::create_dir(&folder).unwrap();
        for part in ["train", "t10k"] {
            let images = idx::encode(&[20, 1, 3], &values).unwrap();
            let labels = idx::encode(&[20], &labels).unwrap();
            for (name, bytes) in [("images-idx3", images), ("labels-idx1", labels)] {
                let name = format!("{part}-{name}-ubyte");
                write(
                    &folder,
                    &name,
                    &if packed { common::gzip(&bytes) } else { bytes },
                );
            }
        }
    }
    let fortran = "{'descr': '|u1', 'fortran_order': True, 'shape': (20, 3)}";
    write(directory.path(), "f.npy", &npy(fortran, &values));
    // Five files of four images each, and one of twenty.
    let cifar = directory.path().join("cifar");
    let photos = directory.path().join("photos");
    for folder in [&cifar, &photos] {
        std::fs::create_dir(folder).unwrap();
    }
    let records = |labels: &[u8]| -> Vec<u8> {
        let record = |label: &u8| [vec![*label], vec![*label + 7; 3072]].concat();
        labels.iter().flat_map(record).collect()
    };
    for (part, name) in labels.chunks(4).zip(cifar10::TRAIN_FILES) {
        write(&cifar, name, &records(part));
    }
    write(&cifar, cifar10::TEST_FILE, &records(&labels));
    for index in 0..20u8 {
        let image = image::RgbImage::from_pixel(2, 3, image::Rgb([index, 9, 100]));
        image.save(photos.join(format!("{index:02}.png"))).unwrap();
    }
    for name in [
        "a.npy",
        "f.npy",
        "a.safetensors",
        "plain",
        "packed",
        "cifar",
        "photos",
        "digits",
    ] {
        let path = directory.path().join(name);
        let name = if name == "digits" {
            name
        } else {
            path.to_str().unwrap()
        };
        for split in [Split::Train, Split::Valid, Split::Test] {
            let all = source::open(name, split, None, 5).unwrap();
            let some = |rows| open_rows(name, split, 5, rows);
            let last = all.len() - 1;
            assert_eq!(some(Rows::First(3)).unwrap(), all.clone().take(3).unwrap());
            assert_eq!(some(Rows::First(10_000)).unwrap(), all);
            assert_eq!(some(Rows::One(last)).unwrap(), all.subset(&[last]).unwrap());
            assert!(some(Rows::First(0)).is_err());
            assert_says(&some(Rows::One(all.len())).unwrap_err(), &["row index"]);
        }
    }
}
