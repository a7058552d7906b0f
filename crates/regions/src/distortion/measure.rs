//! The distortion itself, and its mean.

use super::ball::Ball;
use crate::{ActivationPattern, Budget, Error, Result, patterns};
use candle_core::{D, DType, Tensor};
use loclin_models::{Network, Trace};
use loclin_tensor::random;
use std::ops::Range;

/// Streams of random numbers, by what they are for.
pub(super) mod stream {
    pub(crate) const EXPECTATION: u64 = 0;
    pub(crate) const GENETIC: u64 = 1;
    pub(crate) const ASCENT: u64 = 2;
}

/// Points drawn at a time for an expectation.
const SAMPLES: usize = 256;
/// A distortion below this share of the gradient's length may be rounding alone: then patterns decide.
const DOUBT: f64 = 1e-3;

/// The distortion of one output's gradient around one input.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::{Budget, Domain, distortion::{Ascent, Ball, Distortion, Search}};
///
/// let config = Mlp { inputs: vec![4], hidden: vec![20, 20], outputs: 3, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
/// let ball = Ball::new(&[0.3, 0.9, 0.5, 0.1], 0.2, Some(&Domain::uniform(4, 0.0, 1.0)?))?;
/// let distortion = Distortion::new(&network, ball, 1, Budget::default())?;
/// let mean = distortion.expectation(500, 0)?.mean;
/// let found = Search::Ascent(Ascent { starts: 10, ..Ascent::default() }).run(&distortion)?;
/// assert!(found.best > mean);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Distortion {
    pub(super) network: Network,
    pub(super) ball: Ball,
    pub(super) output: u32,
    budget: Budget,
    /// Bounds of the points and the gradient at the centre, `[1, D]`.
    lower: Tensor,
    upper: Tensor,
    pub(super) gradient: Tensor,
    length: f64,
    pattern: ActivationPattern,
}

/// A mean over random points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expectation {
    /// The mean distortion.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// The number of points.
    pub samples: usize,
}

impl Distortion {
    /// The distortion of the gradient of output number `output` around the centre of `ball`; gradients are computed in
    /// the network's dtype.
    ///
    /// # Errors
    /// A ball of another size than the network's inputs, an output that it does not have, and a gradient that is not finite.
    pub fn new(network: &Network, ball: Ball, output: u32, budget: Budget) -> Result<Self> {
        Self::beside(network, ball, output, budget, None)
    }

    /// The same beside the gradient of a trace of the centre alone: its pattern is the centre's own where rounding misses that
    /// ([`crate::Linearization::trace`]).
    ///
    /// # Errors
    /// Those of [`Distortion::new`].
    pub fn around(here: &Trace, ball: Ball, output: u32, budget: Budget) -> Result<Self> {
        Self::beside(here.network(), ball, output, budget, Some(here))
    }

    fn beside(
        network: &Network,
        ball: Ball,
        output: u32,
        budget: Budget,
        here: Option<&Trace>,
    ) -> Result<Self> {
        let network = network.detached()?;
        let size = network.input_size();
        if ball.center().len() != size || output as usize >= network.output_size() {
            let cause = format!(
                "{} numbers and output {output}; the network has {size} inputs and {} outputs",
                ball.center().len(),
                network.output_size()
            );
            return Err(Error::Argument {
                what: "distortion",
                cause,
            });
        }
        let row = |values: &[f64]| -> Result<Tensor> {
            let row = Tensor::from_slice(values, (1, size), network.device())?;
            Ok(row.to_dtype(network.dtype())?)
        };
        let (lower, upper) = (row(ball.lower())?, row(ball.upper())?);
        let trace = match here {
            Some(here) => here.clone(),
            None => trace(&network, &row(ball.center())?)?,
        };
        let gradient = trace.pull(&unit(&network, output)?)?.flatten_from(1)?;
        let length = lengths(&gradient)?.first().copied().unwrap_or(0.0);
        let pattern = patterns(&trace)?.swap_remove(0);
        if !length.is_finite() {
            return Err(Error::NotFinite {
                index: 0,
                what: "the gradient's length".into(),
                value: length,
            });
        }
        Ok(Self {
            network,
            ball,
            output,
            budget,
            lower,
            upper,
            gradient,
            length,
            pattern,
        })
    }

    /// The ball.
    pub fn ball(&self) -> &Ball {
        &self.ball
    }

    /// The gradient at the centre, `[D]`.
    ///
    /// # Errors
    /// Those of Candle.
    pub fn gradient(&self) -> Result<Tensor> {
        Ok(self.gradient.squeeze(0)?)
    }

    /// `||grad f(x)_y||_1`, what distortions are to be compared with.
    pub fn gradient_length(&self) -> f64 {
        self.length
    }

    /// The distortions at points `[N, D]` in the network's dtype: exactly 0 where the pattern is that of the centre.
    ///
    /// # Errors
    /// Points of another size, and a gradient that is not finite.
    pub fn at(&self, points: &Tensor) -> Result<Vec<f64>> {
        let mut found = Vec::new();
        for range in self.chunks(points)? {
            let trace = self.trace(points, range)?;
            let gradients = trace.pull(&unit(&self.network, self.output)?)?;
            found.extend(self.measure(&trace, &gradients.flatten_from(1)?)?);
        }
        Ok(found)
    }

