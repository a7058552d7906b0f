//! How far each number of an input may move within the domain.

use crate::{Domain, Norm, Result, Rows};
use loclin_tensor::rounding::{largest, quotient_up};
use std::sync::Arc;

/// A batch of inputs in their domain.
#[derive(Debug, Clone)]
pub(crate) struct Within {
    pub(crate) domain: Arc<Domain>,
    /// The inputs, `[B, D]`.
    x: Rows,
}

impl Within {
    /// # Errors
    /// An input outside the domain, or of another size.
    pub(crate) fn new(domain: Arc<Domain>, x: Rows) -> Result<Self> {
        let within = Self { domain, x };
        for input in 0..within.x.len() {
            within.room(input)?;
        }
        Ok(within)
    }

    /// That of input number `input` alone.
    pub(crate) fn only(&self, input: usize) -> Self {
        Self {
            domain: Arc::clone(&self.domain),
            x: self.x.only(input),
        }
    }

    /// The room around an input.
    pub(crate) fn room(&self, input: usize) -> Result<Room> {
        Room::new(&self.domain, &self.x[input])
    }
}

/// The room around one input.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    /// At least the way of each number, `[down, up]`.
    ways: Vec<[f64; 2]>,
    /// The longest of them.
    pub(crate) most: f64,
}

impl Room {
    /// Of the same way down and up for each number.
    pub(crate) fn of(ways: impl Iterator<Item = f64>) -> Self {
        let ways: Vec<[f64; 2]> = ways.map(|way| [way; 2]).collect();
        Self {
            most: ways.iter().map(|[way, _]| *way).fold(0.0, f64::max),
            ways,
        }
    }

    /// # Errors
    /// As of [`Domain::room`].
    pub(crate) fn new(domain: &Domain, x: &[f64]) -> Result<Self> {
        let ways = domain.room(x)?;
        let of_both = ways.iter().map(|[down, up]| down.max(*up));
        Ok(Self {
            most: of_both.fold(0.0, f64::max),
            ways,
        })
    }

    /// At least the way of number `at` in a direction that raises it, or lowers it.
    pub(crate) fn way(&self, at: usize, raises: bool) -> f64 {
        self.ways[at][usize::from(raises)]
    }

    /// At least the longer way of number `at`.
    pub(crate) fn longer_way(&self, at: usize) -> f64 {
        let [down, up] = self.ways[at];
        down.max(up)
    }

    /// At least the longest step in a direction that ends in the domain.
    pub(crate) fn step(&self, direction: &[f64]) -> f64 {
        let of = |(at, d): (usize, &f64)| match *d {
            0.0 => f64::INFINITY,
            d => match self.way(at, d > 0.0) {
                0.0 => 0.0,
                way => quotient_up(way, d.abs()),
            },
        };
        direction
            .iter()
            .enumerate()
            .map(of)
            .fold(f64::INFINITY, f64::min)
    }

    /// The same with ways that are at most the true ones.
    pub(crate) fn narrower(mut self) -> Self {
        for way in self.ways.iter_mut().flatten() {
            // The domain's are rounded up by one unit from the nearest float.
            if way.is_finite() && *way > 0.0 {
                *way = way.next_down().next_down().max(0.0);
            }
        }
        self
    }

    /// No point of the domain is further from the input.
    pub(crate) fn farthest(&self, norm: Norm) -> f64 {
        let ways: Vec<f64> = (0..self.ways.len()).map(|at| self.longer_way(at)).collect();
        match largest(&ways) == f64::INFINITY {
            true => f64::INFINITY,
            false => norm.of_up(&ways),
        }
    }
}
