//! Vectors of numbers, as wide as the processor has them; chosen at run time by `pulp`, which `gemm` uses too.

use pulp::Simd;

use crate::product::Real;

/// A number type with vectors.
pub(super) trait Lanes: Real {
    /// A vector of them.
    type Vector<S: Simd>: Copy;

    /// How many numbers a vector holds.
    fn count<S: Simd>() -> usize;

    /// A vector of one number.
    fn splat<S: Simd>(simd: S, number: Self) -> Self::Vector<S>;

    /// The numbers of `from` as vectors, but for those that fill no vector.
    fn vectors<S: Simd>(from: &[Self]) -> &[Self::Vector<S>];

    /// The first numbers of `from`, which has as many.
    fn load<S: Simd>(from: &[Self]) -> Self::Vector<S>;

    /// Writes a vector to the beginning of `to`, which has room for it.
    fn store<S: Simd>(vector: Self::Vector<S>, to: &mut [Self]);

    /// `a * b + c`, with one rounding where the processor can do that.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;

    /// The sum of a vector's numbers.
    fn sum<S: Simd>(simd: S, vector: Self::Vector<S>) -> Self;
}

macro_rules! lanes {
    ($real:ty, $vector:ident, $count:ident, $splat:ident, $read:ident, $write:ident, $fused:ident, $sum:ident) => {
        impl Lanes for $real {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn count<S: Simd>() -> usize {
                S::$count
            }

            #[inline(always)]
            fn splat<S: Simd>(simd: S, number: Self) -> S::$vector {
                simd.$splat(number)
            }

            #[inline(always)]
            fn vectors<S: Simd>(from: &[Self]) -> &[S::$vector] {
                S::$read(from).0
            }

            #[inline(always)]
            fn load<S: Simd>(from: &[Self]) -> S::$vector {
                S::$read(from).0[0]
            }

            #[inline(always)]
            fn store<S: Simd>(vector: S::$vector, to: &mut [Self]) {
                S::$write(to).0[0] = vector;
            }

            #[inline(always)]
            fn multiply_add<S: Simd>(
                simd: S,
                a: S::$vector,
                b: S::$vector,
                c: S::$vector,
            ) -> S::$vector {
                simd.$fused(a, b, c)
            }

            #[inline(always)]
            fn sum<S: Simd>(simd: S, vector: S::$vector) -> Self {
                simd.$sum(vector)
            }
        }
    };
}

lanes!(
    f32,
    f32s,
    F32_LANES,
    splat_f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    mul_add_e_f32s,
    reduce_sum_f32s
);
lanes!(
    f64,
    f64s,
    F64_LANES,
    splat_f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    mul_add_e_f64s,
    reduce_sum_f64s
);
