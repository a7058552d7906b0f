//! The three readings on the CPU. Images are parallel; what a thread needs for one is in its cache.

use std::ops::Range;

use rayon::prelude::*;

use super::correlate::Pairs;
use super::factors::Factors;
use super::geometry::Geometry;
use super::lanes::Lanes;
use super::planes::{Planes, WIDEST};
use super::sweep::Sweep;
use crate::elementwise::zeros;

/// Parts of a batch whose weight gradients are summed apart. Fixed, so that the sum does not depend on the number of
/// threads.
const PARTS: usize = 8;

/// Numbers of the images that are read together for a weight gradient, unless one alone has more.
const CACHED: usize = 1 << 17;

pub(super) fn forward<T: Lanes>(
    geometry: &Geometry,
    factors: Option<Factors<'_, T>>,
    x: &[T],
    weight: &[T],
) -> Vec<T> {
    let planes = geometry.input_planes();
    let offsets = geometry.input_offsets(&planes);
    let grid = geometry.grid(&planes);
    let patch = geometry.patch();
    let groups = weight.chunks(geometry.weight()).map(|weight| {
        let weight = |output: usize, entry: usize| weight[output * patch + entry];
        vec![Sweep::new(offsets.clone(), geometry.outputs, weight, grid)]
    });
    let groups: Vec<_> = groups.collect();
    let over = Images {
        planes: &planes,
        channels: geometry.inputs,
        groups: &groups,
        sizes: [geometry.input(), geometry.output()],
        count: geometry.images(),
    };
    over.sweep(x, [factors, None])
}

pub(super) fn transposed<T: Lanes>(
    geometry: &Geometry,
    factors: Option<Factors<'_, T>>,
    z: &[T],
    weight: &[T],
) -> Vec<T> {
    let parts = geometry.parts();
    let planes = geometry.output_planes(&parts);
    let area = geometry.patch() / geometry.inputs;
    let groups = weight.chunks(geometry.weight()).map(|weight| {
        let sweeps = parts.iter().map(|part| {
            let (offsets, entries): (_, Vec<_>) =
                geometry.output_offsets(&planes, part).into_iter().unzip();
            let weight = |input: usize, entry: usize| {
                let [output, entry]: [usize; 2] = entries[entry];
                weight[(output * geometry.inputs + input) * area + entry]
            };
            let grid = geometry.part_grid(&planes, part);
            Sweep::new(offsets, geometry.inputs, weight, grid)
        });
        sweeps.collect()
    });
    let groups: Vec<Vec<_>> = groups.collect();
    let over = Images {
        planes: &planes,
        channels: geometry.outputs,
        groups: &groups,
        sizes: [geometry.output(), geometry.input()],
        count: geometry.images(),
    };
    over.sweep(z, [None, factors])
}

/// Images, groups of channels counted apart, and the sweeps of each group.
struct Images<'a, T> {
    planes: &'a Planes,
    /// Channels of an image.
    channels: usize,
    groups: &'a [Vec<Sweep<T>>],
    /// Numbers of an image before and after.
    sizes: [usize; 2],
    count: usize,
}

impl<T: Lanes> Images<'_, T> {
    /// The sweeps over each image, whose numbers and results are multiplied with factors where there are any.
    fn sweep(&self, from: &[T], factors: [Option<Factors<'_, T>>; 2]) -> Vec<T> {
        let [size, result] = self.sizes;
        let groups = self.groups.len();
        let mut to = zeros(self.count * result);
        // With fewer images than threads, the channels of each are divided.
        let divided = self.count < rayon::current_num_threads();
        to.par_chunks_mut(result.max(1)).enumerate().for_each_init(
            || (self.planes.room(self.channels), Vec::new()),
            |(buffer, results), (index, to)| {
                let own = |which: usize, size| {
                    let factors = factors[which]?;
                    Some(factors.of_image(index, self.count, groups, size))
                };
                let image = &from[index * size..(index + 1) * size];
                self.planes.fill(image, own(0, size), buffer);
                for sweep in &self.groups[index % groups] {
                    sweep.run(buffer, to, divided, results);
                }
                if let Some(factors) = own(1, result) {
                    factors.scale(to);
                }
            },
        );
        to
    }
}

