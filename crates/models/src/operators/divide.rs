//! Division by a constant tensor.

use super::{
    layout::{broadcasts, single},
    spectral::largest,
};
use crate::{
    error::Error,
    operator::{Affine, Evaluation, Made, Magnitude, ShapeResult},
    parameter_map::ParameterMap,
    spec::OperatorSpec,
};
use candle_core::{DType, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use loclin_tensor::rounding::range;
use std::sync::Arc;

/// The element-wise quotient by a constant: ONNX's `Div` by an initialiser. Unlike [`Scale`](super::Scale) by the inverse it keeps the
/// number of the file: a third is no floating-point number.
#[derive(Debug)]
pub struct Divide {
    divisor: Tensor,
}

impl Divide {
    /// The constant `divisor`, of shape `shape`, from `vars` (1 where `vars` initialises). It broadcasts to the operand as in NumPy, and is
    /// a constant in differentiation too.
    ///
    /// # Errors
    /// A constant that `vars` lacks or has in another shape, and a number whose inverse is not finite.
    pub fn new(shape: &[usize], vars: VarBuilder) -> crate::error::Result<Self> {
        let divisor = vars.get_with_hints(shape, "divisor", Init::Const(1.0))?;
        Self::of(divisor.detach())
    }

    fn of(divisor: Tensor) -> crate::error::Result<Self> {
        match numbers(&divisor)?.iter().find(|v| !(1.0 / **v).is_finite()) {
            None => Ok(Self { divisor }),
            Some(v) => Err(Error::Config {
                field: "divisor",
                cause: format!("{v}, whose inverse is not finite"),
            }),
        }
    }
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

impl Affine for Divide {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Divide {
            shape: self.divisor.dims().to_vec(),
        })
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        broadcasts(self.divisor.dims(), single(operands)?)
    }

    fn made(&self) -> Made {
        Made::Normalized
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        tangents[0].broadcast_div(&self.divisor)
    }

    fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        Ok(vec![cotangent.broadcast_div(&self.divisor)?])
    }

    fn map_parameters(
        &self,
        map: &mut ParameterMap<'_>,
    ) -> crate::error::Result<Option<Arc<dyn Affine>>> {
        let divisor = map.apply("divisor", &self.divisor)?.detach();
        Ok(Some(Arc::new(Self::of(divisor)?)))
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("divisor", &self.divisor)]
    }

    fn magnitude(
        &self,
        _operands: &[&[usize]],
        _output: &[usize],
    ) -> crate::error::Result<Option<Magnitude>> {
        if numbers(&self.divisor)?
            .iter()
            .any(|v| (1.0 / v).is_subnormal())
        {
            // The relative error of its inverse is not bounded.
            return Ok(None);
        }
        Ok(Some(Magnitude {
            operator: Arc::new(Self {
                divisor: self.divisor.abs()?,
            }),
            roundings: 2,
            rounded_coefficients: 1,
        }))
    }

    fn evaluation(&self, _: &[&[usize]], dtype: DType) -> crate::error::Result<Evaluation> {
        let divisors = numbers(&self.divisor)?;
        Ok(Evaluation {
            fits: divisors.iter().all(|v| v.abs() >= range(dtype).0),
            ..Evaluation::default()
        })
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(bounds[0] * largest(&self.divisor.recip()?)?)
    }
}