    /// The gradients at points `[N, D]`, `[N, D]`.
    ///
    /// # Errors
    /// Points of another size.
    pub fn gradients_at(&self, points: &Tensor) -> Result<Tensor> {
        let mut found = Vec::new();
        for range in self.chunks(points)? {
            let count = range.len();
            let gradients = self
                .trace(points, range)?
                .pull(&unit(&self.network, self.output)?)?;
            let gradients = gradients.flatten_from(1)?;
            found.push(gradients.broadcast_as((count, self.ball.center().len()))?);
        }
        Ok(Tensor::cat(&found, 0)?)
    }

    /// The mean distortion over `samples` uniform points of the ball cut with the domain (the paper takes 8000).
    ///
    /// # Errors
    /// No samples, and a gradient that is not finite.
    pub fn expectation(&self, samples: usize, seed: u64) -> Result<Expectation> {
        self.expectation_while(samples, seed, || Ok(()))
    }

    /// The same, asking between some samples and the next ones whether to go on.
    ///
    /// # Errors
    /// Those of [`Distortion::expectation`], and what says not to.
    pub fn expectation_while<E: From<Error>>(
        &self,
        samples: usize,
        seed: u64,
        mut go_on: impl FnMut() -> std::result::Result<(), E>,
    ) -> std::result::Result<Expectation, E> {
        if samples == 0 {
            let what = "samples";
            let cause = "0; must be at least 1".into();
            return Err(Error::Argument { what, cause }.into());
        }
        // As they come: there may be more of them than fit into memory. The squares are those of differences from the mean so far.
        let (mut sum, mut mean, mut squares, mut count) = (0.0, 0.0, 0.0_f64, 0.0_f64);
        for first in (0..samples).step_by(SAMPLES) {
            go_on()?;
            let path = [stream::EXPECTATION, (first / SAMPLES) as u64];
            let points = self.uniform(seed, &path, SAMPLES.min(samples - first))?;
            for distortion in self.at(&points)? {
                let before = distortion - mean;
                count += 1.0;
                sum += distortion;
                mean = sum / count;
                squares += before * (distortion - mean);
            }
        }
        Ok(Expectation {
            mean,
            standard_error: (squares / (count - 1.0).max(1.0) / count).sqrt(),
            samples,
        })
    }

    /// The centre `[D]` in the network's dtype.
    pub(super) fn center(&self) -> Result<Tensor> {
        let center = Tensor::new(self.ball.center(), self.network.device())?;
        Ok(center.to_dtype(self.network.dtype())?)
    }

    /// `count` uniform points of the ball, `[count, D]`.
    pub(super) fn uniform(&self, seed: u64, path: &[u64], count: usize) -> Result<Tensor> {
        let rng = &mut random::stream(seed, path);
        let shape = (count, self.ball.center().len());
        let (dtype, device) = (self.network.dtype(), self.network.device());
        let share = random::uniform(rng, shape, dtype, device)?;
        let width = (&self.upper - &self.lower)?;
        self.project(&share.broadcast_mul(&width)?.broadcast_add(&self.lower)?)
    }

    /// The nearest points of the ball.
    pub(super) fn project(&self, points: &Tensor) -> Result<Tensor> {
        Ok(points
            .broadcast_maximum(&self.lower)?
            .broadcast_minimum(&self.upper)?)
    }

    pub(super) fn chunks(&self, points: &Tensor) -> Result<impl Iterator<Item = Range<usize>>> {
        let chunks = self.budget.chunks(&self.network, points.dim(0)?, 1);
        Ok(chunks.into_iter().map(|chunk| chunk.inputs))
    }

    pub(super) fn trace(&self, points: &Tensor, range: Range<usize>) -> Result<Trace> {
        trace(&self.network, &points.narrow(0, range.start, range.len())?)
    }

    /// The distortions of the gradients `[n or 1, D]` of a trace.
    pub(super) fn measure(&self, trace: &Trace, gradients: &Tensor) -> Result<Vec<f64>> {
        let difference = gradients.broadcast_sub(&self.gradient)?;
        let difference = difference.broadcast_as((trace.batch(), difference.dim(1)?))?;
        let mut found = lengths(&difference)?;
        for (index, value) in found.iter().enumerate() {
            if !value.is_finite() {
                return Err(Error::NotFinite {
                    index,
                    what: "a gradient".into(),
                    value: *value,
                });
            }
        }
        // In one region the gradient is one; batches of another size may round it in another way.
        if found.iter().any(|found| *found <= DOUBT * self.length) {
            for (found, pattern) in found.iter_mut().zip(patterns(trace)?) {
                if pattern == self.pattern {
                    *found = 0.0;
                }
            }
        }
        Ok(found)
    }
}

/// The trace of points `[n, D]`.
fn trace(network: &Network, points: &Tensor) -> Result<Trace> {
    let shape = [&[points.dim(0)?], network.input_shape()].concat();
    Ok(network.trace(&points.reshape(shape)?)?)
}

/// The cotangent `[1, 1, L]` of one output.
pub(super) fn unit(network: &Network, output: u32) -> Result<Tensor> {
    let mut unit = vec![0f32; network.output_size()];
    if let Some(entry) = unit.get_mut(output as usize) {
        *entry = 1.0;
    }
    let unit = Tensor::from_vec(unit, (1, 1, network.output_size()), network.device())?;
    Ok(unit.to_dtype(network.dtype())?)
}

/// The l1 norms of rows `[n, D]`.
fn lengths(rows: &Tensor) -> Result<Vec<f64>> {
    let sums = rows.abs()?.sum(D::Minus1)?;
    Ok(sums.to_dtype(DType::F64)?.to_vec1()?)
}
