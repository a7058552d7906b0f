//! Padding with a constant.

use super::layout::{refuse, resize, single};
use crate::{
    error::Error,
    operator::{Affine, Made, Magnitude, ShapeResult},
    parameter_map::ParameterMap,
    spec::OperatorSpec,
};
use candle_core::{DType, Device, Result, Tensor};
use std::sync::Arc;

/// Adds entries of one value before and after each dimension of an input.
#[derive(Debug, Clone)]
pub struct Pad {
    before: Vec<usize>,
    after: Vec<usize>,
    value: f64,
    dtype: DType,
    device: Device,
}

impl Pad {
    /// `before` and `after` hold one number for each dimension of an input; `value` is finite. `dtype` and
    /// `device` are the network's.
    ///
    /// # Errors
    /// Lists of different lengths, and a value that is not finite.
    pub fn new(
        before: &[usize],
        after: &[usize],
        value: f64,
        dtype: DType,
        device: &Device,
    ) -> crate::error::Result<Self> {
        if before.len() != after.len() || !value.is_finite() {
            return Err(Error::Config {
                field: "pad",
                cause: format!(
                    "needs two numbers for each dimension and a finite value, found {before:?}, {after:?} and {value}"
                ),
            });
        }
        Ok(Self {
            before: before.to_vec(),
            after: after.to_vec(),
            value,
            dtype,
            device: device.clone(),
        })
    }

    /// With zeros around inputs that have `leading` dimensions in front of their own.
    fn padded(&self, x: &Tensor, leading: usize) -> Result<Tensor> {
        let mut padded = x.clone();
        for (axis, before, after) in self.sides() {
            padded = resize(&padded, axis + leading, before, after)?;
        }
        Ok(padded)
    }

    fn sides(&self) -> impl Iterator<Item = (usize, isize, isize)> {
        let sides = self.before.iter().zip(&self.after).enumerate();
        sides.map(|(axis, (before, after))| (axis, *before as isize, *after as isize))
    }
}

impl Affine for Pad {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Pad {
            before: self.before.clone(),
            after: self.after.clone(),
            value: self.value,
        })
    }

    fn map_parameters(
        &self,
        map: &mut ParameterMap<'_>,
    ) -> crate::error::Result<Option<Arc<dyn Affine>>> {
        let (dtype, device) = (map.dtype(), map.device());
        let pad = Self::new(&self.before, &self.after, self.value, dtype, device)?;
        Ok(Some(Arc::new(pad)))
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        let shape = single(operands)?;
        if shape.len() != self.before.len() {
            return refuse(format!("with {} dimensions", self.before.len()), shape);
        }
        let size = |(n, (before, after)): (&usize, (&usize, &usize))| {
            n.checked_add(*before)?
                .checked_add(*after)
                .filter(|n| isize::try_from(*n).is_ok())
        };
        let sizes = shape.iter().zip(self.before.iter().zip(&self.after));
        sizes.map(size).collect::<Option<_>>().ok_or_else(|| {
            format!(
                "{shape:?} with {:?} and {:?} more overflows",
                self.before, self.after
            )
        })
    }

    fn made(&self) -> Made {
        Made::Moved
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        self.padded(tangents[0], 2)
    }

    fn value(&self, operands: &[&Tensor], output: &[usize]) -> Result<Tensor> {
        let value = self.padded(operands[0], 1)?;
        match self.offset(output)? {
            Some(offset) => value.broadcast_add(&offset),
            None => Ok(value),
        }
    }

    fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        let mut inner = cotangent.clone();
        for (axis, before, after) in self.sides() {
            inner = resize(&inner, axis + 2, -before, -after)?;
        }
        Ok(vec![inner])
    }

    fn offset(&self, output: &[usize]) -> Result<Option<Tensor>> {
        if self.value == 0.0 {
            return Ok(None);
        }
        let sizes = output.iter().zip(self.before.iter().zip(&self.after));
        let inner: Vec<usize> = sizes
            .map(|(n, (before, after))| n - before - after)
            .collect();
        let mut inside = Tensor::ones(&inner[..], self.dtype, &self.device)?;
        for (axis, before, after) in self.sides() {
            inside = resize(&inside, axis, before, after)?;
        }
        Ok(Some(inside.affine(-self.value, self.value)?.unsqueeze(0)?))
    }

    fn magnitude(
        &self,
        _operands: &[&[usize]],
        _output: &[usize],
    ) -> crate::error::Result<Option<Magnitude>> {
        Ok(Some(Magnitude {
            operator: Arc::new(Self {
                value: self.value.abs(),
                ..self.clone()
            }),
            roundings: 1,
            rounded_coefficients: 0,
        }))
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(bounds[0])
    }
}
