//! The training objectives: of each its word, what it means, which settings it has, and how it is computed.
//!
//! This is the only file of the program that a new objective touches.

use candle_core::Tensor;
use loclin_models::Trace;
use loclin_objectives::{
    Gamma, Probes, Result, RollConfig, SampledConfig, distance, jump_weighted,
    jump_weighted_sampled, relaxed, roll, sampled,
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
        /// ROLL at `gamma = 100` in which a neuron counts as much as crossing its boundary changes the gradient of the true
        /// class.
        JumpWeighted = "jump-weighted",
        /// The same with derivatives along random directions for each input.
        JumpWeightedSampled = "jump-weighted-sampled",
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
    /// Whether it takes all neurons, so that it has no share [`Settings::gamma`] of them.
    pub fn takes_all(self) -> bool {
        matches!(
            self,
            Self::Sampled | Self::Axes | Self::JumpWeighted | Self::JumpWeightedSampled
        )
    }

    /// What estimates its mean over all neurons by random directions, where something does.
    pub fn estimate(self) -> Option<Self> {
        match self {
            Self::Roll => Some(Self::Sampled),
            Self::JumpWeighted => Some(Self::JumpWeightedSampled),
            _ => None,
        }
    }

    /// The settings that it has, with the regulariser's weight `lambda`, for people.
    pub fn describe(self, lambda: f64, settings: &Settings) -> String {
        let Settings { c, gamma, axes } = settings;
        match self {
            Self::Vanilla => String::new(),
            Self::Distance => format!("λ = {lambda}"),
            Self::Relaxed | Self::JumpWeighted => format!("λ = {lambda}, C = {c}"),
            Self::Roll => format!("λ = {lambda}, C = {c}, γ = {gamma}"),
            Self::Sampled => format!("λ = {lambda}, C = {c}, a direction for each input"),
            Self::Axes => format!("λ = {lambda}, C = {c}, {axes} axes a step"),
            Self::JumpWeightedSampled => {
                format!("λ = {lambda}, C = {c}, two directions for each input")
            }
        }
    }

    /// The regulariser at the inputs of a trace with their labels `[B]`, a scalar `[]`; `None` where there is none.
    ///
    /// # Errors
    /// A network or a setting that the objective does not take, or a neuron whose loss is not a number.
    pub fn regulariser(
        self,
        (trace, labels): (&Trace, &Tensor),
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
            Self::JumpWeighted => jump_weighted(trace, labels, c).map(Some),
            Self::JumpWeightedSampled => jump_weighted_sampled(trace, labels, c, rng).map(Some),
        }
    }
}
