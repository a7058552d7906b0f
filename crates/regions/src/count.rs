//! How many complete linear regions a set of points falls in (#CLR, Lemma 7).

use crate::region_point::{RegionPoint, Sketch};
use crate::{Guarantee, Linearization, Norm, Result};
use candle_core::DType;
use loclin_tensor::rounding::{UNIT, clear_of_zero, up, up_by};
use std::collections::BTreeMap;

/// A bracket of the number of complete linear regions (maximal connected sets with one derivative) that a set of
/// points falls in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegionCount {
    /// The number of points.
    pub points: usize,
    /// At least this many: points without an undecided neuron, and without one at 0 that moves, whose Jacobians differ pairwise by more than
    /// the tolerance, and by more than rounding can have made.
    pub lower: usize,
    /// At most this many: different activation patterns of points without an undecided neuron, and each of the other points.
    pub upper: usize,
    /// Points at which the computed value of some neuron is exactly 0. Lemma 7 assumes that there is none; each has several
    /// feasible patterns, of which the one with that neuron positive is counted.
    pub on_boundary: usize,
    /// Points at which rounding leaves the side of a neuron undecided whose gradient may not be 0: their pattern is not known,
    /// so each may be in a region of its own. Always 0 for an estimate.
    pub undecided: usize,
    /// What is claimed of the bracket.
    pub guarantee: Guarantee,
}

/// Counts regions over any number of batches, with memory for some 32 numbers (`4 L` for `L` outputs, if
/// that is more) per region, whatever the size of the network: of a pattern its digest is kept
/// ([`ActivationPattern::digest`](crate::ActivationPattern::digest)).
///
/// A count can go on in another process, and counts of parts of the points can be put together: what it needs to know of a
/// point is a [`RegionPoint`], which can be written down.
///
/// # The tolerance of the lower bound
/// Points of one pattern have one Jacobian. Jacobians of different patterns are compared through a sketch, their
/// products with a few fixed Gaussian directions scaled such that the expected squared length of the sketch of a
/// matrix is its squared Frobenius norm. Two count as different if their sketches are further apart than
/// `tolerance` times the longer of the two, and than a hundredth of `tolerance` times the longest of all: the
/// first compares Jacobians that are well computed, the second says that one whose terms cancel (to 0, say) is
/// not, its rounding error being that of the terms. A sketch is a linear function of the Jacobian, so sketches that are
/// further apart than their rounding errors prove different Jacobians: these are bounded in float64
/// ([`RegionCount::guarantee`]), and no two count as different that are not. Where they are not bounded the tolerance must be
/// above them (about `1e-6` in float32, `1e-15` in float64, times a small factor for depth). The smaller the tolerance the
/// tighter the bound. A rounding of decimals, as in the authors' program,
/// has no such scale: it separates equal Jacobians that straddle a rounding step and merges small ones.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::{Budget, Linearization, RegionCounter};
///
/// let config = Mlp { inputs: vec![1], hidden: vec![3], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(1).builder(DType::F64, &Device::Cpu))?;
/// let x = Tensor::arange_step(-9.0, 9.0, 0.1, &Device::Cpu)?.unsqueeze(1)?;
/// let mut counter = RegionCounter::new(RegionCounter::default_tolerance(DType::F64));
/// let region = counter.add(&Linearization::new(&network, &x, Budget::default())?)?;
/// let count = counter.finish();
/// assert!(count.lower <= count.upper && count.upper <= 4); // 3 kinks on a line
/// assert_eq!(region.iter().max(), Some(&(count.upper - 1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct RegionCounter {
    tolerance: f64,
    points: usize,
    on_boundary: usize,
    undecided: usize,
    guarantee: Guarantee,
    /// What is known of each pattern, by its digest.
    patterns: BTreeMap<[u8; 32], Seen>,
}

/// What is known of a pattern.
#[derive(Debug, Clone)]
struct Seen {
    /// Its number, in the order of their coming.
    number: usize,
    /// Whether a point without an undecided neuron has it.
    is_known: bool,
    /// The sketch of its Jacobian, from such a point where no regions meet; `None` if there was none.
    sketch: Option<Sketch>,
}

