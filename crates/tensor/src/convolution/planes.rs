//! Padded images in which every entry of a kernel is read at a fixed distance from its position.

use crate::product::Real;

/// Numbers behind the last plane, so that whole vectors can be read from any position: as many as the widest block of a
/// kernel has.
pub(super) const SLACK: usize = 64;

/// Numbers that the widest vector has.
pub(super) const WIDEST: usize = 16;

/// How an image is laid out: each channel as one plane for each pair of remainders of its padded coordinates by the
/// stride. A step of the kernel's positions is a step of one number or one row in every plane, whatever the stride is.
/// Rows follow one another, so a vector may begin in one row and end in the next: what is computed there belongs to no
/// position and is dropped.
#[derive(Debug, Clone)]
pub(super) struct Planes {
    /// Height and width of the image.
    pub(super) size: [usize; 2],
    pub(super) stride: [usize; 2],
    /// Zeros before the image.
    pub(super) before: [usize; 2],
    /// Rows and columns of a plane.
    pub(super) rows: usize,
    pub(super) pitch: usize,
    /// The pairs of remainders that are read.
    pub(super) remainders: Vec<[usize; 2]>,
}

impl Planes {
    /// Room for `channels` channels, all zero.
    pub(super) fn room<T: Real>(&self, channels: usize) -> Vec<T> {
        vec![T::zero(); channels * self.channel() + SLACK]
    }

    /// Numbers of a channel.
    pub(super) fn channel(&self) -> usize {
        self.remainders.len() * self.plane()
    }

    fn plane(&self) -> usize {
        self.rows * self.pitch
    }

    /// Where a channel's number with the padded coordinates `at` is read; `None` if its plane is not there.
    pub(super) fn offset(&self, channel: usize, at: [usize; 2]) -> Option<usize> {
        let remainder = [at[0] % self.stride[0], at[1] % self.stride[1]];
        let index = self.remainders.iter().position(|r| *r == remainder)?;
        let [row, column] = [at[0] / self.stride[0], at[1] / self.stride[1]];
        let plane = channel * self.remainders.len() + index;
        Some((plane * self.rows + row) * self.pitch + column)
    }

    /// Writes an image into `planes`, whose padding is zero already.
    pub(super) fn fill<T: Real>(&self, image: &[T], planes: &mut [T]) {
        let area = self.size[0] * self.size[1];
        let each = planes.chunks_exact_mut(self.plane().max(1));
        for (index, plane) in each.enumerate() {
            let channel = index / self.remainders.len();
            let remainder = self.remainders[index % self.remainders.len()];
            let Some(image) = image.get(channel * area..(channel + 1) * area) else {
                return;
            };
            let [(top, bottom), (left, right)] =
                [0, 1].map(|axis| self.inside(axis, remainder[axis]));
            if left >= right {
                continue;
            }
            let first = left * self.stride[1] + remainder[1] - self.before[1];
            for row in top..bottom {
                let y = row * self.stride[0] + remainder[0] - self.before[0];
                let from = &image[y * self.size[1] + first..(y + 1) * self.size[1]];
                let to = &mut plane[row * self.pitch..][left..right];
                match self.stride[1] {
                    1 => to.copy_from_slice(&from[..right - left]),
                    2 => every::<T, 2>(from, to),
                    stride => {
                        let from = from.iter().step_by(stride);
                        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                    }
                }
            }
        }
    }

    /// The rows (or columns) of a plane that lie in the image.
    fn inside(&self, axis: usize, remainder: usize) -> (usize, usize) {
        let stride = self.stride[axis];
        let before = self.before[axis];
        let end = (before + self.size[axis])
            .saturating_sub(remainder)
            .div_ceil(stride);
        let start = before.saturating_sub(remainder).div_ceil(stride);
        (start, end.min([self.rows, self.pitch][axis]))
    }
}

/// The first of every `N` numbers, the last of which may be fewer; in blocks whose length the compiler knows.
fn every<T: Real, const N: usize>(from: &[T], to: &mut [T]) {
    let (blocks, rest) = from.as_chunks::<N>();
    let (to, last) = to.split_at_mut(blocks.len().min(to.len()));
    to.iter_mut()
        .zip(blocks)
        .for_each(|(to, block)| *to = block[0]);
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
}
