//! Optimisers whose state can be saved and restored to the bit.
//!
//! Every optimiser follows PyTorch's conventions, takes its parameters sorted
//! by name, and leaves a parameter without a gradient alone: neither the value
//! nor its state changes, as for a `None` gradient in PyTorch.

mod adam;
mod row_major;
mod sgd;
mod state;
pub(crate) mod update;

use std::collections::BTreeMap;
use std::fmt::Debug;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

pub use adam::{Adam, AdamConfig, AdamVariant};
pub use sgd::{Sgd, SgdConfig};

use self::update::AddScaled;
use crate::{Error, Result};

/// A method that moves parameters along the gradients of a loss.
pub trait Optimizer: Debug + Send {
    /// Updates every parameter that has a gradient in `gradients`.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] or [`Error::DType`] for a gradient that does
    /// not fit its parameter, found before anything is changed; else Candle's.
    fn step(&mut self, gradients: &GradStore) -> Result<()>;

    /// The step length of the following steps.
    fn learning_rate(&self) -> f64;

    /// Changes the step length. The state (momentum, moments) is kept.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`] if the rate is negative or not finite.
    fn set_learning_rate(&mut self, rate: f64) -> Result<()>;

    /// A copy of everything that a step reads besides the hyper-parameters and
    /// the parameters themselves, named `PARAMETER.KIND`. Parameters that were
    /// never updated have none.
    ///
    /// # Errors
    /// Candle's, if an allocation fails.
    fn state(&self) -> Result<BTreeMap<String, Tensor>>;

    /// Restores what [`state`](Self::state) gave. With the parameters restored
    /// too, training continues to the bit. Nothing is changed if an error is
    /// found.
    ///
    /// # Errors
    /// A tensor that is missing, unexpected, or of a wrong shape, by name.
    fn load_state(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()>;
}

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
    /// [`Error::Hyperparameter`] for a value outside its range,
    /// [`Error::DuplicateParameter`] and [`Error::DType`] for parameters.
    pub fn build(self, parameters: Vec<(String, Var)>) -> Result<Box<dyn Optimizer>> {
        Ok(match self {
            Self::Sgd(config) => Box::new(Sgd::new(parameters, config)?),
            Self::Adam(config) => Box::new(Adam::new(parameters, config)?),
        })
    }
}

/// Refuses a hyper-parameter outside the range that `expected` words.
fn check(
    optimizer: &'static str,
    field: &'static str,
    value: f64,
    inside: bool,
    expected: &'static str,
) -> Result<()> {
    if inside {
        return Ok(());
    }
    Err(Error::Hyperparameter {
        optimizer,
        field,
        value,
        expected,
    })
}

/// Refuses a negative, infinite or undefined learning rate, decay or epsilon.
fn check_non_negative(optimizer: &'static str, field: &'static str, value: f64) -> Result<()> {
    let inside = value.is_finite() && value >= 0.0;
    check(
        optimizer,
        field,
        value,
        inside,
        "a finite number, 0 or above",
    )
}

/// Refuses a decay rate of a running mean outside `[0, 1)`.
fn check_decay_rate(optimizer: &'static str, field: &'static str, value: f64) -> Result<()> {
    let inside = (0.0..1.0).contains(&value);
    check(optimizer, field, value, inside, "a number in [0, 1)")
}

/// The parameters sorted by name, with an empty state each.
fn with_state<S>(
    mut parameters: Vec<(String, Var)>,
    empty: impl Fn() -> S,
) -> Result<Vec<(String, Var, S)>> {
    parameters.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(pair) = parameters.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::DuplicateParameter {
            name: pair[0].0.clone(),
        });
    }
    if let Some((name, variable)) = parameters.iter().find(|(_, v)| !v.dtype().is_float()) {
        return Err(Error::DType {
            name: name.clone(),
            expected: "a floating-point type".into(),
            found: variable.dtype(),
        });
    }
    Ok(parameters
        .into_iter()
        .map(|(name, variable)| (name, variable, empty()))
        .collect())
}

/// Refuses gradients that do not fit their parameters, before any is used.
fn check_gradients<S>(parameters: &[(String, Var, S)], gradients: &GradStore) -> Result<()> {
    for (name, variable, _) in parameters {
        let Some(gradient) = gradients.get(variable) else {
            continue;
        };
        if gradient.shape() != variable.shape() {
            return Err(Error::ShapeMismatch {
                name: format!("gradient of {name}"),
                expected: variable.shape().clone(),
                found: gradient.shape().clone(),
            });
        }
        if gradient.dtype() != variable.dtype() {
            return Err(Error::DType {
                name: format!("gradient of {name}"),
                expected: format!("{:?}, its parameter's", variable.dtype()),
                found: gradient.dtype(),
            });
        }
    }
    Ok(())
}

/// The gradient of the loss plus that of `weight_decay / 2 |variable|^2`, in
/// row-major order; none if the loss does not depend on the variable.
fn decayed_gradient(
    variable: &Var,
    gradients: &GradStore,
    weight_decay: f64,
) -> Result<Option<Tensor>> {
    let Some(gradient) = gradients.get(variable) else {
        return Ok(None);
    };
    let gradient = row_major::row_major(&gradient.detach())?;
    if weight_decay == 0.0 {
        return Ok(Some(gradient));
    }
    let decay = AddScaled {
        factor: weight_decay,
    };
    // A variable for the sake of the update in place; this copies.
    let decayed = Var::from_tensor(&gradient)?;
    update::apply(&decay, &decayed, variable, variable)?;
    Ok(Some(decayed.as_detached_tensor()))
}
