//! Element types of arrays in files.

use std::ops::Range;

use crate::file::{Block, Source};
use crate::{Error, Values};

/// How a value of an array is stored.
#[derive(Clone, Copy)]
pub(crate) enum Element {
    Byte,
    F32 { big_endian: bool },
    F64 { big_endian: bool },
}

impl Element {
    /// The rows of `ranges`, as [`Source::rows`] reads them.
    pub(crate) fn rows(
        self,
        source: &mut Source<'_>,
        block: &Block<'_>,
        ranges: &[Range<usize>],
    ) -> Result<Values, Error> {
        Ok(match self {
            Self::Byte => Values::Bytes(source.rows(block, ranges, |[byte]: [u8; 1]| byte)?),
            Self::F32 { big_endian: false } => {
                Values::F32(source.rows(block, ranges, f32::from_le_bytes)?)
            }
            Self::F32 { big_endian: true } => {
                Values::F32(source.rows(block, ranges, f32::from_be_bytes)?)
            }
            Self::F64 { big_endian: false } => {
                Values::F64(source.rows(block, ranges, f64::from_le_bytes)?)
            }
            Self::F64 { big_endian: true } => {
                Values::F64(source.rows(block, ranges, f64::from_be_bytes)?)
            }
        })
    }
}
