//! What floating point can have lost, and arithmetic that errs on a side of one's choice.
//!
//! A computed number is the exact one but for rounding. What is proved of a network rests on numbers that are certainly
//! not too small, or not too large: this module is the one place that makes them. The model (IEEE 754, rounding to
//! nearest, gradual underflow): an operation on numbers of a type with unit roundoff `u` and smallest positive number
//! `eta` has a relative error of at most `u`, or an absolute one of at most `eta / 2`. Hence a sum of `n` products, in
//! any order, with or without fused multiply-adds, is off by at most `n u` times the sum of the products' absolute
//! values (Jeannerod and Rump 2013: no restriction on `n`), plus `n eta` for what underflows.
//!
//! Numbers that are not finite bound nothing: functions of an upper bound return infinity for them, functions of a
//! lower bound 0 or less.

use candle_core::DType;

/// The unit roundoff of float64, `2^-53`.
pub const UNIT: f64 = f64::EPSILON / 2.0;

/// The smallest positive number of float64, `2^-1074`.
pub const SMALLEST: f64 = f64::from_bits(1);

/// The unit roundoff of a type of numbers; float64's for those that are not floating-point.
///
/// ```
/// use candle_core::DType;
/// use loclin_tensor::rounding::unit;
/// assert_eq!(unit(DType::F32), 2f64.powi(-24));
/// assert_eq!(unit(DType::F64), 2f64.powi(-53));
/// ```
pub fn unit(dtype: DType) -> f64 {
    match dtype {
        DType::F32 => 2f64.powi(-24),
        DType::F16 => 2f64.powi(-11),
        DType::BF16 => 2f64.powi(-8),
        _ => UNIT,
    }
}

/// The smallest normal and the largest number of a type; those of float64 for types that are not floating-point. What is smaller
/// than the first may be flushed to 0, what is larger than the second overflows.
///
/// ```
/// use candle_core::DType;
/// use loclin_tensor::rounding::range;
/// assert_eq!(range(DType::F32), (f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX)));
/// ```
pub fn range(dtype: DType) -> (f64, f64) {
    match dtype {
        DType::F32 => (f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX)),
        DType::F16 => (2f64.powi(-14), 65504.0),
        DType::BF16 => (2f64.powi(-126), (2.0 - 2f64.powi(-7)) * 2f64.powi(127)),
        _ => (f64::MIN_POSITIVE, f64::MAX),
    }
}

/// At least the relative error of `n` roundings of float64 in a row: `(1 + u)^n - 1`; infinity from `2^51` on.
pub fn relative(n: usize) -> f64 {
    relative_in(n, DType::F64)
}

/// [`relative`] for another type of numbers.
pub fn relative_in(n: usize, dtype: DType) -> f64 {
    let product = n as f64 * unit(dtype);
    // (1 + u)^n - 1 <= n u / (1 - n u); four roundings here.
    if product < 0.25 {
        (product / (1.0 - product)) * (1.0 + 8.0 * UNIT)
    } else {
        f64::INFINITY
    }
}

/// A number that is at least the exact value of an expression whose computed value is `x`, with one rounding.
pub fn up(x: f64) -> f64 {
    if x.is_nan() {
        f64::INFINITY
    } else {
        x.next_up()
    }
}

/// A number that is at most the exact value of an expression whose computed value is `x`, with one rounding.
pub fn down(x: f64) -> f64 {
    if x.is_nan() {
        f64::NEG_INFINITY
    } else {
        x.next_down()
    }
}

/// At least the exact value of a non-negative expression whose computed value is `x`, with `n` roundings of sums,
/// products, quotients and square roots of non-negative numbers, of which `n` can have underflowed.
pub fn up_by(x: f64, n: usize) -> f64 {
    if x.is_nan() {
        return f64::INFINITY;
    }
    up(up(x * up(1.0 + relative(n))) + n as f64 * SMALLEST)
}

/// At least the product of upper bounds, exactly 0 where one of them is.
///
/// ```
/// use loclin_tensor::rounding::product_up;
/// assert!(product_up(&[0.1, 0.1]) > 0.1 * 0.1);
/// assert_eq!(product_up(&[0.1, 0.0]), 0.0);
/// assert!(product_up(&[1e-200, 1e-200]) > 0.0);
/// ```
pub fn product_up(factors: &[f64]) -> f64 {
    if factors.contains(&0.0) {
        return 0.0;
    }
    // A small factor after a large one, and the other way round: nothing underflows or overflows in between that the product
    // does not.
    let mut small = factors.iter().filter(|factor| **factor < 1.0);
    let mut large = factors
        .iter()
        .filter(|factor| **factor >= 1.0 || factor.is_nan());
    let mut product: f64 = 1.0;
    loop {
        let next = match product < 1.0 {
            true => large.next().or_else(|| small.next()),
            false => small.next().or_else(|| large.next()),
        };
        match next {
            Some(factor) => product = up(product * factor),
            None => return product,
        }
    }
}

