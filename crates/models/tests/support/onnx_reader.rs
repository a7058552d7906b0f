//! What becomes of the bytes of an ONNX file.

use candle_core::{DType, Device};
use loclin_models::{Network, onnx};

/// The network, in float64.
pub(crate) fn read(bytes: &[u8]) -> Network {
    onnx::from_bytes(bytes, DType::F64, &Device::Cpu)
        .unwrap()
        .network
}

/// Why there is none.
pub(crate) fn refusal(bytes: &[u8]) -> String {
    let found = onnx::from_bytes(bytes, DType::F64, &Device::Cpu);
    found.unwrap_err().to_string()
}
