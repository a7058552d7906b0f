//! Which channels of an image count at each of its positions.

use crate::product::Real;

/// Which channels count at each position.
#[derive(Debug, Clone)]
pub(super) struct Channels {
    /// Where those of each position begin, and where the last end.
    starts: Vec<usize>,
    all: Vec<u32>,
}

impl Channels {
    /// Those for which `counts` is true, given a position and a channel.
    pub(super) fn of(
        positions: usize,
        channels: usize,
        counts: impl Fn(usize, usize) -> bool,
    ) -> Self {
        let (mut starts, mut all) = (vec![0], Vec::new());
        for position in 0..positions {
            let own = (0..channels).filter(|channel| counts(position, *channel));
            all.extend(own.map(|channel| channel as u32));
            starts.push(all.len());
        }
        Self { starts, all }
    }

    /// Those that are not 0 in all of some rows `[rows, channels, positions]`.
    pub(super) fn nonzero<T: Real>(z: &[T], positions: usize, channels: usize) -> Self {
        let mut any = vec![false; channels * positions];
        for row in z.chunks_exact(any.len().max(1)) {
            let both = any.iter_mut().zip(row);
            both.for_each(|(any, v)| *any |= *v != T::zero());
        }
        Self::of(positions, channels, |position, channel| {
            any[channel * positions + position]
        })
    }

    /// Those of a position.
    pub(super) fn at(&self, position: usize) -> &[u32] {
        &self.all[self.starts[position]..self.starts[position + 1]]
    }

    /// How many there are at all positions together.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// How many there are before a position.
    pub(super) fn before(&self, position: usize) -> usize {
        self.starts[position]
    }
}
