//! A scalar whose gradients are known beforehand.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, bail};

use crate::Result;

/// The scalar `value` as a function of the tensors of `parts`, at which its
/// gradients are given: what an analytic derivative looks like to `backward`.
///
/// A part is a tensor and the gradient of `value` in it, of its shape.
///
/// # Errors
/// Candle's, if a gradient has another shape or type than its tensor.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// let x = Var::new(&[1.0, 2.0], &Device::Cpu)?;
/// let gradient = Tensor::new(&[2.0, 4.0], &Device::Cpu)?;
/// let square = loclin_tensor::with_gradients(5.0, &[(x.as_tensor().clone(), gradient)])?;
/// assert_eq!(square.to_scalar::<f64>()?, 5.0);
/// let gradient = (square * 10.0)?.backward()?.remove(&x).unwrap();
/// assert_eq!(gradient.to_vec1::<f64>()?, [20.0, 40.0]);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn with_gradients(value: f64, parts: &[(Tensor, Tensor)]) -> Result<Tensor> {
    let Some((first, _)) = parts.first() else {
        return Ok(Tensor::new(value, &candle_core::Device::Cpu)?);
    };
    let mut total = Tensor::full(value, (), first.device())?.to_dtype(first.dtype())?;
    for (tensor, gradient) in parts {
        if tensor.shape() != gradient.shape() {
            return Err(candle_core::Error::UnexpectedShape {
                msg: "the gradient of a scalar".into(),
                expected: tensor.shape().clone(),
                got: gradient.shape().clone(),
            }
            .into());
        }
        let known = Known(gradient.detach());
        total = (total + tensor.apply_op1(known)?)?;
    }
    Ok(total)
}

/// Zero in value, with a given gradient.
struct Known(Tensor);

impl CustomOp1 for Known {
    fn name(&self) -> &'static str {
        "known-gradient"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let zero = match storage {
            CpuStorage::F32(_) => CpuStorage::F32(vec![0.0]),
            CpuStorage::F64(_) => CpuStorage::F64(vec![0.0]),
            _ => bail!("a known gradient must be of type f32 or f64"),
        };
        Ok((zero, Shape::from(())))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let factor = cotangent.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        Ok(Some(self.0.affine(factor, 0.0)?))
    }
}
