//! The gradient of a convolution in its weight, on the CPU: parts of the batch, and ranges of output channels, are parallel.

use super::correlate::Pairs;
use super::geometry::Geometry;
use super::lanes::Lanes;
use super::planes::{Planes, WIDEST};
use super::products;
use super::stripes::{STEP, Stripes, lanes};
use super::tasks::{Task, shares, sums};
use crate::Result;

/// Output channels from which on they are divided, before the batch is: their gradients need not be summed.
const MANY: usize = 64;

/// Numbers of the images that are read together, unless one alone has more.
const CACHED: usize = 1 << 17;

pub(super) fn correlation<T: Lanes>(geometry: &Geometry, x: &[T], z: &[T]) -> Result<Vec<T>> {
    if products::serve(geometry) {
        return products::correlation(geometry, x, z);
    }
    let [channels, images] = shares(geometry, MANY);
    let gradient = Gradient::new(geometry, channels, images, lanes::<T>());
    let add = |task: Task<'_, T>, (planes, cotangents): &mut (Vec<T>, Vec<T>)| {
        gradient.add(task, x, z, planes, cotangents);
        Ok(())
    };
    sums(geometry, MANY, || gradient.room(), add)
}

/// How the gradient in the weight reads its operands.
struct Gradient<'a> {
    geometry: &'a Geometry,
    planes: Planes,
    offsets: Vec<usize>,
    /// Numbers from the first position to the last.
    span: usize,
    /// Output channels of a task at most.
    channels: usize,
    /// Output channels whose cotangents lie together at each position; 1 if each has its own plane.
    lanes: usize,
    /// Images that are read together.
    images: usize,
}

impl<'a> Gradient<'a> {
    /// For tasks of at most so many channels and images.
    fn new(geometry: &'a Geometry, channels: usize, images: usize, lanes: usize) -> Self {
        let planes = geometry.input_planes();
        let offsets = geometry.input_offsets(&planes);
        // Vectors that would be half empty are better filled with positions.
        let lanes = match 2 * geometry.outputs <= lanes {
            true => 1,
            false => lanes,
        };
        let positions = match lanes {
            1 => WIDEST,
            _ => STEP,
        };
        let span = geometry.grid(&planes).span().next_multiple_of(positions);
        let image = geometry.inputs * planes.channel() + channels.next_multiple_of(lanes) * span;
        Self {
            geometry,
            offsets,
            span,
            channels,
            lanes,
            // As many each time.
            images: images.div_ceil(images.div_ceil((CACHED / image).max(1))),
            planes,
        }
    }

    /// Numbers of an image's cotangents.
    fn cotangents(&self) -> usize {
        self.channels.next_multiple_of(self.lanes) * self.span
    }

    /// Room for the planes and the cotangents of the images that are read together.
    fn room<T: Lanes>(&self) -> (Vec<T>, Vec<T>) {
        let planes = self.planes.room(self.images * self.geometry.inputs);
        (planes, vec![T::zero(); self.images * self.cotangents()])
    }

    /// Adds the sums of a task.
    fn add<T: Lanes>(
        &self,
        task: Task<'_, T>,
        x: &[T],
        z: &[T],
        planes: &mut [T],
        cotangents: &mut [T],
    ) {
        let Task {
            images,
            group,
            first,
            sums,
        } = task;
        let geometry = self.geometry;
        let (input, output) = (geometry.input(), geometry.output());
        let image = geometry.inputs * self.planes.channel();
        let outputs = sums.len() / geometry.patch();
        let cotangent = outputs.next_multiple_of(self.lanes) * self.span;
        for start in images.clone().step_by(self.images) {
            let count = self.images.min(images.end - start);
            for number in 0..count {
                let from = (start + number) * geometry.groups + group;
                let planes = &mut planes[number * image..(number + 1) * image];
                self.planes
                    .fill(&x[from * input..(from + 1) * input], planes);
                let z = &z[from * output..(from + 1) * output];
                let z = &z[first * geometry.area()..][..outputs * geometry.area()];
                self.spread(z, &mut cotangents[number * cotangent..][..cotangent]);
            }
            match self.lanes {
                1 => Pairs {
                    planes,
                    image,
                    offsets: &self.offsets,
                    cotangents,
                    channel: self.span,
                    outputs,
                    images: count,
                    span: self.span,
                    sums: &mut *sums,
                }
                .add(),
                _ => Stripes {
                    planes,
                    image,
                    offsets: &self.offsets,
                    cotangents,
                    outputs,
                    images: count,
                    span: self.span,
                    sums: &mut *sums,
                }
                .add(),
            }
        }
    }

    /// Writes the rows of some channels of an output as far from each other as those of the planes, at each position those of as many
    /// channels as lie together.
    fn spread<T: Lanes>(&self, z: &[T], to: &mut [T]) {
        let [_, columns] = self.geometry.positions;
        let area = self.geometry.area();
        let stripes = to.chunks_mut(self.span * self.lanes);
        for (to, z) in stripes.zip(z.chunks(area * self.lanes)) {
            let rows = to.chunks_mut(self.planes.pitch * self.lanes);
            for (to, start) in rows.zip((0..area).step_by(columns)) {
                match self.lanes {
                    1 => to[..columns].copy_from_slice(&z[start..start + columns]),
                    lanes => {
                        let positions = to.chunks_exact_mut(lanes).take(columns);
                        for (to, at) in positions.zip(start..) {
                            let channels = z[at..].iter().step_by(area);
                            to.iter_mut().zip(channels).for_each(|(to, z)| *to = *z);
                        }
                    }
                }
            }
        }
    }
}
