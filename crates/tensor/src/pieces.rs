//! Functions of one variable made of two linear pieces, in one pass over the
//! numbers.
//!
//! Candle makes them, and their derivatives, of half a dozen operations each,
//! every one of which allocates its result. On the CPU, in single and double
//! precision, each is one loop here; elsewhere it is the tensor expression.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, bail};

use crate::elementwise::{each, each_pair};
use crate::product::{Real, slice, slice_of, tensor};
use crate::{Result, own_loops};

/// The continuous function `anchor + slopes[0] (z - breakpoint)` below the
/// breakpoint, and with `slopes[1]` from there on, where it has that derivative
/// too.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use loclin_tensor::TwoPieces;
/// let leaky = TwoPieces { breakpoint: 0.0, slopes: [0.5, 1.0], anchor: 0.0 };
/// let z = Tensor::new(&[-2.0, 0.0, 3.0], &Device::Cpu)?;
/// assert_eq!(leaky.apply(&z)?.to_vec1::<f64>()?, [-1.0, 0.0, 3.0]);
/// assert_eq!(leaky.choose(&z, -1.0, 1.0)?.to_vec1::<f64>()?, [-1.0, 1.0, 1.0]);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoPieces {
    /// Where the slope changes.
    pub breakpoint: f64,
    /// The slopes below and above.
    pub slopes: [f64; 2],
    /// The value at the breakpoint.
    pub anchor: f64,
}

impl TwoPieces {
    /// The function's value, of the shape of `z`, differentiable.
    ///
    /// # Errors
    /// Candle's, if the type is no floating-point one.
    pub fn apply(self, z: &Tensor) -> candle_core::Result<Tensor> {
        if suited(z) {
            return z.apply_op1(Apply(self));
        }
        let [below, above] = self.slopes;
        ((z - self.breakpoint)? * self.choose(z, below, above)?)? + self.anchor
    }

    /// Each number of `tangent` `[B, K, n...]` times the slope at the number of `z` `[B, n...]`, which is constant in
    /// differentiation.
    ///
    /// # Errors
    /// Candle's, if shapes or types do not fit.
    pub fn push(self, z: &Tensor, tangent: &Tensor) -> candle_core::Result<Tensor> {
        if suited(z) && suited(tangent) && tangent.dtype() == z.dtype() && stacked(z, tangent) {
            return tangent.apply_op1(Push(self, z.detach()));
        }
        let [below, above] = self.slopes;
        tangent.broadcast_mul(&self.choose(z, below, above)?.unsqueeze(1)?)
    }

    /// The piece each number is on, 0 or 1 as `u8`: of the shape of `z`.
    ///
    /// # Errors
    /// Candle's, if the type is no floating-point one.
    pub fn side(self, z: &Tensor) -> candle_core::Result<Tensor> {
        if suited(z) {
            return z.detach().apply_op1_no_bwd(&Side(self.breakpoint));
        }
        z.detach().ge(self.breakpoint)
    }

    /// `below` or `above` for each number, by the piece it is on: of the shape of `z`, constant in differentiation.
    ///
    /// # Errors
    /// Candle's, if the type is no floating-point one.
    pub fn choose(self, z: &Tensor, below: f64, above: f64) -> candle_core::Result<Tensor> {
        if suited(z) {
            let at = self.breakpoint;
            return z.detach().apply_op1_no_bwd(&Choose { at, below, above });
        }
        let right = z.detach().ge(self.breakpoint)?.to_dtype(z.dtype())?;
        right.affine(above - below, below)
    }
}

fn suited(z: &Tensor) -> bool {
    matches!(z.dtype(), DType::F32 | DType::F64)
        && own_loops::serve(z.device())
        && z.is_contiguous()
}

