//! The paper's binary searches (App. B): margins from activation patterns alone, without any derivative.
//!
//! Independent of the closed forms, and much slower: use them to check those.

use crate::{Error, Linearization, Result, patterns};
use candle_core::{DType, Tensor};

/// What a binary search knows: the margin is at least `inside` and less than `outside`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bracket {
    /// The largest step tried whose points all have the input's pattern.
    pub inside: f64,
    /// The smallest step tried with a point of another pattern; infinite if none was found up to the cap.
    pub outside: f64,
}

/// How long to search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Steps above this are not tried, positive; the default is `1e6`.
    pub cap: f64,
    /// Stop when `outside - inside <= relative * outside`, in (0, 1); the default is `1e-9`.
    pub relative: f64,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            cap: 1e6,
            relative: 1e-9,
        }
    }
}

impl Linearization {
    /// Brackets the l1 margin of one input (Prop. 5): the ball is inside the region exactly if its `2D`
    /// vertices `x +- eps e_k` are.
    ///
    /// # Errors
    /// An input that the batch does not have, or a [`Search`] out of range.
    pub fn l1_margin_by_search(&self, input: usize, search: Search) -> Result<Bracket> {
        let axes = self.axes(0..self.network().input_size())?;
        let both = Tensor::cat(&[&axes, &axes.neg()?], 1)?;
        self.search(input, &both.squeeze(0)?, search)
    }

    /// Brackets the margin of one input in a direction of shape `[in...]` (Prop. 4).
    ///
    /// # Errors
    /// As of [`Linearization::l1_margin_by_search`], and a direction of another shape.
    pub fn directional_margin_by_search(
        &self,
        input: usize,
        direction: &Tensor,
        search: Search,
    ) -> Result<Bracket> {
        self.search(input, &direction.detach().unsqueeze(0)?, search)
    }

    /// Brackets the largest step for which all of `x + step * directions` `[K, in...]` keep the pattern of `x`.
    fn search(&self, input: usize, directions: &Tensor, search: Search) -> Result<Bracket> {
        if input >= self.batch()
            || !(search.cap > 0.0 && search.relative > 0.0 && search.relative < 1.0)
        {
            let cause = format!("input {input} of a batch of {}, {search:?}", self.batch());
            return Err(Error::Argument {
                what: "search",
                cause,
            });
        }
        let precise = &self.prepared.precise;
        let x = self.inputs.narrow(0, input, 1)?;
        let directions = directions.to_dtype(DType::F64)?;
        let pattern = patterns(&self.trace.narrow(input, 1)?)?;
        let chunks = self.budget.chunks(precise, 1, directions.dim(0)?);
        let keeps = |step: f64| -> Result<bool> {
            for range in chunks.iter().map(|chunk| &chunk.tangents) {
                let moved = directions
                    .narrow(0, range.start, range.len())?
                    .affine(step, 0.0)?;
                let trace = precise.trace(&moved.broadcast_add(&x)?)?;
                if patterns(&trace)?.iter().any(|p| *p != pattern[0]) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let mut bracket = Bracket {
            inside: 0.0,
            outside: f64::INFINITY,
        };
        let mut step = 1e-9;
        while bracket.outside.is_infinite() && step <= search.cap {
            if keeps(step)? {
                bracket.inside = step;
                step *= 8.0;
            } else {
                bracket.outside = step;
            }
        }
        while bracket.outside.is_finite()
            && bracket.outside - bracket.inside > search.relative * bracket.outside
        {
            let middle = 0.5 * (bracket.inside + bracket.outside);
            if middle <= bracket.inside || middle >= bracket.outside {
                break;
            }
            if keeps(middle)? {
                bracket.inside = middle
            } else {
                bracket.outside = middle
            }
        }
        Ok(bracket)
    }
}
