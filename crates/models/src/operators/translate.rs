//! Addition of a constant tensor.

use super::layout::{broadcasts, single};
use crate::{
    operator::{Affine, Made, Magnitude, ShapeResult},
    parameter_map::ParameterMap,
    spec::OperatorSpec,
};
use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};
use std::sync::Arc;

/// The element-wise sum with a constant: ONNX's `Add` and `Sub` of an initialiser.
#[derive(Debug)]
pub struct Translate {
    shift: Tensor,
}

impl Translate {
    /// The constant `shift`, of shape `shape`, from `vars` (0 where `vars` initialises). It broadcasts to the
    /// operand as in NumPy, and is a constant in differentiation too.
    ///
    /// # Errors
    /// A constant that `vars` lacks or has in another shape.
    pub fn new(shape: &[usize], vars: VarBuilder) -> crate::error::Result<Self> {
        let shift = vars.get_with_hints(shape, "shift", Init::Const(0.0))?;
        Ok(Self {
            shift: shift.detach(),
        })
    }
}

impl Affine for Translate {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Translate {
            shape: self.shift.dims().to_vec(),
        })
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        broadcasts(self.shift.dims(), single(operands)?)
    }

    fn made(&self) -> Made {
        Made::Scaled
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        Ok(tangents[0].clone())
    }

    fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        Ok(vec![cotangent.clone()])
    }

    fn offset(&self, output: &[usize]) -> Result<Option<Tensor>> {
        let missing = output.len() + 1 - self.shift.rank();
        let shape = [&vec![1; missing], self.shift.dims()].concat();
        Ok(Some(self.shift.reshape(shape)?))
    }

    fn map_parameters(
        &self,
        map: &mut ParameterMap<'_>,
    ) -> crate::error::Result<Option<Arc<dyn Affine>>> {
        Ok(Some(Arc::new(Self {
            shift: map.apply("shift", &self.shift)?.detach(),
        })))
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("shift", &self.shift)]
    }

    fn magnitude(
        &self,
        _operands: &[&[usize]],
        _output: &[usize],
    ) -> crate::error::Result<Option<Magnitude>> {
        Ok(Some(Magnitude {
            operator: Arc::new(Self {
                shift: self.shift.abs()?,
            }),
            roundings: 1,
            rounded_coefficients: 0,
        }))
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(bounds[0])
    }
}
