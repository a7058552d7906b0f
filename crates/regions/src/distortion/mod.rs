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
mod measure;
mod search;
mod state;

pub use ascent::Ascent;
pub use ball::Ball;
pub use genetic::Genetic;
pub use measure::{Distortion, Expectation};
pub use search::Search;
pub use state::State;
