//! The ways to margins.

use crate::{Error, Result};
use std::fmt;

/// How margins are found; [`crate::Linearization::margins`].
///
/// [`Method::Auto`] is for everybody; the others say which way it is to be, for comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Method {
    /// What costs least on this network among the ways that prove.
    #[default]
    Auto,
    /// What costs least, [`Method::Estimate`] included: the margin of an input may be too large with the probability
    /// given.
    Probable(Estimate),
    /// Every neuron's gradient is measured: for every network and norm.
    All,
    /// For a fully connected chain on the CPU, and l1, l2 and l_inf: the gradients of the few neurons that bounds do not
    /// exclude.
    PrunedSearch,
    /// Every neuron is excluded by its Lipschitz bound or has its gradient pulled back until it is; where measuring
    /// every gradient becomes cheaper, that is done.
    Bound,
    /// Every gradient is estimated by random directions, and the few that matter are measured.
    Estimate(Estimate),
}

/// How sure estimated margins are to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The probability, over the directions drawn, that the margin of an input is too large; in (0, 1). The number of
    /// directions grows with its logarithm. The default is `1e-9`.
    pub failure_probability: f64,
    /// The seed of the directions.
    pub seed: u64,
}

impl Default for Estimate {
    fn default() -> Self {
        Self {
            failure_probability: 1e-9,
            seed: 0,
        }
    }
}

/// `F`: the nearest neuron's gradient is not longer than this many times its estimate, but for the failure probability.
/// Small distances are about equally likely, so that some more than `F` gradients are measured; the larger `F`, the
/// fewer directions are pushed. At 5, a probability of `1e-9` takes 19.
pub(crate) const FACTOR: f64 = 5.0;

impl Estimate {
    /// `K`, the number of directions with which the nearest neuron's estimate fails with at most the given probability.
    ///
    /// # Errors
    /// A probability that is not in (0, 1).
    pub fn directions(self) -> Result<usize> {
        let Self {
            failure_probability,
            ..
        } = self;
        if !(failure_probability > 0.0 && failure_probability < 1.0) {
            let cause = format!("{failure_probability}; must be in (0, 1)");
            return Err(Error::Argument {
                what: "failure probability",
                cause,
            });
        }
        let square = FACTOR * FACTOR;
        let rate = 0.5 * (square.ln() - 1.0 + 1.0 / square);
        Ok((-failure_probability.ln() / rate).ceil() as usize)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "the cheapest way that proves",
            Self::Probable(_) => "the cheapest way",
            Self::All => "every gradient measured",
            Self::PrunedSearch => "pruned search of a fully connected chain",
            Self::Bound => "proved bounds, and gradients where they do not decide",
            Self::Estimate(_) => "gradients estimated, and the nearest measured",
        })
    }
}
