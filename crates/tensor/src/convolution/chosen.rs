//! The transpose of a patch where many numbers are 0, and many are asked for by nobody.
//!
//! Gradients of neurons of one input pass the same activations: behind those that are off all of them are 0, and what they become below
//! others that are off counts for nothing. With half of the channels off on both sides a quarter of the products is left. They are made
//! position by position, of the weights between the channels that count there.

use super::counting::Channels;
use super::patch_geometry::PatchGeometry;
use crate::product::{Real, View, ViewMut, Write, multiply};
use crate::{Error, Result};
use rayon::prelude::*;

/// Multiply-adds that copying a weight takes as long as.
const COPIED: f64 = 16.0;

/// What share of the products of all channels must be left to make it worth while.
const WORTH: f64 = 0.8;

/// A patch with the channels that count in it and in what it reaches.
pub(super) struct Chosen<'a> {
    pub(super) patch: &'a PatchGeometry,
    pub(super) taps: &'a [[usize; 2]],
    pub(super) from: &'a Channels,
    pub(super) to: &'a Channels,
}

impl Chosen<'_> {
    /// The entries of the kernel through which a position of the result meets one of the patch, each with the latter.
    fn met(&self, position: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let patch = self.patch;
        let place = [position / patch.to[1], position % patch.to[1]];
        let of_tap = move |tap: &[usize; 2]| {
            let along = |axis: usize| patch.position(axis, place[axis], tap[axis]);
            Some(along(0)? * patch.from[1] + along(1)?)
        };
        let taps = self.taps.iter().enumerate();
        taps.filter_map(move |(number, tap)| Some((number, of_tap(tap)?)))
    }

    /// Whether that takes less time than the products of all channels.
    pub(super) fn is_worth_while(&self) -> bool {
        let patch = self.patch;
        let positions = 0..patch.to[0] * patch.to[1];
        let products: usize = positions
            .map(|position| {
                let met = self.met(position).map(|(_, from)| self.from.at(from).len());
                met.sum::<usize>() * self.to.at(position).len()
            })
            .sum();
        let all = patch.from[0] * patch.from[1] * patch.outputs * self.taps.len() * patch.inputs;
        let rows = patch.rows as f64;
        products as f64 * (rows + COPIED) < WORTH * all as f64 * rows
    }

    /// The part of the input that rows `z` `[rows, outputs, positions]` reach, `[rows, inputs, positions]`, by weights
    /// `[outputs, taps, inputs]`; 0 where it is not asked for.
    pub(super) fn pull<T: Real>(&self, z: &[T], by_taps: &[T]) -> Result<Vec<T>> {
        let PatchGeometry {
            rows,
            inputs,
            outputs,
            ..
        } = *self.patch;
        let (positions, to) = (
            self.patch.from[0] * self.patch.from[1],
            self.patch.to[0] * self.patch.to[1],
        );
        // The numbers that count of each position side by side, `[channels, rows]`.
        let mut numbers = vec![T::zero(); self.from.count() * rows];
        let mut lines = numbers.chunks_exact_mut(rows.max(1));
        for position in 0..positions {
            for (channel, line) in self.from.at(position).iter().zip(&mut lines) {
                let first = *channel as usize * positions + position;
                let own = z[first..].iter().step_by(outputs * positions);
                line.iter_mut().zip(own).for_each(|(to, v)| *to = *v);
            }
        }
        let sums = (0..to).into_par_iter().map(|position| {
            let wanted = self.to.at(position);
            let mut sums = vec![T::zero(); wanted.len() * rows];
            let mut weights = Vec::new();
            for (tap, from) in self.met(position) {
                let own = self.from.at(from);
                if own.is_empty() || wanted.is_empty() {
                    continue;
                }
                weights.clear();
                for channel in own {
                    let first = (*channel as usize * self.taps.len() + tap) * inputs;
                    let line = &by_taps[first..][..inputs];
                    weights.extend(wanted.iter().map(|input| line[*input as usize]));
                }
                multiply(
                    ViewMut::new(&mut sums, wanted.len(), rows)?,
                    Write::Add,
                    1.0,
                    View::new(&weights, own.len(), wanted.len())?.t(),
                    View::new(&numbers[self.from.before(from) * rows..], own.len(), rows)?,
                )?;
            }
            Ok::<_, Error>(sums)
        });
        let sums = sums.collect::<Result<Vec<_>>>()?;
        let mut x = vec![T::zero(); rows * inputs * to];
        let images = x.par_chunks_mut((inputs * to).max(1)).enumerate();
        images.for_each(|(row, x)| {
            for (position, sums) in sums.iter().enumerate() {
                for (input, sums) in self.to.at(position).iter().zip(sums.chunks_exact(rows)) {
                    x[*input as usize * to + position] = sums[row];
                }
            }
        });
        Ok(x)
    }
}
