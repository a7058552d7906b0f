//! Slopes that an input's numbers are multiplied with on the way into a convolution.

use pulp::Arch;

use crate::product::Real;

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
        let [below, above] = self.slopes;
        let slope = |at: T| {
            if at >= self.breakpoint { above } else { below }
        };
        if step == 1 {
            for (to, (from, at)) in to.iter_mut().zip(from.iter().zip(self.at)) {
                *to = *from * slope(*at);
            }
            return;
        }
        let pairs = from.iter().zip(self.at).step_by(step);
        for (to, (from, at)) in to.iter_mut().zip(pairs) {
            *to = *from * slope(*at);
        }
    }

    /// Multiplies every number with its slope.
    pub(super) fn scale(self, numbers: &mut [T]) {
        let [below, above] = self.slopes;
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (number, at) in numbers.iter_mut().zip(self.at) {
                    *number = *number * if *at >= self.breakpoint { above } else { below };
                }
            },
        );
    }
}
