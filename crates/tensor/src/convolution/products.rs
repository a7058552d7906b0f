//! Convolutions as matrix products: of a kernel of one entry, whose patches are the image itself; and forward of kernels of very many weights,
//! for which patches are copied.
//!
//! Products have the same sizes whatever the batch and the number of threads, and so the same bits.

use std::ops::Range;

use rayon::prelude::*;

use super::geometry::Geometry;
use super::lanes::Lanes;
use super::planes::Planes;
use super::tasks::{Task, sums};
use crate::elementwise::zeros;
use crate::product::{View, ViewMut, Write, multiply};
use crate::{Error, Result};

/// Channels of one product: of a convolution those of its output, of the transpose those of its input.
const CHANNELS: usize = 64;

/// Output channels of one product for the gradient in the weight.
const RANGE: usize = 128;

/// Numbers of the patches of one product, which are in the processor's cache still when they are multiplied.
const CACHED: usize = 1 << 18;

/// From so many channels on, of input and output, products with the image itself are faster.
const MANY: usize = 64;

/// From so many weights on, copying patches is: below, each weight is read often enough where it lies.
const LARGE: usize = 1 << 19;

/// Whether all readings are products with the image itself.
pub(super) fn serve(geometry: &Geometry) -> bool {
    geometry.is_pointwise() && geometry.inputs.min(geometry.outputs) >= MANY
}

/// Whether the convolution, but not its transpose, is one with copied patches.
pub(super) fn serve_forward(geometry: &Geometry) -> bool {
    serve(geometry) || geometry.outputs >= MANY && geometry.weight() >= LARGE
}

pub(super) fn forward<T: Lanes>(geometry: &Geometry, x: &[T], weight: &[T]) -> Result<Vec<T>> {
    let patches = Patches::new(geometry);
    let mut to = zeros(geometry.images() * geometry.output());
    // Where there are few images, the threads share each.
    let shared = geometry.images() < rayon::current_num_threads();
    let image = |room: &mut Room<T>, (index, to): (usize, &mut [T])| {
        let from = &x[index * geometry.input()..][..geometry.input()];
        let weight = geometry.of_group(weight, index);
        patches.each(from, shared, room, |positions, patches| {
            let least = if shared { 1 } else { usize::MAX };
            let channels = to.par_chunks_mut(CHANNELS * geometry.area());
            let channels = channels.with_min_len(least).enumerate();
            channels.try_for_each(|(chunk, to)| {
                let count = to.len() / geometry.area();
                let weight = View::new(weight, geometry.outputs, geometry.patch())?;
                multiply(
                    ViewMut::strided(
                        &mut to[positions.start..],
                        count,
                        positions.len(),
                        geometry.area(),
                    )?,
                    Write::Replace,
                    1.0,
                    weight.rows(chunk * CHANNELS, count)?,
                    patches,
                )
            })
        })
    };
    let mut images = to.chunks_exact_mut(geometry.output()).enumerate();
    match shared {
        true => {
            let mut room = patches.room();
            images.try_for_each(|one| image(&mut room, one))?;
        }
        false => {
            let images = to.par_chunks_exact_mut(geometry.output()).enumerate();
            images.try_for_each_init(|| patches.room(), image)?;
        }
    }
    Ok(to)
}

/// Of a kernel of one entry.
pub(super) fn transposed<T: Lanes>(geometry: &Geometry, z: &[T], weight: &[T]) -> Result<Vec<T>> {
    let area = geometry.area();
    let mut to = zeros(geometry.images() * geometry.input());
    let images = to.par_chunks_exact_mut(geometry.input()).enumerate();
    images.try_for_each(|(index, to)| {
        let z = &z[index * geometry.output()..][..geometry.output()];
        let z = View::new(z, geometry.outputs, area)?;
        let weight = geometry.of_group(weight, index);
        let weight = View::new(weight, geometry.outputs, geometry.inputs)?;
        let channels = to.par_chunks_mut(CHANNELS * area).enumerate();
        channels.try_for_each(|(chunk, to)| {
            let count = to.len() / area;
            let weight = weight.columns(chunk * CHANNELS, count)?.t();
            for positions in blocks(area, geometry.outputs) {
                let z = z.columns(positions.start, positions.len())?;
                let to = &mut to[positions.start..];
                let to = ViewMut::strided(to, count, positions.len(), area)?;
                multiply(to, Write::Replace, 1.0, weight, z)?;
            }
            Ok::<_, Error>(())
        })
    })?;
    Ok(to)
}

