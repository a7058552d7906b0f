//! Two-dimensional convolutions on the CPU, forward and backward as matrix products.
//!
//! Candle's own backward pass takes several times as long as its forward pass, and cannot do strides and paddings that
//! differ from axis to axis. Convolution, its transpose and the gradient in the weight are three readings of one
//! trilinear form, so each is differentiated by the other two.

mod config;
mod correlate;
mod cpu;
mod factors;
mod geometry;
mod gradient;
mod lanes;
mod patch;
mod planes;
mod sweep;

use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor};

use crate::pieces::SlopesAt;
use crate::product::{slice, slice_of};
use crate::{Error, Result};
use factors::Factors;
use geometry::Geometry;
use lanes::Lanes;

pub use config::Convolution;

impl Convolution {
    /// `x` `[N..., inputs, H, W]` and `weight` `[outputs, inputs / groups, height, width]` to `[N..., outputs, H', W']`,
    /// with one or more leading dimensions; differentiable in both.
    ///
    /// # Errors
    /// [`crate::Error::Convolution`] if the shapes do not fit, Candle's for a device other than the CPU or numbers other than
    /// `f32` and `f64`.
    pub fn apply(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        self.of(x, weight, None)
    }

    /// [`Convolution::apply`] of `x` `[B, ...]` or `[B, K, ...]` whose numbers are first multiplied with slopes at `[B, inputs, H,
    /// W]`, in the same pass; differentiable in `x` and `weight`.
    ///
    /// # Errors
    /// Those of [`Convolution::apply`], and slopes at numbers of another shape or type.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use loclin_tensor::{Convolution, SlopesAt, TwoPieces};
    /// let relu = TwoPieces { breakpoint: 0.0, slopes: [0.0, 1.0], anchor: 0.0 };
    /// let z = Tensor::new(&[[[[1.0, -2.0, 3.0]]]], &Device::Cpu)?;
    /// let kernel = Tensor::new(&[[[[1.0, 10.0]]]], &Device::Cpu)?;
    /// let slopes = SlopesAt { pieces: relu, at: z.clone() };
    /// let after = Convolution::default().apply_after(&slopes, &z, &kernel)?;
    /// assert_eq!(after.flatten_all()?.to_vec1::<f64>()?, [1.0, 30.0]);
    /// # Ok::<(), loclin_tensor::Error>(())
    /// ```
    pub fn apply_after(&self, slopes: &SlopesAt, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let at = slopes.at.detach().contiguous()?;
        let (operand, numbers) = (x.dims(), at.dims());
        let fit = numbers.len() == 4
            && x.dtype() == at.dtype()
            && operand.first() == numbers.first()
            && operand.get(operand.len().saturating_sub(3)..) == numbers.get(1..);
        if !fit {
            return Err(Error::Convolution {
                found: format!("{operand:?} times slopes at {numbers:?}"),
                cause: "expected slopes for each entry of an input, of its type".into(),
            });
        }
        let pieces = slopes.pieces;
        self.of(x, weight, Some(SlopesAt { pieces, at }))
    }

    fn of(&self, x: &Tensor, weight: &Tensor, slopes: Option<SlopesAt>) -> Result<Tensor> {
        let (leading, folded) = folded(x.dims());
        let geometry = Geometry::new(self, &folded, weight.dims())?;
        let op = Forward(Reading {
            geometry,
            leading,
            slopes,
        });
        Ok(x.contiguous()?.apply_op2(&weight.contiguous()?, op)?)
    }

    /// The transpose: `z` `[N..., outputs, H', W']` to `[N..., inputs, H, W]`, where `size` is `[H, W]`; differentiable in
    /// both.
    ///
    /// # Errors
    /// Those of [`Convolution::apply`].
    pub fn transposed(&self, z: &Tensor, weight: &Tensor, size: [usize; 2]) -> Result<Tensor> {
        let (leading, folded) = folded(z.dims());
        let geometry = Geometry::of_transpose(self, &folded, weight.dims(), size)?;
        let op = Transposed(Reading {
            geometry,
            leading,
            slopes: None,
        });
        Ok(z.contiguous()?.apply_op2(&weight.contiguous()?, op)?)
    }
}

/// The leading dimensions, and all dimensions with the leading ones as one.
fn folded(dims: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let (leading, image) = dims.split_at(dims.len().saturating_sub(3));
    match leading {
        [] => (Vec::new(), image.to_vec()),
        _ => (
            leading.to_vec(),
            [&[leading.iter().product()], image].concat(),
        ),
    }
}

