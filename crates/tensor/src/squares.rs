//! The sum of squares, in one pass over the numbers.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, bail};
use pulp::Arch;
use rayon::prelude::*;

use crate::elementwise::{CHUNK, each};
use crate::product::{Real, slice, slice_of, tensor};
use crate::{Result, own_loops};

/// The sum of the squares of all numbers, a scalar `[]`; differentiable. On the CPU it is added up in double precision and
/// a fixed order.
///
/// # Errors
/// Candle's, if the type is no floating-point one.
///
/// ```
/// use candle_core::{Device, Var};
/// let x = Var::new(&[[1.0, -2.0]], &Device::Cpu)?;
/// let sum = loclin_tensor::sum_of_squares(&x)?;
/// assert_eq!(sum.to_scalar::<f64>()?, 5.0);
/// assert_eq!(sum.backward()?.remove(&x).unwrap().to_vec2::<f64>()?, [[2.0, -4.0]]);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn sum_of_squares(x: &Tensor) -> Result<Tensor> {
    Ok(match (own_loops::serve(x.device()), x.dtype()) {
        (true, DType::F32 | DType::F64) => x.contiguous()?.apply_op1(SumOfSquares)?,
        _ => x.sqr()?.sum_all()?,
    })
}

struct SumOfSquares;

fn sum<T: Real>(x: &[T]) -> f64 {
    const LANES: usize = 16;
    let part = |x: &[T]| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let mut sums = [0.0; LANES];
                for x in x.chunks(LANES) {
                    for (sum, x) in sums.iter_mut().zip(x) {
                        let x = x.to_f64();
                        *sum += x * x;
                    }
                }
                sums.iter().sum::<f64>()
            },
        )
    };
    match x.len() {
        0..=CHUNK => part(x),
        _ => x
            .par_chunks(CHUNK)
            .map(part)
            .collect::<Vec<_>>()
            .into_iter()
            .sum(),
    }
}

fn gradient<T: Real>(x: &Tensor, factor: f64) -> Result<Tensor> {
    let factor = T::from_f64(factor);
    let (storage, layout) = x.storage_and_layout();
    let gradient = each(slice::<T>(&storage, layout)?, T::zero(), |x| x * factor);
    tensor(gradient, x.dims())
}

impl CustomOp1 for SumOfSquares {
    fn name(&self) -> &'static str {
        "sum-of-squares"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let wrap = candle_core::Error::wrap;
        let sum = match storage {
            CpuStorage::F32(_) => {
                let sum = sum::<f32>(slice_of(storage, layout).map_err(wrap)?);
                CpuStorage::F32(vec![sum as f32])
            }
            CpuStorage::F64(_) => {
                let sum = sum::<f64>(slice_of(storage, layout).map_err(wrap)?);
                CpuStorage::F64(vec![sum])
            }
            _ => bail!("{}: expected f32 or f64", self.name()),
        };
        Ok((sum, Shape::from(())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let factor = 2.0 * cotangent.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        match x.dtype() {
            DType::F32 => gradient::<f32>(x, factor),
            _ => gradient::<f64>(x, factor),
        }
        .map(Some)
        .map_err(candle_core::Error::wrap)
    }
}
