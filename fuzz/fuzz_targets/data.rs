//! The readers of inputs: an error or numbers, whatever the bytes. The first byte says what the others are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loclin_data::{Data, Split, idx, source, vnnlib};
use std::path::{Path, PathBuf};

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, content)) = bytes.split_first() else { return };
    let ends = ["npy", "jpg", "png", "safetensors", "vnnlib", "idx"];
    let end = ends[usize::from(*kind) % ends.len()];
    let file = file(end);
    if std::fs::write(&file, content).is_ok() {
        read(&file, end);
    }
});

/// One for each process, which is written again and again.
fn file(end: &str) -> PathBuf {
    std::env::temp_dir().join(format!("loclin-fuzz-{}.{end}", std::process::id()))
}

fn read(file: &Path, end: &str) {
    match end {
        "vnnlib" => drop(vnnlib::read(file)),
        "idx" => drop(idx::read(file, 3)),
        _ => {
            let opened = source::open(&file.to_string_lossy(), Split::Test, None, 0);
            // Images are decoded where their numbers are asked for.
            if let Ok(Data::Table(rows)) = opened {
                let _ = rows.rows_f64(&[0]);
            }
        }
    }
}
