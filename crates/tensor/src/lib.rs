//! What the tensor library [Candle](candle_core) lacks and this workspace needs.
//!
//! * [`Parameters`]: named trainable variables whose initial values are a
//!   function of a seed and a name, behind Candle's ordinary
//!   [`VarBuilder`](candle_nn::VarBuilder).
//! * [`random`]: tensors drawn from keyed, reproducible streams.
//! * [`optim`]: SGD with Nesterov momentum, Adam and AMSGrad in PyTorch's
//!   conventions, with state that can be saved and restored to the bit.
//! * [`numeric`]: a square root and a quotient whose gradients survive zero,
//!   top-k masks, a finiteness check.
//! * [`Convolution`]: two-dimensional convolutions on the CPU, forward and
//!   backward.
//! * [`linear()`]: a fully connected layer on the CPU as one operation, with
//!   a backward pass that computes what is asked for.
//! * [`TwoPieces`]: functions of two linear pieces on the CPU in one pass.
//! * [`normalize_channels`]: batch normalisation in training mode as one
//!   operation; [`channel_moments`], [`scale_channels`], [`shift_channels`]:
//!   what it is made of, without broadcasts.
//! * [`elementwise`]: functions of each number of a slice, on several threads
//!   where there are many.
//! * [`sum_of_squares`] and [`weighted_sum_of_squares`]: of all numbers, in one pass.
//! * [`inverse()`]: the inverse of a matrix, differentiable.
//! * [`own_loops`]: whether a device's tensors are worked on by loops over
//!   memory, or by tensor expressions.
//! * [`product`]: matrix products into memory the caller owns, with the
//!   kernels Candle multiplies with.
//! * [`mod@file`]: files that are regular ones, or an error.
//! * [`spectral`]: upper bounds on spectral norms.
//! * [`with_gradients`]: a scalar whose gradients are known beforehand.
//!
//! Cargo unites the features of a dependency: this crate asks `gemm` for its
//! `x86-v4` feature, which compiles the AVX-512 kernels into Candle's own
//! products too. They are chosen at run time, on processors that have the
//! instructions.
//!
//! One call in [`product`] is the only `unsafe` code of the libraries.

mod channels;
mod convolution;
pub mod elementwise;
mod error;
pub mod file;
mod inverse;
mod known;
pub mod linear;
pub mod numeric;
pub mod optim;
pub mod own_loops;
mod parameters;
mod pieces;
pub mod product;
pub mod random;
pub mod rounding;
pub mod spectral;
mod squares;

pub use channels::normalize::normalize_channels;
pub use channels::{channel_moments, scale_channels, shift_channels};
pub use convolution::Convolution;
pub use error::{Error, Result};
pub use inverse::inverse;
pub use known::with_gradients;
pub use linear::linear;
pub use numeric::{all_finite, is_float, safe_divide, safe_sqrt, top_k_mask};
pub use optim::{Adam, AdamConfig, AdamVariant, Optimizer, OptimizerConfig, Sgd, SgdConfig};
pub use parameters::Parameters;
pub use pieces::TwoPieces;
pub use squares::{sum_of_squares, weighted_sum_of_squares};

/// The example of the README, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
