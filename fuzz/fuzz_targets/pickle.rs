//! State dicts of PyTorch. Bytes that begin like an archive or the format before it are read as they are; all others become
//! the pickle of an intact archive with two storages, because its checksums would stop nearly every change.
#![no_main]

use candle_core::{DType, Device};
use libfuzzer_sys::fuzz_target;
use loclin_models::pytorch::{self, Architecture};
use std::io::{Cursor, Write};
use zip::{CompressionMethod, ZipWriter, result::ZipResult, write::SimpleFileOptions};

fuzz_target!(|bytes: &[u8]| {
    let fc = Architecture::Fc { input_shape: None, negative_slope: 0.0, bias: true };
    if bytes.starts_with(b"PK") || bytes.starts_with(b"\x80\x02\x8a\x0a") {
        let _ = pytorch::from_bytes(bytes, &fc, DType::F32, &Device::Cpu);
    } else if let Ok(archive) = archive(bytes) {
        let _ = pytorch::from_bytes(&archive, &fc, DType::F32, &Device::Cpu);
    }
});

fn archive(pickle: &[u8]) -> ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [("data.pkl", pickle), ("data/0", &[0; 24]), ("data/1", &[0; 8])] {
        zip.start_file(format!("archive/{name}"), options)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}
