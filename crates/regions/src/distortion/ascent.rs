//! Ascent of the smoothed distortion.
//!
//! With `u = sign(grad f(x')_y - grad f(x)_y)` the distortion at `x'` is `u . grad f(x')_y - const`, and where neuron `j`
//! alone changes sides, that changes by `c_j * (grad z_j . u)`: the slope change `c_j` comes with the pull that finds the
//! gradient, the derivative with a push of `u`. Were the step at `z_j = 0` a sigmoid of width `s` instead, the distortion
//! would have the derivative `sum over j of sigmoid'(z_j / s) / s * c_j * (grad z_j . u) * grad z_j`: one more pull, of
//! all neurons at once. So a step costs two pulls, a push and a forward pass, as much as two gradients.

use super::{
    measure::{Distortion, stream, unit},
    state::State,
};
use crate::{Error, Result};
use candle_core::{D, Tensor};
use loclin_models::{ActivationRecord, Trace};
use loclin_tensor::random;
use std::{collections::BTreeMap, ops::Range};

/// Climbs the smoothed distortion from uniform points, each step along the sign of the derivative (the steepest
/// direction in a ball of l_inf), shorter from step to step, projected back to the ball.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ascent {
    /// Points that climb, at least 1; the default is 64.
    pub starts: usize,
    /// Steps of each, at least 1; the default is 40. Step `k` has length `radius * (1 - k / steps)`.
    pub steps: usize,
    /// Width of the sigmoids, relative to the mean magnitude of the neurons of the same node; positive, the default is
    /// 0.03. Wider ones look further and see less.
    pub smoothing: f64,
    /// The seed.
    pub seed: u64,
}

impl Default for Ascent {
    fn default() -> Self {
        Self {
            starts: 64,
            steps: 40,
            smoothing: 0.03,
            seed: 0,
        }
    }
}

impl Ascent {
    /// The search with so many starts, or fewer steps of one, that all take at most so many evaluations; one step of one start takes three.
    pub fn within(self, evaluations: usize) -> Self {
        let each = 2 * self.steps + 1;
        Self {
            starts: (evaluations / each).max(1),
            steps: self.steps.min(evaluations.saturating_sub(1) / 2).max(1),
            ..self
        }
    }

    pub(super) fn evaluations(&self) -> usize {
        self.starts * (2 * self.steps + 1)
    }

    pub(super) fn start(&self, distortion: &Distortion) -> Result<State> {
        let is_width = self.smoothing > 0.0 && self.smoothing.is_finite();
        if self.starts == 0 || self.steps == 0 || !is_width {
            let cause = format!("needs a start, a step and smoothing above 0: {self:?}");
            return Err(Error::Argument {
                what: "ascent",
                cause,
            });
        }
        let population = distortion.uniform(self.seed, &[stream::ASCENT], self.starts)?;
        Ok(State::new(population, &distortion.center()?))
    }

    /// Measures the points where they are and moves them; the last step only measures.
    pub(super) fn step(&self, distortion: &Distortion, state: &mut State) -> Result<()> {
        if state.step == self.steps {
            state.distortions = distortion.at(&state.population)?;
            state.evaluations += self.starts;
            return state.note(&state.population.clone(), &state.distortions.clone());
        }
        let share = 1.0 - state.step as f64 / self.steps as f64;
        let length = distortion.ball.radius() * share;
        let mut found = Vec::with_capacity(self.starts);
        let mut moved = Vec::new();
        for range in distortion.chunks(&state.population)? {
            let (own, direction) = self.climb(distortion, state, range.clone())?;
            let points = state.population.narrow(0, range.start, range.len())?;
            moved.push(distortion.project(&(points + (direction * length)?)?)?);
            found.extend(own);
        }
        state.note(&state.population.clone(), &found)?;
        state.evaluations += 2 * found.len();
        state.distortions = found;
        state.population = Tensor::cat(&moved, 0)?;
        Ok(())
    }

    /// The distortions of some points and the signs of the smoothed distortion's derivative, `[n, D]`.
    fn climb(
        &self,
        distortion: &Distortion,
        state: &State,
        range: Range<usize>,
    ) -> Result<(Vec<f64>, Tensor)> {
        let network = &distortion.network;
        let trace = distortion.trace(&state.population, range.clone())?;
        let mut slope_changes = BTreeMap::new();
        let gradients =
            trace.pull_slope_changes(&unit(network, distortion.output)?, |node, own| {
                slope_changes.insert(node, own);
                Ok(())
            })?;
        let gradients = gradients.flatten_from(1)?;
        let found = distortion.measure(&trace, &gradients)?;
        let size = gradients.dim(D::Minus1)?;
        let u = gradients.broadcast_sub(&distortion.gradient)?.sign()?;
        let u = u.broadcast_as((range.len(), size))?.contiguous()?;
        let u = self.with_random_signs(u, &found, state.step, range)?;
        let shape = [&[u.dim(0)?, 1], network.input_shape()].concat();
        let mut weights = Vec::new();
        let records = records_by_node(&trace)?;
        trace.push(&u.reshape(shape)?, |node, tangents| {
            if let (Some(slope_changes), Some(record)) =
                (slope_changes.remove(&node), records.get(&node))
            {
                let near = self.nearness(record)?.unsqueeze(1)?;
                let own = near
                    .broadcast_mul(&slope_changes)?
                    .broadcast_mul(&tangents)?;
                weights.push((node, own));
            }
            Ok(())
        })?;
        let climb = trace.pull_all_neurons(weights)?.flatten_from(1)?.sign()?;
        Ok((
            found,
            climb.broadcast_as((trace.batch(), size))?.contiguous()?,
        ))
    }

    /// Random signs in the place of `u` where the gradient is that of the centre and no direction is known.
    fn with_random_signs(
        &self,
        u: Tensor,
        found: &[f64],
        step: usize,
        range: Range<usize>,
    ) -> Result<Tensor> {
        if found.iter().all(|distortion| *distortion > 0.0) {
            return Ok(u);
        }
        let (dtype, device) = (u.dtype(), u.device());
        let path = [stream::ASCENT, step as u64, range.start as u64];
        let rng = &mut random::stream(self.seed, &path);
        let signs = random::rademacher(rng, u.shape(), dtype, device)?;
        let lost: Vec<u8> = found.iter().map(|d| u8::from(*d == 0.0)).collect();
        let lost = Tensor::new(lost, device)?.unsqueeze(1)?;
        Ok(lost.broadcast_as(u.shape())?.where_cond(&signs, &u)?)
    }

    /// `sigmoid'(c / s) / s` for the constraints of a node, `[n, m]`.
    fn nearness(&self, record: &ActivationRecord) -> candle_core::Result<Tensor> {
        let size = record.pre_activations().abs()?;
        // Never 0, where every constraint is; nor so small that its inverse overflows.
        let width = size.mean_keepdim(1)?.affine(self.smoothing, 1e-20)?;
        // Beyond 40 widths the exponential is nothing beside 1.
        let decay = size.broadcast_div(&width)?.minimum(40.0)?.neg()?.exp()?;
        let slope = (&decay / decay.affine(1.0, 1.0)?.sqr()?)?;
        slope.broadcast_div(&width)
    }
}

/// What each piecewise-linear node recorded, by its index.
fn records_by_node(trace: &Trace) -> Result<BTreeMap<usize, &ActivationRecord>> {
    let nodes = trace.neuron_ranges()?.into_iter().map(|range| range.node);
    Ok(nodes.zip(trace.records()).collect())
}
