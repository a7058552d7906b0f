//! The three kinds of map that every operator becomes.

use super::number::Rational;

/// A map of the numbers of its operands, one operand after the other in row-major order.
#[derive(Debug, Clone)]
pub enum Map {
    /// Each number of the result is a weighted sum.
    Affine(Vec<Row>),
    /// A continuous piecewise-linear function of each number.
    Activation {
        /// Where the slope changes, increasing.
        breakpoints: Vec<Rational>,
        /// The slopes of each unit, one more than there are breakpoints; one list for all units or one for each.
        slopes: Vec<Vec<Rational>>,
        /// The value at the first breakpoint.
        anchor: Rational,
    },
    /// Each number of the result is the largest of a group, the first of equal ones.
    Largest(Vec<Vec<usize>>),
}

/// `offset + sum of weight * entry`.
#[derive(Debug, Clone)]
pub struct Row {
    /// Weights and the entries that they multiply.
    pub terms: Vec<(Rational, usize)>,
    /// What is added.
    pub offset: Rational,
}

impl Row {
    /// One entry as it is.
    pub fn copy(entry: usize) -> Self {
        Self {
            terms: vec![(Rational::ONE, entry)],
            offset: Rational::ZERO,
        }
    }

    /// A weighted sum without offset.
    pub fn sum(terms: Vec<(Rational, usize)>) -> Self {
        Self {
            terms,
            offset: Rational::ZERO,
        }
    }

    /// `weight * entry + offset`.
    pub fn line(weight: Rational, entry: usize, offset: Rational) -> Self {
        Self {
            terms: vec![(weight, entry)],
            offset,
        }
    }

    /// A constant.
    pub fn constant(offset: Rational) -> Self {
        Self {
            terms: Vec::new(),
            offset,
        }
    }
}
