//! Where tensors live and how wide their numbers are, as the command line names them.

use std::fmt;
use std::str::FromStr;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// A device as `--device` names it: `cpu`, or `cuda:N` for the N-th GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// The GPU with this ordinal.
    Cuda(usize),
}

impl Device {
    /// Opens the device.
    ///
    /// # Errors
    /// When the GPU does not exist or its driver refuses.
    pub fn open(self) -> anyhow::Result<candle_core::Device> {
        match self {
            Self::Cpu => Ok(candle_core::Device::Cpu),
            Self::Cuda(ordinal) => candle_core::Device::new_cuda(ordinal)
                .with_context(|| format!("--device {self}: cannot open the GPU")),
        }
    }
}

/// Why a device was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Neither `cpu` nor `cuda:N`.
    #[error("expected `cpu` or `cuda:N`, such as `cuda:0`")]
    Unknown,
    /// A GPU was asked for in a build that knows none.
    #[error("this program was built without CUDA; build it with `--features cuda`")]
    NoCuda,
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        if text == "cpu" {
            return Ok(Self::Cpu);
        }
        let ordinal = text.strip_prefix("cuda:").ok_or(DeviceError::Unknown)?;
        let ordinal = ordinal.parse().map_err(|_| DeviceError::Unknown)?;
        if cfg!(feature = "cuda") {
            Ok(Self::Cuda(ordinal))
        } else {
            Err(DeviceError::NoCuda)
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

/// Floating-point type of all tensors, as `--dtype` and the key `dtype` name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 32 bits: fast, about 7 significant digits
    F32,
    /// 64 bits: for exact margins, about 16 significant digits
    F64,
}

impl Dtype {
    /// The tensor library's name for it.
    pub fn candle(self) -> candle_core::DType {
        match self {
            Self::F32 => candle_core::DType::F32,
            Self::F64 => candle_core::DType::F64,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_cpu_or_a_numbered_gpu() {
        assert_eq!("cpu".parse(), Ok(Device::Cpu));
        let gpu = "cuda:3".parse::<Device>();
        assert_eq!(
            gpu,
            if cfg!(feature = "cuda") {
                Ok(Device::Cuda(3))
            } else {
                Err(DeviceError::NoCuda)
            }
        );
        for wrong in ["", "CPU", "cuda", "cuda:", "cuda:-1", "cuda:x", "metal"] {
            assert_eq!(
                wrong.parse::<Device>(),
                Err(DeviceError::Unknown),
                "{wrong}"
            );
        }
    }
}
