//! What is claimed of a radius.

use std::fmt;

/// What is claimed of a margin; set where the number is made, and shown wherever it is.
///
/// Radii are computed in floating point from formulas that are exact in real arithmetic: the claims are those of real
/// arithmetic on the pre-activations found in float64.
///
/// ```
/// use loclin_regions::Guarantee;
///
/// let some = Guarantee::Probable { failure_probability: 1e-9 };
/// assert_eq!(some.name(), "probable(1e-9)");
/// assert_eq!(Guarantee::Proved.weaker(some), some);
/// assert_eq!(Guarantee::Estimate.to_string(), "an estimate");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Guarantee {
    /// The radius is the true one: every neuron's gradient was measured, in float64, or proved to be short enough.
    Proved,
    /// As proved, but for a probability, for each input, over directions that the program draws.
    Probable {
        /// The probability that the radius of an input is too large.
        failure_probability: f64,
    },
    /// Nothing: tangents in float32, whose roundings are not accounted for.
    Estimate,
}

impl Guarantee {
    /// A short name for machines: `proved`, `probable(1e-9)`, `estimate`.
    pub fn name(self) -> String {
        match self {
            Self::Proved => "proved".into(),
            Self::Probable {
                failure_probability,
            } => format!("probable({failure_probability:e})"),
            Self::Estimate => "estimate".into(),
        }
    }

    /// The weaker of two claims: that of numbers put together.
    #[must_use]
    pub fn weaker(self, other: Self) -> Self {
        match (self, other) {
            (Self::Estimate, _) | (_, Self::Estimate) => Self::Estimate,
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
            Self::Estimate => f.write_str("an estimate"),
        }
    }
}
