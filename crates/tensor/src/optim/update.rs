//! Element-wise updates in place.
//!
//! Candle's element-wise operations allocate their results, and a step of
//! Adam written with them would walk a dozen temporaries. On the CPU an update
//! is therefore one loop over the storage; on other devices it is the tensor
//! expression beside it. The two do the same operations in the same order, so
//! they agree to the bit (a test holds them together).
//!
//! Numbers that are as good as nothing are stored as zeros: of moments and means those
//! below the smallest normal number, of parameters those whose last digit would be
//! below it (1e-31 in f32). A regulariser shrinks the weights of constant pixels
//! without end, and rounding leaves a moment at the smallest subnormal number for ever
//! (0.9 of it rounds to itself). Processors multiply such numbers, and those whose
//! products are such, tens of times slower than others: on MNIST they made a step of
//! training up to 25 times as long after ten epochs.

use candle_core::{CpuStorage, DType, InplaceOp3, Layout, Tensor, Var, WithDType, bail};

use rayon::prelude::*;

use crate::{Result, own_loops};

/// An element-wise update `old <- f(old, x, y)`; one that reads a single
/// source is given it twice.
pub(crate) trait Update: Copy + Sync {
    /// Whether what is updated is a parameter.
    const OF_PARAMETER: bool;

    /// The new value of one element, in the arithmetic of `T`.
    fn element<T: Real>(self, old: T, x: T, y: T) -> T;

    /// The new values as a tensor expression.
    fn tensor(self, old: &Tensor, x: &Tensor, y: &Tensor) -> candle_core::Result<Tensor>;
}

/// `p <- p + factor x`.
#[derive(Clone, Copy)]
pub(super) struct AddScaled {
    pub(super) factor: f64,
}

impl Update for AddScaled {
    const OF_PARAMETER: bool = true;

    fn element<T: Real>(self, old: T, x: T, _: T) -> T {
        old + x * T::from_f64(self.factor)
    }

    fn tensor(self, old: &Tensor, x: &Tensor, _: &Tensor) -> candle_core::Result<Tensor> {
        old + (x * self.factor)?
    }
}

/// `p <- p - rate (x + factor y)`, with the gradient `x` and the momentum `y`.
#[derive(Clone, Copy)]
pub(super) struct DescendNesterov {
    pub(super) rate: f64,
    pub(super) factor: f64,
}

impl Update for DescendNesterov {
    const OF_PARAMETER: bool = true;

    fn element<T: Real>(self, old: T, x: T, y: T) -> T {
        old - (x + y * T::from_f64(self.factor)) * T::from_f64(self.rate)
    }

    fn tensor(self, old: &Tensor, x: &Tensor, y: &Tensor) -> candle_core::Result<Tensor> {
        old - ((x + (y * self.factor)?)? * self.rate)?
    }
}

/// `m <- factor m + x`.
#[derive(Clone, Copy)]
pub(super) struct Accumulate {
    pub(super) factor: f64,
}

impl Update for Accumulate {
    const OF_PARAMETER: bool = false;

    fn element<T: Real>(self, old: T, x: T, _: T) -> T {
        old * T::from_f64(self.factor) + x
    }

    fn tensor(self, old: &Tensor, x: &Tensor, _: &Tensor) -> candle_core::Result<Tensor> {
        (old * self.factor)? + x
    }
}

/// `m <- m + share (x - m)`.
#[derive(Clone, Copy)]
pub(crate) struct MoveTowards {
    pub(crate) share: f64,
}

impl Update for MoveTowards {
    const OF_PARAMETER: bool = false;

    fn element<T: Real>(self, old: T, x: T, _: T) -> T {
        old + (x - old) * T::from_f64(self.share)
    }

    fn tensor(self, old: &Tensor, x: &Tensor, _: &Tensor) -> candle_core::Result<Tensor> {
        old + ((x - old)? * self.share)?
    }
}

/// `v <- beta2 v + (1 - beta2) x^2`.
#[derive(Clone, Copy)]
pub(super) struct SecondMoment {
    pub(super) beta2: f64,
}

impl Update for SecondMoment {
    const OF_PARAMETER: bool = false;

    fn element<T: Real>(self, old: T, x: T, _: T) -> T {
        old * T::from_f64(self.beta2) + x * x * T::from_f64(1.0 - self.beta2)
    }

    fn tensor(self, old: &Tensor, x: &Tensor, _: &Tensor) -> candle_core::Result<Tensor> {
        (old * self.beta2)? + ((x * x)? * (1.0 - self.beta2))?
    }
}

/// `u <- max(u, x)`.
#[derive(Clone, Copy)]
pub(super) struct Maximum;

impl Update for Maximum {
    const OF_PARAMETER: bool = false;

    fn element<T: Real>(self, old: T, x: T, _: T) -> T {
        if old < x { x } else { old }
    }

    fn tensor(self, old: &Tensor, x: &Tensor, _: &Tensor) -> candle_core::Result<Tensor> {
        old.lt(x)?.where_cond(x, old)
    }
}

/// `p <- p - rate x / (sqrt(y) / correction + epsilon)`, with the first moment
/// `x`, the second moment `y`, and the bias corrections in the scalars.
#[derive(Clone, Copy)]
pub(super) struct DescendScaled {
    pub(super) rate: f64,
    pub(super) correction: f64,
    pub(super) epsilon: f64,
}

