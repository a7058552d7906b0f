//! Where the input gradient of a piecewise-linear network is provably constant.
//!
//! [`Linearization`] does the expensive step once for a batch; margins in any norm, directional margins, the
//! polyhedron, Jacobians and gradients are then questions to it. [`RegionCounter`] counts complete linear
//! regions over many batches, [`segment`] walks through those along a line, [`attribution`] integrates gradients over
//! them exactly, and [`distortion`] looks in a ball for the gradient that differs most. The crate knows no
//! architecture: it sees a network only through its readings.
//!
//! Every fast answer has a second, plain road: Jacobians by perturbation, margins by binary search over patterns,
//! the polyhedron's own distances.

pub mod attribution;
mod bound;
mod budget;
mod count;
mod device;
mod direction;
pub mod distortion;
mod error;
mod estimate;
mod forward;
mod host;
mod jacobian;
mod linearization;
mod linearizer;
mod margin;
mod norm;
mod pattern;
pub mod planar;
mod polyhedron;
mod search;
pub mod segment;
mod skip;
mod verify;

pub use budget::Budget;
pub use count::{RegionCount, RegionCounter};
pub use direction::DirectionalMargins;
pub use error::{Error, Result};
pub use estimate::Estimate;
pub use linearization::{Linearization, Neuron, axes, unit_tangents};
pub use linearizer::Linearizer;
pub use margin::Margins;
pub use norm::Norm;
pub use pattern::{ActivationPattern, patterns};
pub use polyhedron::Polyhedron;
pub use search::{Bracket, Search};
pub use verify::VerifiedMargins;

/// The example of the README, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
