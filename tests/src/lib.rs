//! What the property suite is made of: random networks ([`strategies`]), and oracles that share no code with the
//! libraries under test.
//!
//! An oracle is plain loops over `Vec<Vec<f64>>`: the network's value ([`Fc`]), the gradient of one neuron at a
//! time by reverse mode ([`Analysis`]), the objectives ([`objectives`]). It also bounds its own rounding error and
//! the library's, so that tests compare numbers with intervals instead of with guessed tolerances.
//! [`exact`] has no error at all: it evaluates any network in rational numbers. Only [`bridge`] knows the library: it
//! hands the same numbers to it.

mod analysis;
pub mod bridge;
pub mod exact;
mod fc;
#[cfg(doctest)]
mod guide;
mod interval;
pub mod objectives;
pub mod rivals;
pub mod strategies;

pub use analysis::{Analysis, F32, F64};
pub use fc::{Fc, Forward, Layer};
pub use interval::{Interval, dual, norm};
