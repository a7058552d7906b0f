//! Piecewise-linear networks on Candle: one definition, several readings.
//!
//! A [`Network`] is a graph of operators, each affine ([`Affine`]) or piecewise linear ([`PiecewiseLinear`]). From that one
//! definition come its value ([`Module`]), its value with the activation pattern ([`Network::trace`]), the push
//! of tangents and the pull of cotangents through the fixed-pattern linear map ([`Trace`]). A new operator is
//! one file; sequences, residual sums and recurrence are ways of building a graph, not kinds of operator.
//!
//! Notation follows Lee, Alvarez-Melis and Jaakkola, *Towards Robust, Locally Linear Deep Networks*, ICLR 2019
//! ("the paper"), whose equations are cited by number.

pub mod architectures;
mod builder;
mod chain;
mod copies;
mod deployed;
mod error;
mod file;
mod foreign;
mod lengths;
mod lipschitz;
mod local_errors;
mod magnitude;
mod merged;
mod network;
pub mod nnet;
pub mod onnx;
pub mod operator;
pub mod operators;
mod parameter_map;
mod patch;
mod places;
mod pushed_magnitudes;
pub mod pytorch;
mod recognition;
mod record;
mod recurrence;
mod residual;
mod sparse_rows;
mod spec;
mod statistics;
mod stored;
mod structure;
mod trace;
mod unit_piece;
mod window;

pub use architectures::Mlp;
pub use builder::{MAX_OUTPUT, MAX_OUTPUTS, MAX_WORKSPACE, NetworkBuilder};
pub use candle_nn::Module;
pub use deployed::Ball;
pub use error::{Error, Result};
pub use file::{Model, ModelFile, Normalization};
pub use lengths::Lengths;
pub use local_errors::LocalErrors;
pub use loclin_tensor::Parameters;
pub use loclin_tensor::TwoPieces;
pub use magnitude::{Magnitudes, RoundingErrors};
pub use network::{Network, Node};
pub use operator::{Affine, Alternatives, Made, Magnitude, Normalizing, Operator, PiecewiseLinear};
pub use parameter_map::ParameterMap;
pub use patch::Patch;
pub use places::Places;
pub use pushed_magnitudes::PushedMagnitudes;
pub use record::ActivationRecord;
pub use spec::{INPUT, NetworkSpec, NodeSpec};
pub use statistics::BatchStatistics;
pub use structure::{FcChain, Recurrence, Structure};
pub use trace::growing::GrowingPush;
pub use trace::patches::PatchPull;
pub use trace::pull::{Keep, Reached};
pub use trace::{NeuronRange, Trace};

/// The example of the README, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
