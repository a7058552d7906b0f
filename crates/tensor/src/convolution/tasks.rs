//! The gradient in the weight divided among the threads: parts of the batch, and ranges of output channels.

use std::ops::Range;

use rayon::prelude::*;

use super::geometry::Geometry;
use super::lanes::Lanes;
use super::planes::WIDEST;
use crate::Result;
use crate::elementwise::zeros;

/// Parts of the work: of a batch, whose weight gradients are summed apart, and of output channels. Fixed, so that the sum does
/// not depend on the number of threads.
const PARTS: usize = 8;

/// The output channels of a task, in ranges of about `many`, and its images.
pub(super) fn shares(geometry: &Geometry, many: usize) -> [usize; 2] {
    let ranges = geometry.outputs.div_ceil(many).min(PARTS);
    let channels = geometry.outputs.div_ceil(ranges);
    let channels = channels.next_multiple_of(2 * WIDEST).min(geometry.outputs);
    let images = geometry.batch.div_ceil((PARTS / ranges).max(1)).max(1);
    [channels, images]
}

/// The sums over all images of what `add` adds of some of them for some output channels, in a `room` of its thread.
pub(super) fn sums<T: Lanes, R>(
    geometry: &Geometry,
    many: usize,
    room: impl Fn() -> R + Send + Sync,
    add: impl Fn(Task<'_, T>, &mut R) -> Result<()> + Send + Sync,
) -> Result<Vec<T>> {
    let weight = geometry.weight();
    let [channels, images] = shares(geometry, many);
    let parts = geometry.batch.div_ceil(images).max(1);
    let mut sums = zeros(parts * geometry.groups * weight);
    let mut tasks = Vec::new();
    let all = sums.chunks_mut(weight).enumerate();
    for (index, sums) in all {
        let (part, group) = (index / geometry.groups, index % geometry.groups);
        let start = part * images;
        let images = start..geometry.batch.min(start + images);
        let ranges = sums.chunks_mut(channels * geometry.patch()).enumerate();
        tasks.extend(ranges.map(|(range, sums)| Task {
            images: images.clone(),
            group,
            first: range * channels,
            sums,
        }));
    }
    let tasks = tasks.into_par_iter();
    let tasks = tasks.map_init(room, |room, task| add(task, room));
    tasks.collect::<Result<()>>()?;
    let (first, rest) = sums.split_at_mut(geometry.groups * weight);
    for part in rest.chunks(first.len()) {
        let pairs = first.iter_mut().zip(part);
        pairs.for_each(|(sum, part)| *sum += *part);
    }
    sums.truncate(geometry.groups * weight);
    Ok(sums)
}

/// A part of the sums of one group.
pub(super) struct Task<'a, T> {
    pub(super) images: Range<usize>,
    pub(super) group: usize,
    /// The first output channel.
    pub(super) first: usize,
    /// `[outputs, entries]`.
    pub(super) sums: &'a mut [T],
}