/// The larger of two upper bounds; infinity where one of them is not a number, and so bounds nothing.
///
/// ```
/// use loclin_tensor::rounding::max_up;
/// assert_eq!([-1.0, 2.0].into_iter().fold(f64::NEG_INFINITY, max_up), 2.0);
/// assert_eq!([f64::NAN, 2.0].into_iter().fold(f64::NEG_INFINITY, max_up), f64::INFINITY);
/// ```
pub fn max_up(a: f64, b: f64) -> f64 {
    match a.is_nan() || b.is_nan() {
        true => f64::INFINITY,
        false => a.max(b),
    }
}

/// At most the quotient of a lower bound of the dividend by an upper bound of the divisor, both non-negative: 0 where
/// the dividend is not positive, infinity where the divisor is 0 and the dividend positive.
///
/// ```
/// use loclin_tensor::rounding::quotient_down;
/// assert!(quotient_down(1.0, 3.0) < 1.0 / 3.0);
/// assert_eq!(quotient_down(1.0, 0.0), f64::INFINITY);
/// assert_eq!(quotient_down(-1.0, 0.0), 0.0);
/// assert_eq!(quotient_down(1.0, f64::NAN), 0.0);
/// ```
pub fn quotient_down(dividend: f64, divisor: f64) -> f64 {
    if dividend.is_nan() || dividend <= 0.0 || divisor.is_nan() {
        0.0
    } else if divisor == 0.0 {
        f64::INFINITY
    } else {
        down(dividend / divisor).max(0.0)
    }
}

/// At least the quotient of an upper bound of the dividend by a lower bound of the divisor, both non-negative; infinity
/// where the divisor is not positive.
pub fn quotient_up(dividend: f64, divisor: f64) -> f64 {
    if dividend.is_nan() || divisor.is_nan() || divisor <= 0.0 {
        f64::INFINITY
    } else {
        up(dividend / divisor)
    }
}

/// Whether an error of at most so much leaves open which side of 0 a value is on.
pub fn leaves_undecided(z: f64, error: f64) -> bool {
    error != 0.0 && z.abs() <= error
}

/// At most the distance to 0 of the exact number, given a computed one and a bound of its error: `|z| - error` rounded down;
/// not positive where the side of 0 is undecided.
pub fn clear_of_zero(z: f64, error: f64) -> f64 {
    down(z.abs() - error)
}

/// At least the Euclidean length of a vector, whatever its numbers: no square vanishes or overflows.
pub fn length_up(vector: &[f64]) -> f64 {
    let largest = largest(vector);
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    // A power of two, so that scaling is exact but for numbers that are nothing beside the largest.
    let scale = power_of_two(largest);
    let sum: f64 = vector.iter().map(|v| (v / scale) * (v / scale)).sum();
    // The last product rounds where it is below the normal numbers.
    up(up_by(up_by(sum, vector.len() + 4).sqrt(), 2) * scale)
}

/// At most the Euclidean length of a vector.
pub fn length_down(vector: &[f64]) -> f64 {
    let largest = largest(vector);
    if largest == 0.0 || !largest.is_finite() {
        return 0.0;
    }
    let scale = power_of_two(largest);
    let sum: f64 = vector.iter().map(|v| (v / scale) * (v / scale)).sum();
    let rounding = relative(vector.len() + 8);
    let length = down((sum * (1.0 - rounding)).max(0.0).sqrt() * (1.0 - 4.0 * UNIT));
    down(length * scale).max(0.0)
}

/// At least the sum of absolute values.
pub fn sum_up(vector: &[f64]) -> f64 {
    // Sums do not underflow.
    if vector.iter().all(|v| *v == 0.0) {
        return 0.0;
    }
    up_by(vector.iter().map(|v| v.abs()).sum(), vector.len())
}

/// At most the sum of absolute values.
pub fn sum_down(vector: &[f64]) -> f64 {
    let sum: f64 = vector.iter().map(|v| v.abs()).sum();
    if sum.is_finite() {
        down(sum * (1.0 - relative(vector.len() + 2))).max(0.0)
    } else {
        0.0
    }
}

/// The largest absolute value; infinity if one is not a number.
pub fn largest(vector: &[f64]) -> f64 {
    vector.iter().fold(0.0, |most: f64, v| {
        if v.is_nan() {
            f64::INFINITY
        } else {
            most.max(v.abs())
        }
    })
}