pub(super) fn correlation<T: Lanes>(
    geometry: &Geometry,
    factors: Option<Factors<'_, T>>,
    x: &[T],
    z: &[T],
) -> Vec<T> {
    let gradient = Gradient::new(geometry);
    let images = geometry.batch.div_ceil(PARTS).max(1);
    let starts = (0..geometry.batch).into_par_iter().step_by(images);
    let parts = starts.map(|start| {
        let end = geometry.batch.min(start + images);
        gradient.part(start..end, factors, x, z)
    });
    let parts: Vec<Vec<T>> = parts.collect();
    let mut parts = parts.into_iter();
    let size = geometry.groups * geometry.weight();
    let mut sum = parts.next().unwrap_or_else(|| vec![T::zero(); size]);
    for part in parts {
        let pairs = sum.iter_mut().zip(part);
        pairs.for_each(|(sum, part)| *sum += part);
    }
    sum
}

/// How the gradient in the weight reads its operands.
struct Gradient<'a> {
    geometry: &'a Geometry,
    planes: Planes,
    offsets: Vec<usize>,
    /// Numbers from the first position to the last, and from channel to channel of the cotangents.
    span: usize,
    channel: usize,
    /// Images that are read together.
    images: usize,
}

impl<'a> Gradient<'a> {
    fn new(geometry: &'a Geometry) -> Self {
        let planes = geometry.input_planes();
        let offsets = geometry.input_offsets(&planes);
        let span = geometry.grid(&planes).span();
        let channel = span.next_multiple_of(WIDEST);
        let image = geometry.inputs * planes.channel() + geometry.outputs * channel;
        Self {
            geometry,
            offsets,
            span,
            channel,
            images: (CACHED / image).max(1),
            planes,
        }
    }

    /// The sum over some images of the batch.
    fn part<T: Lanes>(
        &self,
        images: Range<usize>,
        factors: Option<Factors<'_, T>>,
        x: &[T],
        z: &[T],
    ) -> Vec<T> {
        let geometry = self.geometry;
        let (weight, groups) = (geometry.weight(), geometry.groups);
        let (input, output) = (geometry.input(), geometry.output());
        let together = self.images.min(images.len());
        let image = geometry.inputs * self.planes.channel();
        let cotangent = geometry.outputs * self.channel;
        let mut sums = vec![T::zero(); groups * weight];
        let mut planes = self.planes.room(together * geometry.inputs);
        let mut cotangents = vec![T::zero(); together * cotangent];
        for (group, sums) in sums.chunks_mut(weight).enumerate() {
            for first in images.clone().step_by(together) {
                let count = together.min(images.end - first);
                for number in 0..count {
                    let from = (first + number) * groups + group;
                    let planes = &mut planes[number * image..(number + 1) * image];
                    let own = factors.map(|f| f.of_image(from, geometry.images(), groups, input));
                    self.planes
                        .fill(&x[from * input..(from + 1) * input], own, planes);
                    let cotangents = &mut cotangents[number * cotangent..][..cotangent];
                    self.spread(&z[from * output..(from + 1) * output], cotangents);
                }
                Pairs {
                    planes: &planes,
                    image,
                    offsets: &self.offsets,
                    cotangents: &cotangents,
                    channel: self.channel,
                    outputs: geometry.outputs,
                    images: count,
                    span: self.span,
                    sums,
                }
                .add();
            }
        }
        sums
    }

    /// Writes the rows of an output as far from each other as those of the planes.
    fn spread<T: Lanes>(&self, z: &[T], to: &mut [T]) {
        let [_, columns] = self.geometry.positions;
        let channels = to.chunks_mut(self.channel);
        for (to, z) in channels.zip(z.chunks(self.geometry.area())) {
            let rows = to.chunks_mut(self.planes.pitch);
            for (to, z) in rows.zip(z.chunks(columns)) {
                to[..columns].copy_from_slice(z);
            }
        }
    }
}
