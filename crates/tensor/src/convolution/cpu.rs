//! A convolution and its transpose on the CPU. Images are parallel; what a thread needs for one is in its cache.

use rayon::prelude::*;

use super::factors::Factors;
use super::geometry::Geometry;
use super::lanes::Lanes;
use super::planes::Planes;
use super::sweep::Sweep;
use crate::Result;
use crate::elementwise::zeros;

pub(super) fn forward<T: Lanes>(
    geometry: &Geometry,
    factors: Option<Factors<'_, T>>,
    x: &[T],
    weight: &[T],
) -> Result<Vec<T>> {
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
    Ok(over.sweep(x, [factors, None]))
}

pub(super) fn transposed<T: Lanes>(
    geometry: &Geometry,
    factors: Option<Factors<'_, T>>,
    z: &[T],
    weight: &[T],
) -> Result<Vec<T>> {
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
    Ok(over.sweep(z, [None, factors]))
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
