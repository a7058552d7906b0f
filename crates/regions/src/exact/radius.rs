//! Radii without rounding, as floats on both sides of them.

use super::boxed;
use super::dyadic::Sum;
use super::error::{ExactError, Result};
use super::number::{Number, Total};
use super::point::ExactPoint;
use super::quotient::{Side, quotient};
use crate::Norm;
use loclin_tensor::rounding::{quotient_down, quotient_up, relative, up_by};
use rayon::prelude::*;

/// Floats on both sides of a radius, or of a distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RadiusBounds {
    /// At most the radius: where all is exact the largest such float (in l1, l2 and l_inf).
    pub lower: f64,
    /// At least the radius: where all is exact the smallest such float (in l1, l2 and l_inf).
    pub upper: f64,
    /// The largest float that may be at most the radius: a larger claim is refuted.
    pub largest: f64,
    /// The number of the neuron whose boundary is nearest, as far as that is known; `None` where no neuron limits.
    pub limiting: Option<usize>,
}

impl RadiusBounds {
    /// Whether a radius that is claimed is certainly larger than the true one. NaN and a negative number are.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use loclin_models::{Mlp, Parameters};
    /// use loclin_regions::{Norm, exact::Exact};
    ///
    /// let config = Mlp { inputs: vec![1], hidden: vec![2], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let radius = Exact::new(&network, 1000)?.at(&[0.3])?.radii(&[Norm::L1], 1000)?[0];
    /// assert!(!radius.refutes(radius.lower) && radius.refutes(radius.lower.next_up()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refutes(&self, claimed: f64) -> bool {
        claimed.is_nan() || claimed < 0.0 || claimed > self.largest
    }

    fn infinite() -> Self {
        Self {
            lower: f64::INFINITY,
            upper: f64::INFINITY,
            largest: f64::INFINITY,
            limiting: None,
        }
    }

    /// The nearer of two: each end is the lesser one.
    fn nearer(self, other: Self) -> Self {
        let first = match (self.limiting, other.limiting) {
            (Some(_), Some(_)) => (self.lower, self.upper) <= (other.lower, other.upper),
            (own, _) => own.is_some(),
        };
        Self {
            lower: self.lower.min(other.lower),
            upper: self.upper.min(other.upper),
            largest: self.largest.min(other.largest),
            limiting: if first { self.limiting } else { other.limiting },
        }
    }
}

impl ExactPoint<'_> {
    /// The distance to a neuron's boundary in each norm: `|z| / ||grad z||_q`, infinite for a neuron whose gradient is 0; within a
    /// domain that to the nearest point of the domain at which the neuron is 0. Of a neuron
    /// of a maximum that is undecided nothing is known.
    ///
    /// # Panics
    /// A neuron that there is not.
    pub fn distances(&self, neuron: usize, norms: &[Norm]) -> Vec<RadiusBounds> {
        if !self.is_certain(neuron) {
            let unknown = RadiusBounds {
                lower: 0.0,
                limiting: Some(neuron),
                ..RadiusBounds::infinite()
            };
            return vec![unknown; norms.len()];
        }
        if let Some(ways) = self.ways() {
            let (z, gradient) = (self.pre_activation(neuron), self.gradient(neuron));
            let one = |norm: &Norm| {
                let found = boxed::distance(z, &gradient, ways, *norm);
                RadiusBounds {
                    lower: found.lower,
                    upper: found.upper,
                    largest: found.largest,
                    limiting: found.lower.is_finite().then_some(neuron),
                }
            };
            return norms.iter().map(one).collect();
        }
        let gradient: Vec<Number> = self.gradient(neuron).iter().map(Number::absolute).collect();
        let z = self.pre_activation(neuron).absolute();
        let one = |norm: &Norm| RadiusBounds {
            limiting: gradient.iter().any(|g| !g.is_zero()).then_some(neuron),
            ..distance(&z, &gradient, *norm)
        };
        norms.iter().map(one).collect()
    }

    /// The radius of the region around the input in each norm (Eq. 3): the least of all distances. `most` is how many
    /// multiply-adds that may take.
    ///
    /// # Errors
    /// [`ExactError::TooLarge`] before any work is done.
    pub fn radii(&self, norms: &[Norm], most: u64) -> Result<Vec<RadiusBounds>> {
        let needed = self.gradients_cost();
        if needed > most {
            return Err(ExactError::TooLarge {
                needed,
                allowed: most,
            });
        }
        let none = || vec![RadiusBounds::infinite(); norms.len()];
        let nearer = |a: Vec<RadiusBounds>, b: Vec<RadiusBounds>| {
            let both = a.into_iter().zip(b);
            both.map(|(a, b)| a.nearer(b)).collect()
        };
        let all = (0..self.neurons()).into_par_iter();
        Ok(all
            .map(|neuron| self.distances(neuron, norms))
            .reduce(none, nearer))
    }
}

/// `z` over the length of a gradient, given absolute values.
fn distance(z: &Number, gradient: &[Number], norm: Norm) -> RadiusBounds {
    if gradient.iter().all(Number::is_zero) {
        return RadiusBounds::infinite();
    }
    let zero = Number::ZERO;
    let length = match norm.dual().p() {
        f64::INFINITY => {
            let largest = |a: &Number, b: &Number| {
                let low = a.low().max(b.low()).clone();
                Number::between(low, a.high().max(b.high()).clone())
            };
            gradient.iter().fold(zero, |a, b| largest(&a, b))
        }
        1.0 => {
            let mut total = Total::default();
            gradient.iter().for_each(|g| total.add(g));
            total.number()
        }
        2.0 => {
            let (mut low, mut high) = (Sum::default(), Sum::default());
            for g in gradient {
                low.add_product(g.low(), g.low());
                high.add_product(g.high(), g.high());
            }
            Number::between(low.total(), high.total())
        }
        _ => return by_powers(z, gradient, norm),
    };
    let squared = norm == Norm::L2;
    let z = if squared { z.times(z) } else { z.clone() };
    let far = |side| match length.low().is_zero() {
        true => f64::INFINITY,
        false => quotient(z.high(), length.low(), squared, side),
    };
    RadiusBounds {
        lower: quotient(z.low(), length.high(), squared, Side::Down),
        upper: far(Side::Up),
        largest: far(Side::Down),
        limiting: None,
    }
}

/// Another norm than l1, l2 and l_inf, in floats: a power of float64 is taken to be off by a few units in its last place.
fn by_powers(z: &Number, gradient: &[Number], norm: Norm) -> RadiusBounds {
    let q = norm.dual();
    let lengths = [Number::lower, Number::upper].map(|end| {
        let ends: Vec<f64> = gradient.iter().map(end).collect();
        q.of(&ends)
    });
    let slack = relative(gradient.len() + 64 + (8.0 * q.p()).min(1e15) as usize);
    let upper = quotient_up(z.upper(), lengths[0] * (1.0 - slack.min(1.0)));
    RadiusBounds {
        lower: quotient_down(z.lower(), up_by(lengths[1] * (1.0 + slack), 2)),
        upper,
        largest: upper,
        limiting: None,
    }
}
