//! Multiplication by a constant tensor.

use super::{
    layout::{broadcasts, single},
    spectral::largest,
};
use crate::{
    operator::{Affine, Made, Magnitude, ShapeResult},
    parameter_map::ParameterMap,
    spec::OperatorSpec,
};
use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};
use std::sync::Arc;

/// The element-wise product with a constant: ONNX's `Mul` and `Div` by an initialiser.
#[derive(Debug)]
pub struct Scale {
    scale: Tensor,
}

impl Scale {
    /// The constant `scale`, of shape `shape`, from `vars` (1 where `vars` initialises). It broadcasts to the
    /// operand as in NumPy, and is a constant in differentiation too.
    ///
    /// # Errors
    /// A constant that `vars` lacks or has in another shape.
    pub fn new(shape: &[usize], vars: VarBuilder) -> crate::error::Result<Self> {
        let scale = vars.get_with_hints(shape, "scale", Init::Const(1.0))?;
        Ok(Self {
            scale: scale.detach(),
        })
    }
}

impl Affine for Scale {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Scale {
            shape: self.scale.dims().to_vec(),
        })
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        broadcasts(self.scale.dims(), single(operands)?)
    }

    fn made(&self) -> Made {
        Made::Scaled
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        tangents[0].broadcast_mul(&self.scale)
    }

    fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        Ok(vec![cotangent.broadcast_mul(&self.scale)?])
    }

    fn map_parameters(
        &self,
        map: &mut ParameterMap<'_>,
    ) -> crate::error::Result<Option<Arc<dyn Affine>>> {
        Ok(Some(Arc::new(Self {
            scale: map.apply("scale", &self.scale)?.detach(),
        })))
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("scale", &self.scale)]
    }

    fn magnitude(
        &self,
        _operands: &[&[usize]],
        _output: &[usize],
    ) -> crate::error::Result<Option<Magnitude>> {
        Ok(Some(Magnitude {
            operator: Arc::new(Self {
                scale: self.scale.abs()?,
            }),
            roundings: 1,
            rounded_coefficients: 0,
        }))
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(bounds[0] * largest(&self.scale)?)
    }
}
