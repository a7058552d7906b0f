//! What the optimisers share: checks, and the gradient that a step takes.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::row_major::row_major;
use super::update::{AddScaled, apply};
use crate::{Error, Result};

/// Refuses a hyper-parameter outside the range that `expected` words.
pub(super) fn check(
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
pub(super) fn check_non_negative(
    optimizer: &'static str,
    field: &'static str,
    value: f64,
) -> Result<()> {
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
pub(super) fn check_decay_rate(
    optimizer: &'static str,
    field: &'static str,
    value: f64,
) -> Result<()> {
    let inside = (0.0..1.0).contains(&value);
    check(optimizer, field, value, inside, "a number in [0, 1)")
}

/// The parameters sorted by name, with an empty state each.
pub(super) fn with_state<S>(
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
pub(super) fn check_gradients<S>(
    parameters: &[(String, Var, S)],
    gradients: &GradStore,
) -> Result<()> {
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
pub(super) fn decayed_gradient(
    variable: &Var,
    gradients: &GradStore,
    weight_decay: f64,
) -> Result<Option<Tensor>> {
    let Some(gradient) = gradients.get(variable) else {
        return Ok(None);
    };
    let gradient = row_major(&gradient.detach())?;
    if weight_decay == 0.0 {
        return Ok(Some(gradient));
    }
    let decay = AddScaled {
        factor: weight_decay,
    };
    // A variable for the sake of the update in place; this copies.
    let decayed = Var::from_tensor(&gradient)?;
    apply(&decay, &decayed, variable, variable)?;
    Ok(Some(decayed.as_detached_tensor()))
}
