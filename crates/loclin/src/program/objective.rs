//! The training objectives: of each its word, what it means, which settings it has, and how it is computed.
//!
//! This is the only file of the program that a new objective touches.

use candle_core::Tensor;
use loclin_models::Trace;
use loclin_objectives::{
    Gamma, Probes, Result, RollConfig, SampledConfig, distance, relaxed, roll, sampled,
};
use rand::Rng;

use crate::program::choice::choice;

choice! {
    /// Training objectives, by the equation of the paper.
    Loss {
        /// The task loss alone.
        Vanilla = "vanilla",
        /// The largest distance to the region's boundary (Eq. 4).
        Distance = "distance",
        /// The largest TSVM loss of any neuron (Eq. 7).
        Relaxed = "relaxed",
        /// The mean TSVM loss of the `gamma` percent worst neurons (Eq. 9).
        Roll = "roll",
        /// ROLL at `gamma = 100` with derivatives along a random direction for each input.
        Sampled = "sampled",
        /// ROLL at `gamma = 100` with derivatives along random axes (Eq. 10).
        Axes = "axes",
    }
}

/// The settings of the regularisers, each used by some of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Weight of the hinge in the TSVM loss (Eq. 7), at least 0.
    pub c: f64,
    /// Which share of the neurons [`Loss::Roll`] takes.
    pub gamma: Gamma,
    /// Input axes that [`Loss::Axes`] draws.
    pub axes: usize,
}

impl Loss {
    /// Whether it estimates the mean over all neurons, which is [`Loss::Roll`] at `gamma = 100`.
    pub fn is_estimate(self) -> bool {
        matches!(self, Self::Sampled | Self::Axes)
    }

    /// The settings that it has, with the regulariser's weight `lambda`, for people.
    pub fn describe(self, lambda: f64, settings: &Settings) -> String {
        let Settings { c, gamma, axes } = settings;
        match self {
            Self::Vanilla => String::new(),
            Self::Distance => format!("λ = {lambda}"),
            Self::Relaxed => format!("λ = {lambda}, C = {c}"),
            Self::Roll => format!("λ = {lambda}, C = {c}, γ = {gamma}"),
            Self::Sampled => format!("λ = {lambda}, C = {c}, a direction for each input"),
            Self::Axes => format!("λ = {lambda}, C = {c}, {axes} axes a step"),
        }
    }

    /// The regulariser at the inputs of a trace, a scalar `[]`; `None` where there is none.
    ///
    /// # Errors
    /// A network or a setting that the objective does not take, or a neuron whose loss is not a number.
    pub fn regulariser(
        self,
        trace: &Trace,
        settings: &Settings,
        rng: &mut impl Rng,
    ) -> Result<Option<Tensor>> {
        let Settings { c, gamma, axes } = *settings;
        let mut estimate = |probes| sampled(trace, SampledConfig { c, probes }, rng);
        match self {
            Self::Vanilla => Ok(None),
            Self::Distance => distance(trace).map(Some),
            Self::Relaxed => relaxed(trace, c).map(Some),
            Self::Roll => roll(trace, RollConfig { c, gamma }).map(Some),
            Self::Sampled => estimate(Probes::Signs(1)).map(Some),
            Self::Axes => estimate(Probes::Axes(axes)).map(Some),
        }
    }
}