/// What the three readings have in common.
#[derive(Clone)]
struct Reading {
    geometry: Geometry,
    /// The leading dimensions of the input and of the output.
    leading: Vec<usize>,
    /// What the input's numbers are multiplied with.
    slopes: Option<SlopesAt>,
}

struct Forward(Reading);

struct Transposed(Reading);

/// What is multiplied with the weight to give the output: its gradient, `[outputs, inputs / groups, height, width]`.
struct Correlation(Reading);

impl Reading {
    /// Calls `kernel` with the factors of the input's numbers.
    fn with_factors<T: Lanes>(
        &self,
        kernel: impl FnOnce(&Geometry, Option<Factors<'_, T>>) -> Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let Some(SlopesAt { pieces, at }) = &self.slopes else {
            return kernel(&self.geometry, None);
        };
        let (storage, layout) = at.storage_and_layout();
        let factors = Factors {
            at: slice(&storage, layout)?,
            breakpoint: T::from_f64(pieces.breakpoint),
            slopes: pieces.slopes.map(T::from_f64),
        };
        kernel(&self.geometry, Some(factors))
    }
}

/// Runs a kernel in the number type of its operands.
macro_rules! dispatch {
    ($kernel:path, $reading:expr, $a:expr, $a_layout:expr, $b:expr, $b_layout:expr) => {
        match $a {
            CpuStorage::F32(_) => CpuStorage::F32(run::<f32>(
                $kernel,
                $reading,
                [($a, $a_layout), ($b, $b_layout)],
            )?),
            CpuStorage::F64(_) => CpuStorage::F64(run::<f64>(
                $kernel,
                $reading,
                [($a, $a_layout), ($b, $b_layout)],
            )?),
            _ => candle_core::bail!("convolution of neither f32 nor f64"),
        }
    };
}

fn run<T: Lanes>(
    kernel: impl FnOnce(&Geometry, Option<Factors<'_, T>>, &[T], &[T]) -> Result<Vec<T>>,
    reading: &Reading,
    [a, b]: [(&CpuStorage, &Layout); 2],
) -> candle_core::Result<Vec<T>> {
    let wrap = candle_core::Error::wrap;
    let a = slice_of::<T>(a.0, a.1).map_err(wrap)?;
    let b = slice_of::<T>(b.0, b.1).map_err(wrap)?;
    let values = reading.with_factors(|geometry, factors| kernel(geometry, factors, a, b));
    values.map_err(wrap)
}

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let z = dispatch!(cpu::forward, &self.0, x, x_layout, weight, weight_layout);
        let shape = [&self.0.leading, &self.0.geometry.output_shape()[1..]].concat();
        Ok((z, Shape::from(shape)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let cotangent = cotangent.detach().contiguous()?;
        let reading = || self.0.clone();
        // An image of the data needs no gradient, and that is the largest product of a network.
        let for_x = x
            .track_op()
            .then(|| cotangent.apply_op2_no_bwd(&weight.detach(), &Transposed(reading())));
        let for_weight = weight.track_op().then(|| {
            x.detach()
                .apply_op2_no_bwd(&cotangent, &Correlation(reading()))
        });
        Ok((for_x.transpose()?, for_weight.transpose()?))
    }
}

impl CustomOp2 for Transposed {
    fn name(&self) -> &'static str {
        "transposed-convolution"
    }

    fn cpu_fwd(
        &self,
        z: &CpuStorage,
        z_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = dispatch!(cpu::transposed, &self.0, z, z_layout, weight, weight_layout);
        let shape = [&self.0.leading, &self.0.geometry.input_shape()[1..]].concat();
        Ok((x, Shape::from(shape)))
    }

    fn bwd(
        &self,
        z: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let cotangent = cotangent.detach().contiguous()?;
        let reading = || self.0.clone();
        let for_z = z
            .track_op()
            .then(|| cotangent.apply_op2_no_bwd(&weight.detach(), &Forward(reading())));
        let for_weight = weight
            .track_op()
            .then(|| cotangent.apply_op2_no_bwd(&z.detach(), &Correlation(reading())));
        Ok((for_z.transpose()?, for_weight.transpose()?))
    }
}

impl CustomOp2 for Correlation {
    fn name(&self) -> &'static str {
        "convolution-weight-gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        z: &CpuStorage,
        z_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let weight = dispatch!(gradient::correlation, &self.0, x, x_layout, z, z_layout);
        Ok((weight, Shape::from(&self.0.geometry.weight_shape())))
    }
}
