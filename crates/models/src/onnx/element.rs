//! The types of a constant's numbers, and what fits into them.

use super::wire::Outcome;
use half::{bf16, f16};

/// A type of numbers. What is computed is rounded, or wrapped, to that of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Half,
    Brain,
    Single,
    Double,
    Truth,
    /// Integers of so many bits.
    Signed(u32),
    Unsigned(u32),
}

impl Element {
    /// That of an ONNX data type.
    pub(super) fn of(data_type: i64) -> Outcome<Self> {
        Ok(match data_type {
            1 => Self::Single,
            2 => Self::Unsigned(8),
            3 => Self::Signed(8),
            4 => Self::Unsigned(16),
            5 => Self::Signed(16),
            6 => Self::Signed(32),
            7 => Self::Signed(64),
            9 => Self::Truth,
            10 => Self::Half,
            11 => Self::Double,
            12 => Self::Unsigned(32),
            13 => Self::Unsigned(64),
            16 => Self::Brain,
            other => {
                return Err(format!(
                    "data type {other}; supported are FLOAT, DOUBLE, FLOAT16, BFLOAT16, BOOL and integers of 8 to 64 bits"
                ));
            }
        })
    }

    /// Bytes of one number.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Truth => 1,
            Self::Half | Self::Brain => 2,
            Self::Single => 4,
            Self::Double => 8,
            Self::Signed(bits) | Self::Unsigned(bits) => bits as usize / 8,
        }
    }

    /// What ONNX calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Half => "float16",
            Self::Brain => "bfloat16",
            Self::Single => "float",
            Self::Double => "double",
            Self::Truth => "bool",
            Self::Signed(8) => "int8",
            Self::Signed(16) => "int16",
            Self::Signed(32) => "int32",
            Self::Signed(_) => "int64",
            Self::Unsigned(8) => "uint8",
            Self::Unsigned(16) => "uint16",
            Self::Unsigned(32) => "uint32",
            Self::Unsigned(_) => "uint64",
        }
    }

    /// The largest finite number of a floating-point type; infinity of others.
    pub(super) fn largest(self) -> f64 {
        match self {
            Self::Half => f16::MAX.to_f64(),
            Self::Brain => bf16::MAX.to_f64(),
            Self::Single => f32::MAX.into(),
            Self::Double => f64::MAX,
            Self::Truth | Self::Signed(_) | Self::Unsigned(_) => f64::INFINITY,
        }
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::Half | Self::Brain | Self::Single | Self::Double)
    }

    /// The nearest number of a floating-point type.
    pub(super) fn round(self, value: f64) -> f64 {
        match self {
            Self::Half => f16::from_f64(value).to_f64(),
            Self::Brain => bf16::from_f64(value).to_f64(),
            Self::Single => f64::from(value as f32),
            _ => value,
        }
    }

    /// The lowest bits that an integer type keeps.
    pub(super) fn wrap(self, value: i64) -> i64 {
        match self {
            Self::Truth => i64::from(value != 0),
            Self::Unsigned(bits @ ..64) => value & !(-1 << bits),
            Self::Signed(bits @ ..64) => value << (64 - bits) >> (64 - bits),
            _ => value,
        }
    }

    /// The least and the largest number of an integer type.
    pub(super) fn range(self) -> Option<[i128; 2]> {
        match self {
            Self::Signed(bits) => Some([-(1 << (bits - 1)), (1 << (bits - 1)) - 1]),
            Self::Unsigned(bits) => Some([0, (1 << bits) - 1]),
            _ => None,
        }
    }
}
