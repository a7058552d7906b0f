//! Convolutions of many channels as matrix products: patches are copied for it, and each number copied is multiplied with all channels.
//!
//! Products have the same sizes whatever the batch and the number of threads, and so the same bits.

use std::ops::Range;

use rayon::prelude::*;

use super::geometry::Geometry;
use super::gradient::{Task, sums};
use super::lanes::Lanes;
use super::planes::Planes;
use crate::Result;
use crate::elementwise::zeros;
use crate::product::{View, ViewMut, Write, multiply};

/// Channels of one product: of a convolution those of its output, of the transpose those of its input.
const CHANNELS: usize = 64;

/// Output channels of one product for the gradient in the weight, which copies patches again for each of them.
const RANGE: usize = 128;

/// Numbers of the patches of one product, which are in the processor's cache still when they are multiplied.
const CACHED: usize = 1 << 18;

/// From so many output channels on, and entries of a patch where it is copied, products are faster.
const OUTPUTS: usize = 64;
const ENTRIES: usize = 256;

/// Whether this is a convolution for products.
pub(super) fn serve(geometry: &Geometry) -> bool {
    let entries = match geometry.is_pointwise() {
        true => OUTPUTS,
        false => ENTRIES,
    };
    geometry.outputs >= OUTPUTS && geometry.patch() >= entries
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
    let images = to.chunks_exact_mut(geometry.output()).enumerate();
    match shared {
        true => {
            let mut room = patches.room();
            images
                .map(|one| image(&mut room, one))
                .collect::<Result<()>>()?;
        }
        false => to
            .par_chunks_exact_mut(geometry.output())
            .enumerate()
            .map_init(|| patches.room(), image)
            .collect::<Result<()>>()?,
    }
    Ok(to)
}

pub(super) fn transposed<T: Lanes>(geometry: &Geometry, z: &[T], weight: &[T]) -> Result<Vec<T>> {
    let area = geometry.patch() / geometry.inputs;
    let plane = geometry.input() / geometry.inputs;
    let mut to = zeros(geometry.images() * geometry.input());
    let images = to.par_chunks_exact_mut(geometry.input()).enumerate();
    images.try_for_each(|(index, to)| {
        let z = &z[index * geometry.output()..][..geometry.output()];
        let z = View::new(z, geometry.outputs, geometry.area())?;
        let weight = geometry.of_group(weight, index);
        let weight = View::new(weight, geometry.outputs, geometry.patch())?;
        let channels = to.par_chunks_mut(CHANNELS * plane).enumerate();
        let channels = channels.map_init(Vec::new, |pulled, (chunk, to)| {
            let rows = to.len() / plane * area;
            let weight = weight.columns(chunk * CHANNELS * area, rows)?.t();
            for positions in blocks(geometry.area(), CHANNELS * area) {
                let z = z.columns(positions.start, positions.len())?;
                if geometry.is_pointwise() {
                    let to = &mut to[positions.start..];
                    let to = ViewMut::strided(to, rows, positions.len(), plane)?;
                    multiply(to, Write::Replace, 1.0, weight, z)?;
                    continue;
                }
                pulled.resize(rows * positions.len(), T::zero());
                let result = ViewMut::new(pulled, rows, positions.len())?;
                multiply(result, Write::Replace, 1.0, weight, z)?;
                let pulled = pulled.chunks_exact(positions.len()).enumerate();
                for (row, pulled) in pulled {
                    let to = &mut to[row / area * plane..][..plane];
                    add(geometry, row % area, &positions, pulled, to);
                }
            }
            Ok(())
        });
        channels.collect::<Result<()>>()
    })?;
    Ok(to)
}

/// Adds what an entry of the kernel pulls back from some positions to a channel of the input.
fn add<T: Lanes>(
    geometry: &Geometry,
    entry: usize,
    positions: &Range<usize>,
    pulled: &[T],
    to: &mut [T],
) {
    let [down, across] = geometry.stride;
    let [(rows, top), (inside, left)] = [0, 1].map(|axis| geometry.inside(axis, entry));
    for (row, columns, start) in segments(positions, geometry.positions[1]) {
        let own = columns.start.max(inside.start)..columns.end.min(inside.end);
        if own.is_empty() || !rows.contains(&row) {
            continue;
        }
        let pulled = &pulled[start + own.start - columns.start..][..own.len()];
        let row = top + (row - rows.start) * down;
        let column = left + (own.start - inside.start) * across;
        let to = &mut to[row * geometry.size[1] + column..];
        match across {
            1 => to.iter_mut().zip(pulled).for_each(|(to, z)| *to += *z),
            _ => {
                let to = to.iter_mut().step_by(across);
                to.zip(pulled).for_each(|(to, z)| *to += *z);
            }
        }
    }
}

pub(super) fn correlation<T: Lanes>(geometry: &Geometry, x: &[T], z: &[T]) -> Result<Vec<T>> {
    let patches = Patches::new(geometry);
    let add = |task: Task<'_, T>, room: &mut Room<T>| {
        let outputs = task.sums.len() / geometry.patch();
        for image in task.images {
            let index = image * geometry.groups + task.group;
            let from = &x[index * geometry.input()..][..geometry.input()];
            let z = &z[index * geometry.output() + task.first * geometry.area()..];
            let z = View::new(z, outputs, geometry.area())?;
            patches.each(from, false, room, |positions, patches| {
                let sums = ViewMut::new(&mut *task.sums, outputs, geometry.patch())?;
                let z = z.columns(positions.start, positions.len())?;
                multiply(sums, Write::Add, 1.0, z, patches.t())
            })?;
        }
        Ok(())
    };
    sums(geometry, RANGE, || patches.room(), add)
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
        let positions = blocks(geometry.area(), entries);
        if geometry.is_pointwise() {
            let image = View::new(image, entries, geometry.area())?;
            return positions
                .map(|own| visit(own.clone(), image.columns(own.start, own.len())?))
                .collect();
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
