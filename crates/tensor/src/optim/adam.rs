//! Adam and AMSGrad.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::common::{
    check_decay_rate, check_gradients, check_non_negative, decayed_gradient, with_state,
};
use super::optimizer::Optimizer;
use super::state;
use super::update::{self, DescendScaled, Maximum, MoveTowards, SecondMoment};
use crate::Result;

const NAME: &str = "Adam";
const FIRST: &str = "first_moment";
const SECOND: &str = "second_moment";
const LARGEST: &str = "largest_second_moment";
const STEP: &str = "step";

/// Which second moment scales the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AdamVariant {
    /// The present one (Kingma and Ba, 2015).
    #[default]
    Adam,
    /// The largest one so far, element by element (Reddi, Kale and Kumar,
    /// 2018): the step lengths never grow back.
    AmsGrad,
}

/// The hyper-parameters of [`Adam`]. The defaults are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamConfig {
    /// Step length, finite, 0 or above. Default 0.001.
    pub learning_rate: f64,
    /// Decay rate of the running mean of gradients, in `[0, 1)`. Default 0.9.
    pub beta1: f64,
    /// Decay rate of the running mean of squared gradients, in `[0, 1)`.
    /// Default 0.999.
    pub beta2: f64,
    /// Added to the root of the second moment against division by zero,
    /// finite, 0 or above. Default 1e-8.
    pub epsilon: f64,
    /// Factor of the l2 penalty `weight_decay / 2 |parameter|^2`, added to the
    /// gradient (not decoupled from it), finite, 0 or above. Default 0.
    pub weight_decay: f64,
    /// Adam (the default) or AMSGrad.
    pub variant: AdamVariant,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            variant: AdamVariant::default(),
        }
    }
}

/// Adam, as `torch.optim.Adam`, with `amsgrad` as a variant.
///
/// With the gradient `g` (weight decay included) at the `t`-th update of a
/// parameter, and rate `r`:
///
/// ```text
/// m <- m + (1 - beta1) (g - m)
/// v <- beta2 v + (1 - beta2) g^2
/// u <- v, or max(u, v) for AMSGrad
/// p <- p - r / (1 - beta1^t) m / (sqrt(u) / sqrt(1 - beta2^t) + epsilon)
/// ```
///
/// The state is `PARAMETER.first_moment`, `PARAMETER.second_moment`,
/// `PARAMETER.step` (`t`, a 64-bit integer) and, for AMSGrad,
/// `PARAMETER.largest_second_moment`.
#[derive(Debug)]
pub struct Adam {
    config: AdamConfig,
    parameters: Vec<(String, Var, Option<Moments>)>,
}

/// The state of one parameter.
#[derive(Debug)]
struct Moments {
    first: Var,
    second: Var,
    /// Present exactly for AMSGrad.
    largest: Option<Var>,
    step: i64,
}

impl Adam {
    /// An optimiser of `parameters`, in any order.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`](crate::Error::Hyperparameter) for a value
    /// outside its range;
    /// [`Error::DuplicateParameter`](crate::Error::DuplicateParameter).
    pub fn new(parameters: Vec<(String, Var)>, config: AdamConfig) -> Result<Self> {
        check_non_negative(NAME, "learning_rate", config.learning_rate)?;
        check_decay_rate(NAME, "beta1", config.beta1)?;
        check_decay_rate(NAME, "beta2", config.beta2)?;
        check_non_negative(NAME, "epsilon", config.epsilon)?;
        check_non_negative(NAME, "weight_decay", config.weight_decay)?;
        let parameters = with_state(parameters, || None)?;
        Ok(Self { config, parameters })
    }

    fn kinds(&self) -> &'static [&'static str] {
        match self.config.variant {
            AdamVariant::Adam => &[FIRST, SECOND, STEP],
            AdamVariant::AmsGrad => &[FIRST, SECOND, STEP, LARGEST],
        }
    }
}

impl Optimizer for Adam {
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        check_gradients(&self.parameters, gradients)?;
        for (_, variable, moments) in &mut self.parameters {
            let gradient = decayed_gradient(variable, gradients, self.config.weight_decay)?;
            if let Some(gradient) = gradient {
                let moments = match moments {
                    Some(moments) => moments,
                    None => moments.insert(Moments::zero(variable, self.config.variant)?),
                };
                step_one(&self.config, variable, moments, &gradient)?;
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
        for (name, _, moments) in &self.parameters {
            let Some(moments) = moments else { continue };
            tensors.insert(state::key(name, FIRST), state::copy(&moments.first)?);
            tensors.insert(state::key(name, SECOND), state::copy(&moments.second)?);
            tensors.insert(state::key(name, STEP), state::write_step(moments.step)?);
            if let Some(largest) = &moments.largest {
                tensors.insert(state::key(name, LARGEST), state::copy(largest)?);
            }
        }
        Ok(tensors)
    }

    fn load_state(&mut self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        let names = self.parameters.iter().map(|(name, ..)| name.as_str());
        state::check_names(tensors, names, self.kinds())?;
        let mut restored = Vec::with_capacity(self.parameters.len());
        for (name, variable, _) in &self.parameters {
            let kinds = self.kinds();
            let updated = kinds
                .iter()
                .any(|kind| tensors.contains_key(&state::key(name, kind)));
            restored.push(match updated {
                true => Some(Moments::read(tensors, name, variable, self.config.variant)?),
                false => None,
            });
        }
        for ((_, _, moments), restored) in self.parameters.iter_mut().zip(restored) {
            *moments = restored;
        }
        Ok(())
    }
}

impl Moments {
    fn zero(variable: &Var, variant: AdamVariant) -> Result<Self> {
        Ok(Self {
            first: state::zeros_like(variable)?,
            second: state::zeros_like(variable)?,
            largest: match variant {
                AdamVariant::Adam => None,
                AdamVariant::AmsGrad => Some(state::zeros_like(variable)?),
            },
            step: 0,
        })
    }

    fn read(
        tensors: &BTreeMap<String, Tensor>,
        name: &str,
        variable: &Var,
        variant: AdamVariant,
    ) -> Result<Self> {
        let read = |kind| state::read(tensors, &state::key(name, kind), variable);
        Ok(Self {
            first: read(FIRST)?,
            second: read(SECOND)?,
            largest: match variant {
                AdamVariant::Adam => None,
                AdamVariant::AmsGrad => Some(read(LARGEST)?),
            },
            step: state::read_step(tensors, &state::key(name, STEP))?,
        })
    }
}

fn step_one(
    config: &AdamConfig,
    variable: &Var,
    moments: &mut Moments,
    gradient: &Tensor,
) -> Result<()> {
    moments.step += 1;
    let t = moments.step as f64;
    let (first, second) = (&moments.first, &moments.second);
    let (beta1, beta2) = (config.beta1, config.beta2);
    update::apply(
        &MoveTowards { share: 1.0 - beta1 },
        first,
        gradient,
        gradient,
    )?;
    update::apply(&SecondMoment { beta2 }, second, gradient, gradient)?;
    let scale = match &moments.largest {
        None => second,
        Some(largest) => {
            // Before the bias correction, as PyTorch does.
            update::apply(&Maximum, largest, second, second)?;
            largest
        }
    };
    let descend = DescendScaled {
        rate: config.learning_rate / (1.0 - beta1.powf(t)),
        correction: (1.0 - beta2.powf(t)).sqrt(),
        epsilon: config.epsilon,
    };
    update::apply(&descend, variable, first, scale)
}
