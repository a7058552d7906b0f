//! Exact arithmetic: what a network's pre-activations, gradients and radii are, without any rounding.
//!
//! A float is an integer times a power of two, and so are sums and products of floats. [`Exact::new`] reads the matrix of each affine
//! operator out of its own readings, [`Exact::at`] evaluates the network at an input, and [`ExactPoint`] answers for
//! each neuron. It is slow, and it shares nothing with fast ways to the same numbers but the operators: it decides what
//! floating point cannot, and checks what floating point found.
//!
//! Some operators compute their coefficients from their parameters, and round them: a batch normalisation, the mean of
//! three numbers ([`loclin_models::Magnitude::rounded_coefficients`]). Such a coefficient is known to lie between two numbers,
//! and so is what follows from it: every [`Number`] is exact, or a lower and an upper bound.
//!
//! | file | what it does |
//! |---|---|
//! | `dyadic` | integers times powers of two |
//! | `number` | exact numbers, and those between two bounds |
//! | `quotient` | quotients and their roots as floats, rounded to a side |
//! | `matrix` | an affine operator as a sparse matrix |
//! | `selection` | piecewise-linear operators |
//! | `network` | a network, and its values at an input |
//! | `point` | gradients of neurons |
//! | `radius` | radii |
//! | `boxed` | distances within a domain |
//!
//! ```
//! use candle_core::{DType, Device};
//! use loclin_models::{Mlp, Parameters};
//! use loclin_regions::{Norm, exact::Exact};
//!
//! let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
//! let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
//! let exact = Exact::new(&network, 1_000_000)?;
//! let here = exact.at(&[0.3, -0.2])?;
//! assert!(here.pre_activation(0).is_exact() && here.side(0).is_some());
//! let radius = &here.radii(&[Norm::L2], 1_000_000)?[0];
//! assert!(radius.lower > 0.0 && radius.upper <= radius.lower.next_up());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod boxed;
mod dyadic;
mod error;
mod matrix;
mod network;
mod number;
mod point;
mod quotient;
mod radius;
mod selection;

pub use dyadic::Dyadic;
pub use error::{ExactError, Result};
pub use network::Exact;
pub use number::Number;
pub use point::ExactPoint;
pub use radius::RadiusBounds;
