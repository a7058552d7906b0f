//! The gradient of a convolution in its weight: products of an output's cotangent with what each entry of the kernel
//! reads, summed over all positions.

use pulp::{Arch, Simd, WithSimd};

use super::lanes::Lanes;

/// Sums over the positions of some images, for each pair of an output channel and an entry.
pub(super) struct Pairs<'a, T> {
    /// The padded planes of the images, one image after another.
    pub(super) planes: &'a [T],
    /// From image to image of `planes`.
    pub(super) image: usize,
    /// Where each entry is read for the first position.
    pub(super) offsets: &'a [usize],
    /// The cotangents, with the rows of the planes; zero where no position is.
    pub(super) cotangents: &'a [T],
    /// From channel to channel of the cotangents, and from image to image.
    pub(super) channel: usize,
    pub(super) outputs: usize,
    pub(super) images: usize,
    /// Numbers from the first position to the last.
    pub(super) span: usize,
    /// `[outputs, entries]`.
    pub(super) sums: &'a mut [T],
}

impl<T: Lanes> Pairs<'_, T> {
    /// Adds them to `sums`, in a fixed order of terms.
    pub(super) fn add(self) {
        Arch::new().dispatch(self);
    }
}

impl<T: Lanes> WithSimd for Pairs<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match S::REGISTER_COUNT {
            32.. => self.all::<S, 4, 6>(simd),
            _ => self.all::<S, 4, 2>(simd),
        }
    }
}

impl<T: Lanes> Pairs<'_, T> {
    #[inline(always)]
    fn all<S: Simd, const O: usize, const E: usize>(&mut self, simd: S) {
        let mut output = 0;
        while output < self.outputs {
            let mut entry = 0;
            while entry < self.offsets.len() {
                self.block::<S, O, E>(simd, output, entry);
                entry += E;
            }
            output += O;
        }
    }

    /// `O` output channels and `E` entries; beyond the last, the last again, and not kept.
    #[inline(always)]
    fn block<S: Simd, const O: usize, const E: usize>(
        &mut self,
        simd: S,
        first_output: usize,
        first_entry: usize,
    ) {
        let lanes = T::count::<S>();
        let mut channels = [0; O];
        for (number, channel) in channels.iter_mut().enumerate() {
            *channel = (first_output + number).min(self.outputs - 1) * self.channel;
        }
        let mut offsets = [0; E];
        for (number, offset) in offsets.iter_mut().enumerate() {
            *offset = self.offsets[(first_entry + number).min(self.offsets.len() - 1)];
        }
        let mut sums = [[T::splat(simd, T::zero()); E]; O];
        let count = self.span.div_ceil(lanes);
        for image in 0..self.images {
            let planes = &self.planes[image * self.image..];
            let cotangents = &self.cotangents[image * self.outputs * self.channel..];
            // Slices of known length: no number of the loop below is checked.
            let mut numbers = [&[][..]; E];
            for (numbers, offset) in numbers.iter_mut().zip(offsets) {
                *numbers = &T::vectors::<S>(&planes[offset..])[..count];
            }
            let mut cotangent = [&[][..]; O];
            for (cotangent, channel) in cotangent.iter_mut().zip(channels) {
                *cotangent = &T::vectors::<S>(&cotangents[channel..])[..count];
            }
            for position in 0..count {
                for (sums, cotangent) in sums.iter_mut().zip(cotangent) {
                    for (sum, numbers) in sums.iter_mut().zip(numbers) {
                        *sum = T::multiply_add(simd, cotangent[position], numbers[position], *sum);
                    }
                }
            }
        }
        let entries = self.offsets.len();
        for (output, sums) in sums.into_iter().enumerate() {
            for (entry, sum) in sums.into_iter().enumerate() {
                let (output, entry) = (first_output + output, first_entry + entry);
                if output < self.outputs && entry < entries {
                    self.sums[output * entries + entry] += T::sum(simd, sum);
                }
            }
        }
    }
}
