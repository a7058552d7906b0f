//! The transpose of a convolution where only a patch of the output counts.
//!
//! Gradients of single neurons begin at one position and grow by a kernel at each layer. Pulling only the positions that they
//! have reached takes a small part of the products of a whole image, and many gradients that begin at one position are one
//! product.

use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor};
use rayon::prelude::*;

use super::chosen::{Channels, Chosen};
use super::config::Convolution;
use super::dispatch::dispatch;
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
        let wanted = wanted.map(|wanted| patch.wanted(wanted)).transpose()?;
        let pull = TransposedPatch { patch, wanted };
        let x = z
            .contiguous()?
            .apply_op2_no_bwd(&weight.contiguous()?, &pull)?;
        Ok((x, begin))
    }
}

/// The sizes of a patch on both sides of a convolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct PatchGeometry {
    pub(super) rows: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    kernel: [usize; 2],
    /// Height and width of the output's patch, and of the input's.
    pub(super) from: [usize; 2],
    pub(super) to: [usize; 2],
    /// Where the input's patch begins.
    begin: [usize; 2],
    /// Where in the input's patch the first entry of the kernel at the first position lies; negative outside.
    origin: [isize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
}

impl PatchGeometry {
    fn new(
        convolution: &Convolution,
        z: &[usize],
        weight: &[usize],
        first: [usize; 2],
        size: [usize; 2],
    ) -> Result<Self> {
        let refuse = |cause: &str| Error::Convolution {
            found: format!("{z:?} from {first:?} by {weight:?} with {convolution:?}"),
            cause: cause.into(),
        };
        let (&[rows, channels, height, width], &[outputs, inputs, down, across]) = (z, weight)
        else {
            return Err(refuse("expected four dimensions of both"));
        };
        if convolution.groups != 1 || channels != outputs {
            return Err(refuse("expected one group, and channels that fit"));
        }
        let (from, kernel) = ([height, width], [down, across]);
        let (mut begin, mut to, mut origin) = ([0; 2], [0; 2], [0; 2]);
        for axis in 0..2 {
            let step = convolution.stride[axis];
            let reach = (kernel[axis].max(1) - 1) * convolution.dilation[axis] + 1;
            let padded = first[axis] * step;
            let before = convolution.padding[axis][0];
            let end = (padded + (from[axis].max(1) - 1) * step + reach).saturating_sub(before);
            // At least one entry, even where nothing is reached.
            begin[axis] = padded
                .saturating_sub(before)
                .min(size[axis].saturating_sub(1));
            to[axis] = end.min(size[axis]).saturating_sub(begin[axis]).max(1);
            origin[axis] = padded as isize - before as isize - begin[axis] as isize;
        }
        if [from, size, kernel, [inputs, outputs], convolution.stride]
            .as_flattened()
            .contains(&0)
        {
            return Err(refuse("a patch of nothing"));
        }
        Ok(Self {
            rows,
            inputs,
            outputs,
            kernel,
            from,
            to,
            begin,
            origin,
            stride: convolution.stride,
            dilation: convolution.dilation,
        })
    }

    /// The entry of the input's patch that an entry of the kernel meets at a position, along an axis.
    fn place(&self, axis: usize, position: usize, entry: usize) -> Option<usize> {
        let at = self.origin[axis]
            + (position * self.stride[axis] + entry * self.dilation[axis]) as isize;
        usize::try_from(at).ok().filter(|at| *at < self.to[axis])
    }

    /// The position of the output's patch at which an entry of the kernel meets one of the input's, along an axis.
    pub(super) fn position(&self, axis: usize, place: usize, entry: usize) -> Option<usize> {
        let ahead = place as isize - self.origin[axis] - (entry * self.dilation[axis]) as isize;
        let ahead = usize::try_from(ahead).ok()?;
        let position = ahead / self.stride[axis];
        let meets = ahead.is_multiple_of(self.stride[axis]) && position < self.from[axis];
        meets.then_some(position)
    }

    /// The channels that are asked for in the input's patch.
    fn wanted(&self, wanted: &Tensor) -> Result<Channels> {
        let [rows, columns] = [0, 1].map(|axis| self.begin[axis]..self.begin[axis] + self.to[axis]);
        let own = wanted.narrow(1, rows.start, rows.len())?;
        let own = own.narrow(2, columns.start, columns.len())?.ne(0.0)?;
        let own = own.flatten_all()?.to_vec1::<u8>()?;
        let positions = self.to[0] * self.to[1];
        let counts = |position, channel| own[channel * positions + position] != 0;
        Ok(Channels::of(positions, self.inputs, counts))
    }

    /// The entries of the kernel that meet one of the input at some position: of a small image, a part of them.
    fn taps(&self) -> Vec<[usize; 2]> {
        let used = |axis: usize| {
            let meets = move |entry: &usize| {
                (0..self.from[axis]).any(|position| self.place(axis, position, *entry).is_some())
            };
            (0..self.kernel[axis]).filter(meets)
        };
        used(0)
            .flat_map(|row| used(1).map(move |column| [row, column]))
            .collect()
    }

    /// The weight as `[outputs, taps, inputs]`.
    fn by_taps<T: Real>(&self, weight: &[T], taps: &[[usize; 2]]) -> Vec<T> {
        let (size, width) = (self.kernel[0] * self.kernel[1], taps.len() * self.inputs);
        let mut moved = vec![T::zero(); self.outputs * width];
        let outputs = moved.chunks_exact_mut(width.max(1));
        for (to, from) in outputs.zip(weight.chunks_exact(size * self.inputs)) {
            for (channel, from) in from.chunks_exact(size).enumerate() {
                for (tap, [row, column]) in taps.iter().enumerate() {
                    to[tap * self.inputs + channel] = from[row * self.kernel[1] + column];
                }
            }
        }
        moved
    }

    /// Adds the numbers that each position of one row spreads, `[positions, taps, inputs]`, to where they belong, `[to, inputs]`.
    fn gather<T: Real>(&self, spread: &[T], taps: &[[usize; 2]], into: &mut [T]) {
        let n = self.inputs;
        for (position, spread) in spread.chunks_exact(taps.len() * n).enumerate() {
            let (down, across) = (position / self.from[1], position % self.from[1]);
            for (tap, values) in taps.iter().zip(spread.chunks_exact(n)) {
                let row = self.place(0, down, tap[0]);
                let column = self.place(1, across, tap[1]);
                if let (Some(row), Some(column)) = (row, column) {
                    let into = &mut into[(row * self.to[1] + column) * n..][..n];
                    into.iter_mut().zip(values).for_each(|(to, v)| *to += *v);
                }
            }
        }
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
    let all = || Channels::of(to, patch.inputs, |_, _| true);
    let chosen = Chosen {
        patch,
        taps: &taps,
        from: &Channels::nonzero(z, positions, patch.outputs),
        to: &wanted.clone().unwrap_or_else(all),
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
