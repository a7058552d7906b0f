//! Maxout.

use super::{layout::refuse, maxima::Maxima, selection::Groups};
use crate::{error::Error, operator::ShapeResult, spec::OperatorSpec};
use candle_core::Result;

/// The largest of each `pieces` consecutive channels: `[pieces * channels, n...]` to `[channels, n...]`
/// (Goodfellow et al. 2013).
///
/// The selected channel is the unit's piece of the pattern, the first where several are equal; each unit
/// contributes the `pieces - 1` neurons "selected minus other >= 0" (App. E), in the channels' order, unit
/// after unit.
#[derive(Debug)]
pub struct Maxout {
    pieces: usize,
}

impl Maxout {
    /// `pieces` is at least 2.
    ///
    /// # Errors
    /// Fewer than 2 pieces.
    pub fn new(pieces: usize) -> crate::error::Result<Self> {
        if pieces < 2 {
            return Err(Error::Config {
                field: "maxout",
                cause: format!("needs at least 2 pieces, found {pieces}"),
            });
        }
        Ok(Self { pieces })
    }
}

impl Maxima for Maxout {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Maxout {
            pieces: self.pieces,
        })
    }

    fn output_shape(&self, operand: &[usize]) -> ShapeResult {
        let entries = operand.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        let countable = entries.is_some_and(|n| u32::try_from(n).is_ok());
        match operand {
            [channels, rest @ ..] if countable && channels.is_multiple_of(self.pieces) => {
                Ok([&[channels / self.pieces], rest].concat())
            }
            _ => refuse(
                format!(
                    "with a multiple of {} channels, below 2^32 numbers",
                    self.pieces
                ),
                operand,
            ),
        }
    }

    fn groups(&self, operand: &[usize]) -> Result<Groups> {
        let inner: usize = operand[1..].iter().product();
        let pieces = self.pieces;
        Ok(Groups::new((0..operand[0] / pieces).flat_map(
            move |channel| {
                (0..inner).map(move |i| {
                    let entry = |piece| ((channel * pieces + piece) * inner + i) as u32;
                    (0..pieces).map(entry).collect()
                })
            },
        )))
    }

    fn under(&self, operand: &[usize]) -> usize {
        operand.iter().product()
    }
}
