//! The nearest boundary: distances and the neurons they belong to.

use loclin_tensor::rounding::quotient_down;

/// A distance, or a step along a line, and the position of its neuron; infinite without one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Nearest {
    pub(crate) distance: f64,
    pub(crate) at: Option<usize>,
}

impl Nearest {
    /// No boundary yet.
    pub(crate) const NONE: Self = Self {
        distance: f64::INFINITY,
        at: None,
    };

    /// Lowers it to a distance, the first neuron of equally near ones.
    pub(crate) fn lower(&mut self, distance: f64, at: usize) {
        let tie = distance == self.distance && self.at.is_some_and(|other| at < other);
        if distance < self.distance || tie {
            *self = Self {
                distance,
                at: Some(at),
            };
        }
    }
}

/// The nearest boundary of one input, and the number of neurons whose gradients were measured, or begun to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) nearest: Nearest,
    pub(crate) gradients: usize,
    /// The part of the nearest neuron's value that its error may be, where an engine can do better.
    pub(crate) lost: f64,
}

/// At most the distance to a boundary at a value of at least `z` whose gradient is at most `length` long; infinite where
/// that length is exactly 0, or the value infinite.
pub(crate) fn distance(z: f64, length: f64) -> f64 {
    match length == 0.0 || z == f64::INFINITY {
        true => f64::INFINITY,
        false => quotient_down(z, length),
    }
}
