//! Training objectives that make the linear regions of a network large, and those of other papers that they are compared with.
//!
//! Each is a regulariser to be added to the task loss times `lambda`, in one line:
//!
//! ```
//! # use candle_core::{DType, Device, Tensor};
//! # use candle_nn::loss::cross_entropy;
//! # use loclin_models::{Mlp, Parameters};
//! # use loclin_objectives::{roll, Gamma, RollConfig};
//! # let config = Mlp { inputs: vec![2], hidden: vec![8], outputs: 2, negative_slope: 0.0 };
//! # let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
//! # let x = Tensor::new(&[[0.5, -0.5], [1.0, 0.2]], &Device::Cpu)?;
//! # let y = Tensor::new(&[0u32, 1], &Device::Cpu)?;
//! # let (lambda, config) = (2.0, RollConfig { c: 0.25, gamma: Gamma::Percent(100.0) });
//! let trace = network.trace(&x)?;
//! let loss = (cross_entropy(trace.output(), &y)? + (lambda * roll(&trace, config)?)?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! They are ordinary Candle computations: call `backward` on the sum. The activation pattern is a constant in
//! the differentiation; gradients flow through the pre-activations `z` and through their input gradients, which
//! are explicit functions of the weights once the pattern is fixed.

mod analytic;
mod cure;
mod distance;
mod elle;
mod engines;
mod error;
mod grad_align;
mod grad_cert;
mod gradient_norm;
mod hinge;
mod jump_weighted;
mod mmr;
mod neuron_loss;
mod relaxed;
mod roll;
mod sampled;
mod task;

pub use cure::cure;
pub use distance::distance;
pub use elle::{elle, nonlinearity};
pub use engines::Engine;
pub use error::{Error, Result};
pub use grad_align::{grad_align, misalignment};
pub use grad_cert::grad_cert;
pub use gradient_norm::gradient_norm;
pub use jump_weighted::{jump_weighted, jump_weighted_sampled};
pub use mmr::{MmrConfig, mmr};
pub use neuron_loss::{
    distances_to_zero, hinges, squared_derivatives, squared_gradient_norms,
    squared_gradient_norms_by_pushing, tsvm_losses,
};
pub use relaxed::relaxed;
pub use roll::{Gamma, RollConfig, roll};
pub use sampled::{Probes, SampledConfig, mean_over_inputs, sampled, sampled_together};

/// The example of the README, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
