//! The gradient of a convolution in its weight, on the CPU: parts of the batch are parallel.

use std::ops::Range;

use rayon::prelude::*;

use super::correlate::Pairs;
use super::geometry::Geometry;
use super::lanes::Lanes;
use super::planes::{Planes, WIDEST};
use crate::Result;
use crate::product::{View, ViewMut, Write, multiply};

/// Parts of a batch whose weight gradients are summed apart. Fixed, so that the sum does not depend on the number of
/// threads.
const PARTS: usize = 8;

/// Numbers of the images that are read together for a weight gradient, unless one alone has more; and of copied patches.
const CACHED: usize = 1 << 17;

/// From how many output channels on patches are copied for a matrix product: each copy is then used that often.
const MANY: usize = 128;

pub(super) fn correlation<T: Lanes>(geometry: &Geometry, x: &[T], z: &[T]) -> Result<Vec<T>> {
    let gradient = Gradient::new(geometry);
    let images = geometry.batch.div_ceil(PARTS).max(1);
    let starts = (0..geometry.batch).into_par_iter().step_by(images);
    let parts = starts.map(|start| {
        let end = geometry.batch.min(start + images);
        gradient.part(start..end, x, z)
    });
    let parts: Vec<Vec<T>> = parts.collect::<Result<_>>()?;
    let mut parts = parts.into_iter();
    let size = geometry.groups * geometry.weight();
    let mut sum = parts.next().unwrap_or_else(|| vec![T::zero(); size]);
    for part in parts {
        let pairs = sum.iter_mut().zip(part);
        pairs.for_each(|(sum, part)| *sum += part);
    }
    Ok(sum)
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
    fn part<T: Lanes>(&self, images: Range<usize>, x: &[T], z: &[T]) -> Result<Vec<T>> {
        let geometry = self.geometry;
        let (weight, groups) = (geometry.weight(), geometry.groups);
        let (input, output) = (geometry.input(), geometry.output());
        let together = self.images.min(images.len());
        let image = geometry.inputs * self.planes.channel();
        let cotangent = geometry.outputs * self.channel;
        let mut sums = vec![T::zero(); groups * weight];
        let mut planes = self.planes.room(together * geometry.inputs);
        let mut cotangents = vec![T::zero(); together * cotangent];
        let mut patches = Vec::new();
        for (group, sums) in sums.chunks_mut(weight).enumerate() {
            for first in images.clone().step_by(together) {
                let count = together.min(images.end - first);
                for number in 0..count {
                    let from = (first + number) * groups + group;
                    let planes = &mut planes[number * image..(number + 1) * image];
                    self.planes
                        .fill(&x[from * input..(from + 1) * input], planes);
                    let cotangents = &mut cotangents[number * cotangent..][..cotangent];
                    self.spread(&z[from * output..(from + 1) * output], cotangents);
                }
                if geometry.outputs < MANY {
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
                    continue;
                }
                let images = cotangents.chunks(cotangent).take(count);
                for (number, cotangents) in images.enumerate() {
                    self.multiply(&planes[number * image..], cotangents, &mut patches, sums)?;
                }
            }
        }
        Ok(sums)
    }

    /// Adds the sums over the positions of one image, by products with copied patches.
    fn multiply<T: Lanes>(
        &self,
        planes: &[T],
        cotangents: &[T],
        patches: &mut Vec<T>,
        sums: &mut [T],
    ) -> Result<()> {
        let (outputs, entries) = (self.geometry.outputs, self.offsets.len());
        let cotangents = View::new(cotangents, outputs, self.channel)?;
        let most = (CACHED / entries).next_multiple_of(WIDEST);
        for start in (0..self.span).step_by(most) {
            let positions = most.min(self.span - start);
            patches.clear();
            for offset in &self.offsets {
                patches.extend_from_slice(&planes[offset + start..][..positions]);
            }
            multiply(
                ViewMut::new(&mut *sums, outputs, entries)?,
                Write::Add,
                1.0,
                cotangents.columns(start, positions)?,
                View::new(patches, entries, positions)?.t(),
            )?;
        }
        Ok(())
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
