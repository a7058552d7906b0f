//! The mean of the hinges of all neurons, in one pass over their values and one over their gradient.

use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, bail};
use loclin_models::Trace;
use loclin_tensor::{
    elementwise::{each, each_pair},
    product::{self, Real},
};
use rayon::prelude::*;

/// Sums that are kept beside one another, as a processor adds them.
const LANES: usize = 16;
/// Numbers whose sum is kept in their own precision.
const PART: usize = LANES * 256;
/// From how many numbers on several threads share them.
const MANY: usize = 1 << 16;

/// The mean of `max(0, 1 - |z|)` over all neurons and inputs of a trace on the CPU, a scalar `[]`; each times its weight, where there are
/// some: for each record as many as it has values, constants of the network's type.
pub(crate) fn mean<T: Real>(trace: &Trace, weights: Option<&[Tensor]>) -> Result<Tensor> {
    let records = trace.records();
    let z: Vec<&Tensor> = records.map(|r| r.unshaped_pre_activations()).collect();
    let neurons: usize = z.iter().map(|z| z.elem_count()).sum();
    if neurons == 0 {
        return Err(Error::NoNeurons);
    }
    let factor = 1.0 / neurons as f64;
    let mut sum = 0.0;
    let mut slopes: Option<Tensor> = None;
    for (node, z) in z.into_iter().enumerate() {
        let contiguous = z.contiguous()?;
        let weights = match weights {
            Some(weights) => Some(weights[node].reshape(z.shape())?.contiguous()?),
            None => None,
        };
        sum += total::<T>(&contiguous, weights.as_ref())?;
        if z.track_op() {
            let own = contiguous.apply_op1(Slopes { factor, weights })?;
            slopes = Some(match slopes {
                Some(slopes) => (slopes + own)?,
                None => own,
            });
        }
    }
    let device = trace.network().device();
    let mean = Tensor::full(sum * factor, (), device)?.to_dtype(T::DTYPE)?;
    Ok(match slopes {
        Some(slopes) => (mean + slopes)?,
        None => mean,
    })
}

fn total<T: Real>(z: &Tensor, weights: Option<&Tensor>) -> Result<f64> {
    let (storage, layout) = z.storage_and_layout();
    let z = product::slice::<T>(&storage, layout)?;
    let Some(weights) = weights else {
        return Ok(sum([z, z], |hinge, _| hinge));
    };
    let (storage, layout) = weights.storage_and_layout();
    let weights = product::slice::<T>(&storage, layout)?;
    Ok(sum([z, weights], |hinge, weight| hinge * weight))
}

/// The sum of a function of each value's hinge and the number beside it.
fn sum<T: Real>([z, beside]: [&[T]; 2], one: impl Fn(T, T) -> T + Sync) -> f64 {
    let part = |(z, beside): (&[T], &[T])| {
        let mut sums = [T::zero(); LANES];
        for (z, beside) in z.chunks(LANES).zip(beside.chunks(LANES)) {
            for (sum, (z, beside)) in sums.iter_mut().zip(z.iter().zip(beside)) {
                let value = T::one() - magnitude(*z);
                let hinge = if value >= T::zero() { value } else { T::zero() };
                *sum += one(hinge, *beside);
            }
        }
        sums.into_iter().map(T::to_f64).sum::<f64>()
    };
    if z.len() < MANY {
        return z.chunks(PART).zip(beside.chunks(PART)).map(part).sum();
    }
    let parts = z.par_chunks(PART).zip(beside.par_chunks(PART)).map(part);
    parts.collect::<Vec<f64>>().into_iter().sum()
}

fn magnitude<T: Real>(z: T) -> T {
    if z >= T::zero() { z } else { T::zero() - z }
}

/// Zero in value, with the gradient of the sum of hinges times a factor and, where there are some, their weights; at a kink that of the
/// right.
struct Slopes {
    factor: f64,
    /// Contiguous, of the operand's shape and type.
    weights: Option<Tensor>,
}

impl Slopes {
    fn gradient<T: Real>(&self, z: &Tensor, cotangent: f64) -> Result<Tensor> {
        let (factor, cotangent) = (T::from_f64(self.factor), T::from_f64(cotangent));
        let (up, down) = (factor * cotangent, (T::zero() - factor) * cotangent);
        let zero = T::zero() * cotangent;
        let slope = |z: T| {
            let slope = if z >= T::zero() { down } else { up };
            let inside = T::one() - magnitude(z) >= T::zero();
            if inside { slope } else { zero }
        };
        let (storage, layout) = z.storage_and_layout();
        let values = product::slice::<T>(&storage, layout)?;
        let slopes = match &self.weights {
            None => each(values, T::zero(), slope),
            Some(weights) => {
                let (storage, layout) = weights.storage_and_layout();
                let weights = product::slice::<T>(&storage, layout)?;
                each_pair([values, weights], T::zero(), |z, weight| slope(z) * weight)
            }
        };
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
