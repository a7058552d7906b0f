//! Radii without rounding, and how a float is held against them.

use super::number::{Rational, absolute, exact, nearest, reduced, square_root};
use super::point::{Neuron, Point};

/// The radius of a ball, or its square: infinite, or a rational, and the neurons whose boundaries it touches.
#[derive(Debug, Clone, PartialEq)]
pub struct Radius {
    /// The number; `None` is infinite.
    pub value: Option<Rational>,
    /// 1 for a radius, 2 for the square of one.
    pub power: u8,
    /// Positions of the limiting neurons among [`Point::neurons`]; none where it is infinite.
    pub limiting: Vec<usize>,
}

/// The radii of an input in l1, l2 and l_inf (Eq. 3); that in l2 as its square.
#[derive(Debug, Clone, PartialEq)]
pub struct Radii {
    /// In l1, l2 and l_inf.
    pub norms: [Radius; 3],
}

impl Radius {
    pub(super) fn least(power: u8, distances: impl Iterator<Item = Option<Rational>>) -> Self {
        let mut least = Self {
            value: None,
            power,
            limiting: Vec::new(),
        };
        for (position, distance) in distances.enumerate() {
            let Some(distance) = distance else { continue };
            match &least.value {
                Some(value) if *value < distance => {}
                Some(value) if *value == distance => least.limiting.push(position),
                _ => {
                    least.value = Some(distance);
                    least.limiting = vec![position];
                }
            }
        }
        least
    }

    /// Whether `found` is at most the radius. NaN and negative numbers are not.
    pub fn covers(&self, found: f64) -> bool {
        if found.is_nan() || found < 0.0 {
            return false;
        }
        let Some(value) = &self.value else {
            return true;
        };
        exact(found).is_some_and(|found| match self.power {
            1 => found <= *value,
            _ => &found * &found <= *value,
        })
    }

    /// The radius as a float, next to the true one; infinite where it is, or where it is beyond all floats.
    pub fn approximate(&self) -> f64 {
        match (&self.value, self.power) {
            (None, _) => f64::INFINITY,
            (Some(value), 1) => nearest(value),
            (Some(value), _) => nearest(&square_root(value).0),
        }
    }

    /// By how much `found` is larger than the radius, relative to it; negative where it is smaller, infinite for a
    /// radius that should be 0, NaN for NaN.
    pub fn excess(&self, found: f64) -> f64 {
        let truth = self.approximate();
        if found == truth {
            0.0
        } else {
            found / truth - 1.0
        }
    }
}

impl Point {
    /// The radii: `min |z| / ||dz/dx||_q`. A neuron without gradient never limits; one at 0 with a gradient makes the
    /// radius 0.
    pub fn radii(&self) -> Radii {
        let distance = |power: u8, length: fn(&[Rational]) -> Rational| {
            let one = move |neuron: &Neuron| {
                let length = length(&neuron.gradient);
                let z = absolute(&neuron.value);
                let z = if power == 1 { z } else { &z * &z };
                (length != Rational::ZERO).then(|| z / length)
            };
            Radius::least(power, self.neurons.iter().map(one))
        };
        Radii {
            norms: [
                distance(1, largest),
                distance(2, squares),
                distance(1, total),
            ],
        }
    }

    /// How far `x + r d` keeps the pattern: `min |z| / |dz/dx . d|` over the neurons that `d` moves towards 0
    /// (Prop. 4). `d` need not have length 1.
    pub fn directional(&self, d: &[Rational]) -> Radius {
        let one = |neuron: &Neuron| {
            let speed = dot(&neuron.gradient, d);
            let speed = if neuron.positive { -speed } else { speed };
            (speed > Rational::ZERO).then(|| absolute(&neuron.value) / speed)
        };
        Radius::least(1, self.neurons.iter().map(one))
    }
}

fn dot(a: &[Rational], b: &[Rational]) -> Rational {
    let terms = a.iter().zip(b).map(|(a, b)| a * b);
    reduced(terms.fold(Rational::ZERO, |sum, term| sum + term))
}

fn largest(gradient: &[Rational]) -> Rational {
    let all = gradient.iter().map(absolute);
    all.fold(Rational::ZERO, |a, b| if b > a { b } else { a })
}

fn squares(gradient: &[Rational]) -> Rational {
    dot(gradient, gradient)
}

fn total(gradient: &[Rational]) -> Rational {
    reduced(
        gradient
            .iter()
            .map(absolute)
            .fold(Rational::ZERO, |a, b| a + b),
    )
}

/// Asserts that a radius that was found is at most the true one, compared without rounding.
///
/// # Panics
/// If it is larger, negative or NaN.
#[track_caller]
pub fn assert_radius_at_most(found: f64, truth: &Radius) {
    assert!(
        truth.covers(found),
        "a radius of {found:e} was found, {:e} is the true one; larger by {:e} of it",
        truth.approximate(),
        truth.excess(found)
    );
}
