//! The linear regions of a network with two inputs, as polygons: the picture of the paper's Figure 1.
//!
//! Drawn in floating point: corners are rounded, and nothing is claimed of them.

use crate::{ActivationPattern, Budget, Error, Linearizer, Polyhedron, Result, patterns};
use candle_core::{Device, Tensor};
use loclin_models::Network;
use std::collections::BTreeSet;

/// So many points are looked at together: memory.
const BATCH: usize = 1024;

/// The most cells that a lattice may have along a side.
const MOST_CELLS: usize = 4096;

/// A rectangle in the plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Viewport {
    /// Least and greatest first coordinate.
    pub x: [f64; 2],
    /// Least and greatest second coordinate.
    pub y: [f64; 2],
}

/// A convex polygon, its corners in counter-clockwise order.
pub type Polygon = Vec<[f64; 2]>;

/// The regions that meet the viewport, each cut to it.
///
/// Starts from a `grid x grid` lattice of points and walks across every edge found until nothing is new, so
/// that regions too small for the lattice are found through their neighbours. The network must have `D = 2`
/// inputs; use float64.
///
/// ```
/// use candle_core::{DType, Device};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::planar::{area, regions, Viewport};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![6, 6], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
/// let viewport = Viewport { x: [-2.0, 2.0], y: [-2.0, 2.0] };
/// let regions = regions(&network, viewport, 16, 10_000)?;
/// let covered: f64 = regions.iter().map(area).sum();
/// assert!((covered - 16.0).abs() < 1e-6); // they tile the viewport
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A network with another number of inputs, an empty viewport, a `grid` of 0 or above 4096, more than `limit` regions.
pub fn regions(
    network: &Network,
    viewport: Viewport,
    grid: usize,
    limit: usize,
) -> Result<Vec<Polygon>> {
    let Viewport {
        x: [x0, x1],
        y: [y0, y1],
    } = viewport;
    let refuse = |cause| {
        Err(Error::Argument {
            what: "planar regions",
            cause,
        })
    };
    if network.input_size() != 2 {
        let inputs = network.input_size();
        return refuse(format!("a network of {inputs} inputs; needs 2"));
    }
    if ![x1 - x0, y1 - y0]
        .iter()
        .all(|side| *side > 0.0 && side.is_finite())
    {
        return refuse(format!(
            "{viewport:?}; needs finite ends, the lower one first"
        ));
    }
    if !(1..=MOST_CELLS).contains(&grid) {
        return refuse(format!("a grid of {grid}; needs 1 to {MOST_CELLS}"));
    }
    let scale = (x1 - x0).max(y1 - y0);
    // Off the centres of the cells by numbers that no boundary is likely to hit: a point exactly on one may have
    // a pattern whose region is the boundary itself, from which no edge leads anywhere.
    let at = |i: usize, share: f64, [low, high]: [f64; 2]| {
        low + (high - low) * (i as f64 + share) / grid as f64
    };
    let linearizer = Linearizer::new(network, Budget::default())?;
    let mut frontier: Vec<[f64; 2]> = (0..grid * grid)
        .map(|i| {
            [
                at(i % grid, 0.618_033_988, viewport.x),
                at(i / grid, 0.414_213_562, viewport.y),
            ]
        })
        .collect();
    let mut drawn: BTreeSet<ActivationPattern> = BTreeSet::new();
    let mut polygons = Vec::new();
    while !frontier.is_empty() {
        let points = std::mem::take(&mut frontier);
        let found = new_points(linearizer.network(), &points, &drawn)?;
        for polyhedron in polyhedra(&linearizer, &found, &mut drawn)? {
            let polygon = cut(viewport, &polyhedron);
            if polygon.len() < 3 || area(&polygon) < 1e-18 * scale * scale {
                continue;
            }
            frontier.extend(
                across_edges(&polygon, 1e-7 * scale)
                    .filter(|p| (x0..=x1).contains(&p[0]) && (y0..=y1).contains(&p[1])),
            );
            polygons.push(polygon);
            if polygons.len() > limit {
                return refuse(format!("more than {limit}"));
            }
        }
    }
    Ok(polygons)
}