/// The power of two at or below a positive finite number, at least the smallest whose reciprocal is finite.
pub fn power_of_two(x: f64) -> f64 {
    let exponent = (x.to_bits() >> 52) as i32 - 1023;
    2f64.powi(exponent.clamp(-1020, 1023))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers of all sizes, 0 and the smallest among them.
    fn numbers() -> impl Strategy<Value = Vec<f64>> {
        let size = prop_oneof![-1074i32..1000, -30i32..30];
        let number = (size, -1.0f64..1.0).prop_map(|(e, m)| m * 2f64.powi(e));
        prop::collection::vec(prop_oneof![number, Just(0.0)], 0..12)
    }

    /// The square of a number as a sum of two (exact where nothing underflows), for sums in twice the precision.
    fn square(x: f64) -> [f64; 2] {
        let high = x * x;
        [high, x.mul_add(x, -high)]
    }

    proptest! {
        #[test]
        fn lengths_are_between_their_bounds_and_near(vector in numbers()) {
            let (low, high) = (length_down(&vector), length_up(&vector));
            prop_assert!(low <= high);
            let largest = largest(&vector);
            prop_assert!(low <= high && high >= largest);
            if largest > 1e-140 && largest < 1e140 {
                // Twice the precision, relative to the largest: what is lost is far below the bounds' own slack.
                let parts: Vec<f64> = vector.iter().flat_map(|v| square(v / largest)).collect();
                let (mut sum, mut rest) = (0.0f64, 0.0f64);
                for part in parts {
                    let next = sum + part;
                    let back = next - sum;
                    rest += (sum - (next - back)) + (part - back);
                    sum = next;
                }
                let length = (sum + rest).sqrt() * largest;
                prop_assert!(low <= length * (1.0 + 4.0 * UNIT) && length <= high * (1.0 + 4.0 * UNIT));
                prop_assert!(high <= length * (1.0 + 1e-14) && low >= length * (1.0 - 1e-14));
            }
        }

        #[test]
        fn sums_and_quotients_are_on_their_side(vector in numbers(), z in -1.0f64..1.0, n in 1usize..9) {
            prop_assert!(sum_down(&vector) <= sum_up(&vector));
            let third = quotient_down(z.abs(), n as f64);
            // Multiplying back is exact with a fused multiply-add: the remainder has the right sign.
            prop_assert!(third.mul_add(n as f64, -z.abs()) <= 0.0);
            let more = quotient_up(z.abs(), n as f64);
            prop_assert!(more.mul_add(n as f64, -z.abs()) >= 0.0);
        }
    }

    #[test]
    fn nothing_that_is_not_finite_bounds_anything() {
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(length_up(&[1.0, bad]), f64::INFINITY);
            assert_eq!(length_down(&[1.0, bad]), 0.0);
            assert_eq!(sum_up(&[1.0, bad]), f64::INFINITY);
            assert_eq!(sum_down(&[1.0, bad]), 0.0);
            assert_eq!(up_by(bad, 3), f64::INFINITY);
            assert_eq!(quotient_down(1.0, bad), 0.0);
        }
        assert_eq!(quotient_up(1.0, 0.0), f64::INFINITY);
        assert_eq!(relative(usize::MAX), f64::INFINITY);
        assert!(clear_of_zero(1.0, 1.0) < 0.0);
    }

    #[test]
    fn products_of_upper_bounds_are_upper_bounds() {
        for factors in [
            [1e-200, 1e-200, 1e300],
            [1e-200, 1e300, 1e-200],
            [1e300, 1e-200, 1e-200],
        ] {
            let product = product_up(&factors);
            assert!((1e-100..1.1e-100).contains(&product), "{product:e}");
        }
        let product = product_up(&[1e200, 1e200, 1e-300]);
        assert!((1e100..1.1e100).contains(&product), "{product:e}");
        // Exactly 2^-1075 and 2^-1076, which no float is.
        assert!(product_up(&[SMALLEST, 0.5]) >= SMALLEST);
        assert!(product_up(&[SMALLEST, 0.25]) >= SMALLEST);
        assert_eq!(product_up(&[1e300, 1e300]), f64::INFINITY);
        assert_eq!(product_up(&[1.0, f64::NAN]), f64::INFINITY);
    }

    #[test]
    fn lengths_below_the_normal_numbers_are_between_their_bounds() {
        // In units of the smallest: sqrt(2), sqrt(3), sqrt(29).
        for (vector, square) in [
            (vec![SMALLEST; 2], 2.0),
            (vec![SMALLEST; 3], 3.0),
            (vec![2.0 * SMALLEST, 5.0 * SMALLEST], 29.0),
        ] {
            let units = |length: f64| length.to_bits() as f64;
            let (low, high) = (units(length_down(&vector)), units(length_up(&vector)));
            assert!(
                low * low <= square && square <= high * high,
                "{low} {high} for the root of {square}"
            );
        }
    }

    #[test]
    fn squares_that_vanish_or_overflow_have_lengths() {
        for size in [SMALLEST, 1e-300, 1e-200, 1e200, 1e300] {
            let (low, high) = (length_down(&[size; 4]), length_up(&[size; 4]));
            assert!(
                low <= 2.0 * size && 2.0 * size <= high,
                "{size}: {low} {high}"
            );
            assert!(
                size < 1e-310 || high <= 2.0 * size * (1.0 + 1e-14),
                "{size}: {high}"
            );
        }
    }
}