impl RegionCounter {
    /// Starts at no points; `tolerance` is relative, see above.
    pub fn new(tolerance: f64) -> Self {
        Self {
            tolerance,
            points: 0,
            on_boundary: 0,
            undecided: 0,
            guarantee: Guarantee::Proved,
            patterns: BTreeMap::new(),
        }
    }

    /// `1e-4` for float32 and `1e-9` for float64: well above rounding, well below any difference that matters.
    pub fn default_tolerance(dtype: DType) -> f64 {
        if dtype == DType::F64 { 1e-9 } else { 1e-4 }
    }

    /// Adds the points of a batch, and returns for each the number of its region (pattern), counted from 0 in the
    /// order of their coming over all batches: points with one number share a region, unless a neuron is undecided.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn add(&mut self, linearization: &Linearization) -> Result<Vec<usize>> {
        Ok(self.add_points(RegionPoint::of(linearization)?))
    }

    /// The same of points that are known already.
    pub fn add_points(&mut self, points: Vec<RegionPoint>) -> Vec<usize> {
        let mut numbers = Vec::with_capacity(points.len());
        for point in points {
            if point.is_estimate {
                self.guarantee = Guarantee::Estimate;
            }
            self.points += 1;
            self.on_boundary += usize::from(point.on_boundary);
            self.undecided += usize::from(point.undecided);
            let number = self.patterns.len();
            let seen = self.patterns.entry(point.pattern).or_insert(Seen {
                number,
                is_known: false,
                sketch: None,
            });
            seen.is_known |= !point.undecided;
            if seen.sketch.is_none() && !point.undecided && !point.on_edge {
                seen.sketch = Some(point.sketch);
            }
            numbers.push(seen.number);
        }
        numbers
    }

    /// The count so far.
    pub fn finish(&self) -> RegionCount {
        let known = self.patterns.values().filter(|seen| seen.is_known);
        let sketches = self
            .patterns
            .values()
            .filter_map(|seen| seen.sketch.as_ref());
        let sketches: Vec<&Sketch> = sketches.collect();
        RegionCount {
            points: self.points,
            // A point is in a region, whichever that is.
            lower: separated(&sketches, self.tolerance).max(self.points.min(1)),
            upper: known.count() + self.undecided,
            on_boundary: self.on_boundary,
            undecided: self.undecided,
            guarantee: self.guarantee,
        }
    }
}

/// The share of the tolerance that is relative to the longest sketch of all, for Jacobians that cancel.
const FLOOR: f64 = 0.01;

/// The size of a set of sketches that are pairwise further apart than rounding can have made, than `tolerance` times the longer
/// one and than `FLOOR * tolerance` times the longest of all; no more of them can be added to it.
fn separated(sketches: &[&Sketch], tolerance: f64) -> usize {
    let all = sketches.iter().map(|sketch| {
        let length = Norm::L2.of(&sketch.values);
        (&sketch.values[..], length, &sketch.errors[..])
    });
    let mut sorted: Vec<(&[f64], f64, &[f64])> = all.collect();
    sorted.sort_by(|(a, ..), (b, ..)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    // Sketches within reach of each other are within reach in their first number, by which they are sorted.
    let longest = sorted
        .iter()
        .map(|(_, length, _)| *length)
        .fold(0.0, f64::max);
    let first = |sketch: &[f64]| sketch.first().copied().unwrap_or(0.0);
    let error = sorted
        .iter()
        .map(|(.., errors)| first(errors))
        .fold(0.0, f64::max);
    let reach = (tolerance * longest).max(up(4.0 * error));
    let mut kept: Vec<(&[f64], f64, &[f64])> = Vec::new();
    for (sketch, length, errors) in sorted {
        let mut near = kept
            .iter()
            .rev()
            .take_while(|(other, ..)| first(sketch) - first(other) <= reach);
        let is_new = near.all(|(other, other_length, other_errors)| {
            let difference: Vec<f64> = sketch.iter().zip(*other).map(|(a, b)| a - b).collect();
            let both = errors.iter().zip(*other_errors);
            let mut certain = difference.iter().zip(both);
            Norm::L2.of(&difference) > tolerance * length.max(*other_length).max(FLOOR * longest)
                && certain
                    .any(|(d, (a, b))| clear_of_zero(*d, up_by(a + b, 1) + UNIT * d.abs()) > 0.0)
        });
        if is_new {
            kept.push((sketch, length, errors));
        }
    }
    kept.len()
}
