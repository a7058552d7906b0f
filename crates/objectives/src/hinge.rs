//! The mean of the hinges of all neurons, in one pass over their values and one over their gradient.

use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, bail};
use loclin_models::Trace;
use loclin_tensor::{
    elementwise::each,
    product::{self, Real},
};
use rayon::prelude::*;

/// Sums that are kept beside one another, as a processor adds them.
const LANES: usize = 16;
/// Numbers whose sum is kept in their own precision.
const PART: usize = LANES * 256;
/// From how many numbers on several threads share them.
const MANY: usize = 1 << 16;

/// The mean of `max(0, 1 - |z|)` over all neurons and inputs of a trace on the CPU, a scalar `[]`.
pub(crate) fn mean<T: Real>(trace: &Trace) -> Result<Tensor> {
    let records = trace.records();
    let z: Vec<&Tensor> = records.map(|r| r.unshaped_pre_activations()).collect();
    let neurons: usize = z.iter().map(|z| z.elem_count()).sum();
    if neurons == 0 {
        return Err(Error::NoNeurons);
    }
    let factor = 1.0 / neurons as f64;
    let mut sum = 0.0;
    for z in &z {
        let z = z.detach().contiguous()?;
        let (storage, layout) = z.storage_and_layout();
        sum += total::<T>(product::slice(&storage, layout)?);
    }
    let device = trace.network().device();
    let mut mean = Tensor::full(sum * factor, (), device)?.to_dtype(T::DTYPE)?;
    for z in z.into_iter().filter(|z| z.track_op()) {
        mean = (mean + z.contiguous()?.apply_op1(Slopes(factor))?)?;
    }
    Ok(mean)
}

fn total<T: Real>(z: &[T]) -> f64 {
    if z.len() < MANY {
        return z.chunks(PART).map(part).sum();
    }
    let parts: Vec<f64> = z.par_chunks(PART).map(part).collect();
    parts.into_iter().sum()
}

fn part<T: Real>(z: &[T]) -> f64 {
    let mut sums = [T::zero(); LANES];
    for part in z.chunks(LANES) {
        for (sum, z) in sums.iter_mut().zip(part) {
            let value = T::one() - magnitude(*z);
            *sum += if value >= T::zero() { value } else { T::zero() };
        }
    }
    sums.into_iter().map(T::to_f64).sum()
}

fn magnitude<T: Real>(z: T) -> T {
    if z >= T::zero() { z } else { T::zero() - z }
}

/// Zero in value, with the gradient of the sum of hinges times a factor; at a kink that of the right.
struct Slopes(f64);

impl Slopes {
    fn gradient<T: Real>(&self, z: &Tensor, cotangent: f64) -> Result<Tensor> {
        let (factor, cotangent) = (T::from_f64(self.0), T::from_f64(cotangent));
        let (up, down) = (factor * cotangent, (T::zero() - factor) * cotangent);
        let zero = T::zero() * cotangent;
        let (storage, layout) = z.storage_and_layout();
        let slopes = each(product::slice::<T>(&storage, layout)?, T::zero(), |z| {
            let slope = if z >= T::zero() { down } else { up };
            let inside = T::one() - magnitude(z) >= T::zero();
            if inside { slope } else { zero }
        });
        Ok(product::tensor(slopes, z.dims())?)
    }
}

impl CustomOp1 for Slopes {
    fn name(&self) -> &'static str {
        "hinge-slopes"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let zero = match storage {
            CpuStorage::F32(_) => CpuStorage::F32(vec![0.0]),
            CpuStorage::F64(_) => CpuStorage::F64(vec![0.0]),
            _ => bail!("{}: expected f32 or f64", self.name()),
        };
        Ok((zero, Shape::from(())))
    }

    fn bwd(
        &self,
        z: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let cotangent = cotangent.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        let gradient = match z.dtype() {
            DType::F32 => self.gradient::<f32>(z, cotangent),
            _ => self.gradient::<f64>(z, cotangent),
        };
        gradient.map(Some).map_err(candle_core::Error::wrap)
    }
}
