//! Element types of arrays in files.

use std::ops::Range;

use safetensors::Dtype;

use crate::error::Error;
use crate::file::{Block, Source};
use crate::values::Values;

/// How a value of an array is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element {
    kind: Kind,
    big_endian: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    Bf16,
    F32,
    F64,
}

impl Element {
    /// The types of `.npy` files, in words.
    pub(crate) const NPY: &str = "b1, an integer (i1 to i8, u1 to u8) or a float (f2, f4, f8)";

    /// The types of `.safetensors` files, in words.
    pub(crate) const SAFETENSORS: &str =
        "BOOL, an integer (I8 to I64, U8 to U64), F16, BF16, F32 or F64";

    /// The type that NumPy calls so.
    pub(crate) fn of_npy(descr: &str) -> Option<Self> {
        let kind = match descr.get(1..)? {
            "b1" => Kind::Bool,
            "u1" => Kind::U8,
            "i1" => Kind::I8,
            "u2" => Kind::U16,
            "i2" => Kind::I16,
            "u4" => Kind::U32,
            "i4" => Kind::I32,
            "u8" => Kind::U64,
            "i8" => Kind::I64,
            "f2" => Kind::F16,
            "f4" => Kind::F32,
            "f8" => Kind::F64,
            _ => return None,
        };
        let one_byte = matches!(kind, Kind::Bool | Kind::U8 | Kind::I8);
        let big_endian = match descr.get(..1)? {
            "<" => false,
            ">" => true,
            "|" if one_byte => false,
            _ => return None,
        };
        Some(Self { kind, big_endian })
    }

    /// The type of a tensor.
    pub(crate) fn of_safetensors(dtype: Dtype) -> Option<Self> {
        let kind = match dtype {
            Dtype::BOOL => Kind::Bool,
            Dtype::U8 => Kind::U8,
            Dtype::I8 => Kind::I8,
            Dtype::U16 => Kind::U16,
            Dtype::I16 => Kind::I16,
            Dtype::U32 => Kind::U32,
            Dtype::I32 => Kind::I32,
            Dtype::U64 => Kind::U64,
            Dtype::I64 => Kind::I64,
            Dtype::F16 => Kind::F16,
            Dtype::BF16 => Kind::Bf16,
            Dtype::F32 => Kind::F32,
            Dtype::F64 => Kind::F64,
            _ => return None,
        };
        let big_endian = false;
        Some(Self { kind, big_endian })
    }

    /// Bytes of an element.
    pub(crate) fn bytes(self) -> u64 {
        match self.kind {
            Kind::Bool | Kind::U8 | Kind::I8 => 1,
            Kind::U16 | Kind::I16 | Kind::F16 | Kind::Bf16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 => 8,
        }
    }

    /// The rows of `ranges`, as [`Source::rows`] reads them, in the smallest type that holds every element exactly.
    pub(crate) fn rows(
        self,
        source: &mut Source<'_>,
        block: &Block<'_>,
        ranges: &[Range<usize>],
    ) -> Result<Values, Error> {
        /// The bytes of a word in little-endian order.
        fn little<const N: usize>(big_endian: bool) -> impl Fn([u8; N]) -> [u8; N] {
            move |mut word| {
                if big_endian {
                    word.reverse();
                }
                word
            }
        }
        let big = self.big_endian;
        let (w2, w4, w8) = (little::<2>(big), little::<4>(big), little::<8>(big));
        // The first integer that no float64 is equal to.
        let mut inexact: Option<i128> = None;
        let mut exact = |integer: i128| {
            let float = integer as f64;
            if float as i128 != integer {
                inexact.get_or_insert(integer);
            }
            float
        };
        let values = match self.kind {
            Kind::Bool => {
                Values::F32(source.rows(block, ranges, |[b]| f32::from(u8::from(b != 0)))?)
            }
            Kind::U8 => Values::Bytes(source.rows(block, ranges, |[byte]| byte)?),
            Kind::I8 => Values::F32(source.rows(block, ranges, |[b]| f32::from(b.cast_signed()))?),
            Kind::U16 => {
                Values::F32(source.rows(block, ranges, |w| f32::from(u16::from_le_bytes(w2(w))))?)
            }
            Kind::I16 => {
                Values::F32(source.rows(block, ranges, |w| f32::from(i16::from_le_bytes(w2(w))))?)
            }
            Kind::U32 => {
                Values::F64(source.rows(block, ranges, |w| f64::from(u32::from_le_bytes(w4(w))))?)
            }
            Kind::I32 => {
                Values::F64(source.rows(block, ranges, |w| f64::from(i32::from_le_bytes(w4(w))))?)
            }
            Kind::U64 => Values::F64(
                source.rows(block, ranges, |w| exact(u64::from_le_bytes(w8(w)).into()))?,
            ),
            Kind::I64 => Values::F64(
                source.rows(block, ranges, |w| exact(i64::from_le_bytes(w8(w)).into()))?,
            ),
            Kind::F16 => {
                Values::F32(source.rows(block, ranges, |w| half(u16::from_le_bytes(w2(w))))?)
            }
            Kind::Bf16 => Values::F32(source.rows(block, ranges, |w| {
                f32::from_bits(u32::from(u16::from_le_bytes(w2(w))) << 16)
            })?),
            Kind::F32 => Values::F32(source.rows(block, ranges, |w| f32::from_le_bytes(w4(w)))?),
            Kind::F64 => Values::F64(source.rows(block, ranges, |w| f64::from_le_bytes(w8(w)))?),
        };
        match inexact {
            None => Ok(values),
            Some(integer) => Err(Error::malformed(
                source.name(),
                "values",
                integer.to_string(),
                "integers that float64 holds exactly, as all up to 2^53 are",
            )),
        }
    }
}

/// A number of 16 bits: a sign, 5 bits of exponent and 10 of fraction (IEEE 754 binary16).
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    };
    sign * size
}