impl Update for DescendScaled {
    const OF_PARAMETER: bool = true;

    fn element<T: Real>(self, old: T, x: T, y: T) -> T {
        let scale = y.square_root() * T::from_f64(1.0 / self.correction);
        let scale = scale + T::from_f64(self.epsilon);
        old - x / scale * T::from_f64(self.rate)
    }

    fn tensor(self, old: &Tensor, x: &Tensor, y: &Tensor) -> candle_core::Result<Tensor> {
        let scale = y.sqrt()?.affine(1.0 / self.correction, self.epsilon)?;
        old - ((x / scale)? * self.rate)?
    }
}

/// Carries out an update of `target` from sources of its shape and type, in
/// row-major order.
pub(crate) fn apply(update: &impl Update, target: &Var, x: &Tensor, y: &Tensor) -> Result<()> {
    if own_loops::serve(target.device()) && matches!(target.dtype(), DType::F32 | DType::F64) {
        return Ok(target.inplace_op3(x, y, &Fused(*update))?);
    }
    apply_by_tensors(update, target, x, y)
}

fn apply_by_tensors<U: Update>(update: &U, target: &Var, x: &Tensor, y: &Tensor) -> Result<()> {
    let updated = update.tensor(&target.as_detached_tensor(), &x.detach(), &y.detach())?;
    let least = match target.dtype() {
        DType::F32 => f64::from(least::<f32>(U::OF_PARAMETER)),
        _ => least::<f64>(U::OF_PARAMETER),
    };
    let tiny = updated.abs()?.lt(least)?;
    let updated = tiny.where_cond(&updated.zeros_like()?, &updated)?;
    Ok(target.set(&updated)?)
}

/// The least number that is stored as it is.
fn least<T: Real>(of_parameter: bool) -> T {
    if of_parameter { T::SMALL } else { T::NORMAL }
}

/// A floating-point type with what updates need.
pub(crate) trait Real: WithDType {
    /// The smallest normal number.
    const NORMAL: Self;
    /// The smallest number whose last digit is as large.
    const SMALL: Self;
    /// The correctly rounded square root.
    fn square_root(self) -> Self;
    /// Without its sign.
    fn size(self) -> Self;
}

impl Real for f32 {
    const NORMAL: Self = Self::MIN_POSITIVE;
    const SMALL: Self = Self::MIN_POSITIVE / Self::EPSILON;

    fn square_root(self) -> Self {
        self.sqrt()
    }

    fn size(self) -> Self {
        self.abs()
    }
}

impl Real for f64 {
    const NORMAL: Self = Self::MIN_POSITIVE;
    const SMALL: Self = Self::MIN_POSITIVE / Self::EPSILON;

    fn square_root(self) -> Self {
        self.sqrt()
    }

    fn size(self) -> Self {
        self.abs()
    }
}

/// Numbers that a thread updates at a time: enough for it to be worth its while.
const CHUNK: usize = 1 << 15;

/// An update as one loop over the storage of the CPU.
struct Fused<U>(U);

impl<U: Update> Fused<U> {
    fn run<T: Real>(
        &self,
        (target, target_layout): (&mut [T], &Layout),
        (x, x_layout): (&[T], &Layout),
        (y, y_layout): (&[T], &Layout),
    ) -> candle_core::Result<()> {
        let ranges = (
            target_layout.contiguous_offsets(),
            x_layout.contiguous_offsets(),
            y_layout.contiguous_offsets(),
        );
        let (Some(to), Some(of_x), Some(of_y)) = ranges else {
            bail!("an optimiser's update needs tensors in row-major order");
        };
        let least = least::<T>(U::OF_PARAMETER);
        let run = |((old, x), y): ((&mut [T], &[T]), &[T])| {
            for (old, (&x, &y)) in old.iter_mut().zip(x.iter().zip(y)) {
                let updated = self.0.element(*old, x, y);
                // What is no number is no less.
                *old = if updated.size() < least {
                    T::zero()
                } else {
                    updated
                };
            }
        };
        target[to.0..to.1]
            .par_chunks_mut(CHUNK)
            .zip(x[of_x.0..of_x.1].par_chunks(CHUNK))
            .zip(y[of_y.0..of_y.1].par_chunks(CHUNK))
            .for_each(run);
        Ok(())
    }
}

impl<U: Update> InplaceOp3 for Fused<U> {
    fn name(&self) -> &'static str {
        "optimizer-update"
    }

    fn cpu_fwd(
        &self,
        target: &mut CpuStorage,
        target_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
    ) -> candle_core::Result<()> {
        match (target, x, y) {
            (CpuStorage::F32(target), CpuStorage::F32(x), CpuStorage::F32(y)) => {
                self.run((target, target_layout), (x, x_layout), (y, y_layout))
            }
            (CpuStorage::F64(target), CpuStorage::F64(x), CpuStorage::F64(y)) => {
                self.run((target, target_layout), (x, x_layout), (y, y_layout))
            }
            _ => bail!("an optimiser's update needs tensors of one type, f32 or f64"),
        }
    }
}

#[cfg(test)]
mod tests;
