//! The boundaries of a polygonal subdivision, each drawn once.
//!
//! Neighbouring cells repeat their common edge, and where a cell was cut later
//! than its neighbour the two describe it by different corners. Edges are
//! therefore rounded to a lattice finer than a pixel, split at every corner
//! that lies on them, and collected in a set.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A lattice point.
pub(crate) type LatticePoint = [i32; 2];

/// Side of the square buckets in which corners are looked up, in lattice steps.
const BUCKET: i32 = 64;

/// The interior edges of `cells` inside the rectangle `[0, size[0]] * [0, size[1]]`
/// of the lattice, every one once, with ordered ends. The rectangle's own
/// border is left out.
pub(crate) fn unique_edges(
    cells: &[Vec<LatticePoint>],
    size: LatticePoint,
) -> BTreeSet<(LatticePoint, LatticePoint)> {
    let mut buckets: BTreeMap<LatticePoint, BTreeSet<LatticePoint>> = BTreeMap::new();
    for &point in cells.iter().flatten() {
        buckets
            .entry(point.map(|v| v.div_euclid(BUCKET)))
            .or_default()
            .insert(point);
    }
    let mut edges = BTreeSet::new();
    for cell in cells {
        for (&from, &to) in cell.iter().zip(cell.iter().cycle().skip(1)) {
            let stops = corners_on(from, to, &buckets);
            for (&a, &b) in stops.iter().zip(stops.iter().skip(1)) {
                if a != b && !on_border(a, b, size) {
                    edges.insert((a.min(b), a.max(b)));
                }
            }
        }
    }
    edges
}

/// SVG path data that draws every edge once, as few strokes with short numbers.
pub(crate) fn path(edges: &BTreeSet<(LatticePoint, LatticePoint)>) -> String {
    let mut neighbours: BTreeMap<LatticePoint, BTreeSet<LatticePoint>> = BTreeMap::new();
    for &(a, b) in edges {
        neighbours.entry(a).or_default().insert(b);
        neighbours.entry(b).or_default().insert(a);
    }
    let mut path = String::new();
    for &(start, _) in edges {
        // Several strokes may start at one corner; each walks on while it can.
        while let Some(mut next) = straightest(&neighbours, start, [1, 0]) {
            let mut at = start;
            // Writing to a string cannot fail.
            let _ = write!(path, "M{} {}l", start[0], start[1]);
            let mut first = true;
            loop {
                unlink(&mut neighbours, at, next);
                let step = [next[0] - at[0], next[1] - at[1]];
                let gap = |v: i32, needed: bool| if needed && v >= 0 { " " } else { "" };
                let _ = write!(
                    path,
                    "{}{}{}{}",
                    gap(step[0], !first),
                    step[0],
                    gap(step[1], true),
                    step[1]
                );
                first = false;
                at = next;
                match straightest(&neighbours, at, step) {
                    Some(point) => next = point,
                    None => break,
                }
            }
        }
    }
    path
}

/// `from`, `to` and the corners between them that lie on the edge, in order.
fn corners_on(
    from: LatticePoint,
    to: LatticePoint,
    buckets: &BTreeMap<LatticePoint, BTreeSet<LatticePoint>>,
) -> Vec<LatticePoint> {
    let direction = [f64::from(to[0] - from[0]), f64::from(to[1] - from[1])];
    let length = direction[0].hypot(direction[1]);
    let mut between = Vec::new();
    let columns = [from[0].min(to[0]) - 1, from[0].max(to[0]) + 1].map(|x| x.div_euclid(BUCKET));
    for column in columns[0]..=columns[1] {
        // The edge's heights over this column of buckets.
        let height = |x: i32| {
            let x = x.clamp(from[0].min(to[0]), from[0].max(to[0]));
            let share = f64::from(x - from[0]) / direction[0];
            f64::from(from[1]) + share * direction[1]
        };
        let (low, high) = if direction[0] == 0.0 {
            (f64::from(from[1].min(to[1])), f64::from(from[1].max(to[1])))
        } else {
            let ends = [
                height(column * BUCKET - 1),
                height((column + 1) * BUCKET + 1),
            ];
            (ends[0].min(ends[1]), ends[0].max(ends[1]))
        };
        let rows = [low - 2.0, high + 2.0].map(|y| (y.floor() as i32).div_euclid(BUCKET));
        for (_, points) in buckets.range([column, rows[0]]..=[column, rows[1]]) {
            for &point in points {
                let offset = [f64::from(point[0] - from[0]), f64::from(point[1] - from[1])];
                let along = (offset[0] * direction[0] + offset[1] * direction[1]) / length;
                let across = (offset[0] * direction[1] - offset[1] * direction[0]).abs() / length;
                // Rounding moves a corner, and the edge below it, by up to
                // sqrt(1/2) lattice steps each.
                if across <= 1.42 && along > 0.0 && along < length && point != from && point != to {
                    between.push((along, point));
                }
            }
        }
    }
    between.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let between = between.into_iter().map(|(_, point)| point);
    std::iter::once(from)
        .chain(between)
        .chain(std::iter::once(to))
        .collect()
}

fn on_border(a: LatticePoint, b: LatticePoint, size: LatticePoint) -> bool {
    (0..2).any(|axis| a[axis] == b[axis] && (a[axis] == 0 || a[axis] == size[axis]))
}

