//! The `p` of an lp ball.

use crate::{Error, Result};
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

    /// The lp norm; an error unless `1 <= p <= inf`.
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

    /// The norm of a vector. Powers are taken of the entries' ratios to the largest, so that they neither
    /// overflow nor vanish, however large `p` is.
    pub fn of(self, vector: &[f64]) -> f64 {
        let magnitudes = vector.iter().map(|v| v.abs());
        match self.0 {
            1.0 => magnitudes.sum(),
            2.0 => magnitudes.map(|v| v * v).sum::<f64>().sqrt(),
            f64::INFINITY => magnitudes.fold(0.0, f64::max),
            p => {
                let largest = magnitudes.clone().fold(0.0, f64::max);
                if largest == 0.0 || !largest.is_finite() {
                    return largest;
                }
                largest
                    * magnitudes
                        .map(|v| (v / largest).powf(p))
                        .sum::<f64>()
                        .powf(1.0 / p)
            }
        }
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