/// The same function of every number of a storage.
fn map(
    name: &'static str,
    storage: &CpuStorage,
    layout: &Layout,
    (single, double): (impl Fn(f32) -> f32 + Sync, impl Fn(f64) -> f64 + Sync),
) -> candle_core::Result<(CpuStorage, Shape)> {
    let wrap = candle_core::Error::wrap;
    let mapped = match storage {
        CpuStorage::F32(_) => {
            let values = slice_of::<f32>(storage, layout).map_err(wrap)?;
            CpuStorage::F32(each(values, 0.0, single))
        }
        CpuStorage::F64(_) => {
            let values = slice_of::<f64>(storage, layout).map_err(wrap)?;
            CpuStorage::F64(each(values, 0.0, double))
        }
        _ => bail!("{name}: expected f32 or f64"),
    };
    Ok((mapped, layout.shape().clone()))
}

struct Apply(TwoPieces);

impl Apply {
    fn one<T: Real>(&self) -> impl Fn(T) -> T + Sync + use<T> {
        let [at, anchor] = [self.0.breakpoint, self.0.anchor].map(T::from_f64);
        let [below, above] = self.0.slopes.map(T::from_f64);
        move |z| anchor + if z >= at { above } else { below } * (z - at)
    }

    fn pulled<T: Real>(&self, z: &Tensor, cotangent: &Tensor) -> Result<Tensor> {
        let at = T::from_f64(self.0.breakpoint);
        let [below, above] = self.0.slopes.map(T::from_f64);
        let (z_storage, z_layout) = z.storage_and_layout();
        let (storage, layout) = cotangent.storage_and_layout();
        let pulled = each_pair(
            [slice(&z_storage, z_layout)?, slice(&storage, layout)?],
            T::zero(),
            |z: T, cotangent| cotangent * if z >= at { above } else { below },
        );
        tensor(pulled, z.dims())
    }
}

impl CustomOp1 for Apply {
    fn name(&self) -> &'static str {
        "two-pieces"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        map(self.name(), storage, layout, (self.one(), self.one()))
    }

    fn bwd(
        &self,
        z: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let cotangent = cotangent.contiguous()?;
        match z.dtype() {
            DType::F32 => self.pulled::<f32>(z, &cotangent),
            _ => self.pulled::<f64>(z, &cotangent),
        }
        .map(Some)
        .map_err(candle_core::Error::wrap)
    }
}

/// Whether `tangent` `[B, K, n...]` has rows such as `z` `[B, n...]`.
fn stacked(z: &Tensor, tangent: &Tensor) -> bool {
    match (z.dims(), tangent.dims()) {
        ([batch, shape @ ..], [count, _, rows @ ..]) => batch == count && shape == rows,
        _ => false,
    }
}

/// A product with the slopes at given numbers.
struct Push(TwoPieces, Tensor);

impl Push {
    fn pushed<T: Real>(&self, tangent: &CpuStorage, layout: &Layout) -> Result<Vec<T>> {
        let at = T::from_f64(self.0.breakpoint);
        let [below, above] = self.0.slopes.map(T::from_f64);
        let (storage, z_layout) = self.1.storage_and_layout();
        let (z, tangent) = (slice::<T>(&storage, z_layout)?, slice_of(tangent, layout)?);
        let times = |z: T, tangent: T| tangent * if z >= at { above } else { below };
        match layout.dims() {
            [_, 1, ..] => Ok(each_pair([z, tangent], T::zero(), times)),
            [batch, count, ..] => {
                let size = (z.len() / batch).max(1);
                let rows = tangent.chunks(size).enumerate();
                let rows = rows.map(|(row, tangent)| {
                    let z = &z[row / count * size..][..tangent.len()];
                    each_pair([z, tangent], T::zero(), times)
                });
                Ok(rows.collect::<Vec<_>>().concat())
            }
            _ => Ok(Vec::new()),
        }
    }
}

impl CustomOp1 for Push {
    fn name(&self) -> &'static str {
        "pushed-through-pieces"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let pushed = match storage {
            CpuStorage::F32(_) => self.pushed(storage, layout).map(CpuStorage::F32),
            CpuStorage::F64(_) => self.pushed(storage, layout).map(CpuStorage::F64),
            _ => bail!("{}: expected f32 or f64", self.name()),
        };
        Ok((
            pushed.map_err(candle_core::Error::wrap)?,
            layout.shape().clone(),
        ))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        // A diagonal matrix is its own transpose.
        let cotangent = cotangent.detach().contiguous()?;
        let op = Self(self.0, self.1.clone());
        cotangent.apply_op1_no_bwd(&op).map(Some)
    }
}

