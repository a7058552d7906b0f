//! Our own model files, and state dicts in safetensors: an error or a network, whatever the bytes.
#![no_main]

use candle_core::{DType, Device};
use libfuzzer_sys::fuzz_target;
use loclin_models::{
    Model,
    pytorch::{self, Architecture},
};

fuzz_target!(|bytes: &[u8]| {
    let fc = Architecture::Fc { input_shape: None, negative_slope: 0.0, bias: true };
    let _ = Model::from_bytes(bytes, DType::F32, &Device::Cpu);
    let _ = pytorch::from_bytes(bytes, &fc, DType::F32, &Device::Cpu);
});
