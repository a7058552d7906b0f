//! Two-dimensional convolutions on the CPU, forward and backward as matrix products.
//!
//! Candle's own backward pass takes several times as long as its forward pass, and cannot do strides and paddings that
//! differ from axis to axis. Convolution, its transpose and the gradient in the weight are three readings of one
//! trilinear form, so each is differentiated by the other two.

mod chosen;
mod config;
mod correlate;
mod counting;
mod cpu;
mod dispatch;
mod geometry;
mod gradient;
mod lanes;
mod patch;
mod patch_geometry;
mod planes;
mod products;
mod stripes;
mod sweep;
mod tasks;

use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor};

use crate::Result;
use dispatch::dispatch;
use geometry::Geometry;

pub use config::Convolution;

impl Convolution {
    /// `x` `[N..., inputs, H, W]` and `weight` `[outputs, inputs / groups, height, width]` to `[N..., outputs, H', W']`,
    /// with one or more leading dimensions; differentiable in both.
    ///
    /// # Errors
    /// [`crate::Error::Convolution`] if the shapes do not fit, Candle's for a device other than the CPU or numbers other than
    /// `f32` and `f64`.
    pub fn apply(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let (leading, folded) = folded(x.dims());
        let geometry = Geometry::new(self, &folded, weight.dims())?;
        let op = Forward { geometry, leading };
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
        let op = Transposed { geometry, leading };
        Ok(z.contiguous()?.apply_op2(&weight.contiguous()?, op)?)
    }

    /// The third reading: how the sum of `z * self.apply(x, weight)` changes with a weight of shape `weight`, for `x`
    /// `[N..., inputs, H, W]` and `z` `[N..., outputs, H', W']`. Not differentiable.
    ///
    /// # Errors
    /// Those of [`Convolution::apply`].
    pub fn weight_gradient(&self, x: &Tensor, z: &Tensor, weight: &[usize]) -> Result<Tensor> {
        let (_, inputs) = folded(x.dims());
        let (_, outputs) = folded(z.dims());
        let geometry = Geometry::of_both(self, &inputs, &outputs, weight)?;
        let op = Correlation { geometry };
        Ok(x.contiguous()?.apply_op2_no_bwd(&z.contiguous()?, &op)?)
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

struct Forward {
    geometry: Geometry,
    /// The leading dimensions of its operand and its result.
    leading: Vec<usize>,
}

struct Transposed {
    geometry: Geometry,
    leading: Vec<usize>,
}

/// What is multiplied with the weight to give the output: its gradient, `[outputs, inputs / groups, height, width]`.
struct Correlation {
    geometry: Geometry,
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
        let z = dispatch!(
            cpu::forward,
            &self.geometry,
            x,
            x_layout,
            weight,
            weight_layout
        );
        let shape = [&self.leading, &self.geometry.output_shape()[1..]].concat();
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
        let (geometry, leading) = (self.geometry, self.leading.clone());
        // An image of the data needs no gradient, and that is the largest product of a network.
        let for_x = x.track_op().then(|| {
            cotangent.apply_op2_no_bwd(&weight.detach(), &Transposed { geometry, leading })
        });
        let for_weight = weight.track_op().then(|| {
            x.detach()
                .apply_op2_no_bwd(&cotangent, &Correlation { geometry })
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
        let x = dispatch!(
            cpu::transposed,
            &self.geometry,
            z,
            z_layout,
            weight,
            weight_layout
        );
        let shape = [&self.leading, &self.geometry.input_shape()[1..]].concat();
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
        let (geometry, leading) = (self.geometry, self.leading.clone());
        let for_z = z
            .track_op()
            .then(|| cotangent.apply_op2_no_bwd(&weight.detach(), &Forward { geometry, leading }));
        let for_weight = weight
            .track_op()
            .then(|| cotangent.apply_op2_no_bwd(&z.detach(), &Correlation { geometry }));
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
        let weight = dispatch!(
            gradient::correlation,
            &self.geometry,
            x,
            x_layout,
            z,
            z_layout
        );
        Ok((weight, Shape::from(&self.geometry.weight_shape())))
    }
}
