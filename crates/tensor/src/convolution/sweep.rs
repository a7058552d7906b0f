//! Weighted sums of the numbers around each position: the loop that a convolution and its transpose have in common.
//!
//! No patches are copied. A block of output channels and positions stays in registers while every entry of the kernel
//! is read at its distance in the padded planes.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::lanes::Lanes;
use super::planes::SLACK;
use crate::elementwise::zeros;

/// Output channels whose weights lie together, and that are computed together where there are registers for them.
const TOGETHER: usize = 8;

/// Weights that one thread brings into their order.
const SMALL: usize = 1 << 14;

/// Groups of channels and entries whose weights are brought into their order together.
const GROUPS: usize = 16;
const ENTRIES: usize = 128;

/// A sum over entries at positions of a grid, for each output channel.
#[derive(Debug)]
pub(super) struct Sweep<T> {
    /// Where each entry is read for the first position.
    offsets: Vec<usize>,
    /// The weights of [`TOGETHER`] channels for each entry, for each group of channels; zero beyond the last channel.
    weights: Vec<T>,
    grid: Grid,
}

/// Positions of a sweep, and where their results go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// Numbers of positions.
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// From row to row of what is read.
    pub(super) pitch: usize,
    /// Height and width of the result.
    pub(super) size: [usize; 2],
    /// Where the first position's result goes, and the steps from there.
    pub(super) start: [usize; 2],
    pub(super) step: [usize; 2],
}

impl Grid {
    /// Numbers from the first position to the last.
    pub(super) fn span(&self) -> usize {
        (self.rows - 1) * self.pitch + self.columns
    }

    /// Whether the results fill the output in the order of the positions.
    fn is_plain(&self) -> bool {
        self.size == [self.rows, self.columns] && self.start == [0, 0] && self.step == [1, 1]
    }

    /// Copies the results at the positions into a channel of the output.
    fn place<T: Lanes>(&self, results: &[T], channel: &mut [T]) {
        for (row, results) in results.chunks(self.pitch).take(self.rows).enumerate() {
            let at = (self.start[0] + row * self.step[0]) * self.size[1] + self.start[1];
            let results = &results[..self.columns];
            match self.step[1] {
                1 => channel[at..at + self.columns].copy_from_slice(results),
                step => {
                    let to = channel[at..].iter_mut().step_by(step);
                    to.zip(results).for_each(|(to, result)| *to = *result);
                }
            }
        }
    }
}

impl<T: Lanes> Sweep<T> {
    /// Reads at `offsets`, with `weight(output, entry)` for each of them.
    pub(super) fn new(
        offsets: Vec<usize>,
        outputs: usize,
        weight: impl Fn(usize, usize) -> T + Sync,
        grid: Grid,
    ) -> Self {
        let group = (offsets.len() * TOGETHER).max(1);
        let mut weights = zeros(outputs.div_ceil(TOGETHER) * group);
        let groups = weights.par_chunks_mut(GROUPS * group).enumerate();
        // Small ones take less time than a thread to wake.
        let groups = groups.with_min_len(SMALL.div_ceil(GROUPS * group));
        groups.for_each(|(block, weights)| {
            let first = block * GROUPS * TOGETHER;
            // Of many weights, numbers that lie near each other are read soon after each other, whatever the order of their entries.
            for entries in (0..offsets.len()).step_by(ENTRIES) {
                for (number, weights) in weights.chunks_mut(group).enumerate() {
                    let first = first + number * TOGETHER;
                    let weights = weights.chunks_exact_mut(TOGETHER).enumerate();
                    for (entry, weights) in weights.skip(entries).take(ENTRIES) {
                        for (output, to) in (first..outputs).zip(weights) {
                            *to = weight(output, entry);
                        }
                    }
                }
            }
        });
        Self {
            offsets,
            weights,
            grid,
        }
    }

    /// Room for the results of a group of channels.
    fn room(&self) -> usize {
        TOGETHER * (self.grid.span() + SLACK)
    }

    /// How many weights it reads.
    pub(super) fn weights(&self) -> usize {
        self.weights.len()
    }

    /// Writes the sums over `planes` to the output channels of one image.
    pub(super) fn run(&self, planes: &[T], output: &mut [T], results: &mut Vec<T>) {
        let area = self.grid.size[0] * self.grid.size[1];
        let group = self.offsets.len() * TOGETHER;
        results.resize(self.room(), T::zero());
        let channels = output.chunks_mut((TOGETHER * area).max(1));
        for (channels, weights) in channels.zip(self.weights.chunks(group.max(1))) {
            self.channels(planes, weights, channels, results);
        }
    }

    /// The same for some images, of `image` numbers of `planes` each: their output channels are divided among the threads, which read
    /// each weight once for all of them.
    pub(super) fn run_divided(&self, planes: &[T], image: usize, outputs: &mut [&mut [T]]) {
        let area = self.grid.size[0] * self.grid.size[1];
        let group = (self.offsets.len() * TOGETHER).max(1);
        let mut channels: Vec<Vec<&mut [T]>> = Vec::new();
        channels.resize_with(self.weights.len() / group, Vec::new);
        for output in outputs {
            let of_image = output.chunks_mut((TOGETHER * area).max(1));
            channels
                .iter_mut()
                .zip(of_image)
                .for_each(|(all, own)| all.push(own));
        }
        let weights = self.weights.par_chunks(group);
        channels.into_par_iter().zip(weights).for_each_init(
            || vec![T::zero(); self.room()],
            |results, (channels, weights)| {
                for (number, channels) in channels.into_iter().enumerate() {
                    self.channels(&planes[number * image..], weights, channels, results);
                }
            },
        );
    }

