//! The ONNX reader: an error or a network, whatever the bytes.
#![no_main]

use candle_core::{DType, Device};
use libfuzzer_sys::fuzz_target;
use loclin_models::onnx;

fuzz_target!(|bytes: &[u8]| {
    let _ = onnx::from_bytes(bytes, DType::F32, &Device::Cpu);
});
