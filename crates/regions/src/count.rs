//! How many complete linear regions a set of points falls in (#CLR, Lemma 7).

use crate::{ActivationPattern, Guarantee, Linearization, Norm, Result, Rows};
use candle_core::{DType, Tensor};
use loclin_models::RoundingErrors;
use loclin_tensor::{
    random,
    rounding::{UNIT, clear_of_zero, largest, product_up, up, up_by},
};
use std::{collections::BTreeMap, sync::Arc};

/// Numbers that stand for the Jacobian when two of them are compared, at least.
const SKETCH: usize = 16;

/// Random directions whose products with the Jacobian are those numbers. Of a single one, a difference of the
/// Jacobians of rank 1 could be missed more easily.
fn directions(outputs: usize) -> usize {
    SKETCH.div_ceil(outputs).max(2)
}

/// A bracket of the number of complete linear regions (maximal connected sets with one derivative) that a set of
/// points falls in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegionCount {
    /// The number of points.
    pub points: usize,
    /// At least this many: points without an undecided neuron whose Jacobians differ pairwise by more than the tolerance, and
    /// by more than rounding can have made.
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
/// that is more) and a pattern per region.
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
    /// What is known of each pattern.
    patterns: BTreeMap<ActivationPattern, Seen>,
}

/// What is known of a pattern.
#[derive(Debug, Clone)]
struct Seen {
    /// Its number, in the order of their coming.
    number: usize,
    /// The sketch of its Jacobian, from a point without an undecided neuron; `None` if there was none.
    sketch: Option<Sketch>,
}

/// The products of a Jacobian with the directions.
#[derive(Debug, Clone)]
struct Sketch {
    values: Vec<f64>,
    /// Bounds of their rounding errors.
    errors: Arc<[f64]>,
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
        let patterns = linearization.patterns()?;
        let undecided = undecided(linearization)?;
        let sketches = sketches(linearization)?;
        if linearization.rounding.is_none() {
            self.guarantee = Guarantee::Estimate;
        }
        self.points += patterns.len();
        self.on_boundary += linearization.on_boundary().iter().filter(|b| **b).count();
        self.undecided += undecided.iter().filter(|u| **u).count();
        let mut numbers = Vec::with_capacity(patterns.len());
        let points = patterns.into_iter().zip(sketches).zip(undecided);
        for ((pattern, sketch), undecided) in points {
            let number = self.patterns.len();
            let seen = self.patterns.entry(pattern).or_insert(Seen {
                number,
                sketch: None,
            });
            if seen.sketch.is_none() && !undecided {
                seen.sketch = Some(sketch);
            }
            numbers.push(seen.number);
        }
        Ok(numbers)
    }

    /// The count so far.
    pub fn finish(&self) -> RegionCount {
        let sketches: Vec<&Sketch> = self
            .patterns
            .values()
            .filter_map(|seen| seen.sketch.as_ref())
            .collect();
        RegionCount {
            points: self.points,
            // A point is in a region, whichever that is.
            lower: separated(&sketches, self.tolerance).max(self.points.min(1)),
            upper: sketches.len() + self.undecided,
            on_boundary: self.on_boundary,
            undecided: self.undecided,
            guarantee: self.guarantee,
        }
    }
}

/// Whether each input has an undecided neuron whose gradient may not be 0.
fn undecided(linearization: &Linearization) -> Result<Vec<bool>> {
    let Some(rounding) = &linearization.rounding else {
        return Ok(vec![false; linearization.batch()]);
    };
    let counts = linearization.undecided().into_iter().enumerate();
    let moves = |(input, count): (usize, usize)| {
        if count == 0 {
            return Ok(false);
        }
        // Of all inputs at once where most of it is known already.
        let one;
        let gradients = match rounding.known() {
            Some(_) => &rounding.gradients()?[input],
            None => {
                one = rounding.only(input)?;
                &one.gradients()?[0]
            }
        };
        let values = &rounding.values()[input];
        let mut all = linearization.clear[input]
            .iter()
            .zip(values.iter().zip(gradients));
        Ok(all.any(|(z, (value, gradient))| *z == 0.0 && *value > 0.0 && *gradient > 0.0))
    };
    counts.map(moves).collect()
}

/// `J V / sqrt(K)` of each input, for a fixed Gaussian `V` `[D, K]`, with bounds of their rounding errors: infinite where those
/// are not known.
fn sketches(linearization: &Linearization) -> Result<Vec<Sketch>> {
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
    let errors = errors(linearization, &directions, &rows)?;
    let all = rows.into_iter().zip(errors);
    let sketch = |(values, errors)| Sketch { values, errors };
    Ok(all.map(sketch).collect())
}

/// Where bounds for all patterns are at most this share of the longest sketch, no others are looked for.
const SMALL: f64 = 1e-6;

/// Bounds of the rounding errors of each input's sketch, for all of them at once where that is good enough; 0 where errors are not
/// bounded.
fn errors(
    linearization: &Linearization,
    directions: &Tensor,
    sketches: &[Vec<f64>],
) -> Result<Vec<Arc<[f64]>>> {
    let width = sketches.first().map_or(0, Vec::len);
    let all = |errors: Vec<f64>| vec![Arc::from(errors); sketches.len()];
    let Some(rounding) = &linearization.rounding else {
        return Ok(all(vec![0.0; width]));
    };
    let (magnitudes, lengths) = (rounding.magnitudes(), directions.abs()?);
    let share = magnitudes.relative_error();
    let bounds = |lengths: &Tensor, at: Option<&RoundingErrors>| {
        let Some(pushed) = magnitudes.push(lengths, at)? else {
            return Ok(None);
        };
        let rows = Rows::of_tensor(&pushed.output.flatten_from(1)?)?;
        let bound = |row: &[f64]| row.iter().map(|most| product_up(&[share, *most])).collect();
        Ok::<_, crate::Error>(Some(rows.iter().map(bound).collect::<Vec<Vec<f64>>>()))
    };
    let shared = bounds(&lengths, None)?.and_then(|mut rows| rows.pop());
    let longest = sketches.iter().map(|s| largest(s)).fold(0.0, f64::max);
    let is_small = |shared: &Vec<f64>| largest(shared) <= SMALL * longest;
    let (false, Some(known)) = (shared.as_ref().is_some_and(is_small), rounding.known()) else {
        return Ok(all(shared.unwrap_or_else(|| vec![f64::INFINITY; width])));
    };
    // One direction after the other, in memory that does not grow with their number.
    let mut own = vec![Vec::with_capacity(width); sketches.len()];
    for k in 0..lengths.dim(1)? {
        let Some(rows) = bounds(&lengths.narrow(1, k, 1)?, Some(known))? else {
            return Ok(all(vec![f64::INFINITY; width]));
        };
        own.iter_mut()
            .zip(rows)
            .for_each(|(own, row)| own.extend(row));
    }
    Ok(own.into_iter().map(Arc::from).collect())
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
