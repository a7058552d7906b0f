//! What is asked of every input.

use std::fmt;
use std::str::FromStr;

use candle_core::DType;
use loclin_regions::{Guarantee, Linearization, Margins, Method, Norm};

use crate::program::domain::InputBox;

/// Which margins are asked for, and how they are found.
#[derive(Clone, Debug)]
pub struct Question {
    /// The norms of the balls.
    pub norms: Vec<Norm>,
    /// How they are found.
    pub method: Method,
    /// The type whose evaluations are to take the same sides; `None` for real arithmetic.
    pub deployed: Option<Deployed>,
    /// Whether upper bounds of the true radii are asked for, too.
    pub upper: bool,
    /// The domain that balls are cut with, if they are.
    pub domain: Option<InputBox>,
}

/// A type of numbers that networks are evaluated in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployed(DType);

impl Question {
    /// Of real arithmetic, whole balls.
    pub fn new(norms: &[Norm], method: Method) -> Self {
        let norms = norms.to_vec();
        Self {
            norms,
            method,
            deployed: None,
            upper: false,
            domain: None,
        }
    }

    /// For each norm so many upper bounds of which nothing is known yet; none if they are not asked for.
    pub(super) fn no_upper_bounds(&self, inputs: usize) -> Vec<Vec<f64>> {
        let norms = if self.upper { self.norms.len() } else { 0 };
        vec![vec![f64::INFINITY; inputs]; norms]
    }

    /// The strongest claim that an answer can have.
    pub(super) fn strongest(&self) -> Guarantee {
        match self.deployed {
            None => Guarantee::Proved,
            Some(Deployed(dtype)) => Guarantee::Deployed { dtype },
        }
    }

    /// The margins of a batch.
    pub(super) fn margins(&self, here: &Linearization) -> loclin_regions::Result<Vec<Margins>> {
        match self.deployed {
            None => here.margins(&self.norms, self.method),
            Some(Deployed(dtype)) => {
                let found = here.deployed_margins(&self.norms, self.method, dtype)?;
                Ok(found.margins)
            }
        }
    }
}

/// The norm whose limiting neuron is named: l2, or the first.
pub(in crate::program) fn leading(norms: &[Norm]) -> usize {
    norms.iter().position(|norm| *norm == Norm::L2).unwrap_or(0)
}

impl FromStr for Deployed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self(DType::F32)),
            "f16" => Ok(Self(DType::F16)),
            "bf16" => Ok(Self(DType::BF16)),
            _ => Err("expected f32, f16 or bf16".into()),
        }
    }
}

impl fmt::Display for Deployed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}
