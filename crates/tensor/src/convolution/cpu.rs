//! The three readings on the CPU: patches of a band of output rows at a time, small enough for the cache, times the
//! weight.

use rayon::prelude::*;

use super::geometry::Geometry;
use crate::Result;
use crate::product::{Real, View, ViewMut, Write, multiply, multiply_by_all};

/// Numbers that the patches of a band hold at most, unless one row of positions alone has more.
const BAND: usize = 1 << 17;

/// Parts of a batch whose weight gradients are summed apart. Fixed, so that the sum does not depend on the number of
/// threads.
const PARTS: usize = 8;

/// Output rows of a band.
fn band(geometry: &Geometry) -> usize {
    let row = geometry.patch() * geometry.positions[1];
    (BAND / row.max(1)).clamp(1, geometry.positions[0])
}

/// The bands: first row and number of rows.
fn bands(geometry: &Geometry) -> impl Iterator<Item = (usize, usize)> + use<> {
    let (step, rows) = (band(geometry), geometry.positions[0]);
    (0..rows)
        .step_by(step)
        .map(move |first| (first, step.min(rows - first)))
}

/// Room for the patches of a band.
fn buffer<T: Real>(geometry: &Geometry) -> Vec<T> {
    match geometry.is_pointwise() {
        true => Vec::new(),
        false => vec![T::zero(); geometry.patch() * band(geometry) * geometry.positions[1]],
    }
}

/// A matrix product: what it is written to, and how, times what, and the two factors.
type Product<T> = fn(ViewMut<T>, Write, f64, View<T>, View<T>) -> Result<()>;

/// A product for one image: shared by all threads where there are fewer images than threads.
fn product<T: Real>(geometry: &Geometry) -> Product<T> {
    match geometry.batch * geometry.groups < rayon::current_num_threads() {
        true => multiply_by_all,
        false => multiply,
    }
}

pub(super) fn forward<T: Real>(geometry: &Geometry, x: &[T], weight: &[T]) -> Result<Vec<T>> {
    let (inputs, outputs) = (geometry.input(), geometry.output());
    let mut z = vec![T::zero(); geometry.batch * geometry.groups * outputs];
    let product = product(geometry);
    z.par_chunks_mut(outputs)
        .zip(x.par_chunks(inputs))
        .enumerate()
        .try_for_each_init(
            || buffer(geometry),
            |patches, (index, (z, x))| {
                let group = index % geometry.groups;
                let weight = &weight[group * geometry.weight()..];
                let weight = View::new(weight, geometry.outputs, geometry.patch())?;
                let area = geometry.area();
                if geometry.is_pointwise() {
                    let z = ViewMut::new(z, geometry.outputs, area)?;
                    return product(
                        z,
                        Write::Replace,
                        1.0,
                        weight,
                        View::new(x, geometry.patch(), area)?,
                    );
                }
                for (first, count) in bands(geometry) {
                    let columns = count * geometry.positions[1];
                    let patches = &mut patches[..geometry.patch() * columns];
                    geometry.gather(x, first, count, patches);
                    let z = &mut z[first * geometry.positions[1]..];
                    let z = ViewMut::strided(z, geometry.outputs, columns, area)?;
                    product(
                        z,
                        Write::Replace,
                        1.0,
                        weight,
                        View::new(patches, geometry.patch(), columns)?,
                    )?;
                }
                Ok(())
            },
        )?;
    Ok(z)
}

pub(super) fn transposed<T: Real>(geometry: &Geometry, z: &[T], weight: &[T]) -> Result<Vec<T>> {
    let (inputs, outputs) = (geometry.input(), geometry.output());
    let mut x = vec![T::zero(); geometry.batch * geometry.groups * inputs];
    let product = product(geometry);
    x.par_chunks_mut(inputs)
        .zip(z.par_chunks(outputs))
        .enumerate()
        .try_for_each_init(
            || buffer(geometry),
            |patches, (index, (x, z))| {
                let group = index % geometry.groups;
                let weight = &weight[group * geometry.weight()..];
                let weight = View::new(weight, geometry.outputs, geometry.patch())?.t();
                let area = geometry.area();
                let z = View::new(z, geometry.outputs, area)?;
                if geometry.is_pointwise() {
                    let x = ViewMut::new(x, geometry.patch(), area)?;
                    return product(x, Write::Replace, 1.0, weight, z);
                }
                for (first, count) in bands(geometry) {
                    let columns = count * geometry.positions[1];
                    let patches = &mut patches[..geometry.patch() * columns];
                    let z = z.columns(first * geometry.positions[1], columns)?;
                    let into = ViewMut::new(patches, geometry.patch(), columns)?;
                    product(into, Write::Replace, 1.0, weight, z)?;
                    geometry.scatter(patches, first, count, x);
                }
                Ok(())
            },
        )?;
    Ok(x)
}

pub(super) fn correlation<T: Real>(geometry: &Geometry, x: &[T], z: &[T]) -> Result<Vec<T>> {
    let (inputs, outputs) = (geometry.input(), geometry.output());
    let size = geometry.groups * geometry.weight();
    let images = geometry.batch.div_ceil(PARTS).max(1);
    let parts = x
        .par_chunks(images * geometry.groups * inputs)
        .zip(z.par_chunks(images * geometry.groups * outputs));
    let parts: Vec<Vec<T>> = parts
        .map(|(x, z)| {
            let mut sum = vec![T::zero(); size];
            let mut patches = buffer(geometry);
            for (index, (x, z)) in x.chunks(inputs).zip(z.chunks(outputs)).enumerate() {
                let group = index % geometry.groups;
                let sum = &mut sum[group * geometry.weight()..];
                accumulate(geometry, x, z, sum, &mut patches)?;
            }
            Ok(sum)
        })
        .collect::<Result<_>>()?;
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_else(|| vec![T::zero(); size]);
    for part in parts {
        sum.iter_mut()
            .zip(part)
            .for_each(|(sum, part)| *sum += part);
    }
    Ok(sum)
}

/// Adds one group's weight gradient of one image.
fn accumulate<T: Real>(
    geometry: &Geometry,
    x: &[T],
    z: &[T],
    sum: &mut [T],
    patches: &mut [T],
) -> Result<()> {
    let (patch, area) = (geometry.patch(), geometry.area());
    let z = View::new(z, geometry.outputs, area)?;
    if geometry.is_pointwise() {
        let sum = ViewMut::new(sum, geometry.outputs, patch)?;
        return multiply(sum, Write::Add, 1.0, z, View::new(x, patch, area)?.t());
    }
    for (first, count) in bands(geometry) {
        let columns = count * geometry.positions[1];
        let patches = &mut patches[..patch * columns];
        geometry.gather(x, first, count, patches);
        let z = z.columns(first * geometry.positions[1], columns)?;
        let sum = ViewMut::new(&mut *sum, geometry.outputs, patch)?;
        multiply(
            sum,
            Write::Add,
            1.0,
            z,
            View::new(patches, patch, columns)?.t(),
        )?;
    }
    Ok(())
}
