//! The named tensors of an optimiser's state, to and from a map.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Device, Tensor, Var};

use crate::{Error, Result};

/// The name of one kind of state of a parameter.
pub(super) fn key(parameter: &str, kind: &str) -> String {
    format!("{parameter}.{kind}")
}

/// Refuses names that are no `kinds` of `parameters`.
pub(super) fn check_names<'a>(
    state: &BTreeMap<String, Tensor>,
    parameters: impl Iterator<Item = &'a str>,
    kinds: &[&str],
) -> Result<()> {
    let known: BTreeSet<String> = parameters
        .flat_map(|parameter| kinds.iter().map(move |kind| key(parameter, kind)))
        .collect();
    match state.keys().find(|name| !known.contains(*name)) {
        None => Ok(()),
        Some(name) => Err(Error::UnexpectedTensor {
            name: name.clone(),
            reason: format!(
                "the state of this optimiser is named PARAMETER.KIND, with KIND one of {}",
                kinds.join(", ")
            ),
        }),
    }
}

/// A copy of a state variable.
pub(super) fn copy(variable: &Var) -> Result<Tensor> {
    Ok(variable.as_detached_tensor().copy()?)
}

/// Zeros of the shape, element type and device of `parameter`.
pub(super) fn zeros_like(parameter: &Var) -> Result<Var> {
    Ok(Var::zeros(
        parameter.shape(),
        parameter.dtype(),
        parameter.device(),
    )?)
}

/// The state `name` that belongs to `parameter`, converted to its element type
/// and device, in storage of its own.
pub(super) fn read(state: &BTreeMap<String, Tensor>, name: &str, parameter: &Var) -> Result<Var> {
    let tensor = state.get(name).ok_or_else(|| Error::MissingTensor {
        name: name.into(),
        expected: parameter.shape().clone(),
    })?;
    if tensor.shape() != parameter.shape() {
        return Err(Error::ShapeMismatch {
            name: name.into(),
            expected: parameter.shape().clone(),
            found: tensor.shape().clone(),
        });
    }
    let tensor = tensor.detach().to_device(parameter.device())?;
    // A copy first, because `from_tensor` takes over what is a variable.
    let tensor = tensor.to_dtype(parameter.dtype())?.copy()?;
    Ok(Var::from_tensor(&tensor)?)
}

/// A step count as a tensor: one 64-bit integer, of rank 0, on the CPU.
pub(super) fn write_step(step: i64) -> Result<Tensor> {
    Ok(Tensor::new(step, &Device::Cpu)?)
}

/// Reads what [`write_step`] gave.
pub(super) fn read_step(state: &BTreeMap<String, Tensor>, name: &str) -> Result<i64> {
    let tensor = state.get(name).ok_or_else(|| Error::MissingTensor {
        name: name.into(),
        expected: ().into(),
    })?;
    let found = match (tensor.rank(), tensor.dtype()) {
        (0, DType::I64) => tensor.to_scalar::<i64>()?,
        (_, dtype) => {
            return Err(Error::StepCount {
                name: name.into(),
                found: format!("{dtype:?} of shape {:?}", tensor.shape()),
            });
        }
    };
    if found < 1 {
        return Err(Error::StepCount {
            name: name.into(),
            found: found.to_string(),
        });
    }
    Ok(found)
}
