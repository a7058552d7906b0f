//! What the number of complete linear regions needs to know of a point.

use crate::{Error, Linearization, Norm, Result, Rows};
use candle_core::{DType, Tensor};
use loclin_models::RoundingErrors;
use loclin_tensor::{
    random,
    rounding::{largest, product_up},
};
use std::sync::Arc;

/// Numbers that stand for the Jacobian when two of them are compared, at least.
const SKETCH: usize = 16;

/// Random directions whose products with the Jacobian are those numbers. Of a single one, a difference of the
/// Jacobians of rank 1 could be missed more easily.
fn directions(outputs: usize) -> usize {
    SKETCH.div_ceil(outputs).max(2)
}

/// A point as [`RegionCounter`](crate::RegionCounter) sees it: the digest of its pattern, a sketch of its Jacobian, and what is
/// not certain of both.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::{Budget, Linearization, RegionPoint};
///
/// let config = Mlp { inputs: vec![1], hidden: vec![3], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(1).builder(DType::F64, &Device::Cpu))?;
/// let x = Tensor::new(&[[0.5], [-2.0]], &Device::Cpu)?;
/// let points = RegionPoint::of(&Linearization::new(&network, &x, Budget::default())?)?;
/// assert_eq!(RegionPoint::from_bytes(&RegionPoint::to_bytes(&points))?, points);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RegionPoint {
    pub(crate) pattern: [u8; 32],
    pub(crate) on_boundary: bool,
    pub(crate) undecided: bool,
    /// Whether a neuron is exactly at 0 whose gradient may not be 0: the pattern is one by convention, and no region need have it.
    pub(crate) on_edge: bool,
    /// Whether its rounding errors are not bounded.
    pub(crate) is_estimate: bool,
    pub(crate) sketch: Sketch,
}

/// The products of a Jacobian with the directions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sketch {
    pub(crate) values: Vec<f64>,
    /// Bounds of their rounding errors.
    pub(crate) errors: Arc<[f64]>,
}

/// Bits of the byte that says what is so of a point.
const ON_BOUNDARY: u8 = 1;
const UNDECIDED: u8 = 2;
const IS_ESTIMATE: u8 = 4;
/// The errors are those of the point before.
const SAME_ERRORS: u8 = 8;
const ON_EDGE: u8 = 16;

impl RegionPoint {
    /// Every point of a batch, in order.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn of(linearization: &Linearization) -> Result<Vec<Self>> {
        let patterns = linearization.patterns()?;
        let zeros = zeros_that_move(linearization)?;
        let sketches = sketches(linearization)?;
        let is_estimate = linearization.rounding.is_none();
        let flags = linearization.on_boundary().into_iter().zip(zeros);
        let points = patterns.into_iter().zip(flags).zip(sketches);
        let point = |((pattern, flags), sketch): ((crate::ActivationPattern, _), _)| {
            let (on_boundary, (undecided, on_edge)) = flags;
            Self {
                pattern: pattern.digest(),
                on_boundary,
                undecided,
                on_edge,
                is_estimate,
                sketch,
            }
        };
        Ok(points.map(point).collect())
    }

    /// Points as bytes: of each 32 of the digest, one of flags, the length of the sketch in 4, and its numbers in 8 each, lowest
    /// byte first; then the bounds of their errors, unless they are those of the point before.
    pub fn to_bytes(points: &[Self]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut before: Option<&[f64]> = None;
        for point in points {
            let Sketch { values, errors } = &point.sketch;
            let same = before == Some(&errors[..]);
            let flags = [
                (point.on_boundary, ON_BOUNDARY),
                (point.undecided, UNDECIDED),
                (point.is_estimate, IS_ESTIMATE),
                (same, SAME_ERRORS),
                (point.on_edge, ON_EDGE),
            ];
            bytes.extend(point.pattern);
            bytes.push(
                flags
                    .iter()
                    .filter(|(set, _)| *set)
                    .map(|(_, bit)| bit)
                    .sum(),
            );
            bytes.extend((values.len() as u32).to_le_bytes());
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            if !same {
                bytes.extend(errors.iter().flat_map(|error| error.to_le_bytes()));
            }
            before = Some(errors);
        }
        bytes
    }

    /// What [`RegionPoint::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes that end too early.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Vec<Self>> {
        let mut points: Vec<Self> = Vec::new();
        while !bytes.is_empty() {
            let [pattern, flags, count] = [32, 1, 4].map(|length| bytes.split_off(..length));
            let (Some(pattern), Some([flags]), Some(count)) = (pattern, flags, count) else {
                return Err(torn());
            };
            let count = count
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            let values = numbers(&mut bytes, count)?;
            let same = points.last().filter(|_| flags & SAME_ERRORS > 0);
            let errors = match same {
                Some(before) => Arc::clone(&before.sketch.errors),
                None => numbers(&mut bytes, count)?.into(),
            };
            points.push(Self {
                pattern: pattern.try_into().map_err(|_| torn())?,
                on_boundary: flags & ON_BOUNDARY > 0,
                undecided: flags & UNDECIDED > 0,
                on_edge: flags & ON_EDGE > 0,
                is_estimate: flags & IS_ESTIMATE > 0,
                sketch: Sketch { values, errors },
            });
        }
        Ok(points)
    }
}

