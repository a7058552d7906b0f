//! Element-wise updates in place.
//!
//! Candle's element-wise operations allocate their results, and a step of
//! Adam written with them would walk a dozen temporaries. On the CPU an update
//! is therefore one loop over the storage; on other devices it is the tensor
//! expression beside it. The two do the same operations in the same order, so
//! they agree to the bit (a test holds them together).
//!
//! Updated numbers below the smallest normal one are stored as zeros. A regulariser
//! shrinks the weights of constant pixels without end, and rounding leaves a moment
//! at the smallest subnormal number for ever (0.9 of it rounds to itself). Processors
//! multiply such numbers tens of times slower than others: on MNIST they made a step
//! of training up to 25 times as long after ten epochs.

use candle_core::{CpuStorage, DType, InplaceOp3, Layout, Tensor, Var, WithDType, bail};

use rayon::prelude::*;

use crate::{Result, own_loops};

/// An element-wise update `old <- f(old, x, y)`; one that reads a single
/// source is given it twice.
pub(crate) trait Update: Copy + Sync {
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

fn apply_by_tensors(update: &impl Update, target: &Var, x: &Tensor, y: &Tensor) -> Result<()> {
    let updated = update.tensor(&target.as_detached_tensor(), &x.detach(), &y.detach())?;
    let least = match target.dtype() {
        DType::F32 => f64::from(f32::MIN_POSITIVE),
        _ => f64::MIN_POSITIVE,
    };
    let updated = updated
        .abs()?
        .lt(least)?
        .where_cond(&updated.zeros_like()?, &updated)?;
    Ok(target.set(&updated)?)
}

/// A floating-point type with a square root.
pub(crate) trait Real: WithDType {
    /// The correctly rounded square root.
    fn square_root(self) -> Self;
    /// Zero for a subnormal number; every other as it is.
    fn without_subnormal(self) -> Self;
}

impl Real for f32 {
    fn square_root(self) -> Self {
        self.sqrt()
    }

    fn without_subnormal(self) -> Self {
        if self.abs() < Self::MIN_POSITIVE {
            0.0
        } else {
            self
        }
    }
}

impl Real for f64 {
    fn square_root(self) -> Self {
        self.sqrt()
    }

    fn without_subnormal(self) -> Self {
        if self.abs() < Self::MIN_POSITIVE {
            0.0
        } else {
            self
        }
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
        let run = |((old, x), y): ((&mut [T], &[T]), &[T])| {
            for (old, (&x, &y)) in old.iter_mut().zip(x.iter().zip(y)) {
                *old = self.0.element(*old, x, y).without_subnormal();
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
mod tests {
    use super::*;
    use candle_core::Device;
    use proptest::prelude::*;

    fn check(update: impl Update, dtype: DType, rows: &[[f64; 3]]) -> Result<()> {
        let column = |index: usize| {
            let values: Vec<f64> = rows.iter().map(|row| row[index]).collect();
            Tensor::new(values, &Device::Cpu)?.to_dtype(dtype)
        };
        // Second moments, the last column, are never negative.
        let (old, x, y) = (column(0)?, column(1)?, column(2)?.abs()?);
        let (fused, plain) = (Var::from_tensor(&old)?, Var::from_tensor(&old)?);
        apply(&update, &fused, &x, &y)?;
        apply_by_tensors(&update, &plain, &x, &y)?;
        let read = |variable: &Var| variable.to_dtype(DType::F64)?.to_vec1::<f64>();
        assert_eq!(read(&fused)?, read(&plain)?);
        Ok(())
    }

    /// Moments without a gradient end at zero, and not at the smallest number that there is.
    #[test]
    fn no_subnormal_number_is_left() -> Result<()> {
        for dtype in [DType::F32, DType::F64] {
            let zero = Tensor::zeros(2, dtype, &Device::Cpu)?;
            let start = Tensor::new(&[1f64, -1e-3], &Device::Cpu)?.to_dtype(dtype)?;
            for apply in [apply, apply_by_tensors] {
                let moment = Var::from_tensor(&start)?;
                for _ in 0..10_000 {
                    apply(&MoveTowards { share: 0.1 }, &moment, &zero, &zero)?;
                }
                let left = moment.to_dtype(DType::F64)?.to_vec1::<f64>()?;
                assert_eq!(left, [0.0, 0.0], "{dtype:?}");
            }
        }
        Ok(())
    }

    /// What is no number stays none.
    #[test]
    fn what_is_no_number_is_left() -> Result<()> {
        let broken = Tensor::new(&[f32::NAN, f32::INFINITY], &Device::Cpu)?;
        let zero = broken.zeros_like()?;
        for apply in [apply, apply_by_tensors] {
            let variable = Var::from_tensor(&broken)?;
            apply(&AddScaled { factor: 1.0 }, &variable, &zero, &zero)?;
            let [first, second] = variable.to_vec1::<f32>()?[..] else {
                panic!("two numbers");
            };
            assert!(first.is_nan() && second == f32::INFINITY);
        }
        Ok(())
    }

    proptest! {
        /// The loop and the tensor expression agree to the bit, in either
        /// precision.
        #[test]
        fn both_readings_of_an_update_agree(
            rows in prop::collection::vec(prop::array::uniform3(-10.0f64..10.0), 1..40),
            rate in 1e-4f64..1.0,
            factor in 0.0f64..1.0,
        ) {
            for dtype in [DType::F32, DType::F64] {
                check(AddScaled { factor: -rate }, dtype, &rows)?;
                check(DescendNesterov { rate, factor }, dtype, &rows)?;
                check(Accumulate { factor }, dtype, &rows)?;
                check(MoveTowards { share: factor }, dtype, &rows)?;
                check(SecondMoment { beta2: factor }, dtype, &rows)?;
                check(Maximum, dtype, &rows)?;
                check(DescendScaled { rate, correction: 1.0 - factor, epsilon: 1e-8 }, dtype, &rows)?;
            }
        }
    }
}