/// The unused neighbour of `at` that turns least from `heading`.
fn straightest(
    neighbours: &BTreeMap<LatticePoint, BTreeSet<LatticePoint>>,
    at: LatticePoint,
    heading: LatticePoint,
) -> Option<LatticePoint> {
    let cosine = |to: &LatticePoint| {
        let step = [f64::from(to[0] - at[0]), f64::from(to[1] - at[1])];
        let along = step[0] * f64::from(heading[0]) + step[1] * f64::from(heading[1]);
        along / step[0].hypot(step[1])
    };
    neighbours
        .get(&at)?
        .iter()
        .copied()
        .max_by(|a, b| cosine(a).total_cmp(&cosine(b)))
}

fn unlink(
    neighbours: &mut BTreeMap<LatticePoint, BTreeSet<LatticePoint>>,
    a: LatticePoint,
    b: LatticePoint,
) {
    for (from, to) in [(a, b), (b, a)] {
        if let Some(points) = neighbours.get_mut(&from) {
            points.remove(&to);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LatticePoint, path, unique_edges};

    /// Cuts a square of `side` lattice steps by random lines, one cell at a time so
    /// that neighbours disagree about the corners on their common edge.
    fn subdivision(side: f64, cuts: &[(usize, f64, f64)]) -> Vec<Vec<[f64; 2]>> {
        let mut cells = vec![vec![[0.0, 0.0], [side, 0.0], [side, side], [0.0, side]]];
        for &(which, angle, shift) in cuts {
            let cell = cells.swap_remove(which % cells.len());
            let (sin, cos) = angle.sin_cos();
            let heights: Vec<f64> = cell.iter().map(|[x, y]| cos * x + sin * y).collect();
            let low = heights.iter().copied().fold(f64::INFINITY, f64::min);
            let high = heights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let cut = low + shift * (high - low);
            let (mut above, mut below) = (Vec::new(), Vec::new());
            for i in 0..cell.len() {
                let (p, q) = (cell[i], cell[(i + 1) % cell.len()]);
                let (a, b) = (heights[i] - cut, heights[(i + 1) % cell.len()] - cut);
                if a >= 0.0 {
                    above.push(p)
                } else {
                    below.push(p)
                }
                if (a >= 0.0) != (b >= 0.0) {
                    let t = a / (a - b);
                    let corner = [p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])];
                    above.push(corner);
                    below.push(corner);
                }
            }
            cells.extend([above, below]);
        }
        cells
    }

    /// Whether a corner is so near to an edge that it might be rounded onto it, but not on it.
    fn is_narrow(cells: &[Vec<[f64; 2]>]) -> bool {
        let near = |[x, y]: [f64; 2], from: [f64; 2], to: [f64; 2]| {
            let (along, length) = (
                [to[0] - from[0], to[1] - from[1]],
                (to[0] - from[0]).hypot(to[1] - from[1]),
            );
            let share = ((x - from[0]) * along[0] + (y - from[1]) * along[1]) / length.powi(2);
            let share = share.clamp(0.0, 1.0);
            let distance = (from[0] + share * along[0] - x).hypot(from[1] + share * along[1] - y);
            length < 4.0 || (1e-6..4.0).contains(&distance)
        };
        let edges = || {
            cells
                .iter()
                .flat_map(|cell| cell.iter().zip(cell.iter().cycle().skip(1)))
        };
        cells
            .iter()
            .flatten()
            .any(|corner| edges().any(|(from, to)| near(*corner, *from, *to)))
    }

    /// The edges that path data made of `M x y l dx dy ...` draws, in order.
    fn drawn_edges(data: &str) -> Vec<(LatticePoint, LatticePoint)> {
        let mut edges = Vec::new();
        for stroke in data.split('M').skip(1) {
            let (start, steps) = stroke.split_once('l').unwrap();
            let numbers = |text: &str| -> Vec<i32> {
                let spaced = text.replace('-', " -");
                spaced
                    .split_whitespace()
                    .map(|number| number.parse().unwrap())
                    .collect()
            };
            let start = numbers(start);
            let mut at = [start[0], start[1]];
            for step in numbers(steps).chunks(2) {
                let to = [at[0] + step[0], at[1] + step[1]];
                edges.push((at.min(to), at.max(to)));
                at = to;
            }
        }
        edges
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        fn shared_edges_are_drawn_once(
            cuts in prop::collection::vec((0_usize..1000, 0.0..6.3, 0.2..0.8), 0..12),
        ) {
            let side = 4000.0;
            let cells = subdivision(side, &cuts);
            // A corner that rounding brings onto an edge bends it; where a third one is as near, a piece may be drawn
            // twice. So every corner is on an edge or clearly off it.
            prop_assume!(!is_narrow(&cells));
            let length = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
            let around = |cell: &Vec<[f64; 2]>| -> f64 {
                (0..cell.len()).map(|i| length(cell[i], cell[(i + 1) % cell.len()])).sum()
            };
            // Every interior edge belongs to two cells, the frame to one.
            let expected = (cells.iter().map(around).sum::<f64>() - 4.0 * side) / 2.0;
            let points: Vec<Vec<LatticePoint>> = cells
                .iter()
                .map(|cell| cell.iter().map(|corner| corner.map(|v| v.round() as i32)).collect())
                .collect();
            let edges = unique_edges(&points, [4000, 4000]);
            let real = |point: LatticePoint| point.map(f64::from);
            let total: f64 = edges.iter().map(|&(a, b)| length(real(a), real(b))).sum();
            // Rounding moves each of the at most 4 ends per cut by less than a step,
            // and a corner within 1.42 steps of an edge may join it.
            let tolerance = 8.0 * cuts.len() as f64;
            prop_assert!((total - expected).abs() <= tolerance, "{} drawn, {} expected", total, expected);

            let mut drawn = drawn_edges(&path(&edges));
            drawn.sort_unstable();
            prop_assert_eq!(drawn, edges.into_iter().collect::<Vec<_>>());
        }
    }
}
