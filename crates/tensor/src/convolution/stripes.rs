//! The gradient of a convolution in its weight where there are output channels enough to fill vectors: what each entry of the kernel reads
//! at a position, times the cotangents of as many channels as a vector holds, summed over all positions.
//!
//! No vector is read across two lines of the cache, and none is summed up at the end.

use std::array::from_fn;

use pulp::{Arch, Simd, WithSimd};

use super::lanes::Lanes;
use super::planes::WIDEST;

/// Positions for which what an entry reads is looked up at once.
pub(super) const STEP: usize = 4;

/// How many numbers of a type a vector holds on this processor.
pub(super) fn lanes<T: Lanes>() -> usize {
    struct Count<T>(std::marker::PhantomData<T>);
    impl<T: Lanes> WithSimd for Count<T> {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            T::count::<S>()
        }
    }
    Arch::new().dispatch(Count::<T>(std::marker::PhantomData))
}

/// Sums over the positions of some images, for each pair of an output channel and an entry.
pub(super) struct Stripes<'a, T> {
    /// The padded planes of the images, one image after another.
    pub(super) planes: &'a [T],
    /// From image to image of `planes`.
    pub(super) image: usize,
    /// Where each entry is read for the first position.
    pub(super) offsets: &'a [usize],
    /// The cotangents `[images, stripes, span, lanes]`: of as many channels as a vector holds, with the rows of the planes; zero where no
    /// position is.
    pub(super) cotangents: &'a [T],
    pub(super) outputs: usize,
    pub(super) images: usize,
    /// Numbers from the first position to the last, up to a multiple of [`STEP`].
    pub(super) span: usize,
    /// `[outputs, entries]`.
    pub(super) sums: &'a mut [T],
}

impl<T: Lanes> Stripes<'_, T> {
    /// Adds them to `sums`, in a fixed order of terms.
    pub(super) fn add(self) {
        Arch::new().dispatch(self);
    }
}

impl<T: Lanes> WithSimd for Stripes<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let count = self.outputs.div_ceil(T::count::<S>());
        for first in (0..count).step_by(2) {
            // As many sums as registers, but for those of the numbers read.
            match (S::REGISTER_COUNT, count - first) {
                (32.., 1) => self.entries::<S, 1, 12, 6>(simd, first),
                (32.., _) => self.entries::<S, 2, 8, 4>(simd, first),
                (_, 1) => self.entries::<S, 1, 8, 4>(simd, first),
                _ => self.entries::<S, 2, 4, 2>(simd, first),
            }
        }
    }
}

impl<T: Lanes> Stripes<'_, T> {
    /// All entries with `V` stripes, `E` together, at last `H` where they are as few.
    #[inline(always)]
    fn entries<S: Simd, const V: usize, const E: usize, const H: usize>(
        &mut self,
        simd: S,
        first: usize,
    ) {
        let mut entry = 0;
        while entry < self.offsets.len() {
            match self.offsets.len() - entry <= H {
                true => self.block::<S, V, H>(simd, first, entry),
                false => self.block::<S, V, E>(simd, first, entry),
            }
            entry += E;
        }
    }

    /// `V` stripes and `E` entries; beyond the last entry, the last again, and not kept.
    #[inline(always)]
    fn block<S: Simd, const V: usize, const E: usize>(
        &mut self,
        simd: S,
        first_stripe: usize,
        first_entry: usize,
    ) {
        let lanes = T::count::<S>();
        let stripe = self.span * lanes;
        let stripes = self.outputs.div_ceil(lanes);
        let entries = self.offsets.len();
        let offsets: [usize; E] =
            from_fn(|number| self.offsets[(first_entry + number).min(entries - 1)]);
        let mut sums = [[T::splat(simd, T::zero()); E]; V];
        let count = self.span / STEP;
        for image in 0..self.images {
            let planes = &self.planes[image * self.image..];
            let cotangents = &self.cotangents[image * stripes * stripe..];
            // Slices of known length: no number of the loop below is checked.
            let numbers: [&[[T; STEP]]; E] =
                from_fn(|number| &planes[offsets[number]..].as_chunks().0[..count]);
            let cotangents: [&[[T::Vector<S>; STEP]]; V] = from_fn(|number| {
                let own = &cotangents[(first_stripe + number) * stripe..][..stripe];
                &T::vectors::<S>(own).as_chunks().0[..count]
            });
            for position in 0..count {
                let cotangents: [[T::Vector<S>; STEP]; V] =
                    from_fn(|number| cotangents[number][position]);
                for entry in 0..E {
                    let numbers = &numbers[entry][position];
                    for (step, number) in numbers.iter().enumerate() {
                        let number = T::splat(simd, *number);
                        for (sums, cotangents) in sums.iter_mut().zip(&cotangents) {
                            let sum = &mut sums[entry];
                            *sum = T::multiply_add(simd, number, cotangents[step], *sum);
                        }
                    }
                }
            }
        }
        let mut channels = [T::zero(); WIDEST];
        for (stripe, sums) in sums.into_iter().enumerate() {
            let first = (first_stripe + stripe) * lanes;
            let kept = lanes.min(self.outputs.saturating_sub(first));
            for (entry, sum) in sums.into_iter().enumerate() {
                let entry = first_entry + entry;
                if entry < entries {
                    T::store(sum, &mut channels);
                    for (channel, sum) in channels[..kept].iter().enumerate() {
                        self.sums[(first + channel) * entries + entry] += *sum;
                    }
                }
            }
        }
    }
}
