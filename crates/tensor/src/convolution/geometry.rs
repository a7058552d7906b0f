//! The sizes of a convolution, and the patches of an image that it multiplies.

use super::config::Convolution;
use crate::product::Real;
use crate::{Error, Result};

/// A convolution with all its sizes, checked against each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    pub(super) batch: usize,
    pub(super) groups: usize,
    /// Input and output channels of one group.
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) kernel: [usize; 2],
    /// Height and width of an input, and of an output.
    pub(super) size: [usize; 2],
    pub(super) positions: [usize; 2],
    stride: [usize; 2],
    before: [usize; 2],
    dilation: [usize; 2],
}

impl Geometry {
    pub(super) fn new(convolution: &Convolution, x: &[usize], weight: &[usize]) -> Result<Self> {
        let refuse = |cause: &str| Error::Convolution {
            found: format!("{x:?} by {weight:?} with {convolution:?}"),
            cause: cause.into(),
        };
        let (&[batch, channels, height, width], &[outputs, inputs, rows, columns]) = (x, weight)
        else {
            return Err(refuse("expected four dimensions of both"));
        };
        let Convolution {
            stride,
            padding,
            dilation,
            groups,
        } = *convolution;
        let positive = [stride, dilation, [rows, columns], [inputs, outputs]];
        if groups == 0 || positive.as_flattened().contains(&0) {
            return Err(refuse(
                "stride, dilation, groups and the weight's sizes are at least 1",
            ));
        }
        if Some(channels) != inputs.checked_mul(groups) || outputs % groups != 0 {
            return Err(refuse("the channels do not fit the groups"));
        }
        let positions = |axis: usize, size: usize, kernel: usize| {
            let padded = size
                .checked_add(padding[axis][0])?
                .checked_add(padding[axis][1])?;
            let reach = (kernel - 1).checked_mul(dilation[axis])?.checked_add(1)?;
            Some(padded.checked_sub(reach)? / stride[axis] + 1)
        };
        let (Some(down), Some(across)) = (positions(0, height, rows), positions(1, width, columns))
        else {
            return Err(refuse("the kernel is larger than the padded image"));
        };
        Ok(Self {
            batch,
            groups,
            inputs,
            outputs: outputs / groups,
            kernel: [rows, columns],
            size: [height, width],
            positions: [down, across],
            stride,
            before: [padding[0][0], padding[1][0]],
            dilation,
        })
    }

    pub(super) fn of_transpose(
        convolution: &Convolution,
        z: &[usize],
        weight: &[usize],
        size: [usize; 2],
    ) -> Result<Self> {
        let batch = z.first().copied().unwrap_or(0);
        let inputs = weight.get(1).map_or(0, |n| n * convolution.groups);
        let geometry = Self::new(convolution, &[batch, inputs, size[0], size[1]], weight)?;
        match geometry.output_shape() == z {
            true => Ok(geometry),
            false => Err(Error::Convolution {
                found: format!("{z:?} by {weight:?} with {convolution:?}, transposed"),
                cause: format!(
                    "expected {:?} for inputs of size {size:?}",
                    geometry.output_shape()
                ),
            }),
        }
    }

    pub(super) fn input_shape(&self) -> [usize; 4] {
        let [height, width] = self.size;
        [self.batch, self.groups * self.inputs, height, width]
    }

    pub(super) fn output_shape(&self) -> [usize; 4] {
        let [height, width] = self.positions;
        [self.batch, self.groups * self.outputs, height, width]
    }

    pub(super) fn weight_shape(&self) -> [usize; 4] {
        let [height, width] = self.kernel;
        [self.groups * self.outputs, self.inputs, height, width]
    }

    /// Numbers of one group of channels of an input, of an output, and of the group's weight.
    pub(super) fn input(&self) -> usize {
        self.inputs * self.size[0] * self.size[1]
    }

    pub(super) fn output(&self) -> usize {
        self.outputs * self.area()
    }

    pub(super) fn weight(&self) -> usize {
        self.outputs * self.patch()
    }

    /// Number of positions.
    pub(super) fn area(&self) -> usize {
        self.positions[0] * self.positions[1]
    }

