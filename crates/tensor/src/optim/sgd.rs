//! Stochastic gradient descent with momentum.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::common::{
    check, check_decay_rate, check_gradients, check_non_negative, decayed_gradient, with_state,
};
use super::optimizer::Optimizer;
use super::state;
use super::update::{self, Accumulate, AddScaled, DescendNesterov};
use crate::Result;

const NAME: &str = "SGD";
const MOMENTUM: &str = "momentum";

/// The hyper-parameters of [`Sgd`]. The defaults are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdConfig {
    /// Step length, finite, 0 or above. Default 0.001.
    pub learning_rate: f64,
    /// Weight of the past directions in the present one, in `[0, 1)`.
    /// Default 0: no momentum.
    pub momentum: f64,
    /// Whether to step along the gradient plus the momentum *after* this
    /// gradient (Nesterov) instead of along the momentum. Needs a momentum
    /// above 0. Default false.
    pub nesterov: bool,
    /// Factor of the l2 penalty `weight_decay / 2 |parameter|^2`, finite, 0 or
    /// above. Default 0.
    pub weight_decay: f64,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
        }
    }
}

/// Stochastic gradient descent, as `torch.optim.SGD` with dampening 0.
///
/// With the gradient `g` (weight decay included), momentum `mu` and rate `r`:
///
/// ```text
/// m <- mu m + g          (the first time: m <- g)
/// p <- p - r m           or, by Nesterov,   p <- p - r (g + mu m)
/// ```
///
/// The state is `PARAMETER.momentum`; without momentum there is none.
#[derive(Debug)]
pub struct Sgd {
    config: SgdConfig,
    parameters: Vec<(String, Var, Option<Var>)>,
}

impl Sgd {
    /// An optimiser of `parameters`, in any order.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`](crate::Error::Hyperparameter) for a value
    /// outside its range, or Nesterov without momentum;
    /// [`Error::DuplicateParameter`](crate::Error::DuplicateParameter).
    pub fn new(parameters: Vec<(String, Var)>, config: SgdConfig) -> Result<Self> {
        check_non_negative(NAME, "learning_rate", config.learning_rate)?;
        check_decay_rate(NAME, "momentum", config.momentum)?;
        check(
            NAME,
            "momentum",
            config.momentum,
            !config.nesterov || config.momentum > 0.0,
            "a number above 0 for Nesterov momentum",
        )?;
        check_non_negative(NAME, "weight_decay", config.weight_decay)?;
        let parameters = with_state(parameters, || None)?;
        Ok(Self { config, parameters })
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        check_gradients(&self.parameters, gradients)?;
        for (_, variable, momentum) in &mut self.parameters {
            let gradient = decayed_gradient(variable, gradients, self.config.weight_decay)?;
            if let Some(gradient) = gradient {
                step_one(&self.config, variable, momentum, &gradient)?;
            }
        }
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.config.learning_rate
    }

    fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        check_non_negative(NAME, "learning_rate", rate)?;
        self.config.learning_rate = rate;
        Ok(())
    }

    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        for (name, _, momentum) in &self.parameters {
            if let Some(momentum) = momentum {
                tensors.insert(state::key(name, MOMENTUM), state::copy(momentum)?);
            }
        }
        Ok(tensors)
    }

    fn load_state(&mut self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        let kinds: &[&str] = if self.config.momentum > 0.0 {
            &[MOMENTUM]
        } else {
            &[]
        };
        let names = self.parameters.iter().map(|(name, ..)| name.as_str());
        state::check_names(tensors, names, kinds)?;
        let mut restored = Vec::with_capacity(self.parameters.len());
        for (name, variable, _) in &self.parameters {
            let key = state::key(name, MOMENTUM);
            restored.push(match tensors.contains_key(&key) {
                true => Some(state::read(tensors, &key, variable)?),
                false => None,
            });
        }
        for ((_, _, momentum), restored) in self.parameters.iter_mut().zip(restored) {
            *momentum = restored;
        }
        Ok(())
    }
}

fn step_one(
    config: &SgdConfig,
    variable: &Var,
    momentum: &mut Option<Var>,
    gradient: &Tensor,
) -> Result<()> {
    let rate = config.learning_rate;
    let descend = AddScaled { factor: -rate };
    if config.momentum == 0.0 {
        return update::apply(&descend, variable, gradient, gradient);
    }
    let factor = config.momentum;
    let momentum = match momentum {
        Some(momentum) => {
            update::apply(&Accumulate { factor }, momentum, gradient, gradient)?;
            momentum
        }
        // PyTorch starts from the gradient itself, which equals a start from
        // zero because there is no dampening.
        None => momentum.insert(Var::from_tensor(&gradient.copy()?)?),
    };
    if config.nesterov {
        update::apply(
            &DescendNesterov { rate, factor },
            variable,
            gradient,
            momentum,
        )
    } else {
        update::apply(&descend, variable, momentum, momentum)
    }
}
