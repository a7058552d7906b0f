//! The `p` of an lp ball.

use crate::{Error, Result, rounding::VANISHING};
use loclin_tensor::rounding::{largest, length_up, power_of_two, sum_up, up_by};
use std::{fmt, str::FromStr};

/// An lp norm, `1 <= p <= inf`.
///
/// ```
/// use loclin_regions::Norm;
/// assert_eq!("inf".parse::<Norm>()?, Norm::LINF);
/// assert_eq!(Norm::L1.dual(), Norm::LINF);
/// assert_eq!(Norm::new(4.0)?.dual().p(), 4.0 / 3.0);
/// # Ok::<(), loclin_regions::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Norm(f64);

impl Norm {
    /// Sum of absolute values.
    pub const L1: Self = Self(1.0);
    /// The Euclidean norm.
    pub const L2: Self = Self(2.0);
    /// The largest absolute value.
    pub const LINF: Self = Self(f64::INFINITY);

    /// The lp norm.
    ///
    /// # Errors
    /// A `p` that is not in `[1, inf]`.
    pub fn new(p: f64) -> Result<Self> {
        if p >= 1.0 {
            Ok(Self(p))
        } else {
            Err(Error::Norm(p.to_string()))
        }
    }

    /// `p`.
    pub fn p(self) -> f64 {
        self.0
    }

    /// The norm `q` with `1/p + 1/q = 1`, in which gradients are measured.
    pub fn dual(self) -> Self {
        match self.0 {
            1.0 => Self::LINF,
            f64::INFINITY => Self::L1,
            p => Self(p / (p - 1.0)),
        }
    }

    /// The norm of a vector; NaN if an entry is. Powers are taken of the entries' ratios to the largest where they would overflow
    /// or vanish, however large `p` is.
    pub fn of(self, vector: &[f64]) -> f64 {
        let norm = self.of_entries(vector);
        let in_range = norm > VANISHING && norm < VANISHING.recip();
        let most = largest(vector);
        if self != Self::L2 || in_range || most == 0.0 || !most.is_finite() {
            return norm;
        }
        let scale = power_of_two(most);
        let scaled: Vec<f64> = vector.iter().map(|v| v / scale).collect();
        self.of_entries(&scaled) * scale
    }

    fn of_entries(self, vector: &[f64]) -> f64 {
        let mut total = [0.0; 2];
        match self.0 {
            1.0 => vector.iter().for_each(|v| add(&mut total[0], *v)),
            2.0 => vector.iter().for_each(|v| add_square(&mut total[0], *v)),
            f64::INFINITY => vector.iter().for_each(|v| keep_largest(&mut total[0], *v)),
            p => vector.iter().for_each(|v| add_power(p, &mut total, *v)),
        }
        self.root(&total)
    }

    /// At least the norm of a vector.
    pub(crate) fn of_up(self, vector: &[f64]) -> f64 {
        match self.0 {
            1.0 => sum_up(vector),
            2.0 => length_up(vector),
            f64::INFINITY => largest(vector),
            _ if vector.iter().all(|v| *v == 0.0) => 0.0,
            _ => self.sum_up(self.of(vector), vector.len()),
        }
    }

    /// At least a norm of `size` numbers whose computed value is `norm`, no square of which vanished.
    pub(crate) fn sum_up(self, norm: f64, size: usize) -> f64 {
        match self.0 {
            f64::INFINITY => norm,
            1.0 => up_by(norm, size),
            2.0 => up_by(norm, size + 2),
            // Powers are rounded to a few units in the last place.
            _ => up_by(norm, 16 * size + 64),
        }
    }

    /// At least how many times as large as the l2 norm of a vector of `size` numbers this one can be.
    pub(crate) fn longer_than_l2(self, size: usize) -> f64 {
        match self.0 {
            p if p >= 2.0 => 1.0,
            p => up_by((size as f64).powf(1.0 / p - 0.5), 64),
        }
    }

    /// Numbers kept of a norm while it is summed, an entry at a time: for a general `p`, the sum and what it is relative
    /// to. They begin at 0.
    pub(crate) fn slots(self) -> usize {
        match self.0 {
            1.0 | 2.0 | f64::INFINITY => 1,
            _ => 2,
        }
    }

    /// Adds an entry to each of many norms: `totals` holds [`Norm::slots`] numbers for each of `row`.
    pub(crate) fn accumulate(self, totals: &mut [f64], row: &[f64]) {
        match self.0 {
            1.0 => totals.iter_mut().zip(row).for_each(|(t, v)| add(t, *v)),
            2.0 => totals
                .iter_mut()
                .zip(row)
                .for_each(|(t, v)| add_square(t, *v)),
            f64::INFINITY => totals
                .iter_mut()
                .zip(row)
                .for_each(|(t, v)| keep_largest(t, *v)),
            p => totals
                .chunks_exact_mut(2)
                .zip(row)
                .for_each(|(total, v)| add_power(p, total, *v)),
        }
    }

    /// The norm that [`Norm::slots`] numbers stand for.
    pub(crate) fn root(self, total: &[f64]) -> f64 {
        match self.0 {
            1.0 | f64::INFINITY => total[0],
            2.0 => total[0].sqrt(),
            p => total[1] * total[0].powf(1.0 / p),
        }
    }
}

fn add(total: &mut f64, v: f64) {
    *total += v.abs();
}

fn add_square(total: &mut f64, v: f64) {
    *total += v * v;
}

/// A NaN stays.
fn keep_largest(total: &mut f64, v: f64) {
    *total = if v.abs() > *total || v.is_nan() {
        v.abs()
    } else {
        *total
    };
}

/// Powers of ratios to the largest entry so far: those of the entries themselves would vanish or overflow for large `p`,
/// and a gradient that vanished would not limit the region.
fn add_power(p: f64, total: &mut [f64], v: f64) {
    let (sum, largest) = (total[0], total[1]);
    if v.abs() > largest || v.is_nan() {
        total[0] = sum * (largest / v.abs()).powf(p) + 1.0;
        total[1] = v.abs();
    } else if largest > 0.0 {
        total[0] = sum + (v.abs() / largest).powf(p);
    }
}

impl FromStr for Norm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse()
            .map_err(|_| Error::Norm(text.into()))
            .and_then(Self::new)
            .map_err(|_| Error::Norm(text.into()))
    }
}

impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_that_vanish_or_overflow_have_norms() {
        for size in [1e-300, 1e-170, 1e-160, 1.0, 1e160, 1e300] {
            let norm = Norm::L2.of(&[3.0 * size, -4.0 * size]);
            assert!((norm / (5.0 * size) - 1.0).abs() < 1e-14, "{size}: {norm}");
        }
        assert_eq!(Norm::L2.of(&[0.0; 2]), 0.0);
        assert!(Norm::L2.of(&[1e-200, f64::NAN]).is_nan());
        assert_eq!(Norm::L2.of(&[1e-200, f64::INFINITY]), f64::INFINITY);
    }
}
