//! Hostile headers allocate nothing: a program of its own, because it watches its own memory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod common;

use std::fs::File;
use std::io::{self, Read, Write};

use common::{assert_says, npy, write};
use flate2::Compression;
use flate2::write::GzEncoder;
use loclin_data::{Split, idx, npy as npy_file, source};

/// The most address space this program has had so far, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmPeak:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

#[test]
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
    let growth = peak() - before;
    assert!(growth < 16 * MIB, "{growth} bytes beyond {before}");
}