    /// Number of entries of a patch, one position's share of the input.
    pub(super) fn patch(&self) -> usize {
        self.inputs * self.kernel[0] * self.kernel[1]
    }

    /// Whether the patches are the image itself.
    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1]
            && self.stride == [1, 1]
            && self.positions == self.size
            && self.before == [0, 0]
    }

    /// Copies the patches of output rows `first .. first + count` of an image into a matrix `[patch, positions]`.
    pub(super) fn gather<T: Real>(
        &self,
        image: &[T],
        first: usize,
        count: usize,
        patches: &mut [T],
    ) {
        let width = self.positions[1];
        let mut rows = patches.chunks_exact_mut(count * width);
        self.each_entry(|channel, entry| {
            let plane = &image[channel * self.size[0] * self.size[1]..];
            if let Some(row) = rows.next() {
                for (step, line) in row.chunks_exact_mut(width).enumerate() {
                    match self.source(0, first + step, entry[0]) {
                        None => line.fill(T::zero()),
                        Some(y) => {
                            self.read(line, &plane[y * self.size[1]..][..self.size[1]], entry[1])
                        }
                    }
                }
            }
        });
    }

    /// Adds a matrix of patches to the entries of the image that [`Geometry::gather`] took them from.
    pub(super) fn scatter<T: Real>(
        &self,
        patches: &[T],
        first: usize,
        count: usize,
        image: &mut [T],
    ) {
        let width = self.positions[1];
        let mut rows = patches.chunks_exact(count * width);
        self.each_entry(|channel, entry| {
            let plane = &mut image[channel * self.size[0] * self.size[1]..];
            if let Some(row) = rows.next() {
                for (step, line) in row.chunks_exact(width).enumerate() {
                    if let Some(y) = self.source(0, first + step, entry[0]) {
                        self.add(
                            line,
                            &mut plane[y * self.size[1]..][..self.size[1]],
                            entry[1],
                        );
                    }
                }
            }
        });
    }

    fn each_entry(&self, mut visit: impl FnMut(usize, [usize; 2])) {
        for channel in 0..self.inputs {
            for row in 0..self.kernel[0] {
                for column in 0..self.kernel[1] {
                    visit(channel, [row, column]);
                }
            }
        }
    }

    /// The coordinate that an entry of the kernel meets at a position, `None` in the padding.
    fn source(&self, axis: usize, position: usize, entry: usize) -> Option<usize> {
        let padded = position * self.stride[axis] + entry * self.dilation[axis];
        padded
            .checked_sub(self.before[axis])
            .filter(|at| *at < self.size[axis])
    }

    /// The columns whose entry lies inside, and the coordinate of the first.
    fn inside(&self, entry: usize) -> (usize, usize, usize) {
        let (stride, offset) = (self.stride[1], entry * self.dilation[1]);
        let start = self.before[1].saturating_sub(offset).div_ceil(stride);
        let end = (self.size[1] + self.before[1])
            .saturating_sub(offset)
            .div_ceil(stride);
        let end = end.min(self.positions[1]);
        let start = start.min(end);
        (
            start,
            end,
            (start * stride + offset).saturating_sub(self.before[1]),
        )
    }

    fn read<T: Real>(&self, line: &mut [T], from: &[T], entry: usize) {
        let (start, end, first) = self.inside(entry);
        line[..start].fill(T::zero());
        line[end..].fill(T::zero());
        match self.stride[1] {
            _ if start == end => {}
            1 => line[start..end].copy_from_slice(&from[first..first + end - start]),
            stride => {
                let values = from[first..].iter().step_by(stride);
                line[start..end]
                    .iter_mut()
                    .zip(values)
                    .for_each(|(to, from)| *to = *from);
            }
        }
    }

    fn add<T: Real>(&self, line: &[T], to: &mut [T], entry: usize) {
        let (start, end, first) = self.inside(entry);
        match self.stride[1] {
            _ if start == end => {}
            1 => {
                let to = &mut to[first..first + end - start];
                to.iter_mut()
                    .zip(&line[start..end])
                    .for_each(|(to, from)| *to += *from);
            }
            stride => {
                let to = to[first..].iter_mut().step_by(stride);
                to.zip(&line[start..end])
                    .for_each(|(to, from)| *to += *from);
            }
        }
    }
}
