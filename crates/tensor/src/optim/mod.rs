//! Optimisers whose state can be saved and restored to the bit.
//!
//! Every optimiser follows PyTorch's conventions, takes its parameters sorted
//! by name, and leaves a parameter without a gradient alone: neither the value
//! nor its state changes, as for a `None` gradient in PyTorch.

mod adam;
mod common;
mod optimizer;
mod row_major;
mod sgd;
mod state;
pub(crate) mod update;

use candle_core::Var;

pub use adam::{Adam, AdamConfig, AdamVariant};
pub use optimizer::Optimizer;
pub use sgd::{Sgd, SgdConfig};

use crate::Result;

/// The choice of an optimiser, for callers that read it from a configuration.
///
/// ```
/// use candle_core::{DType, Device};
/// use loclin_tensor::{OptimizerConfig, Parameters, SgdConfig};
/// let parameters = Parameters::seeded(0);
/// let builder = parameters.builder(DType::F32, &Device::Cpu);
/// let weight = builder.get_with_hints(2, "weight", candle_nn::init::ONE)?;
/// let config = OptimizerConfig::Sgd(SgdConfig {
///     learning_rate: 0.25,
///     ..SgdConfig::default()
/// });
/// let mut optimizer = config.build(parameters.named())?;
/// let loss = weight.sqr()?.sum_all()?;
/// optimizer.step(&loss.backward()?)?;
/// assert_eq!(weight.to_vec1::<f32>()?, [0.5, 0.5]);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OptimizerConfig {
    /// Stochastic gradient descent with momentum.
    Sgd(SgdConfig),
    /// Adam and AMSGrad.
    Adam(AdamConfig),
}

impl OptimizerConfig {
    /// The optimiser of `parameters` that this configuration describes.
    ///
    /// # Errors
    /// [`crate::Error::Hyperparameter`] for a value outside its range,
    /// [`crate::Error::DuplicateParameter`] and [`crate::Error::DType`] for parameters.
    pub fn build(self, parameters: Vec<(String, Var)>) -> Result<Box<dyn Optimizer>> {
        Ok(match self {
            Self::Sgd(config) => Box::new(Sgd::new(parameters, config)?),
            Self::Adam(config) => Box::new(Adam::new(parameters, config)?),
        })
    }
}
