//! The optimiser of a configuration, and how large what it goes down is.

use candle_core::DType;
use candle_core::backprop::GradStore;
use loclin_tensor::{AdamConfig, AdamVariant, OptimizerConfig, Parameters, SgdConfig};

use crate::program::config::{self, Config};

/// The optimiser that a configuration names.
pub(super) fn optimizer(config: &Config) -> OptimizerConfig {
    let adam = |variant| {
        OptimizerConfig::Adam(AdamConfig {
            learning_rate: config.learning_rate,
            weight_decay: config.weight_decay,
            variant,
            ..AdamConfig::default()
        })
    };
    match config.optimizer {
        config::Optimizer::Adam => adam(AdamVariant::Adam),
        config::Optimizer::AmsGrad => adam(AdamVariant::AmsGrad),
        config::Optimizer::Sgd => OptimizerConfig::Sgd(SgdConfig {
            learning_rate: config.learning_rate,
            momentum: config.momentum,
            nesterov: config.nesterov,
            weight_decay: config.weight_decay,
        }),
    }
}

/// The l2 norm of a gradient in all parameters.
pub(super) fn norm(gradients: &GradStore, parameters: &Parameters) -> candle_core::Result<f64> {
    let mut sum = 0.0;
    for (_, parameter) in parameters.named() {
        if let Some(gradient) = gradients.get(&parameter) {
            let squares = gradient.to_dtype(DType::F64)?.sqr()?.sum_all()?;
            sum += squares.to_scalar::<f64>()?;
        }
    }
    Ok(sum.sqrt())
}
