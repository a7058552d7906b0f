//! Functions of each number of a slice, shared among the threads where there are many.

use pulp::Arch;
use rayon::prelude::*;

use crate::product::Real;

/// Numbers that a thread is given at a time: fewer are not worth a second thread.
pub(crate) const CHUNK: usize = 1 << 15;

/// Numbers that are made at a time.
const BLOCK: usize = 256;

/// A function of each number, in vectors as wide as the processor's; `zero` is any result.
///
/// ```
/// assert_eq!(loclin_tensor::elementwise::each(&[1.0, -2.0], 0.0, |x: f64| 2.0 * x), [2.0, -4.0]);
/// ```
pub fn each<T: Real, U: Copy + Send + Sync>(
    values: &[T],
    zero: U,
    one: impl Fn(T) -> U + Sync,
) -> Vec<U> {
    each_pair([values, values], zero, |value, _| one(value))
}

/// A function of each pair of numbers of two slices of one length; `zero` is any result.
pub fn each_pair<T: Real, U: Copy + Send + Sync>(
    [a, b]: [&[T]; 2],
    zero: U,
    one: impl Fn(T, T) -> U + Sync,
) -> Vec<U> {
    let (a_blocks, a_rest) = a.as_chunks::<BLOCK>();
    let (b_blocks, b_rest) = b.as_chunks::<BLOCK>();
    let block = |(a, b): (&[T; BLOCK], &[T; BLOCK])| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let mut results = [zero; BLOCK];
                for (result, (a, b)) in results.iter_mut().zip(a.iter().zip(b)) {
                    *result = one(*a, *b);
                }
                results
            },
        )
    };
    // Room for the rest, too. No number is written twice: a pass of zeros would take as long as the function.
    let mut results = Vec::with_capacity(a_blocks.len() + 1);
    match a_blocks.len() * BLOCK {
        0..=CHUNK => results.extend(a_blocks.iter().zip(b_blocks).map(block)),
        _ => a_blocks
            .par_iter()
            .zip(b_blocks)
            .with_min_len(CHUNK / BLOCK)
            .map(block)
            .collect_into_vec(&mut results),
    }
    let mut results = results.into_flattened();
    results.extend(a_rest.iter().zip(b_rest).map(|(a, b)| one(*a, *b)));
    results
}

/// `n` zeros, written by all threads where they are many.
pub(crate) fn zeros<T: Real>(n: usize) -> Vec<T> {
    if n <= CHUNK {
        return vec![T::zero(); n];
    }
    let mut zeros = Vec::with_capacity(n.div_ceil(BLOCK));
    (0..n / BLOCK)
        .into_par_iter()
        .with_min_len(CHUNK / BLOCK)
        .map(|_| [T::zero(); BLOCK])
        .collect_into_vec(&mut zeros);
    let mut zeros = zeros.into_flattened();
    zeros.resize(n, T::zero());
    zeros
}
