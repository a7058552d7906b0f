//! The options of the searches, for every command that searches.

use super::eps::Radius;
use crate::program::domain::DomainOptions;

/// The ball and the searches in it.
#[derive(Clone, Debug, clap::Args)]
pub struct SearchOptions {
    /// How far every number of an input may move: a number or a quotient
    #[arg(long, value_name = "EPS", default_value = "8/256")]
    pub eps: Radius,
    /// The domain that the ball is cut with
    #[command(flatten)]
    pub domain: DomainOptions,
    /// Uniform points whose mean distortion is the expected one
    #[arg(long, value_name = "N", default_value_t = 8000)]
    pub samples: usize,
    /// Members of the genetic search
    #[arg(long, value_name = "N", default_value_t = 4800)]
    pub population: usize,
    /// Generations of the genetic search; ascent has as many gradient evaluations as it takes
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub generations: usize,
    /// Parts that a ball may be divided into to prove that its largest distortion is smaller; with 1, what is proved at once
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub parts: usize,
}
