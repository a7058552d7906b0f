//! Rational numbers.

use dashu_int::ops::{PowerOfTwo, SquareRoot};
use dashu_int::{IBig, UBig};
use dashu_ratio::{RBig, Relaxed};

/// A rational number. Common powers of two are always removed, other common factors where a sum is taken: almost
/// all denominators are powers of two.
pub type Rational = Relaxed;

/// Bits that an irrational square root is computed to, relative to its size.
const BITS: usize = 256;

/// The number that a float is; `None` for an infinity or NaN.
pub fn exact(value: f64) -> Option<Rational> {
    Relaxed::try_from(value).ok()
}

/// A float next to a number: the nearest or one beside it; infinite where the number is beyond all floats.
pub fn nearest(value: &Rational) -> f64 {
    value.clone().canonicalize().to_f64().value()
}

/// The sum of products, in lowest terms.
pub(super) fn sum<'a>(
    start: &Rational,
    terms: impl Iterator<Item = (&'a Rational, &'a Rational)>,
) -> Rational {
    reduced(terms.fold(start.clone(), |sum, (a, b)| sum + a * b))
}

/// The number in lowest terms.
pub(super) fn reduced(value: Rational) -> Rational {
    if value.denominator().is_power_of_two() {
        return value;
    }
    value.canonicalize().relax()
}

/// The absolute value.
pub(super) fn absolute(value: &Rational) -> Rational {
    if *value < Rational::ZERO {
        -value.clone()
    } else {
        value.clone()
    }
}

/// The square root of a positive number, and whether that is exact. If it is not, the result is too small by less
/// than 2^-256 of it.
pub(super) fn square_root(value: &Rational) -> (Rational, bool) {
    let (numerator, denominator) = value.clone().canonicalize().into_parts();
    let numerator = UBig::try_from(numerator).unwrap_or_default();
    let (a, b) = (numerator.sqrt(), denominator.sqrt());
    if &a * &a == numerator && &b * &b == denominator {
        return (RBig::from_parts(IBig::from(a), b).relax(), true);
    }
    // sqrt(n / d) = sqrt(n d) / d, with n d shifted until its root has bits enough.
    let product = (&numerator * &denominator) << (2 * BITS);
    let root = RBig::from_parts(IBig::from(product.sqrt()), denominator << BITS);
    (root.relax(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fraction(a: i32, b: u32) -> Rational {
        Relaxed::from_parts(a.into(), b.into())
    }

    #[test]
    fn floats_are_what_they_are() {
        assert_eq!(exact(0.375), Some(fraction(3, 8)));
        assert_ne!(exact(0.1), Some(fraction(1, 10)));
        assert_eq!(exact(f64::INFINITY), None);
        assert_eq!(exact(f64::NAN), None);
        for v in [5e-324, -0.1, f64::MAX, f64::MIN_POSITIVE] {
            assert_eq!(exact(v).map(|v| nearest(&v)), Some(v));
        }
    }

    #[test]
    fn roots() {
        assert_eq!(square_root(&fraction(9, 16)), (fraction(3, 4), true));
        let (root, exact) = square_root(&fraction(2, 1));
        assert!(!exact);
        let short = fraction(2, 1) - &root * &root;
        assert!(short > Rational::ZERO && nearest(&short) < 1e-76);
    }

    #[test]
    fn sums_are_in_lowest_terms() {
        let third = fraction(1, 3);
        let one = fraction(1, 1);
        let total = sum(&Rational::ZERO, [(&third, &one); 3].into_iter());
        assert_eq!(total.denominator(), &UBig::ONE);
    }
}
