//! Quotients of exact numbers as floats.

use super::dyadic::{Dyadic, length};
use dashu_int::{
    UBig,
    ops::{DivRem, SquareRoot},
};

/// Bits of a quotient before it is rounded: more than twice those of a float, so that a root has enough.
const BITS: usize = 130;

/// Which float stands for a number that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The largest that is not above it.
    Down,
    /// The smallest that is not below it; infinity beyond all floats.
    Up,
}

/// A number as a float.
pub(super) fn float(x: &Dyadic, side: Side) -> f64 {
    if x.sign().is_lt() {
        let other = match side {
            Side::Down => Side::Up,
            Side::Up => Side::Down,
        };
        return -positive(x.magnitude(), x.exponent(), false, other);
    }
    positive(x.magnitude(), x.exponent(), false, side)
}

/// `a / b` of a number that is not negative and a positive one, or the square root of it.
pub(super) fn quotient(a: &Dyadic, b: &Dyadic, root: bool, side: Side) -> f64 {
    let (over, under) = (a.magnitude(), b.magnitude());
    let mut shift = (length(&under) + BITS).saturating_sub(length(&over));
    let exponent = a.exponent() - b.exponent();
    if root && (exponent - shift as i64) % 2 != 0 {
        shift += 1;
    }
    let (mut found, rest) = (over << shift).div_rem(under);
    let mut rounded = rest != UBig::ZERO;
    let mut exponent = exponent - shift as i64;
    if root {
        let square = found;
        found = square.sqrt();
        rounded |= &found * &found != square;
        exponent /= 2;
    }
    positive(found, exponent, rounded, side)
}

/// `x * 2^exponent`, or a little more where something was `rounded` away: less than 1 of `x`.
fn positive(x: UBig, exponent: i64, mut rounded: bool, side: Side) -> f64 {
    let up = side == Side::Up;
    if x == UBig::ZERO {
        // A quotient has bits enough, and so nothing of it is rounded away.
        return 0.0;
    }
    // The number is below 2^top.
    let top = length(&x) as i64 + exponent;
    if top > 1024 {
        return if up { f64::INFINITY } else { f64::MAX };
    }
    if top <= -1074 {
        return if up { f64::from_bits(1) } else { 0.0 };
    }
    // Subnormal numbers have fewer bits.
    let keep = (top + 1074).min(53) as usize;
    let drop = length(&x).saturating_sub(keep);
    let mut kept = u64::try_from(&x >> drop).unwrap_or(0);
    rounded |= (UBig::from(kept) << drop) != x;
    if up && rounded {
        kept += 1;
    }
    kept as f64 * power_of_two(exponent + drop as i64)
}

/// A power of two of a float's last bit.
fn power_of_two(exponent: i64) -> f64 {
    match exponent {
        -1022..=1023 => f64::from_bits(((exponent + 1023) as u64) << 52),
        -1074..-1022 => f64::from_bits(1 << (exponent + 1074)),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(x: f64) -> Dyadic {
        Dyadic::of(x).unwrap()
    }

    fn numbers() -> impl Strategy<Value = f64> {
        let size = prop_oneof![-1074i32..1000, -30i32..30];
        (size, 0.5f64..1.0).prop_map(|(e, m)| m * 2f64.powi(e))
    }

    proptest! {
        #[test]
        fn quotients_and_roots_are_between_neighbouring_floats(a in numbers(), b in numbers()) {
            prop_assume!(a > 0.0 && b > 0.0);
            let (a, b) = (of(a), of(b));
            for root in [false, true] {
                let [low, high] = [Side::Down, Side::Up].map(|side| quotient(&a, &b, root, side));
                prop_assert!(low == high || low.next_up() == high);
                // low^k b <= a <= high^k b, by exact products.
                let power = |x: f64| {
                    let x = of(x);
                    let x = if root { x.times(&x) } else { x };
                    x.times(&b)
                };
                prop_assert!(power(low) <= a);
                prop_assert!(high == f64::INFINITY || a <= power(high));
            }
        }

        #[test]
        fn floats_stay(x in numbers(), negative in any::<bool>()) {
            let x = if negative { -x } else { x };
            let [low, high] = [Side::Down, Side::Up].map(|side| float(&of(x), side));
            prop_assert_eq!((low, high), (x, x));
        }

        #[test]
        fn what_is_no_float_is_between_two(a in numbers(), b in numbers()) {
            let product = of(a).times(&of(b));
            prop_assume!(!product.is_zero());
            let [low, high] = [Side::Down, Side::Up].map(|side| float(&product, side));
            prop_assert!(low == high || low.next_up() == high);
            prop_assert!(of(low) <= product && (high == f64::INFINITY || product <= of(high)));
            let [down, up] = [Side::Down, Side::Up].map(|side| float(&product.negated(), side));
            prop_assert_eq!((down, up), (-high, -low));
        }
    }
}
