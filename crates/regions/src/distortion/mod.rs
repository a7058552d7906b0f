//! Gradient distortion: how much an explanation changes when its input moves a little.
//!
//! `Delta(x, x', y) = ||grad f(x')_y - grad f(x)_y||_1` (Sec. 5 of the paper, Table 4), over the points `x'` of an l_inf
//! ball cut with the inputs' domain. [`Distortion`] measures it; [`Distortion::expectation`] is its mean over uniform
//! points, and a [`Search`] looks for its maximum. Inside the certified l_inf radius it is exactly 0.
//!
//! The gradient is constant almost everywhere near every point, so the distortion has no derivative to climb. Two
//! searches do without:
//! * [`Genetic`], the paper's: the fitter quarter of a population recombines linearly.
//! * [`Ascent`], ours: where a neuron changes sides, the gradient changes by a known amount, so near a boundary
//!   the distortion's slope is known in the mean. It climbs the smoothed distortion from many points at once.

mod ascent;
mod ball;
mod genetic;
mod state;

pub use ascent::Ascent;
pub use ball::Ball;
pub use genetic::Genetic;
pub use state::State;

use crate::{ActivationPattern, Budget, Error, Result, patterns};
use candle_core::{D, DType, Tensor};
use loclin_models::{Network, Trace};
use loclin_tensor::random;
use std::ops::Range;

/// Streams of random numbers, by what they are for.
mod stream {
    pub(super) const EXPECTATION: u64 = 0;
    pub(super) const GENETIC: u64 = 1;
    pub(super) const ASCENT: u64 = 2;
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
/// use loclin_regions::{Budget, distortion::{Ascent, Ball, Distortion, Search}};
///
/// let config = Mlp { inputs: vec![4], hidden: vec![20, 20], outputs: 3, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
/// let ball = Ball::new(&[0.3, 0.9, 0.5, 0.1], 0.2, Some([0.0, 1.0]))?;
/// let distortion = Distortion::new(&network, ball, 1, Budget::default())?;
/// let mean = distortion.expectation(500, 0)?.mean;
/// let found = Search::Ascent(Ascent { starts: 10, ..Ascent::default() }).run(&distortion)?;
/// assert!(found.best > mean);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Distortion {
    network: Network,
    ball: Ball,
    output: u32,
    budget: Budget,
    /// Bounds of the points and the gradient at the centre, `[1, D]`.
    lower: Tensor,
    upper: Tensor,
    gradient: Tensor,
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
    /// the network's dtype. An error if the ball is not one of the network's inputs, or there is no such output.
    pub fn new(network: &Network, ball: Ball, output: u32, budget: Budget) -> Result<Self> {
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
        let trace = trace(&network, &row(ball.center())?)?;
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
    pub fn gradient(&self) -> Result<Tensor> {
        Ok(self.gradient.squeeze(0)?)
    }

    /// `||grad f(x)_y||_1`, what distortions are to be compared with.
    pub fn gradient_length(&self) -> f64 {
        self.length
    }

    /// The distortions at points `[N, D]` in the network's dtype: exactly 0 where the pattern is that of the centre.
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
    pub fn expectation(&self, samples: usize, seed: u64) -> Result<Expectation> {
        if samples == 0 {
            return Err(Error::Argument {
                what: "samples",
                cause: "0; must be at least 1".into(),
            });
        }
        let mut found = Vec::with_capacity(samples);
        for first in (0..samples).step_by(SAMPLES) {
            let path = [stream::EXPECTATION, (first / SAMPLES) as u64];
            let points = self.uniform(seed, &path, SAMPLES.min(samples - first))?;
            found.extend(self.at(&points)?);
        }
        let count = samples as f64;
        let mean = found.iter().sum::<f64>() / count;
        let squares = found.iter().map(|d| (d - mean).powi(2)).sum::<f64>();
        Ok(Expectation {
            mean,
            standard_error: (squares / (count - 1.0).max(1.0) / count).sqrt(),
            samples,
        })
    }

    /// The centre `[D]` in the network's dtype.
    fn center(&self) -> Result<Tensor> {
        let center = Tensor::new(self.ball.center(), self.network.device())?;
        Ok(center.to_dtype(self.network.dtype())?)
    }

    /// `count` uniform points of the ball, `[count, D]`.
    fn uniform(&self, seed: u64, path: &[u64], count: usize) -> Result<Tensor> {
        let rng = &mut random::stream(seed, path);
        let shape = (count, self.ball.center().len());
        let (dtype, device) = (self.network.dtype(), self.network.device());
        let share = random::uniform(rng, shape, dtype, device)?;
        let width = (&self.upper - &self.lower)?;
        self.project(&share.broadcast_mul(&width)?.broadcast_add(&self.lower)?)
    }

    /// The nearest points of the ball.
    fn project(&self, points: &Tensor) -> Result<Tensor> {
        Ok(points
            .broadcast_maximum(&self.lower)?
            .broadcast_minimum(&self.upper)?)
    }

    fn chunks(&self, points: &Tensor) -> Result<impl Iterator<Item = Range<usize>>> {
        let chunks = self.budget.chunks(&self.network, points.dim(0)?, 1);
        Ok(chunks.into_iter().map(|chunk| chunk.inputs))
    }

    fn trace(&self, points: &Tensor, range: Range<usize>) -> Result<Trace> {
        trace(&self.network, &points.narrow(0, range.start, range.len())?)
    }

    /// The distortions of the gradients `[n or 1, D]` of a trace.
    fn measure(&self, trace: &Trace, gradients: &Tensor) -> Result<Vec<f64>> {
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

/// A search for the point of the ball with the largest distortion: seeded, and made of steps, between which its
/// [`State`] can be saved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Search {
    /// The paper's genetic search.
    Genetic(Genetic),
    /// Ascent of the smoothed distortion.
    Ascent(Ascent),
}

impl Search {
    /// The state before the first step; an error if a parameter is out of range.
    pub fn start(&self, distortion: &Distortion) -> Result<State> {
        match self {
            Self::Genetic(search) => search.start(distortion),
            Self::Ascent(search) => search.start(distortion),
        }
    }

    /// The next step; nothing if there is none left.
    pub fn step(&self, distortion: &Distortion, state: &mut State) -> Result<()> {
        if state.step >= self.steps() {
            return Ok(());
        }
        match self {
            Self::Genetic(search) => search.step(distortion, state)?,
            Self::Ascent(search) => search.step(distortion, state)?,
        }
        state.step += 1;
        state.history.push(state.best);
        Ok(())
    }

    /// How many steps there are.
    pub fn steps(&self) -> usize {
        match self {
            Self::Genetic(search) => search.generations,
            Self::Ascent(search) => search.steps + 1,
        }
    }

    /// How many gradient evaluations all steps take. An evaluation is a forward pass and a pull; a push and a pull
    /// count as much.
    pub fn evaluations(&self) -> usize {
        match self {
            Self::Genetic(search) => search.evaluations(),
            Self::Ascent(search) => search.evaluations(),
        }
    }

    /// All steps.
    pub fn run(&self, distortion: &Distortion) -> Result<State> {
        let mut state = self.start(distortion)?;
        while state.step < self.steps() {
            self.step(distortion, &mut state)?;
        }
        Ok(state)
    }
}

/// The trace of points `[n, D]`.
fn trace(network: &Network, points: &Tensor) -> Result<Trace> {
    let shape = [&[points.dim(0)?], network.input_shape()].concat();
    Ok(network.trace(&points.reshape(shape)?)?)
}

/// The cotangent `[1, 1, L]` of one output.
fn unit(network: &Network, output: u32) -> Result<Tensor> {
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
