//! Exact numbers, and numbers between two bounds.

use super::dyadic::{Dyadic, Sum};
use super::quotient::{Side, float};
use std::cmp::Ordering;

/// Bits that bounds keep: what an exact number cannot be told apart from is a little wider then.
const BITS: usize = 256;

/// An exact number, or a number of which a lower and an upper bound are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    low: Dyadic,
    /// `None` where the number is exactly `low`.
    high: Option<Dyadic>,
}

impl Number {
    /// 0.
    pub const ZERO: Self = Self {
        low: Dyadic::ZERO,
        high: None,
    };

    /// At least this.
    pub fn low(&self) -> &Dyadic {
        &self.low
    }

    /// At most this.
    pub fn high(&self) -> &Dyadic {
        self.high.as_ref().unwrap_or(&self.low)
    }

    /// Whether it is known exactly.
    pub fn is_exact(&self) -> bool {
        self.high.is_none()
    }

    /// Whether it is certainly 0.
    pub fn is_zero(&self) -> bool {
        self.is_exact() && self.low.is_zero()
    }

    /// The side of 0 that it is certainly on; `None` where that is not decided.
    pub fn sign(&self) -> Option<Ordering> {
        let (low, high) = (self.low.sign(), self.high().sign());
        (low == high).then_some(low)
    }

    /// The largest float that is at most the number.
    pub fn lower(&self) -> f64 {
        float(&self.low, Side::Down)
    }

    /// The smallest float that is at least the number; infinity beyond all floats.
    pub fn upper(&self) -> f64 {
        float(self.high(), Side::Up)
    }

    /// Bounds of the absolute value.
    pub(super) fn absolute(&self) -> Self {
        match (self.low.sign(), &self.high) {
            (_, None) => Self::exact(self.low.absolute()),
            (Ordering::Less, Some(high)) => {
                let (a, b) = (self.low.absolute(), high.absolute());
                match high.sign() {
                    Ordering::Greater => Self::between(Dyadic::ZERO, a.max(b)),
                    _ => Self::between(b, a),
                }
            }
            _ => self.clone(),
        }
    }

    pub(super) fn exact(value: Dyadic) -> Self {
        Self {
            low: value,
            high: None,
        }
    }

    /// A number between two, of which the first is not the larger.
    pub(super) fn between(low: Dyadic, high: Dyadic) -> Self {
        if low == high {
            return Self::exact(low);
        }
        Self {
            low: low.rounded(BITS, false),
            high: Some(high.rounded(BITS, true)),
        }
    }

    /// A number within `error` of another.
    pub(super) fn within(value: Dyadic, error: &Dyadic) -> Self {
        Self::between(value.minus(error), value.plus(error))
    }

    /// What is between the least and the largest of two.
    pub(super) fn hull(&self, other: &Self) -> Self {
        let low = (&self.low).min(&other.low).clone();
        Self::between(low, self.high().max(other.high()).clone())
    }

    pub(super) fn negated(&self) -> Self {
        Self {
            low: self.high().negated(),
            high: self.high.as_ref().map(|_| self.low.negated()),
        }
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let mut total = Total::default();
        total.add(self);
        total.add(other);
        total.number()
    }

    pub(super) fn minus(&self, other: &Self) -> Self {
        self.plus(&other.negated())
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        let mut total = Total::default();
        total.add_product(self, other);
        total.number()
    }
}

/// A sum of numbers that is being added up.
#[derive(Debug, Clone, Default)]
pub(super) struct Total {
    low: Sum,
    high: Option<Sum>,
}

impl Total {
    pub(super) fn add(&mut self, term: &Number) {
        match (&mut self.high, &term.high) {
            (None, None) => {}
            (high, _) => high
                .get_or_insert_with(|| self.low.clone())
                .add(term.high()),
        }
        self.low.add(&term.low);
    }

    pub(super) fn add_product(&mut self, a: &Number, b: &Number) {
        if a.is_zero() || b.is_zero() {
            return;
        }
        if a.is_exact() && b.is_exact() {
            if let Some(high) = &mut self.high {
                high.add_product(&a.low, &b.low);
            }
            self.low.add_product(&a.low, &b.low);
            return;
        }
        let corners = [
            a.low.times(&b.low),
            a.low.times(b.high()),
            a.high().times(&b.low),
            a.high().times(b.high()),
        ];
        let high = self.high.get_or_insert_with(|| self.low.clone());
        if let (Some(least), Some(most)) = (corners.iter().min(), corners.iter().max()) {
            self.low.add(least);
            high.add(most);
        }
    }

    pub(super) fn number(self) -> Number {
        match self.high {
            None => Number::exact(self.low.total()),
            Some(high) => Number::between(self.low.total(), high.total()),
        }
    }
}