struct Choose {
    at: f64,
    below: f64,
    above: f64,
}

impl Choose {
    fn one<T: Real>(&self) -> impl Fn(T) -> T + Sync + use<T> {
        let [at, below, above] = [self.at, self.below, self.above].map(T::from_f64);
        move |z| if z >= at { above } else { below }
    }
}

impl CustomOp1 for Choose {
    fn name(&self) -> &'static str {
        "piece"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        map(self.name(), storage, layout, (self.one(), self.one()))
    }
}

struct Side(f64);

impl CustomOp1 for Side {
    fn name(&self) -> &'static str {
        "side"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        fn sides<T: Real>(storage: &CpuStorage, layout: &Layout, at: f64) -> Result<CpuStorage> {
            let at = T::from_f64(at);
            let values = slice_of::<T>(storage, layout)?;
            Ok(CpuStorage::U8(each(values, 0, |z| u8::from(z >= at))))
        }
        let sides = match storage {
            CpuStorage::F32(_) => sides::<f32>(storage, layout, self.0),
            CpuStorage::F64(_) => sides::<f64>(storage, layout, self.0),
            _ => bail!("{}: expected f32 or f64", self.name()),
        };
        let sides = sides.map_err(candle_core::Error::wrap)?;
        Ok((sides, layout.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use proptest::prelude::*;

    proptest! {
        /// The loop, its derivative and the tensor expression (which a
        /// transposed layout gets) agree, at the breakpoint too.
        #[test]
        fn the_loop_equals_the_expression(
            mut numbers in prop::collection::vec(-2.0f64..2.0, 2..30),
            breakpoint in -1.0f64..1.0,
            anchor in -1.0f64..1.0,
            slopes in prop::array::uniform2(-2.0f64..2.0),
        ) {
            numbers[0] = breakpoint;
            numbers.truncate(numbers.len() / 2 * 2);
            let shape = (2, numbers.len() / 2);
            let z = Var::from_tensor(&Tensor::from_vec(numbers, shape, &Device::Cpu)?)?;
            let pieces = TwoPieces { breakpoint, slopes, anchor };
            let of = |z: &Tensor| pieces.apply(z)?.sqr()?.sum_all()?.backward();
            let (ours, plain) = (of(&z)?, of(&z.t()?)?);
            let [below, above] = pieces.slopes;
            let mut pushed = Vec::new();
            for count in [1, 3] {
                let repeated = z.unsqueeze(1)?.repeat((1, count, 1))?;
                let tangent = Var::from_tensor(&repeated.cos()?)?;
                let slopes = pieces.choose(&z, below, above)?.unsqueeze(1)?;
                let (ours, plain) = (pieces.push(&z, &tangent)?, tangent.broadcast_mul(&slopes)?);
                let of = |pushed: &Tensor| pushed.sqr()?.sum_all()?.backward();
                let gradients = [of(&ours)?, of(&plain)?].map(|all| all.get(&tangent).cloned());
                pushed.extend([ours, plain]);
                for pair in gradients.into_iter().flatten() {
                    pushed.push(pair);
                }
            }
            for (a, b) in [
                (pieces.apply(&z)?, pieces.apply(&z.t()?)?.t()?),
                (pieces.choose(&z, -1.0, 3.0)?, pieces.choose(&z.t()?, -1.0, 3.0)?.t()?),
                (pieces.side(&z)?.to_dtype(DType::F64)?, pieces.side(&z.t()?)?.t()?.to_dtype(DType::F64)?),
                (ours.get(&z).unwrap().clone(), plain.get(&z).unwrap().clone()),
                (pushed[0].clone(), pushed[1].clone()),
                (pushed[2].clone(), pushed[3].clone()),
                (pushed[4].clone(), pushed[5].clone()),
                (pushed[6].clone(), pushed[7].clone()),
            ] {
                let difference = (a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()?;
                // A few roundings of numbers below 100.
                prop_assert!(difference < 1e-12);
            }
        }
    }
}
