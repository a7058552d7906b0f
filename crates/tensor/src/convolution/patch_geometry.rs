//! Where a patch of a convolution's output and the part of its input that it reaches lie.

use super::config::Convolution;
use super::counting::Channels;
use crate::product::Real;
use crate::{Error, Result};
use candle_core::Tensor;

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
    pub(super) begin: [usize; 2],
    /// Where in the input's patch the first entry of the kernel at the first position lies; negative outside.
    origin: [isize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
}

impl PatchGeometry {
    pub(super) fn new(
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

    /// The channels that are asked for in the patch of an input of height and width `size`.
    pub(super) fn wanted(&self, wanted: &Tensor, size: [usize; 2]) -> Result<Channels> {
        if wanted.dims() != [self.inputs, size[0], size[1]] {
            return Err(Error::Convolution {
                found: format!(
                    "{:?} wanted of {} channels of {size:?}",
                    wanted.dims(),
                    self.inputs
                ),
                cause: "expected a number for each of the input".into(),
            });
        }
        let [rows, columns] = [0, 1].map(|axis| self.begin[axis]..self.begin[axis] + self.to[axis]);
        let own = wanted.narrow(1, rows.start, rows.len())?;
        let own = own.narrow(2, columns.start, columns.len())?.ne(0.0)?;
        let own = own.flatten_all()?.to_vec1::<u8>()?;
        let positions = self.to[0] * self.to[1];
        let counts = |position, channel| own[channel * positions + position] != 0;
        Ok(Channels::of(positions, self.inputs, counts))
    }

    /// The entries of the kernel that meet one of the input at some position: of a small image, a part of them.
    pub(super) fn taps(&self) -> Vec<[usize; 2]> {
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
    pub(super) fn by_taps<T: Real>(&self, weight: &[T], taps: &[[usize; 2]]) -> Vec<T> {
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
    pub(super) fn gather<T: Real>(&self, spread: &[T], taps: &[[usize; 2]], into: &mut [T]) {
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
