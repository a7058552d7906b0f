//! Integers times powers of two.

use dashu_int::{IBig, Sign, UBig};
use std::cmp::Ordering;

/// An integer times a power of two, exact: what a finite float is, and sums and products of floats are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dyadic {
    /// Odd, or 0.
    mantissa: IBig,
    /// 0 for 0.
    exponent: i64,
}

impl Dyadic {
    /// 0.
    pub const ZERO: Self = Self {
        mantissa: IBig::ZERO,
        exponent: 0,
    };

    /// The float itself; `None` for one that is not finite.
    ///
    /// ```
    /// use loclin_regions::exact::Dyadic;
    /// let x = Dyadic::of(0.375).unwrap();
    /// assert_eq!((x.mantissa().clone(), x.exponent()), (3.into(), -3));
    /// assert!(Dyadic::of(f64::NAN).is_none());
    /// ```
    pub fn of(x: f64) -> Option<Self> {
        if !x.is_finite() {
            return None;
        }
        let bits = x.to_bits();
        let (power, fraction) = ((bits >> 52) & 0x7ff, bits & ((1 << 52) - 1));
        // Subnormal numbers have no leading 1 and the exponent of the smallest normal ones.
        let (mantissa, power) = match power {
            0 => (fraction, 1),
            _ => (fraction | 1 << 52, power),
        };
        if mantissa == 0 {
            return Some(Self::ZERO);
        }
        let zeros = mantissa.trailing_zeros();
        let odd = (mantissa >> zeros) as i64;
        Some(Self {
            mantissa: IBig::from(if x < 0.0 { -odd } else { odd }),
            exponent: power as i64 - 1075 + i64::from(zeros),
        })
    }

    /// `mantissa * 2^exponent`.
    pub fn new(mantissa: IBig, exponent: i64) -> Self {
        match mantissa.trailing_zeros() {
            None => Self::ZERO,
            Some(0) => Self { mantissa, exponent },
            Some(zeros) => Self {
                mantissa: mantissa >> zeros,
                exponent: exponent + zeros as i64,
            },
        }
    }

    /// The odd integer, or 0.
    pub fn mantissa(&self) -> &IBig {
        &self.mantissa
    }

    /// The power of two that it is multiplied by.
    pub fn exponent(&self) -> i64 {
        self.exponent
    }

    /// Which side of 0 it is on.
    pub fn sign(&self) -> Ordering {
        self.mantissa.cmp(&IBig::ZERO)
    }

    /// Whether it is 0.
    pub fn is_zero(&self) -> bool {
        self.mantissa == IBig::ZERO
    }

    /// The absolute value of the integer.
    pub(super) fn magnitude(&self) -> UBig {
        self.mantissa.clone().into_parts().1
    }

    pub(super) fn negated(&self) -> Self {
        Self {
            mantissa: -self.mantissa.clone(),
            exponent: self.exponent,
        }
    }

    pub(super) fn absolute(&self) -> Self {
        match self.sign() {
            Ordering::Less => self.negated(),
            _ => self.clone(),
        }
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        if self.is_zero() || other.is_zero() {
            return Self::ZERO;
        }
        // A product of odd numbers is odd.
        Self {
            mantissa: &self.mantissa * &other.mantissa,
            exponent: self.exponent + other.exponent,
        }
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let mut sum = Sum::default();
        sum.add(self);
        sum.add(other);
        sum.total()
    }

    pub(super) fn minus(&self, other: &Self) -> Self {
        self.plus(&other.negated())
    }

    /// The same number where it has at most so many bits, otherwise one with so many that is not below it, or not above it.
    pub(super) fn rounded(self, bits: usize, up: bool) -> Self {
        let (sign, magnitude) = self.mantissa.clone().into_parts();
        let length = length(&magnitude);
        if length <= bits {
            return self;
        }
        let drop = length - bits;
        let mut kept = magnitude >> drop;
        // Something was dropped: the integer is odd.
        if up == (sign == Sign::Positive) {
            kept += UBig::ONE;
        }
        Self::new(IBig::from_parts(sign, kept), self.exponent + drop as i64)
    }
}

/// How many bits a number has.
pub(super) fn length(x: &UBig) -> usize {
    dashu_int::ops::BitTest::bit_len(x)
}

impl PartialOrd for Dyadic {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Dyadic {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.sign().cmp(&other.sign());
        if signs != Ordering::Equal || self.is_zero() {
            return signs;
        }
        self.minus(other).sign()
    }
}

/// A sum that is being added up.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    mantissa: IBig,
    exponent: i64,
}

impl Sum {
    pub(super) fn add(&mut self, term: &Dyadic) {
        if !term.is_zero() {
            self.add_parts(term.mantissa.clone(), term.exponent);
        }
    }

    pub(super) fn add_product(&mut self, a: &Dyadic, b: &Dyadic) {
        if !a.is_zero() && !b.is_zero() {
            self.add_parts(&a.mantissa * &b.mantissa, a.exponent + b.exponent);
        }
    }

    fn add_parts(&mut self, mantissa: IBig, exponent: i64) {
        if self.mantissa == IBig::ZERO {
            (self.mantissa, self.exponent) = (mantissa, exponent);
        } else if exponent >= self.exponent {
            self.mantissa += mantissa << (exponent - self.exponent) as usize;
        } else {
            self.mantissa <<= (self.exponent - exponent) as usize;
            self.mantissa += mantissa;
            self.exponent = exponent;
        }
    }

    pub(super) fn total(self) -> Dyadic {
        Dyadic::new(self.mantissa, self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(x: f64) -> Dyadic {
        Dyadic::of(x).unwrap()
    }

    proptest! {
        #[test]
        fn small_integers_are_computed_as_integers(a in -4000i32..4000, b in -4000i32..4000, e in -300i32..300) {
            let scale = 2f64.powi(e);
            let (x, y) = (of(f64::from(a) * scale), of(f64::from(b) * scale));
            prop_assert_eq!(x.plus(&y), of(f64::from(a + b) * scale));
            prop_assert_eq!(x.minus(&y), of(f64::from(a - b) * scale));
            prop_assert_eq!(x.times(&y), of(f64::from(a * b) * scale * scale));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.absolute(), of(f64::from(a.abs()) * scale));
        }

        #[test]
        fn rounding_errs_on_its_side(a in any::<i64>(), bits in 1usize..20) {
            let x = Dyadic::new(a.into(), -7);
            let (low, high) = (x.clone().rounded(bits, false), x.clone().rounded(bits, true));
            prop_assert!(low <= x && x <= high);
            prop_assert!(length(&low.magnitude()) <= bits && length(&high.magnitude()) <= bits);
        }
    }

    #[test]
    fn floats_are_what_they_are() {
        assert_eq!(of(5e-324), Dyadic::new(1.into(), -1074));
        assert_eq!(of(-f64::MAX), Dyadic::new((1 - (1i64 << 53)).into(), 971));
        assert_eq!(of(-0.0), Dyadic::ZERO);
        assert!(Dyadic::of(f64::INFINITY).is_none());
    }
}
