//! Where the input gradient of a piecewise-linear network is constant.
//!
//! [`Linearization`] does the expensive step once for a batch; margins in any norm, directional margins, the
//! polyhedron, Jacobians and gradients are then questions to it. [`RegionCounter`] counts complete linear
//! regions over many batches, [`segment`] walks through those along a line, [`attribution`] integrates gradients over
//! them exactly, and [`distortion`] looks in a ball for the gradient that differs most. Outside of
//! `engines/` the crate knows no architecture: it sees a network only through its readings.
//!
//! [`Linearization::margins`] chooses the way that costs least ([`Method::Auto`]), and says what it chose and what is
//! claimed of the numbers ([`Guarantee`]). Every fast answer has a reference implementation: Jacobians by perturbation,
//! margins by all gradients and by binary search over patterns, the polyhedron's own distances.

pub mod attribution;
mod bound;
mod boxed;
mod brackets;
mod budget;
mod by_lengths;
mod cost;
mod count;
mod decide;
mod deployed;
mod device;
mod direction;
pub mod distortion;
mod domain;
mod engines;
mod equal;
mod error;
mod estimate;
pub mod exact;
mod gradients;
mod guarantee;
mod host;
mod jacobian;
mod line;
mod linearization;
mod linearizer;
mod local_errors;
mod margins;
mod measure;
mod method;
mod nearest;
mod node_lengths;
mod norm;
mod pattern;
pub mod planar;
mod polyhedron;
mod position;
mod prepared;
mod progress;
mod pulls;
pub mod reduced;
mod region_point;
mod room;
mod rounding;
mod rows;
mod search;
pub mod segment;
mod smooth;
mod units;
mod upper;

pub use budget::Budget;
pub use count::{RegionCount, RegionCounter};
pub use deployed::DeployedMargins;
pub use direction::DirectionalMargins;
pub use domain::Domain;
pub use engines::Engine;
pub use error::{Error, Result};
pub use guarantee::Guarantee;
pub use linearization::{Linearization, Neuron};
pub use linearizer::Linearizer;
pub use margins::{Margins, Work};
pub use method::{Estimate, Method};
pub use norm::Norm;
pub use pattern::{ActivationPattern, patterns};
pub use polyhedron::{Polyhedron, RowError};
pub use position::Position;
pub use progress::Progress;
pub use region_point::RegionPoint;
pub use rows::Rows;
pub use search::{Bracket, Search};
pub use units::{axes, unit_tangents};

/// The example of the README, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
