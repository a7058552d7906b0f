//! The sizes of a convolution, and where it reads its operands.

use std::collections::BTreeMap;

use super::config::Convolution;
use super::planes::Planes;
use super::sweep::Grid;
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
        Self::of_both(convolution, &[batch, inputs, size[0], size[1]], z, weight)
    }

    /// Of an input and an output.
    pub(super) fn of_both(
        convolution: &Convolution,
        x: &[usize],
        z: &[usize],
        weight: &[usize],
    ) -> Result<Self> {
        let geometry = Self::new(convolution, x, weight)?;
        match geometry.output_shape() == z {
            true => Ok(geometry),
            false => Err(Error::Convolution {
                found: format!("{z:?} as an output of {weight:?} with {convolution:?}"),
                cause: format!(
                    "expected {:?} for inputs of size {:?}",
                    geometry.output_shape(),
                    geometry.size
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

    /// Whether each position's patch is the numbers of all channels there.
    pub(super) fn is_pointwise(&self) -> bool {
        let is_plain = self.stride == [1, 1] && self.before == [0, 0];
        self.kernel == [1, 1] && is_plain && self.positions == self.size
    }

    /// The weight of the group that an image belongs to, groups counted apart.
    pub(super) fn of_group<'a, T>(&self, weight: &'a [T], image: usize) -> &'a [T] {
        &weight[image % self.groups * self.weight()..][..self.weight()]
    }

    /// How many images there are, groups counted apart.
    pub(super) fn images(&self) -> usize {
        self.batch * self.groups
    }

    /// How the forward pass reads an input.
    pub(super) fn input_planes(&self) -> Planes {
        let farthest = [0, 1].map(|axis| self.reach(axis) / self.stride[axis]);
        let remainders = self.remainders().into_iter();
        Planes {
            size: self.size,
            stride: self.stride,
            before: self.before,
            rows: self.positions[0] + farthest[0],
            pitch: self.positions[1] + farthest[1],
            remainders: remainders.map(|(remainder, _)| remainder).collect(),
        }
    }

    /// Where each entry of a patch is read for the first position, in the order of the weight.
    pub(super) fn input_offsets(&self, planes: &Planes) -> Vec<usize> {
        let entries = self.entries();
        let offset = |channel, entry| planes.offset(channel, self.shift(entry));
        (0..self.inputs)
            .flat_map(|channel| entries.iter().filter_map(move |e| offset(channel, *e)))
            .collect()
    }

    /// The positions of the forward pass.
    pub(super) fn grid(&self, planes: &Planes) -> Grid {
        Grid {
            rows: self.positions[0],
            columns: self.positions[1],
            pitch: planes.pitch,
            size: self.positions,
            start: [0, 0],
            step: [1, 1],
        }
    }

    /// How the transpose reads an output: entries that lie in the same place modulo the stride reach the same numbers of
    /// the input, each such part of the input from the positions of the output around it.
    pub(super) fn output_planes(&self, parts: &[Part]) -> Planes {
        let most = |number: &dyn Fn(&Part) -> usize| parts.iter().map(number).max().unwrap_or(0);
        let before = [0, 1].map(|axis| most(&|part| part.before[axis]));
        let last = |axis: usize| most(&|part| part.first[axis] + part.count[axis]);
        Planes {
            size: self.positions,
            stride: [1, 1],
            before,
            rows: before[0] + last(0).max(self.positions[0]),
            pitch: before[1] + last(1).max(self.positions[1]),
            remainders: vec![[0, 0]],
        }
    }

    /// The parts of the input that the transpose computes.
    pub(super) fn parts(&self) -> Vec<Part> {
        let part = |(remainder, entries): ([usize; 2], Vec<[usize; 2]>)| {
            let mut part = Part {
                first: [0; 2],
                count: [0; 2],
                start: [0; 2],
                before: [0; 2],
                entries: Vec::new(),
            };
            for (axis, remainder) in remainder.into_iter().enumerate() {
                let (stride, before) = (self.stride[axis], self.before[axis]);
                // The numbers `first ..` of all that have this remainder, padding included, lie in the input.
                let first = before.saturating_sub(remainder).div_ceil(stride);
                let end = (before + self.size[axis]).saturating_sub(remainder);
                part.first[axis] = first;
                part.count[axis] = end.div_ceil(stride).saturating_sub(first);
                part.start[axis] = (first * stride + remainder).saturating_sub(before);
                let back = entries
                    .iter()
                    .map(|entry| self.shift(*entry)[axis] / stride);
                part.before[axis] = back.max().unwrap_or(0).saturating_sub(first);
            }
            part.entries = entries;
            part
        };
        let parts = self.remainders().into_iter().map(part);
        parts.filter(|part| !part.count.contains(&0)).collect()
    }

    /// Where each pair of an output channel and one of the part's entries is read for the part's first number, and the
    /// entry's place in a patch.
    pub(super) fn output_offsets(&self, planes: &Planes, part: &Part) -> Vec<(usize, [usize; 2])> {
        let [top, left] = [0, 1].map(|axis| planes.before[axis] + part.first[axis]);
        let read = |output: usize, entry: [usize; 2]| {
            let [row, column] = self.shift(entry);
            let at = [top - row / self.stride[0], left - column / self.stride[1]];
            Some((
                planes.offset(output, at)?,
                [output, entry[0] * self.kernel[1] + entry[1]],
            ))
        };
        let entries = &part.entries;
        (0..self.outputs)
            .flat_map(|output| entries.iter().filter_map(move |entry| read(output, *entry)))
            .collect()
    }

    /// The positions of one part of the transpose.
    pub(super) fn part_grid(&self, planes: &Planes, part: &Part) -> Grid {
        Grid {
            rows: part.count[0],
            columns: part.count[1],
            pitch: planes.pitch,
            size: self.size,
            start: part.start,
            step: self.stride,
        }
    }

    /// Rows and columns of the kernel.
    fn entries(&self) -> Vec<[usize; 2]> {
        let [rows, columns] = self.kernel;
        let entries = (0..rows * columns).map(|index| [index / columns, index % columns]);
        entries.collect()
    }

    /// The padded coordinates that an entry reads for the first position.
    fn shift(&self, entry: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| entry[axis] * self.dilation[axis])
    }

    fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis]
    }

    /// The remainders of padded coordinates by the stride that entries read, with those entries.
    fn remainders(&self) -> BTreeMap<[usize; 2], Vec<[usize; 2]>> {
        let mut remainders: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for entry in self.entries() {
            let shift = self.shift(entry);
            let remainder = [shift[0] % self.stride[0], shift[1] % self.stride[1]];
            remainders.entry(remainder).or_default().push(entry);
        }
        remainders
    }
}

/// A part of the input, all of whose numbers are reached by the same entries of the kernel.
#[derive(Debug)]
pub(super) struct Part {
    /// The first number in the input, counted in steps of the stride, and how many there are.
    first: [usize; 2],
    count: [usize; 2],
    /// Where the first one is.
    start: [usize; 2],
    /// How far before the first position its sum reaches.
    before: [usize; 2],
    entries: Vec<[usize; 2]>,
}
