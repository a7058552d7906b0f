//! Sums of squares, in one pass over the numbers.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, bail};
use pulp::Arch;
use rayon::prelude::*;

use crate::elementwise::{CHUNK, each, each_pair};
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
    Ok(match is_served(x) {
        true => x.contiguous()?.apply_op1(SumOfSquares { weights: None })?,
        false => x.sqr()?.sum_all()?,
    })
}

/// The sum of `weights * x^2` over all numbers, a scalar `[]`: as [`sum_of_squares`], with a weight for each number. `weights` has as many
/// numbers as `x`, in any shape, is of its type, and a constant in the differentiation.
///
/// # Errors
/// Candle's, if the type is no floating-point one or the numbers of `weights` are not as many.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// let x = Var::new(&[[1.0, -2.0]], &Device::Cpu)?;
/// let sum = loclin_tensor::weighted_sum_of_squares(&x, &Tensor::new(&[3.0, 0.5], &Device::Cpu)?)?;
/// assert_eq!(sum.to_scalar::<f64>()?, 5.0);
/// assert_eq!(sum.backward()?.remove(&x).unwrap().to_vec2::<f64>()?, [[6.0, -2.0]]);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn weighted_sum_of_squares(x: &Tensor, weights: &Tensor) -> Result<Tensor> {
    let weights = weights.detach().reshape(x.shape())?;
    Ok(match is_served(x) && weights.dtype() == x.dtype() {
        true => {
            let weights = Some(weights.contiguous()?);
            x.contiguous()?.apply_op1(SumOfSquares { weights })?
        }
        false => (x.sqr()? * weights)?.sum_all()?,
    })
}

fn is_served(x: &Tensor) -> bool {
    own_loops::serve(x.device()) && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// With contiguous weights of its operand's shape and type.
struct SumOfSquares {
    weights: Option<Tensor>,
}

impl SumOfSquares {
    fn sum<T: Real>(&self, x: &[T]) -> Result<f64> {
        let Some(weights) = &self.weights else {
            return Ok(sum([x, x], |x, _| {
                let x = x.to_f64();
                x * x
            }));
        };
        let (storage, layout) = weights.storage_and_layout();
        let weights = slice::<T>(&storage, layout)?;
        Ok(sum([x, weights], |x, weight| {
            let x = x.to_f64();
            weight.to_f64() * x * x
        }))
    }

    fn gradient<T: Real>(&self, x: &Tensor, factor: f64) -> Result<Tensor> {
        let factor = T::from_f64(factor);
        let (storage, layout) = x.storage_and_layout();
        let numbers = slice::<T>(&storage, layout)?;
        let gradient = match &self.weights {
            None => each(numbers, T::zero(), |x| x * factor),
            Some(weights) => {
                let (storage, layout) = weights.storage_and_layout();
                let weights = slice::<T>(&storage, layout)?;
                each_pair([numbers, weights], T::zero(), |x, weight| {
                    weight * x * factor
                })
            }
        };
        tensor(gradient, x.dims())
    }
}

/// The sum of a function of each pair of numbers, in double precision and a fixed order.
fn sum<T: Real>([a, b]: [&[T]; 2], one: impl Fn(T, T) -> f64 + Sync) -> f64 {
    const LANES: usize = 16;
    let part = |(a, b): (&[T], &[T])| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let mut sums = [0.0; LANES];
                for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
                    for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                        *sum += one(*a, *b);
                    }
                }
                sums.iter().sum::<f64>()
            },
        )
    };
    match a.len() {
        0..=CHUNK => part((a, b)),
        _ => {
            let parts = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)).map(part);
            parts.collect::<Vec<_>>().into_iter().sum()
        }
    }
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
                let x = slice_of::<f32>(storage, layout).map_err(wrap)?;
                CpuStorage::F32(vec![self.sum(x).map_err(wrap)? as f32])
            }
            CpuStorage::F64(_) => {
                let x = slice_of::<f64>(storage, layout).map_err(wrap)?;
                CpuStorage::F64(vec![self.sum(x).map_err(wrap)?])
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
            DType::F32 => self.gradient::<f32>(x, factor),
            _ => self.gradient::<f64>(x, factor),
        }
        .map(Some)
        .map_err(candle_core::Error::wrap)
    }
}