/// The next numbers of 8 bytes.
fn numbers(bytes: &mut &[u8], count: usize) -> Result<Vec<f64>> {
    let length = count.saturating_mul(size_of::<f64>());
    let numbers = bytes.split_off(..length).ok_or_else(torn)?;
    Ok(numbers
        .as_chunks()
        .0
        .iter()
        .map(|word| f64::from_le_bytes(*word))
        .collect())
}

fn torn() -> Error {
    Error::Argument {
        what: "points of regions",
        cause: "bytes that end within a point".into(),
    }
}

/// Of each input, whether a neuron whose gradient may not be 0 is undecided, and whether one is exactly at 0.
fn zeros_that_move(linearization: &Linearization) -> Result<Vec<(bool, bool)>> {
    let Some(rounding) = &linearization.rounding else {
        return Ok(vec![(false, false); linearization.batch()]);
    };
    let moves = |input: usize| {
        let clear = linearization.clear[input].iter().enumerate();
        let zeros: Vec<usize> = clear
            .filter(|(_, z)| **z == 0.0)
            .map(|(at, _)| at)
            .collect();
        if zeros.is_empty() {
            return Ok((false, false));
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
        let errors = &rounding.values()[input];
        let moving = zeros.into_iter().filter(|at| gradients[*at] > 0.0);
        let (open, exact): (Vec<usize>, Vec<usize>) = moving.partition(|at| errors[*at] > 0.0);
        Ok((!open.is_empty(), !exact.is_empty()))
    };
    (0..linearization.batch()).map(moves).collect()
}

impl Linearization {
    /// Whether each input lies where regions meet: on the boundary of a neuron whose gradient may not be 0. Its pattern counts that neuron
    /// as positive, as no region near it need do.
    pub(crate) fn on_edge(&self) -> Result<Vec<bool>> {
        let both = zeros_that_move(self)?;
        Ok(both.into_iter().map(|(_, on_edge)| on_edge).collect())
    }
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
    let rows = Rows::of_tensor(&directions.squeeze(0)?.flatten_from(1)?)?;
    let longest = rows.iter().map(|row| Norm::L2.of_up(row));
    let by_lengths = product_up(&[longest.fold(0.0, f64::max), rounding.pushed()]);
    let bounds = |lengths: &Tensor, at: Option<&RoundingErrors>| {
        let Some(pushed) = magnitudes.push(lengths, at)? else {
            return Ok(None);
        };
        let rows = Rows::of_tensor(&pushed.output.flatten_from(1)?)?;
        let bound = |row: &[f64]| row.iter().map(|most| product_up(&[share, *most])).collect();
        Ok::<_, crate::Error>(Some(rows.iter().map(bound).collect::<Vec<Vec<f64>>>()))
    };
    let shared = bounds(&lengths, None)?.and_then(|mut rows| rows.pop());
    let shared = shared.unwrap_or_else(|| vec![f64::INFINITY; width]);
    let shared: Vec<f64> = shared.into_iter().map(|e| e.min(by_lengths)).collect();
    let longest = sketches.iter().map(|s| largest(s)).fold(0.0, f64::max);
    let is_small = largest(&shared) <= SMALL * longest;
    let (false, Some(known)) = (is_small, rounding.known()) else {
        return Ok(all(shared));
    };
    // One direction after the other, in memory that does not grow with their number.
    let mut own = vec![Vec::with_capacity(width); sketches.len()];
    for k in 0..lengths.dim(1)? {
        let Some(rows) = bounds(&lengths.narrow(1, k, 1)?, Some(known))? else {
            return Ok(all(shared));
        };
        own.iter_mut().zip(rows).for_each(|(own, row)| {
            own.extend(row.into_iter().map(|error| error.min(by_lengths)));
        });
    }
    Ok(own.into_iter().map(Arc::from).collect())
}
