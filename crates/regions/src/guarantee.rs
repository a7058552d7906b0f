//! What is claimed of a radius.

use crate::{Error, Result};
use candle_core::DType;
use std::fmt;
use std::str::FromStr;

/// What is claimed of a margin; set where the number is made, and shown wherever it is.
///
/// The claims are of real arithmetic, for the network with the parameters that it has and the input as given: radii are computed
/// in floating point, and are less by all that its rounding can have done.
///
/// ```
/// use loclin_regions::Guarantee;
///
/// let some = Guarantee::Probable { failure_probability: 1e-9 };
/// assert_eq!(some.name(), "probable(1e-9)");
/// assert_eq!(Guarantee::Proved.weaker(some), some);
/// assert_eq!(Guarantee::Deployed { dtype: candle_core::DType::F32 }.name(), "deployed(f32)");
/// assert_eq!(Guarantee::Estimate.to_string(), "an estimate");
/// assert_eq!("probable(1e-9)".parse::<Guarantee>()?, some);
/// assert!("deployed(f64)".parse::<Guarantee>().is_err());
/// # Ok::<(), loclin_regions::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Guarantee {
    /// The radius is at most the true one: every neuron's gradient was measured, in float64, or proved to be short enough.
    Proved,
    /// As proved, but for a probability, for each input, over directions that the program draws.
    Probable {
        /// The probability that the radius of an input is too large.
        failure_probability: f64,
    },
    /// More than proved: no evaluation in a type of numbers takes another side at any neuron, at any point of the ball that the type has,
    /// whatever the order of sums, fused or not.
    Deployed {
        /// The type of numbers.
        dtype: DType,
    },
    /// Nothing: numbers in float32, or of a network of which no useful bound of rounding errors is known.
    Estimate,
}

impl Guarantee {
    /// A short name for machines: `proved`, `probable(1e-9)`, `deployed(f32)`, `estimate`.
    pub fn name(self) -> String {
        match self {
            Self::Proved => "proved".into(),
            Self::Probable {
                failure_probability,
            } => format!("probable({failure_probability:e})"),
            Self::Deployed { dtype } => format!("deployed({})", dtype.as_str()),
            Self::Estimate => "estimate".into(),
        }
    }

    /// The weaker of two claims: that of numbers put together.
    #[must_use]
    pub fn weaker(self, other: Self) -> Self {
        match (self, other) {
            (Self::Estimate, _) | (_, Self::Estimate) => Self::Estimate,
            (Self::Deployed { dtype: a }, Self::Deployed { dtype: b }) if a == b => self,
            (Self::Deployed { .. }, Self::Deployed { .. }) => Self::Proved,
            (Self::Deployed { .. }, weak) | (weak, Self::Deployed { .. }) => weak,
            (Self::Proved, weak) | (weak, Self::Proved) => weak,
            (
                Self::Probable {
                    failure_probability: a,
                },
                Self::Probable {
                    failure_probability: b,
                },
            ) => Self::Probable {
                failure_probability: a.max(b),
            },
        }
    }
}

impl FromStr for Guarantee {
    type Err = Error;

    /// What [`Guarantee::name`] says.
    fn from_str(text: &str) -> Result<Self> {
        let refused = || Error::Argument {
            what: "guarantee",
            cause: format!(
                "expected `proved`, `probable(P)` with P from 0 to below 1, `deployed(TYPE)` or `estimate`, found `{text}`"
            ),
        };
        let within = |word: &str| {
            text.strip_prefix(word)?
                .strip_prefix('(')?
                .strip_suffix(')')
        };
        if let Some(probability) = within("probable") {
            let failure_probability: f64 = probability.parse().map_err(|_| refused())?;
            if !(0.0..1.0).contains(&failure_probability) {
                return Err(refused());
            }
            return Ok(Self::Probable {
                failure_probability,
            });
        }
        if let Some(dtype) = within("deployed") {
            let dtype = dtype.parse().map_err(|_| refused())?;
            // In the type that radii are found in there is nothing more to claim.
            if !matches!(dtype, DType::F32 | DType::F16 | DType::BF16) {
                return Err(refused());
            }
            return Ok(Self::Deployed { dtype });
        }
        match text {
            "proved" => Ok(Self::Proved),
            "estimate" => Ok(Self::Estimate),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proved => f.write_str("proved"),
            Self::Probable {
                failure_probability,
            } => write!(
                f,
                "proved but for a probability of {failure_probability:e} for each input"
            ),
            Self::Deployed { dtype } => write!(
                f,
                "proved for every evaluation in {}, in whatever order it sums",
                dtype.as_str()
            ),
            Self::Estimate => f.write_str("an estimate"),
        }
    }
}
