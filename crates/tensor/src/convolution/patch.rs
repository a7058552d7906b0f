//! The transpose of a convolution where only a patch of the output counts.
//!
//! Gradients of single neurons begin at one position and grow by a kernel at each layer. Pulling only the positions that they
//! have reached takes a small part of the products of a whole image, and many gradients that begin at one position are one
//! product.

use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor};
use rayon::prelude::*;

use super::chosen::Chosen;
use super::config::Convolution;
use super::counting::Channels;
use super::dispatch::dispatch;
use super::patch_geometry::PatchGeometry;
use crate::product::{Real, View, ViewMut, Write, multiply};
use crate::{Error, Result};

/// Numbers that the spread positions of some rows hold at most, unless those of one row alone are more.
const SPREAD: usize = 1 << 19;

impl Convolution {
    /// The transpose of a patch: `z` `[N, outputs, h, w]` are the positions of an output that begin at `first`, all others
    /// being 0, and `size` is `[H, W]` of the input. Gives the part `[N, inputs, h', w']` of the input that they reach, and where
    /// it begins. Of what is 0 in `wanted` `[inputs, H, W]`, where that is given, the result may be 0 whatever it is. Not
    /// differentiable.
    ///
    /// # Errors
    /// [`crate::Error::Convolution`] for more than one group and for shapes that do not fit, Candle's for a device other than the CPU or
    /// numbers other than `f32` and `f64`.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_tensor::Convolution;
    ///
    /// let convolution = Convolution { stride: [1, 1], padding: [[1, 1], [1, 1]], dilation: [1, 1], groups: 1 };
    /// let weight = Tensor::ones((1, 2, 3, 3), DType::F64, &Device::Cpu)?;
    /// let z = Tensor::ones((5, 1, 1, 1), DType::F64, &Device::Cpu)?;
    /// let (x, first) = convolution.transposed_patch(&z, &weight, [0, 4], [8, 8], None)?;
    /// assert_eq!((x.dims(), first), (&[5, 2, 2, 3][..], [0, 3]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transposed_patch(
        &self,
        z: &Tensor,
        weight: &Tensor,
        first: [usize; 2],
        size: [usize; 2],
        wanted: Option<&Tensor>,
    ) -> Result<(Tensor, [usize; 2])> {
        let patch = PatchGeometry::new(self, z.dims(), weight.dims(), first, size)?;
        let begin = patch.begin;
        let wanted = wanted
            .map(|wanted| patch.wanted(wanted, size))
            .transpose()?;
        let pull = TransposedPatch { patch, wanted };
        let x = z
            .contiguous()?
            .apply_op2_no_bwd(&weight.contiguous()?, &pull)?;
        Ok((x, begin))
    }
}

/// Copies a matrix `[rows, columns]` to its transpose.
fn transpose<T: Real>(from: &[T], rows: usize, columns: usize, to: &mut [T]) {
    for (row, line) in from.chunks_exact(columns).enumerate() {
        for (column, v) in line.iter().enumerate() {
            to[column * rows + row] = *v;
        }
    }
}

fn pull<T: Real>(
    TransposedPatch { patch, wanted }: &TransposedPatch,
    z: &[T],
    weight: &[T],
) -> Result<Vec<T>> {
    let positions = patch.from[0] * patch.from[1];
    let (from, to) = (patch.outputs * positions, patch.to[0] * patch.to[1]);
    let taps = patch.taps();
    if taps.is_empty() {
        return Ok(vec![T::zero(); patch.rows * patch.inputs * to]);
    }
    let width = taps.len() * patch.inputs;
    let by_taps = patch.by_taps(weight, &taps);
    let all;
    let counted = match wanted {
        Some(wanted) => wanted,
        None => {
            all = Channels::of(to, patch.inputs, |_, _| true);
            &all
        }
    };
    let chosen = Chosen {
        patch,
        taps: &taps,
        from: &Channels::nonzero(z, positions, patch.outputs),
        to: counted,
    };
    if chosen.is_worth_while() {
        return chosen.pull(z, &by_taps);
    }
    let mut x = vec![T::zero(); patch.rows * patch.inputs * to];
    let by_taps = View::new(&by_taps, patch.outputs, width)?;
    let threads = rayon::current_num_threads();
    let affordable = (SPREAD / (width * positions)).max(1);
    let together = affordable.min(patch.rows.div_ceil(threads)).max(1);
    x.par_chunks_mut(together * patch.inputs * to)
        .zip(z.par_chunks(together * from))
        .try_for_each(|(x, z)| {
            let rows = z.len() / from;
            let mut last = vec![T::zero(); z.len()];
            let images = z.chunks_exact(from).zip(last.chunks_exact_mut(from));
            images.for_each(|(z, last)| transpose(z, patch.outputs, positions, last));
            let mut spread = vec![T::zero(); rows * positions * width];
            multiply(
                ViewMut::new(&mut spread, rows * positions, width)?,
                Write::Replace,
                1.0,
                View::new(&last, rows * positions, patch.outputs)?,
                by_taps,
            )?;
            let mut sums = vec![T::zero(); to * patch.inputs];
            let images = x.chunks_exact_mut(patch.inputs * to);
            for (x, spread) in images.zip(spread.chunks_exact(positions * width)) {
                sums.fill(T::zero());
                patch.gather(spread, &taps, &mut sums);
                transpose(&sums, to, patch.inputs, x);
            }
            Ok::<(), Error>(())
        })?;
    Ok(x)
}

struct TransposedPatch {
    patch: PatchGeometry,
    /// The channels of the input's patch that are asked for, where not all are.
    wanted: Option<Channels>,
}

impl CustomOp2 for TransposedPatch {
    fn name(&self) -> &'static str {
        "transposed-convolution-of-a-patch"
    }

    fn cpu_fwd(
        &self,
        z: &CpuStorage,
        z_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = dispatch!(pull, self, z, z_layout, weight, weight_layout);
        let PatchGeometry {
            rows,
            inputs,
            to: [height, width],
            ..
        } = self.patch;
        Ok((x, Shape::from([rows, inputs, height, width].as_slice())))
    }
}
