//! A convolution and its transpose on the CPU. Images are parallel; what a thread needs for one is in its cache.

use rayon::prelude::*;

use super::geometry::Geometry;
use super::lanes::Lanes;
use super::planes::Planes;
use super::products;
use super::sweep::Sweep;
use crate::Result;
use crate::elementwise::zeros;

/// Weights from which on an image is not read with all of them: they would come from memory again for each.
const LARGE: usize = 1 << 17;

/// Numbers of the images that are read together with a few of many weights, unless one alone has more.
const CACHED: usize = 1 << 18;

pub(super) fn forward<T: Lanes>(geometry: &Geometry, x: &[T], weight: &[T]) -> Result<Vec<T>> {
    if products::serve_forward(geometry) {
        return products::forward(geometry, x, weight);
    }
    let planes = geometry.input_planes();
    let offsets = geometry.input_offsets(&planes);
    let grid = geometry.grid(&planes);
    let patch = geometry.patch();
    let groups = weight.chunks(geometry.weight()).map(|weight| {
        let weight = |output: usize, entry: usize| weight[output * patch + entry];
        vec![Sweep::new(offsets.clone(), geometry.outputs, weight, grid)]
    });
    let groups: Vec<_> = groups.collect();
    let sizes = [geometry.input(), geometry.output()];
    Ok(sweep(
        &planes,
        geometry.inputs,
        &groups,
        x,
        sizes,
        geometry.images(),
    ))
}

pub(super) fn transposed<T: Lanes>(geometry: &Geometry, z: &[T], weight: &[T]) -> Result<Vec<T>> {
    if products::serve(geometry) {
        return products::transposed(geometry, z, weight);
    }
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
    let sizes = [geometry.output(), geometry.input()];
    Ok(sweep(
        &planes,
        geometry.outputs,
        &groups,
        z,
        sizes,
        geometry.images(),
    ))
}

/// The sweeps of each group over each image, which has `channels` channels: from `sizes[0]` numbers to `sizes[1]`.
fn sweep<T: Lanes>(
    planes: &Planes,
    channels: usize,
    groups: &[Vec<Sweep<T>>],
    from: &[T],
    [size, result]: [usize; 2],
    images: usize,
) -> Vec<T> {
    let mut to = zeros(images * result);
    let weights = groups.iter().flatten().map(Sweep::weights).max();
    if images >= rayon::current_num_threads() && weights <= Some(LARGE) {
        to.par_chunks_mut(result.max(1)).enumerate().for_each_init(
            || (planes.room(channels), Vec::new()),
            |(buffer, results), (index, to)| {
                planes.fill(&from[index * size..(index + 1) * size], buffer);
                for sweep in &groups[index % groups.len()] {
                    sweep.run(buffer, to, results);
                }
            },
        );
        return to;
    }
    let image = (channels * planes.channel()).max(1);
    // Those of one group have the same weights.
    let together = match groups.len() {
        1 => (CACHED / image).clamp(1, images.max(1)),
        _ => 1,
    };
    let mut buffer = planes.room(together * channels);
    for (block, to) in to.chunks_mut((together * result).max(1)).enumerate() {
        let first = block * together;
        let from = from[first * size..]
            .par_chunks(size.max(1))
            .take(to.len() / result);
        let buffers = buffer.par_chunks_mut(image);
        buffers
            .zip(from)
            .for_each(|(buffer, from)| planes.fill(from, buffer));
        for sweep in &groups[first % groups.len()] {
            let mut outputs: Vec<&mut [T]> = to.chunks_mut(result).collect();
            sweep.run_divided(&buffer, image, &mut outputs);
        }
    }
    to
}
