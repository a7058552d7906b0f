//! The box that inputs come from: pixels in `[0, 1]`, sensors in their ranges.

use crate::{Error, Result};
use std::cmp::Ordering;

/// A box of inputs: number `i` of an input lies in `[low_i, high_i]`; ends may be infinite.
///
/// What lies outside is no input, so a ball cut with the domain can be larger than one that is not.
///
/// ```
/// use loclin_regions::Domain;
/// let pixels = Domain::uniform(2, 0.0, 1.0)?;
/// let room = pixels.room(&[0.25, 1.0])?;
/// assert!(room[0][0] >= 0.25 && room[0][1] >= 0.75 && room[1][1] == 0.0);
/// assert!(pixels.room(&[0.25, 1.5]).is_err());
/// # Ok::<(), loclin_regions::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Domain {
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Domain {
    /// The box with these ends, one of each for every number of an input in row-major order.
    ///
    /// # Errors
    /// Ends that are NaN, in the wrong order, or not equally many.
    pub fn new(low: Vec<f64>, high: Vec<f64>) -> Result<Self> {
        if low.len() != high.len() {
            let (low, high) = (low.len(), high.len());
            return refuse(format!("{low} lower ends and {high} upper ends"));
        }
        let wrong = |(low, high): (&f64, &f64)| {
            let order = low.partial_cmp(high);
            order.is_none_or(Ordering::is_gt)
        };
        if let Some(at) = low.iter().zip(&high).position(wrong) {
            let (low, high) = (low[at], high[at]);
            return refuse(format!("number {at}: [{low}, {high}] is empty"));
        }
        Ok(Self { low, high })
    }

    /// The same interval for each of `size` numbers.
    ///
    /// # Errors
    /// As of [`Domain::new`].
    pub fn uniform(size: usize, low: f64, high: f64) -> Result<Self> {
        Self::new(vec![low; size], vec![high; size])
    }

    /// How many numbers an input has.
    pub fn size(&self) -> usize {
        self.low.len()
    }

    /// The lower ends.
    pub fn low(&self) -> &[f64] {
        &self.low
    }

    /// The upper ends.
    pub fn high(&self) -> &[f64] {
        &self.high
    }

    /// Whether a point is in it.
    pub fn contains(&self, x: &[f64]) -> bool {
        let within = |((x, low), high): ((&f64, &f64), &f64)| low <= x && x <= high;
        let mut all = x.iter().zip(&self.low).zip(&self.high);
        x.len() == self.size() && all.all(within)
    }

    /// The way from each number of `x` to its ends, `[down, up]`, rounded up.
    ///
    /// # Errors
    /// An input with another number of numbers, or outside the box.
    pub fn room(&self, x: &[f64]) -> Result<Vec<[f64; 2]>> {
        if x.len() != self.size() {
            let (found, expected) = (x.len(), self.size());
            return refuse(format!("has {expected} numbers, the input {found}"));
        }
        let of = |(at, value): (usize, &f64)| {
            let (low, high) = (self.low[at], self.high[at]);
            match low <= *value && *value <= high {
                true => Ok([way(*value, low), way(high, *value)]),
                false => refuse(format!(
                    "number {at} of the input is {value}, outside the domain [{low}, {high}]"
                )),
            }
        };
        x.iter().enumerate().map(of).collect()
    }
}

/// `high - low`, at least.
fn way(high: f64, low: f64) -> f64 {
    match high == low {
        true => 0.0,
        false => loclin_tensor::rounding::up(high - low),
    }
}

fn refuse<T>(cause: String) -> Result<T> {
    let what = "domain";
    Err(Error::Argument { what, cause })
}
