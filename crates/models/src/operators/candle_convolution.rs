//! Convolution by Candle's own operations: the reference implementation, and the one on other devices than the CPU.

use super::layout::{resize, spread, subsample};
use crate::window::Window2d;
use candle_core::{Result, Tensor};

/// A convolution with a weight `[outputs, inputs / groups, kernel...]`.
pub(super) struct CandleConvolution<'a> {
    pub(super) weight: &'a Tensor,
    pub(super) window: &'a Window2d,
    pub(super) groups: usize,
}

impl CandleConvolution<'_> {
    /// The kernel with one dilation for both axes, and that dilation: Candle knows no other. Kernels with two
    /// dilations get their zeros written out.
    fn kernel(&self) -> Result<(Tensor, usize)> {
        match self.window.dilation {
            [d, e] if d == e => Ok((self.weight.clone(), d)),
            [d, e] => Ok((spread(&spread(self.weight, 2, d)?, 3, e)?.contiguous()?, 1)),
        }
    }

    /// `[N, inputs, H, W]` to `[N, outputs, H', W']`.
    pub(super) fn convolve(&self, x: &Tensor) -> Result<Tensor> {
        let Window2d {
            kernel: size,
            stride,
            padding,
            ..
        } = self.window;
        let (kernel, dilation) = self.kernel()?;
        let groups = self.groups;
        let (_, _, height, width) = x.dims4()?;
        let out = [self.positions(0, height)?, self.positions(1, width)?];
        let reach = [kernel.dim(2)?, kernel.dim(3)?].map(|k| dilation * (k - 1));
        // Entries behind the last window.
        let rest = |axis: usize, n: usize| {
            let padded = n + padding[axis][0] + padding[axis][1];
            padded - reach[axis] - 1 - (out[axis] - 1) * stride[axis]
        };
        let rest = [rest(0, height), rest(1, width)];
        let same = padding[0][0];
        // With a stride, Candle's backward pass takes one rest for both axes, and underflows for padding beyond
        // the kernel's reach.
        let differentiable =
            stride[0] == 1 || (rest[0] == rest[1] && reach.iter().all(|r| 2 * same <= r + 1));
        let native = padding.as_flattened().iter().all(|p| *p == same)
            && stride[0] == stride[1]
            && differentiable
            && (stride[0] == 1 || *size != [1, 1]);
        if native {
            return x.conv2d(&kernel, same, stride[0], dilation, groups);
        }
        let mut x = x.clone();
        for (axis, [before, after]) in padding.iter().enumerate() {
            let after = *after as isize - rest[axis] as isize;
            x = resize(&x, axis + 2, *before as isize, after)?;
        }
        if *size == [1, 1] {
            // One entry for each position: nothing else needs to be multiplied.
            for axis in 0..2 {
                x = subsample(&x, axis + 2, stride[axis], out[axis])?;
            }
            return x.contiguous()?.conv2d(&kernel, 0, 1, 1, groups);
        }
        if stride[0] == stride[1] {
            return x
                .contiguous()?
                .conv2d(&kernel, 0, stride[0], dilation, groups);
        }
        let mut z = x.contiguous()?.conv2d(&kernel, 0, 1, dilation, groups)?;
        for axis in 0..2 {
            z = subsample(&z, axis + 2, stride[axis], out[axis])?;
        }
        Ok(z)
    }

    /// The transpose, `[N, outputs, H', W']` to `[N, inputs, H, W]`; exact whatever stride and padding leave over.
    ///
    /// Entries of the (padded) operand `stride` apart are reached by the same entries of the kernel. So each of
    /// the `stride^2` phases is a convolution of stride 1 with a part of the flipped kernel; all phases are
    /// computed as one convolution with that many times the channels, and interleaved.
    pub(super) fn adjoint(&self, cotangent: &Tensor, size: [usize; 2]) -> Result<Tensor> {
        let Window2d {
            stride: [s, t],
            padding,
            ..
        } = *self.window;
        let groups = self.groups;
        let (mut kernel, mut dilation) = self.kernel()?;
        if dilation > 1 && [s, t] != [1, 1] {
            kernel = spread(&spread(&kernel, 2, dilation)?, 3, dilation)?;
            dilation = 1;
        }
        let (outputs, inputs, height, width) = kernel.dims4()?;
        let [rows, columns] = [height.div_ceil(s), width.div_ceil(t)];
        let kernel = resize(&kernel, 2, 0, (rows * s - height) as isize)?;
        let kernel = resize(&kernel, 3, 0, (columns * t - width) as isize)?;
        let phases = kernel
            .reshape(vec![groups, outputs / groups, inputs, rows, s, columns, t])?
            .permute(vec![0, 2, 4, 6, 1, 3, 5])?
            .reshape((groups * inputs * s * t, outputs / groups, rows, columns))?
            .flip(&[2, 3])?
            .contiguous()?;
        // Along each axis, the entries `first * stride ..` of the padded operand are computed, `count` of each
        // phase, and those of the operand itself are kept.
        let mut z = cotangent.clone();
        let mut kept = [(0, 0); 2];
        for (axis, (step, taps)) in [(s, rows), (t, columns)].into_iter().enumerate() {
            let before = padding[axis][0];
            let first = before / step;
            let count = (before + size[axis]).div_ceil(step) - first;
            let reach = dilation * (taps - 1);
            let lead = reach as isize - first as isize;
            let trail = (count + reach) as isize - lead - z.dim(axis + 2)? as isize;
            z = resize(&z, axis + 2, lead, trail)?;
            kept[axis] = (count, before - first * step);
        }
        let z = z.contiguous()?.conv2d(&phases, 0, 1, dilation, groups)?;
        let [(rows, top), (columns, left)] = kept;
        z.reshape(vec![z.dim(0)?, groups * inputs, s, t, rows, columns])?
            .permute(vec![0, 1, 4, 2, 5, 3])?
            .reshape((z.dim(0)?, groups * inputs, rows * s, columns * t))?
            .narrow(2, top, size[0])?
            .narrow(3, left, size[1])
    }

    fn positions(&self, axis: usize, n: usize) -> Result<usize> {
        self.window
            .positions(axis, n)
            .map_err(candle_core::Error::Msg)
    }
}