/// Of a kernel of one entry.
pub(super) fn correlation<T: Lanes>(geometry: &Geometry, x: &[T], z: &[T]) -> Result<Vec<T>> {
    let area = geometry.area();
    let add = |task: Task<'_, T>, (): &mut ()| {
        let outputs = task.sums.len() / geometry.inputs;
        for image in task.images {
            let index = image * geometry.groups + task.group;
            let x = &x[index * geometry.input()..][..geometry.input()];
            let x = View::new(x, geometry.inputs, area)?;
            let z = &z[index * geometry.output() + task.first * area..];
            let z = View::new(z, outputs, area)?;
            let sums = ViewMut::new(&mut *task.sums, outputs, geometry.inputs)?;
            multiply(sums, Write::Add, 1.0, z, x.t())?;
        }
        Ok(())
    };
    sums(geometry, RANGE, || (), add)
}

/// How patches are copied.
struct Patches<'a> {
    geometry: &'a Geometry,
    planes: Planes,
    offsets: Vec<usize>,
}

/// Room for the planes of an image, and for some of its patches.
struct Room<T> {
    planes: Vec<T>,
    patches: Vec<T>,
}

impl<'a> Patches<'a> {
    fn new(geometry: &'a Geometry) -> Self {
        let planes = geometry.input_planes();
        Self {
            geometry,
            offsets: geometry.input_offsets(&planes),
            planes,
        }
    }

    fn room<T: Lanes>(&self) -> Room<T> {
        let channels = match self.geometry.is_pointwise() {
            true => 0,
            false => self.geometry.inputs,
        };
        Room {
            planes: self.planes.room(channels),
            patches: Vec::new(),
        }
    }

    /// Some positions of an image after others, with their patches `[entries, positions]`, which all threads copy where they are shared.
    fn each<T: Lanes>(
        &self,
        image: &[T],
        shared: bool,
        room: &mut Room<T>,
        mut visit: impl FnMut(Range<usize>, View<'_, T>) -> Result<()>,
    ) -> Result<()> {
        let geometry = self.geometry;
        let entries = geometry.patch();
        let mut positions = blocks(geometry.area(), entries);
        if geometry.is_pointwise() {
            let image = View::new(image, entries, geometry.area())?;
            return positions
                .try_for_each(|own| visit(own.clone(), image.columns(own.start, own.len())?));
        }
        self.planes.fill(image, &mut room.planes);
        for positions in positions {
            room.patches.resize(entries * positions.len(), T::zero());
            let planes = &room.planes;
            let least = if shared { CHANNELS } else { usize::MAX };
            let rows = room.patches.par_chunks_exact_mut(positions.len());
            let rows = rows.zip(&self.offsets).with_min_len(least);
            rows.for_each(|(to, offset)| {
                for (row, columns, start) in segments(&positions, geometry.positions[1]) {
                    let from = offset + row * self.planes.pitch + columns.start;
                    to[start..start + columns.len()]
                        .copy_from_slice(&planes[from..from + columns.len()]);
                }
            });
            let patches = View::new(&room.patches, entries, positions.len())?;
            visit(positions, patches)?;
        }
        Ok(())
    }
}

/// All positions in blocks of as many as [`CACHED`] has room for, `each` numbers for each of them.
fn blocks(positions: usize, each: usize) -> impl Iterator<Item = Range<usize>> {
    let count = (CACHED / each.max(1)).max(1);
    // As many in each.
    let count = positions.div_ceil(positions.div_ceil(count)).max(1);
    let starts = (0..positions).step_by(count);
    starts.map(move |start| start..positions.min(start + count))
}

/// The rows that positions lie in, with their columns and the number of the first among the positions.
fn segments(
    positions: &Range<usize>,
    width: usize,
) -> impl Iterator<Item = (usize, Range<usize>, usize)> {
    let Range { start, end } = *positions;
    (start / width..end.div_ceil(width)).map(move |row| {
        let first = start.max(row * width);
        let last = end.min((row + 1) * width);
        (row, first - row * width..last - row * width, first - start)
    })
}
