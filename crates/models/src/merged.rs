//! Neighbouring affine operators that a program may merge: a sum of products with the normalisations before and behind it.
//!
//! The parameters of a merged operator are products of parameters. They may overflow or vanish where the parameters do not. And they are
//! multiplied with the terms of what was one number: where a mean is subtracted first, the difference may be smaller than both.

use crate::{
    error::Result,
    operator::{Affine, Made, Magnitude},
};
use candle_core::{DType, Tensor};

/// Operators that may be merged with one another, and with what reads their numbers.
#[derive(Debug, Clone)]
pub(crate) struct Merged {
    /// At least the sums of the absolute values of the terms that the normalisations behind the last sum compute their numbers from,
    /// `[B, shape...]`; `None` if there are none.
    pub(crate) terms: Option<Tensor>,
    /// At least the largest absolute value of a term of what they compute and 1, together, `[B]`: what a product of parameters is multiplied
    /// with, which may vanish.
    pub(crate) most: Tensor,
    /// The roundings of all.
    pub(crate) roundings: usize,
    /// By what factor an output is off where a number on the way vanishes.
    pub(crate) lost: f64,
    /// The largest product of parameters of the last sum and the normalisations around it.
    pub(crate) around: f64,
    /// The same of the normalisations behind the last sum.
    behind: f64,
}

impl Merged {
    /// An operator that has nothing below to be merged with, given the absolute values of its operands' numbers, each `[B, in...]`.
    pub(crate) fn none(points: &[Tensor]) -> Result<Self> {
        let mut most = Tensor::zeros(points[0].dim(0)?, DType::F64, points[0].device())?;
        for points in points {
            most = (most + largest(points)?)?;
        }
        Ok(Self {
            terms: None,
            most: (most + 1.0)?,
            roundings: 0,
            lost: 1.0,
            around: 1.0,
            behind: 1.0,
        })
    }

    /// What may be merged below one of the operands or the other.
    pub(crate) fn or(self, other: &Self) -> Result<Self> {
        Ok(Self {
            terms: self.terms.or_else(|| other.terms.clone()),
            most: self.most.maximum(&other.most)?,
            roundings: self.roundings.max(other.roundings),
            lost: self.lost.max(other.lost),
            around: self.around.max(other.around),
            behind: self.behind.max(other.behind),
        })
    }

    /// With an operator that reads their numbers, given the absolute values of those, each `[B, in...]`, and the sums of absolute values that
    /// it computes its own from, `[B, out...]`.
    pub(crate) fn with(
        self,
        operator: &dyn Affine,
        magnitude: &Magnitude,
        points: &[Tensor],
        sums: &Tensor,
    ) -> Result<Self> {
        let most = self.most.maximum(&(largest(sums)? + 1.0)?)?;
        let (terms, around, behind) = match operator.made() {
            Made::Moved => {
                let terms = self.terms.is_some().then(|| sums.clone());
                (terms, self.around, self.behind)
            }
            Made::Scaled | Made::Normalized => {
                let own = largest_parameter(operator, magnitude, points)?;
                (Some(sums.clone()), self.around * own, self.behind * own)
            }
            Made::Mixed => {
                let own = largest_parameter(operator, magnitude, points)?;
                (None, self.behind * own, 1.0)
            }
        };
        Ok(Self {
            terms,
            most,
            around,
            behind,
            ..self
        })
    }
}

/// The largest entry of each batch element of `[B, shape...]`, none negative, as `[B]`.
fn largest(numbers: &Tensor) -> candle_core::Result<Tensor> {
    match numbers.elem_count() {
        0 => Tensor::zeros(numbers.dim(0)?, numbers.dtype(), numbers.device()),
        _ => numbers.flatten_from(1)?.max(1),
    }
}

/// At least the largest absolute value that an operator multiplies a number with.
fn largest_parameter(
    operator: &dyn Affine,
    magnitude: &Magnitude,
    points: &[Tensor],
) -> Result<f64> {
    let parameters = operator.parameters();
    let weight = parameters.iter().find(|(name, _)| *name == "weight");
    let numbers = match (operator.products(), weight) {
        (Some(_), Some((_, weight))) => weight.detach().abs()?,
        _ => {
            let ones = points.iter().map(|points| {
                let one = points.narrow(0, 0, 1)?.unsqueeze(1)?;
                one.ones_like()
            });
            let ones = ones.collect::<candle_core::Result<Vec<_>>>()?;
            magnitude.operator.push(&ones.iter().collect::<Vec<_>>())?
        }
    };
    if numbers.elem_count() == 0 {
        return Ok(0.0);
    }
    let largest = numbers.flatten_all()?.max(0)?.to_dtype(DType::F64)?;
    Ok(largest.to_scalar::<f64>()?)
}
