//! A rectangle of an image's positions.

use candle_core::{Result, Tensor};

/// Rows `first[0] .. first[0] + size[0]` and columns `first[1] .. first[1] + size[1]` of an image `[channels, height, width]`:
/// the positions that a gradient has reached on its way back, all others being 0.
///
/// ```
/// use loclin_models::Patch;
///
/// let both = Patch { first: [2, 3], size: [1, 1] }.union(&Patch { first: [1, 3], size: [1, 2] });
/// assert_eq!(both, Patch { first: [1, 3], size: [2, 2] });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patch {
    /// The first row and column.
    pub first: [usize; 2],
    /// How many of them, at least 1.
    pub size: [usize; 2],
}

impl Patch {
    /// The smallest one that holds both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let axis = |axis: usize| {
            let end = |patch: &Self| patch.first[axis] + patch.size[axis];
            let first = self.first[axis].min(other.first[axis]);
            (first, end(self).max(end(other)) - first)
        };
        let ((row, height), (column, width)) = (axis(0), axis(1));
        Self {
            first: [row, column],
            size: [height, width],
        }
    }

    /// Its part of images `[.., height, width]`, which have all its positions.
    ///
    /// # Errors
    /// Smaller images.
    pub fn of(&self, images: &Tensor) -> Result<Tensor> {
        let rank = images.rank();
        images
            .narrow(rank.saturating_sub(2), self.first[0], self.size[0])?
            .narrow(rank - 1, self.first[1], self.size[1])
    }

    /// Images `[.., height, width]` of what they are here, zeros elsewhere.
    ///
    /// # Errors
    /// An image that it does not fit in.
    pub fn within(&self, part: &Tensor, [height, width]: [usize; 2]) -> Result<Tensor> {
        let rank = part.rank();
        let after = |axis: usize, n: usize| n.saturating_sub(self.first[axis] + self.size[axis]);
        let rows = part.pad_with_zeros(rank.saturating_sub(2), self.first[0], after(0, height))?;
        rows.pad_with_zeros(rank - 1, self.first[1], after(1, width))
    }

    /// What is here of `part`, which is of a patch inside this one, with zeros elsewhere.
    pub(crate) fn widened(&self, part: &Tensor, inside: &Self) -> Result<Tensor> {
        let moved = Self {
            first: [0, 1].map(|axis| inside.first[axis] - self.first[axis]),
            size: inside.size,
        };
        match inside == self {
            true => Ok(part.clone()),
            false => moved.within(part, self.size),
        }
    }
}
