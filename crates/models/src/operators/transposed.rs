//! The product of a linear layer, with the backward pass it deserves.

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};
use candle_ext::product::{Real, View, ViewMut, Write, multiply_by_all, slice_of};

/// `x W^T` for `x` `[rows, in]` and `W` `[out, in]`.
///
/// Candle's product by a transposed matrix gives the weight a column-major gradient, which an optimiser has to
/// copy, and computes a gradient for an `x` that nobody differentiates. On the CPU this does neither.
pub(super) fn times_transposed(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let known = matches!(weight.dtype(), DType::F32 | DType::F64) && x.dtype() == weight.dtype();
    if !known || !x.device().is_cpu() || !weight.is_contiguous() {
        return x.matmul(&weight.t()?);
    }
    x.contiguous()?.apply_op2(weight, Transposed)
}

struct Transposed;

impl Transposed {
    fn run<T: Real>(
        x: (&CpuStorage, &Layout),
        weight: (&CpuStorage, &Layout),
    ) -> candle_ext::Result<(CpuStorage, Shape)> {
        let (rows, inputs) = x.1.shape().dims2()?;
        let (outputs, features) = weight.1.shape().dims2()?;
        let mut result = vec![T::zero(); rows * outputs];
        multiply_by_all(
            ViewMut::new(&mut result, rows, outputs)?,
            Write::Replace,
            1.0,
            View::new(slice_of::<T>(x.0, x.1)?, rows, inputs)?,
            View::new(slice_of::<T>(weight.0, weight.1)?, outputs, features)?.t(),
        )?;
        let shape = Shape::from((rows, outputs));
        Ok((T::to_cpu_storage_owned(result), shape))
    }
}

impl CustomOp2 for Transposed {
    fn name(&self) -> &'static str {
        "times-transposed"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (left, right) = ((x, x_layout), (weight, weight_layout));
        match (x, weight) {
            (CpuStorage::F32(_), CpuStorage::F32(_)) => Self::run::<f32>(left, right),
            (CpuStorage::F64(_), CpuStorage::F64(_)) => Self::run::<f64>(left, right),
            _ => bail!("a linear layer needs an input and a weight of one type, f32 or f64"),
        }
        .map_err(candle_core::Error::wrap)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let cotangent = cotangent.contiguous()?;
        let of_x = x.track_op().then(|| cotangent.matmul(&weight.detach()));
        let of_weight = weight
            .track_op()
            .then(|| cotangent.t()?.matmul(&x.detach()));
        Ok((of_x.transpose()?, of_weight.transpose()?))
    }
}