/// The area of a polygon.
pub fn area(polygon: &Polygon) -> f64 {
    let next = polygon.iter().cycle().skip(1);
    polygon
        .iter()
        .zip(next)
        .map(|(a, b)| a[0] * b[1] - a[1] * b[0])
        .sum::<f64>()
        / 2.0
}

/// Points whose pattern is not drawn, one for each such pattern.
fn new_points(
    network: &Network,
    points: &[[f64; 2]],
    drawn: &BTreeSet<ActivationPattern>,
) -> Result<Vec<[f64; 2]>> {
    let (mut found, mut fresh) = (BTreeSet::new(), Vec::new());
    for points in points.chunks(BATCH) {
        let trace = network.trace(&tensor(network, points)?)?;
        let patterns = patterns(&trace)?.into_iter().zip(points);
        fresh.extend(
            patterns.filter_map(|(p, x)| (!drawn.contains(&p) && found.insert(p)).then_some(*x)),
        );
    }
    Ok(fresh)
}

/// The polyhedra around points, but for those whose region is `drawn` already; the others count as drawn from here
/// on. At a point that is almost on a boundary, rounding may find another pattern in this batch than
/// [`new_points`] did in its own: the one that the half-spaces are made from counts.
fn polyhedra(
    linearizer: &Linearizer,
    points: &[[f64; 2]],
    drawn: &mut BTreeSet<ActivationPattern>,
) -> Result<Vec<Polyhedron>> {
    let mut polyhedra = Vec::new();
    for points in points.chunks(BATCH) {
        let here = linearizer.at(&tensor(linearizer.network(), points)?)?;
        let patterns = here.patterns()?.into_iter();
        let fresh = patterns
            .zip(here.polyhedra()?)
            .filter_map(|(pattern, polyhedron)| drawn.insert(pattern).then_some(polyhedron));
        polyhedra.extend(fresh);
    }
    Ok(polyhedra)
}

fn tensor(network: &Network, points: &[[f64; 2]]) -> Result<Tensor> {
    let shape = [&[points.len()], network.input_shape()].concat();
    let tensor = Tensor::from_vec(points.concat(), shape, &Device::Cpu)?;
    Ok(tensor
        .to_dtype(network.dtype())?
        .to_device(network.device())?)
}

/// Points a small step outside of each edge's middle.
fn across_edges(polygon: &Polygon, step: f64) -> impl Iterator<Item = [f64; 2]> {
    let next = polygon.iter().cycle().skip(1);
    polygon.iter().zip(next).filter_map(move |(a, b)| {
        let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
        let length = dx.hypot(dy);
        // Outside is to the right of a counter-clockwise edge.
        (length > 0.0).then(|| {
            [
                0.5 * (a[0] + b[0]) + step * dy / length,
                0.5 * (a[1] + b[1]) - step * dx / length,
            ]
        })
    })
}

/// The viewport cut by every half-space of a polyhedron (Sutherland and Hodgman).
fn cut(viewport: Viewport, polyhedron: &Polyhedron) -> Polygon {
    let Viewport {
        x: [x0, x1],
        y: [y0, y1],
    } = viewport;
    let mut polygon = vec![[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
    for (normal, offset) in polyhedron.normals.iter().zip(&polyhedron.offsets) {
        let value = |p: &[f64; 2]| normal[0] * p[0] + normal[1] * p[1] + offset;
        if polygon.iter().all(|p| value(p) >= 0.0) {
            continue;
        }
        let mut kept = Vec::with_capacity(polygon.len() + 1);
        for (i, a) in polygon.iter().enumerate() {
            let b = &polygon[(i + 1) % polygon.len()];
            let (va, vb) = (value(a), value(b));
            if va >= 0.0 {
                kept.push(*a);
            }
            if (va >= 0.0) != (vb >= 0.0) {
                let t = va / (va - vb);
                kept.push([a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]);
            }
        }
        polygon = kept;
        if polygon.is_empty() {
            break;
        }
    }
    polygon
}
