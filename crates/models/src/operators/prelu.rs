//! A leaky ReLU whose slopes are learned.

use super::{
    layout::{per_channel, refuse},
    spectral::largest,
};
use crate::{
    error::Error,
    operator::{Alternatives, PiecewiseLinear, ShapeResult, UnitPiece},
    parameter_map::ParameterMap,
    record::ActivationRecord,
    spec::OperatorSpec,
};
use candle_core::{DType, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use loclin_tensor::rounding::UNIT;
use std::sync::Arc;

/// `z` for `z >= 0`, `weight * z` otherwise, with one slope for all units or one for each channel (the first
/// dimension of an input), as PyTorch's `nn.PReLU`.
///
/// The side of each unit is the pattern and its pre-activation the neuron, as for a ReLU; a unit at 0 is on
/// the right. The slope is a parameter: pushed tangents are differentiable in it.
#[derive(Debug)]
pub struct Prelu {
    weight: Tensor,
}

impl Prelu {
    /// The parameter `weight` `[channels]` from `vars` (0.25 where `vars` initialises); 1 channel stands for one
    /// slope for all units.
    ///
    /// # Errors
    /// No channel, and a parameter that `vars` lacks or has in another shape.
    pub fn new(channels: usize, vars: VarBuilder) -> crate::error::Result<Self> {
        if channels == 0 {
            return Err(Error::Config {
                field: "prelu",
                cause: "needs at least one slope, found 0 channels".into(),
            });
        }
        let weight = vars.get_with_hints(channels, "weight", Init::Const(0.25))?;
        Ok(Self { weight })
    }

    /// The slopes where `right` is 1 for units `z >= 0` and 0 for others; the channel is at `axis`.
    fn slopes(&self, right: &Tensor, axis: usize) -> Result<Tensor> {
        let weight = per_channel(&self.weight, axis, right.rank())?;
        right.affine(-1.0, 1.0)?.broadcast_mul(&weight)? + right
    }
}

/// `[z >= 0]` as 0 and 1 in the dtype of `z`.
fn right(z: &Tensor) -> Result<Tensor> {
    z.detach().ge(0.0)?.to_dtype(z.dtype())
}

impl PiecewiseLinear for Prelu {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Prelu {
            channels: self.weight.elem_count(),
        })
    }

    fn output_shape(&self, operand: &[usize]) -> ShapeResult {
        let channels = self.weight.elem_count();
        match operand.first() {
            Some(n) if channels == 1 || *n == channels => Ok(operand.to_vec()),
            _ => refuse(format!("with {channels} channels"), operand),
        }
    }

    fn value(&self, operand: &Tensor) -> Result<Tensor> {
        operand * self.slopes(&right(operand)?, 1)?
    }

    fn record(&self, operand: &Tensor) -> Result<ActivationRecord> {
        let right = right(operand)?;
        let flat = right.flatten_from(1)?;
        let (signs, pieces) = (flat.affine(2.0, -1.0)?, flat.to_dtype(DType::U8)?);
        let record = ActivationRecord::new(operand.flatten_from(1)?, signs, pieces, 2)?;
        // Not the slopes themselves, in which a push is differentiable.
        Ok(record.with_own(right))
    }

    fn turned(
        &self,
        record: &ActivationRecord,
        units: &[UnitPiece],
        _operand: &[usize],
    ) -> Result<Option<ActivationRecord>> {
        let z = record.placed(units, 1)?.reshape(record.own()?.shape())?;
        self.record(&z).map(Some)
    }

    fn push(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor> {
        let slopes = match record.slopes()? {
            Some(steepest) => steepest.clone(),
            None => self.slopes(record.own()?, 1)?,
        };
        tangent.broadcast_mul(&slopes.unsqueeze(1)?)
    }

    fn pull(
        &self,
        cotangent: &Tensor,
        record: &ActivationRecord,
        _operand: &[usize],
    ) -> Result<Tensor> {
        self.push(cotangent, record)
    }

    fn offset(&self, _record: &ActivationRecord) -> Result<Option<Tensor>> {
        Ok(None)
    }

    fn push_neurons(&self, tangent: &Tensor, _record: &ActivationRecord) -> Result<Tensor> {
        tangent.flatten_from(2)
    }

    fn pull_neurons(
        &self,
        cotangent: &Tensor,
        _record: &ActivationRecord,
        operand: &[usize],
    ) -> Result<Tensor> {
        cotangent.reshape([&cotangent.dims()[..2], operand].concat())
    }

    fn slope_changes(&self, cotangent: &Tensor, _operand: &[usize]) -> Result<Tensor> {
        let slope_changes = per_channel(&self.weight, 2, cotangent.rank())?.affine(-1.0, 1.0)?;
        cotangent.broadcast_mul(&slope_changes)?.flatten_from(2)
    }

    fn map_parameters(
        &self,
        map: &mut ParameterMap<'_>,
    ) -> crate::error::Result<Option<Arc<dyn PiecewiseLinear>>> {
        Ok(Some(Arc::new(Self {
            weight: map.apply("weight", &self.weight)?,
        })))
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("weight", &self.weight)]
    }

    fn magnitude(
        &self,
        operand: &Tensor,
        error: &Tensor,
        record: &ActivationRecord,
    ) -> Result<Option<ActivationRecord>> {
        let reach = ((error * (1.0 + 4.0 * UNIT))? + (operand.abs()? * (4.0 * UNIT))?)?;
        // Surely on one side; an error that is not a number leaves both.
        let dtype = operand.dtype();
        let left = (operand + &reach)?.lt(0.0)?.to_dtype(dtype)?;
        let right = (operand - &reach)?.gt(0.0)?.to_dtype(dtype)?;
        let weight = per_channel(&self.weight.detach().abs()?, 1, operand.rank())?;
        let below = right.affine(-1.0, 1.0)?.broadcast_mul(&weight)?;
        let steepest = below.maximum(&left.affine(-1.0, 1.0)?)?;
        Ok(Some(record.clone().with_slopes(steepest)))
    }

    fn push_largest(&self, magnitudes: &Tensor) -> Result<Option<(Tensor, Tensor)>> {
        let steepest = self.lipschitz(&[])? * (1.0 + 4.0 * UNIT);
        Ok(Some((
            (magnitudes * steepest)?,
            magnitudes.flatten_from(2)?,
        )))
    }

    fn pull_largest(&self, magnitudes: &Tensor, _operand: &[usize]) -> Result<Option<Tensor>> {
        let steepest = self.lipschitz(&[])? * (1.0 + 4.0 * UNIT);
        Ok(Some((magnitudes * steepest)?))
    }

    fn alternatives(&self, operand: &[usize]) -> Result<Option<Alternatives>> {
        let weight = self
            .weight
            .detach()
            .to_dtype(DType::F64)?
            .to_vec1::<f64>()?;
        let inner: usize = operand[1..].iter().product();
        // One slope stands for all channels.
        let repeated = if weight.len() == 1 { 1 } else { inner };
        let slopes = weight.iter().map(|slope| vec![vec![*slope, 1.0]; repeated]);
        Ok(Some(Alternatives::Lines {
            breakpoints: vec![0.0],
            slopes: slopes.flatten().collect(),
            anchor: 0.0,
        }))
    }

    fn lipschitz(&self, _operand: &[usize]) -> Result<f64> {
        Ok(largest(&self.weight)?.max(1.0))
    }

    fn neuron_length(&self) -> f64 {
        1.0
    }
}
