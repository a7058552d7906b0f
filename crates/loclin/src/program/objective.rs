//! The training objectives: of each its word, what it means, which settings it has, and how it is computed.
//!
//! This is the only file of the program that a new objective touches.

use candle_core::Tensor;
use loclin_models::Trace;
use loclin_objectives::{
    Error, Gamma, MmrConfig, Probes, RollConfig, SampledConfig, cure, distance, elle, grad_align,
    grad_cert, gradient_norm, jump_weighted, jump_weighted_sampled, mean_over_inputs, mmr, relaxed,
    roll, sampled_together,
};
use loclin_regions::Norm;
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
        /// The squared length of the task loss's gradient in the input (Drucker and LeCun, 1992).
        GradientNorm = "gradient-norm",
        /// MMR in l1 (Croce et al., 2019): distances to the nearest boundaries of regions, the `gamma` percent of the neurons, and of
        /// classes.
        Mmr1 = "mmr-1",
        /// MMR in l2.
        Mmr2 = "mmr-2",
        /// MMR in l_inf.
        MmrInf = "mmr-inf",
        /// CURE (Moosavi-Dezfooli et al., 2019): the change of the task loss's gradient at a distance of `radius` along its signs.
        Cure = "cure",
        /// GradAlign (Andriushchenko and Flammarion, 2020): the angle between that gradient and one within `radius`.
        GradAlign = "grad-align",
        /// GradCert (Wicker et al., 2023): the width of interval bounds of the true class's gradient within `radius`; of "fc".
        GradCert = "grad-cert",
        /// ELLE (Abad Rocamora et al., 2024): the task loss between two points within `radius` against its chord.
        Elle = "elle",
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
    /// How far [`Loss::Cure`], [`Loss::GradAlign`], [`Loss::GradCert`] and [`Loss::Elle`] look.
    pub radius: f64,
    /// The distance from which on boundaries of regions cost nothing in MMR, and that of decision boundaries.
    pub margins: [f64; 2],
}

/// A mini-batch as an objective sees it.
#[derive(Clone, Copy, Debug)]
pub struct Here<'a> {
    /// The network at its inputs.
    pub trace: &'a Trace,
    /// These, `[B, in...]`, as the network takes them.
    pub inputs: &'a Tensor,
    /// Their labels, `[B]`.
    pub labels: &'a Tensor,
}

impl Loss {
    /// Whether it takes all neurons, so that it has no share [`Settings::gamma`] of them.
    pub fn takes_all(self) -> bool {
        matches!(
            self,
            Self::Sampled | Self::Axes | Self::JumpWeighted | Self::JumpWeightedSampled
        )
    }

    /// Whether the gradients of all neurons are found by pushing all input axes through a network without a faster way.
    pub fn pushes_all_axes(self) -> bool {
        matches!(
            self,
            Self::Distance
                | Self::Relaxed
                | Self::Roll
                | Self::JumpWeighted
                | Self::Mmr1
                | Self::Mmr2
                | Self::MmrInf
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
        let Settings {
            c,
            gamma,
            axes,
            radius,
            margins: [boundary, decision],
        } = settings;
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
            Self::GradientNorm => format!("λ = {lambda}"),
            Self::Mmr1 | Self::Mmr2 | Self::MmrInf => {
                format!("λ = {lambda}, γ = {gamma}, γ_B = {boundary}, γ_D = {decision}")
            }
            Self::Cure | Self::GradAlign | Self::GradCert | Self::Elle => {
                format!("λ = {lambda}, radius {radius}")
            }
        }
    }

    /// The regulariser at a mini-batch, inputs of one shape together, a scalar `[]`: a mean over all its inputs. `None` where there
    /// is none.
    ///
    /// # Errors
    /// A network or a setting that the objective does not take, a neuron whose loss is not a number, or no input.
    pub fn regulariser(
        self,
        batch: &[Here<'_>],
        settings: &Settings,
        rng: &mut impl Rng,
    ) -> Result<Option<Tensor>, Error> {
        let Settings {
            c,
            gamma,
            axes,
            radius,
            margins: [boundary, decision],
        } = *settings;
        let traces: Vec<&Trace> = batch.iter().map(|here| here.trace).collect();
        let estimate = |probes, rng| sampled_together(&traces, SampledConfig { c, probes }, rng);
        let mmr = |norm| {
            let config = MmrConfig {
                norm,
                share: gamma,
                boundary,
                decision,
            };
            mean(batch, |here| mmr(here.trace, here.labels, config))
        };
        let mean = match self {
            Self::Vanilla => return Ok(None),
            Self::Distance => mean(batch, |here| distance(here.trace)),
            Self::Relaxed => mean(batch, |here| relaxed(here.trace, c)),
            Self::Roll => mean(batch, |here| roll(here.trace, RollConfig { c, gamma })),
            Self::Sampled => estimate(Probes::Signs(1), rng),
            Self::Axes => estimate(Probes::Axes(axes), rng),
            Self::JumpWeighted => mean(batch, |here| jump_weighted(here.trace, here.labels, c)),
            Self::JumpWeightedSampled => mean(batch, |here| {
                jump_weighted_sampled(here.trace, here.labels, c, rng)
            }),
            Self::GradientNorm => mean(batch, |here| gradient_norm(here.trace, here.labels)),
            Self::Mmr1 => mmr(Norm::L1),
            Self::Mmr2 => mmr(Norm::L2),
            Self::MmrInf => mmr(Norm::LINF),
            Self::Cure => mean(batch, |here| {
                cure(here.trace, here.inputs, here.labels, radius)
            }),
            Self::GradAlign => mean(batch, |here| {
                grad_align(here.trace, here.inputs, here.labels, radius, rng)
            }),
            Self::GradCert => mean(batch, |here| {
                grad_cert(here.trace, here.inputs, here.labels, radius)
            }),
            Self::Elle => mean(batch, |here| {
                elle(here.trace, here.inputs, here.labels, radius, rng)
            }),
        };
        mean.map(Some)
    }
}

/// A mean over the inputs of each shape as one over all inputs.
pub(super) fn mean<E: From<candle_core::Error>>(
    batch: &[Here<'_>],
    mut mean: impl FnMut(&Here<'_>) -> Result<Tensor, E>,
) -> Result<Tensor, E> {
    mean_over_inputs(batch, |here| here.trace.batch(), |_, here| mean(here))
}
