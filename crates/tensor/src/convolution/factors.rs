//! Slopes that an input's numbers are multiplied with on the way into a convolution.

use pulp::{Arch, Simd, WithSimd};

use crate::product::Real;

/// Numbers that are multiplied at once.
const BLOCK: usize = 8;

/// The slopes of a function of two pieces at given numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factors<'a, T> {
    /// The numbers: those of one input after another, of each once, however many operands have its slopes.
    pub(super) at: &'a [T],
    pub(super) breakpoint: T,
    /// Below and from the breakpoint on.
    pub(super) slopes: [T; 2],
}

impl<T: Real> Factors<'_, T> {
    /// Those of image `index` of `images`, which has `size` numbers; channels are in `groups` groups, counted as images.
    pub(super) fn of_image(self, index: usize, images: usize, groups: usize, size: usize) -> Self {
        let inputs = self.at.len() / size.max(1) / groups;
        let repeated = images / groups / inputs.max(1);
        let image = index / groups / repeated.max(1) * groups + index % groups;
        Self {
            at: &self.at[image * size..][..size],
            ..self
        }
    }

    /// Those of some of the numbers.
    #[inline(always)]
    pub(super) fn narrow(self, start: usize, count: usize) -> Self {
        Self {
            at: &self.at[start..start + count],
            ..self
        }
    }

    /// A number of `from`, each `step`-th, times its slope for each place of `to`.
    #[inline(always)]
    pub(super) fn times(self, from: &[T], step: usize, to: &mut [T]) {
        let Self { at, .. } = self;
        if step > 1 {
            let pairs = from.iter().zip(at).step_by(step);
            for (to, (from, at)) in to.iter_mut().zip(pairs) {
                *to = *from * self.slope(*at);
            }
            return;
        }
        let (blocks, rest) = to.as_chunks_mut::<BLOCK>();
        let whole = blocks.len() * BLOCK;
        let operands = from.as_chunks::<BLOCK>().0.iter().zip(at.as_chunks().0);
        for (to, (from, at)) in blocks.iter_mut().zip(operands) {
            *to = self.block(from, at);
        }
        let operands = from.iter().zip(at).skip(whole);
        for (to, (from, at)) in rest.iter_mut().zip(operands) {
            *to = *from * self.slope(*at);
        }
    }

    /// Multiplies every number with its slope.
    pub(super) fn scale(self, numbers: &mut [T]) {
        Arch::new().dispatch(Scaling(self, numbers));
    }

    #[inline(always)]
    fn slope(self, at: T) -> T {
        let [below, above] = self.slopes;
        if at >= self.breakpoint { above } else { below }
    }

    /// The products of a block, which a processor makes at once.
    #[inline(always)]
    fn block(self, from: &[T; BLOCK], at: &[T; BLOCK]) -> [T; BLOCK] {
        let mut products = [T::zero(); BLOCK];
        for (product, (from, at)) in products.iter_mut().zip(from.iter().zip(at)) {
            *product = *from * self.slope(*at);
        }
        products
    }
}

struct Scaling<'a, 'b, T>(Factors<'a, T>, &'b mut [T]);

impl<T: Real> WithSimd for Scaling<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self(factors, numbers) = self;
        let (blocks, rest) = numbers.as_chunks_mut::<BLOCK>();
        let whole = blocks.len() * BLOCK;
        for (numbers, at) in blocks.iter_mut().zip(factors.at.as_chunks().0) {
            *numbers = factors.block(numbers, at);
        }
        for (number, at) in rest.iter_mut().zip(factors.at.iter().skip(whole)) {
            *number = *number * factors.slope(*at);
        }
    }
}