    /// One group of output channels.
    fn channels(&self, planes: &[T], weights: &[T], channels: &mut [T], results: &mut [T]) {
        let area = self.grid.size[0] * self.grid.size[1];
        let stride = results.len() / TOGETHER;
        let placed = Arch::new().dispatch(Sums {
            planes,
            offsets: &self.offsets,
            weights,
            grid: &self.grid,
            channels: &mut *channels,
            results: &mut *results,
        });
        if !placed {
            for (channel, results) in channels.chunks_mut(area).zip(results.chunks(stride)) {
                self.grid.place(results, channel);
            }
        }
    }
}

/// The sums of one group of output channels.
struct Sums<'a, T> {
    planes: &'a [T],
    offsets: &'a [usize],
    weights: &'a [T],
    grid: &'a Grid,
    /// The output, at whose positions the sums are put where whole vectors fit into its rows.
    channels: &'a mut [T],
    /// Else they are put here, with the pitch of the planes and numbers between the rows: for [`TOGETHER`] channels.
    results: &'a mut [T],
}

impl<T: Lanes> WithSimd for Sums<'_, T> {
    /// Whether the sums are in the output.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let lanes = T::count::<S>();
        let area = self.grid.size[0] * self.grid.size[1];
        let outputs = self.channels.len() / area;
        let whole = self.grid.is_plain() && self.grid.columns.is_multiple_of(lanes);
        let (to, stride, vectors, per_row) = match whole {
            true => (self.channels, area, area / lanes, self.grid.columns / lanes),
            false => {
                let (stride, span) = (self.results.len() / TOGETHER, self.grid.span());
                (self.results, stride, span.div_ceil(lanes), usize::MAX)
            }
        };
        let mut block = Block {
            planes: self.planes,
            offsets: self.offsets,
            weights: self.weights,
            outputs,
            to,
            stride,
            vectors,
            per_row,
            pitch: self.grid.pitch,
        };
        // As many accumulators as registers, but for those of the numbers read.
        match S::REGISTER_COUNT {
            32.. if outputs > 4 => block.threes::<S, 8>(simd, 0),
            32.. => block.threes::<S, 4>(simd, 0),
            // With three vectors all 16 would be taken, and a sum would wait for memory in every term.
            _ => {
                block.twos::<S, 4>(simd, 0);
                if outputs > 4 {
                    block.twos::<S, 4>(simd, 4);
                }
            }
        }
        whole
    }
}

/// Vectors of sums, and where they go.
struct Block<'a, T> {
    planes: &'a [T],
    offsets: &'a [usize],
    weights: &'a [T],
    /// Channels that are wanted.
    outputs: usize,
    /// `stride` numbers for each channel, one vector after another.
    to: &'a mut [T],
    stride: usize,
    /// How many vectors a channel has, and a row, which is read `pitch` numbers after the one before.
    vectors: usize,
    per_row: usize,
    pitch: usize,
}

impl<T: Lanes> Block<'_, T> {
    /// All vectors of `O` channels, three together where that leaves no single one.
    #[inline(always)]
    fn threes<S: Simd, const O: usize>(&mut self, simd: S, first: usize) {
        let mut vector = 0;
        while vector < self.vectors {
            match self.vectors - vector {
                1 => self.some::<S, O, 1>(simd, first, vector),
                2 | 4 => self.some::<S, O, 2>(simd, first, vector),
                _ => {
                    self.some::<S, O, 3>(simd, first, vector);
                    vector += 1;
                }
            }
            vector += 2;
        }
    }

    /// All vectors of `O` channels, two together.
    #[inline(always)]
    fn twos<S: Simd, const O: usize>(&mut self, simd: S, first: usize) {
        for vector in (0..self.vectors).step_by(2) {
            match self.vectors - vector {
                1 => self.some::<S, O, 1>(simd, first, vector),
                _ => self.some::<S, O, 2>(simd, first, vector),
            }
        }
    }

    /// `V` vectors of `O` channels.
    #[inline(always)]
    fn some<S: Simd, const O: usize, const V: usize>(
        &mut self,
        simd: S,
        first: usize,
        vector: usize,
    ) {
        let lanes = T::count::<S>();
        let mut starts = [0; V];
        for (number, start) in starts.iter_mut().enumerate() {
            let vector = vector + number;
            *start = vector / self.per_row * self.pitch + vector % self.per_row * lanes;
        }
        let mut sums = [[T::splat(simd, T::zero()); V]; O];
        let entries = self.offsets.iter().zip(self.weights.chunks_exact(TOGETHER));
        for (offset, weights) in entries {
            let from = &self.planes[*offset..];
            let mut numbers = [T::splat(simd, T::zero()); V];
            for (number, start) in numbers.iter_mut().zip(starts) {
                *number = T::load::<S>(&from[start..][..lanes]);
            }
            for (sums, weight) in sums.iter_mut().zip(&weights[first..first + O]) {
                let weight = T::splat(simd, *weight);
                for (sum, number) in sums.iter_mut().zip(numbers) {
                    *sum = T::multiply_add(simd, weight, number, *sum);
                }
            }
        }
        for (output, sums) in sums.into_iter().enumerate() {
            if first + output >= self.outputs {
                return;
            }
            let to = (first + output) * self.stride + vector * lanes;
            let to = &mut self.to[to..][..V * lanes];
            for (vector, sum) in sums.into_iter().enumerate() {
                T::store(sum, &mut to[vector * lanes..]);
            }
        }
    }
}
