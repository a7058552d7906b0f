//! How many complete linear regions a set of points falls in (#CLR, Lemma 7).

use crate::{ActivationPattern, Linearization, Norm, Result};
use candle_core::{DType, Tensor};
use loclin_tensor::random;
use std::collections::BTreeMap;

/// Numbers that stand for the Jacobian when two of them are compared, at least.
const SKETCH: usize = 16;

/// Random directions whose products with the Jacobian are those numbers. Of a single one, a difference of the
/// Jacobians of rank 1 could be missed more easily.
fn directions(outputs: usize) -> usize {
    SKETCH.div_ceil(outputs).max(2)
}

/// A bracket of the number of complete linear regions (maximal connected sets with one derivative) that a set of
/// points falls in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegionCount {
    /// The number of points.
    pub points: usize,
    /// At least this many: points whose Jacobians differ pairwise by more than the tolerance.
    pub lower: usize,
    /// At most this many: different activation patterns.
    pub upper: usize,
    /// Points exactly on a neuron's boundary. Lemma 7 assumes that there is none; each has several feasible
    /// patterns, of which one is counted.
    pub on_boundary: usize,
}

/// Counts regions over any number of batches, with memory for some 16 numbers (`2 L` for `L` outputs, if
/// that is more) and a pattern per region.
///
/// # The tolerance of the lower bound
/// Points of one pattern have one Jacobian. Jacobians of different patterns are compared through a sketch, their
/// products with a few fixed Gaussian directions scaled such that the expected squared length of the sketch of a
/// matrix is its squared Frobenius norm. Two count as different if their sketches are further apart than
/// `tolerance` times the longer of the two, and than a hundredth of `tolerance` times the longest of all: the
/// first compares Jacobians that are well computed, the second says that one whose terms cancel (to 0, say) is
/// not, its rounding error being that of the terms. A sketch is a linear function of the Jacobian, so different
/// sketches prove different Jacobians as long as `tolerance` is above the rounding error of computing one
/// (about `1e-6` in float32, `1e-15` in float64, times a small factor for depth); the count is then a lower
/// bound, and the smaller the tolerance the tighter it is. A rounding of decimals, as in the authors' program,
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
    /// For each pattern its number, in the order of their coming, and the sketch of its Jacobian.
    sketches: BTreeMap<ActivationPattern, (usize, Vec<f64>)>,
}

impl RegionCounter {
    /// Starts at no points; `tolerance` is relative, see above.
    pub fn new(tolerance: f64) -> Self {
        Self {
            tolerance,
            points: 0,
            on_boundary: 0,
            sketches: BTreeMap::new(),
        }
    }

    /// `1e-4` for float32 and `1e-9` for float64: well above rounding, well below any difference that matters.
    pub fn default_tolerance(dtype: DType) -> f64 {
        if dtype == DType::F64 { 1e-9 } else { 1e-4 }
    }

    /// Adds the points of a batch, and returns for each the number of its region (pattern), counted from 0 in the
    /// order of their coming over all batches: points with one number share a region.
    pub fn add(&mut self, linearization: &Linearization) -> Result<Vec<usize>> {
        let patterns = linearization.patterns()?;
        let sketches = sketches(linearization)?;
        self.points += patterns.len();
        self.on_boundary += linearization.on_boundary().iter().filter(|b| **b).count();
        let mut numbers = Vec::with_capacity(patterns.len());
        for (pattern, sketch) in patterns.into_iter().zip(sketches) {
            let next = self.sketches.len();
            numbers.push(self.sketches.entry(pattern).or_insert((next, sketch)).0);
        }
        Ok(numbers)
    }

    /// The count so far.
    pub fn finish(&self) -> RegionCount {
        RegionCount {
            points: self.points,
            lower: separated(
                self.sketches.values().map(|(_, sketch)| sketch),
                self.tolerance,
            ),
            upper: self.sketches.len(),
            on_boundary: self.on_boundary,
        }
    }
}

/// `J V / sqrt(K)` of each input, for a fixed Gaussian `V` `[D, K]`.
fn sketches(linearization: &Linearization) -> Result<Vec<Vec<f64>>> {
    let network = linearization.network();
    let count = directions(network.output_size());
    let shape = [&[1, count], network.input_shape()].concat();
    let directions = random::normal(
        &mut random::stream(0, &[]),
        shape,
        network.dtype(),
        network.device(),
    )?;
    let directions = (directions / (count as f64).sqrt())?;
    let mut rows = Vec::new();
    for chunk in linearization
        .budget
        .chunks(network, linearization.batch(), count)
    {
        if chunk.tangents.start == 0 {
            let trace = linearization
                .trace
                .narrow(chunk.inputs.start, chunk.inputs.len())?;
            let pushed: Tensor = trace.push(&directions, |_, _| Ok(()))?.flatten_from(1)?;
            let pushed =
                pushed.broadcast_as((chunk.inputs.len(), count * network.output_size()))?;
            rows.extend(pushed.to_dtype(DType::F64)?.to_vec2::<f64>()?);
        }
    }
    Ok(rows)
}

/// The share of the tolerance that is relative to the longest sketch of all, for Jacobians that cancel.
const FLOOR: f64 = 0.01;

/// The size of a maximal set of sketches that are pairwise further apart than `tolerance` times the longer one and
/// than `FLOOR * tolerance` times the longest of all.
fn separated<'a>(sketches: impl Iterator<Item = &'a Vec<f64>>, tolerance: f64) -> usize {
    let mut sorted: Vec<(&Vec<f64>, f64)> = sketches.map(|s| (s, Norm::L2.of(s))).collect();
    sorted.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    // Sketches within reach of each other are within reach in their first number, by which they are sorted.
    let longest = sorted.iter().map(|(_, length)| *length).fold(0.0, f64::max);
    let reach = tolerance * longest;
    let first = |sketch: &[f64]| sketch.first().copied().unwrap_or(0.0);
    let mut kept: Vec<(&Vec<f64>, f64)> = Vec::new();
    for (sketch, length) in sorted {
        let near = kept
            .iter()
            .rev()
            .take_while(|(other, _)| first(sketch) - first(other) <= reach);
        let is_new = near.into_iter().all(|(other, other_length)| {
            let difference: Vec<f64> = sketch.iter().zip(*other).map(|(a, b)| a - b).collect();
            Norm::L2.of(&difference) > tolerance * length.max(*other_length).max(FLOOR * longest)
        });
        if is_new {
            kept.push((sketch, length));
        }
    }
    kept.len()
}
