//! The maximum over groups of numbers, as max pooling and maxout need it.
//!
//! A group of `N` numbers selects its largest, the first of equal ones; the selection is its part of the pattern,
//! and the `N - 1` differences "selected minus other" are its neurons (App. E). Candle's own gradient of
//! max pooling is wrong, so every reading is made of gathers, whose gradients are right.

use crate::{operator::UnitPiece, record::ActivationRecord};
use candle_core::{DType, Device, Error, Result, Tensor};
use loclin_tensor::rounding::UNIT;

/// Which entries of a flat operand each unit of the output is the maximum of.
#[derive(Debug, Default)]
pub(super) struct Groups {
    members: Vec<u32>,
    /// Where each group starts in `members`; the last entry is the end of the last group.
    starts: Vec<u32>,
}

impl Groups {
    /// Groups of one or more entries, below 2^32 of them in all.
    pub(super) fn new(groups: impl Iterator<Item = Vec<u32>>) -> Self {
        let mut all = Self {
            members: Vec::new(),
            starts: vec![0],
        };
        for group in groups {
            all.members.extend(group);
            all.starts.push(all.members.len() as u32);
        }
        all
    }

    /// Start and length of each group.
    fn spans(&self) -> impl Iterator<Item = (u32, u32)> {
        self.starts.windows(2).map(|w| (w[0], w[1] - w[0]))
    }

    /// The entries of each group.
    pub(super) fn to_vec(&self) -> Vec<Vec<u32>> {
        let group = |(start, n): (u32, u32)| self.members[start as usize..][..n as usize].to_vec();
        self.spans().map(group).collect()
    }

    fn units(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The maxima, `[B, n]` to `[B, units]`.
    pub(super) fn value(&self, x: &Tensor) -> Result<Tensor> {
        let x = &x.contiguous()?;
        x.gather(&self.selected(&self.ranks(x)?)?, 1)
    }

    /// The selection at `x` `[B, n]`: indices of the selected entries, then those of the others.
    pub(super) fn record(&self, x: &Tensor) -> Result<ActivationRecord> {
        let x = &x.contiguous()?;
        let ranks = self.ranks(x)?;
        let selected = self.selected(&ranks)?;
        let others = self.others(&ranks)?;
        let owner = self.owners(x.device())?;
        let pre_activations =
            (x.gather(&selected.index_select(&owner, 1)?, 1)? - x.gather(&others, 1)?)?;
        self.recorded(pre_activations, ranks, [&selected, &others])
    }

    /// The record of the entries at `ranks` with the values of its neurons.
    fn recorded(
        &self,
        pre_activations: Tensor,
        ranks: Tensor,
        entries: [&Tensor; 2],
    ) -> Result<ActivationRecord> {
        let signs = pre_activations.detach().ones_like()?;
        let piece_count = self.spans().map(|(_, n)| n as usize).max().unwrap_or(1);
        let record = ActivationRecord::new(pre_activations, signs, ranks, piece_count)?;
        Ok(record.with_own(Tensor::cat(&entries, 1)?))
    }

    /// The record with other entries of some groups selected. The new differences are those of the recorded ones.
    pub(super) fn turned(
        &self,
        record: &ActivationRecord,
        units: &[UnitPiece],
    ) -> Result<ActivationRecord> {
        let z = record.pre_activations();
        let mut values = z.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        let mut ranks = record.pieces()?.to_vec2::<u32>()?;
        // A group of `n` entries has `n - 1` neurons.
        let spans: Vec<(usize, usize)> = self
            .spans()
            .zip(0..)
            .map(|((start, n), unit)| (start as usize - unit, n as usize))
            .collect();
        for UnitPiece { input, unit, piece } in units {
            let (Some((start, n)), Some(own), Some(ranks)) = (
                spans.get(*unit),
                values.get_mut(*input),
                ranks.get_mut(*input),
            ) else {
                return Err(Error::Msg(format!("a record without unit {unit}")));
            };
            let (was, new) = (ranks[*unit] as usize, *piece as usize);
            if new >= *n {
                return Err(Error::Msg(format!("unit {unit} has no piece {piece}")));
            }
            let own = &mut own[*start..start + n - 1];
            // The entry selected before less each entry.
            let mut less = own.to_vec();
            less.insert(was, 0.0);
            let selected = less.remove(new);
            for (value, other) in own.iter_mut().zip(less) {
                // The selected entry is the largest, whatever rounding made of it.
                *value = (other - selected).max(0.0);
            }
            ranks[*unit] = *piece;
        }
        let z = Tensor::new(values, z.device())?.to_dtype(z.dtype())?;
        let ranks = Tensor::new(ranks, z.device())?;
        let entries = [&self.selected(&ranks)?, &self.others(&ranks)?];
        self.recorded(z, ranks, entries)
    }

    /// Tangents `[b, K, n]` of the selected entries: `[B, K, units]`.
    pub(super) fn push(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor> {
        take(tangent, &record.own()?.narrow(1, 0, self.units())?)
    }

    /// The transpose of [`Groups::push`] to `n` entries.
    pub(super) fn pull(
        &self,
        cotangent: &Tensor,
        record: &ActivationRecord,
        n: usize,
    ) -> Result<Tensor> {
        give(cotangent, &record.own()?.narrow(1, 0, self.units())?, n)
    }

    /// Tangents of the differences, `[b, K, n]` to `[B, K, m]`.
    pub(super) fn push_neurons(
        &self,
        tangent: &Tensor,
        record: &ActivationRecord,
    ) -> Result<Tensor> {
        let (selected, others) = self.pairs(record)?;
        take(tangent, &selected)? - take(tangent, &others)?
    }

    /// Magnitudes of the differences: those of both entries, added up.
    pub(super) fn push_neuron_magnitudes(
        &self,
        magnitudes: &Tensor,
        record: &ActivationRecord,
    ) -> Result<Tensor> {
        let (selected, others) = self.pairs(record)?;
        (take(magnitudes, &selected)? + take(magnitudes, &others)?)? * (1.0 + 4.0 * UNIT)
    }

    /// The largest error in each group, `[B, n]` to `[B, units]`: whichever entry is selected. One that is not a number is
    /// infinite.
    pub(super) fn largest_error(&self, error: &Tensor) -> Result<Tensor> {
        let infinite = Tensor::new(f64::INFINITY, error.device())?.to_dtype(error.dtype())?;
        let infinite = infinite.broadcast_as(error.shape())?;
        self.value(&error.eq(error)?.where_cond(error, &infinite)?)
    }

    /// The largest magnitude in each group, `[b, K, n]` to `[b, K, units]`, and a bound of those of the group's differences,
    /// `[b, K, m]`: whichever entry is selected.
    pub(super) fn push_largest(&self, magnitudes: &Tensor) -> Result<(Tensor, Tensor)> {
        let (batch, count, entries) = magnitudes.dims3()?;
        let largest = self.largest_error(&magnitudes.reshape((batch * count, entries))?)?;
        let largest = largest.reshape((batch, count, self.units()))?;
        let neurons = (largest.index_select(&self.owners(magnitudes.device())?, 2)? * 2.0)?;
        Ok((largest, neurons))
    }

    /// Magnitudes of units, `[b, K, units]`, to those of `n` entries, any of which may be the selected one.
    pub(super) fn pull_largest(&self, magnitudes: &Tensor, n: usize) -> Result<Tensor> {
        let (batch, count, _) = magnitudes.dims3()?;
        let device = magnitudes.device();
        let spans = self.spans().zip(0u32..);
        let owners = spans.flat_map(|((_, n), unit)| (0..n).map(move |_| unit));
        let owners = Tensor::new(owners.collect::<Vec<u32>>(), device)?;
        let members = Tensor::new(&self.members[..], device)?;
        let each = magnitudes.contiguous()?.index_select(&owners, 2)?;
        let zeros = Tensor::zeros((batch, count, n), magnitudes.dtype(), device)?;
        zeros.index_add(&members, &each.contiguous()?, 2)
    }

    /// The transpose of [`Groups::push_neurons`] to `n` entries.
    pub(super) fn pull_neurons(
        &self,
        cotangent: &Tensor,
        record: &ActivationRecord,
        n: usize,
    ) -> Result<Tensor> {
        let (selected, others) = self.pairs(record)?;
        give(cotangent, &selected, n)? - give(cotangent, &others, n)?
    }

    /// The cotangents of the units that the neurons belong to, `[b, K, units]` to `[b, K, m]`: where another entry
    /// overtakes the selected one, the unit loses the difference.
    pub(super) fn slope_changes(&self, cotangent: &Tensor) -> Result<Tensor> {
        let owners = self.owners(cotangent.device())?;
        cotangent.contiguous()?.index_select(&owners, 2)
    }

    /// For each neuron, the indices of the selected entry and of the other.
    fn pairs(&self, record: &ActivationRecord) -> Result<(Tensor, Tensor)> {
        let (units, pre_activations) = (self.units(), record.pre_activations().dim(1)?);
        let selected = record.own()?.narrow(1, 0, units)?;
        let owner = self.owners(selected.device())?;
        Ok((
            selected.contiguous()?.index_select(&owner, 1)?,
            record.own()?.narrow(1, units, pre_activations)?,
        ))
    }

    /// The place of the largest entry in each group, `[B, units]`: the first of equal ones.
    fn ranks(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.detach().contiguous()?;
        let longest = self.spans().map(|(_, n)| n).max().unwrap_or(1);
        let column = |rank: u32| {
            // Short groups repeat their last entry, which never exceeds the largest so far.
            let index = |(start, n): (u32, u32)| self.members[(start + rank.min(n - 1)) as usize];
            let indices: Vec<u32> = self.spans().map(index).collect();
            x.index_select(&Tensor::new(indices, x.device())?, 1)
        };
        let mut best = column(0)?;
        let mut ranks = best.zeros_like()?.to_dtype(DType::U32)?;
        for rank in 1..longest {
            let candidate = column(rank)?;
            let larger = candidate.gt(&best)?;
            best = larger.where_cond(&candidate, &best)?;
            let rank = Tensor::new(rank, x.device())?.broadcast_as(ranks.shape())?;
            ranks = larger.where_cond(&rank, &ranks)?;
        }
        Ok(ranks)
    }

    /// Indices of the entries at `ranks`, `[B, units]`.
    fn selected(&self, ranks: &Tensor) -> Result<Tensor> {
        let starts: Vec<u32> = self.spans().map(|(start, _)| start).collect();
        self.lookup(&ranks.broadcast_add(&Tensor::new(starts, ranks.device())?)?)
    }

    /// Indices of the entries that were not selected, in their order, group after group: `[B, m]`.
    fn others(&self, ranks: &Tensor) -> Result<Tensor> {
        let device = ranks.device();
        let (mut places, mut starts) = (Vec::new(), Vec::new());
        for (start, n) in self.spans() {
            places.extend(1..n);
            starts.extend((1..n).map(|place| start + place - 1));
        }
        // Other number `place - 1` of a group, or the next one if it lies at or behind the selected one.
        let place = Tensor::new(places, device)?;
        let rank = ranks.index_select(&self.owners(device)?, 1)?;
        let behind = place
            .broadcast_as(rank.shape())?
            .gt(&rank)?
            .to_dtype(DType::U32)?;
        self.lookup(&behind.broadcast_add(&Tensor::new(starts, device)?)?)
    }

    /// The unit that each neuron belongs to.
    fn owners(&self, device: &Device) -> Result<Tensor> {
        let owners = (0u32..).zip(self.spans());
        let owners: Vec<u32> = owners
            .flat_map(|(unit, (_, n))| (1..n).map(move |_| unit))
            .collect();
        Tensor::new(owners, device)
    }

    /// Entries of `members` at the given places.
    fn lookup(&self, places: &Tensor) -> Result<Tensor> {
        let members = Tensor::new(&self.members[..], places.device())?;
        let found = members.index_select(&places.flatten_all()?, 0)?;
        found.reshape(places.shape())
    }
}

/// `[b, K, n]` at indices `[B, m]`: `[B, K, m]`, where `b` is 1 or `B`.
fn take(x: &Tensor, indices: &Tensor) -> Result<Tensor> {
    let one = |(x, indices): (Tensor, Tensor)| x.contiguous()?.index_select(&indices, 1);
    each(x, indices, one)
}

/// The transpose: `[b, K, m]` added up at indices `[B, m]` of `n`, to `[B, K, n]`.
fn give(x: &Tensor, indices: &Tensor, n: usize) -> Result<Tensor> {
    let one = |(x, indices): (Tensor, Tensor)| {
        let zeros = Tensor::zeros((x.dim(0)?, n), x.dtype(), x.device())?;
        zeros.index_add(&indices, &x.contiguous()?, 1)
    };
    each(x, indices, one)
}

/// One input after the other: indices differ between inputs, and are shared by the tangents of one.
fn each(
    x: &Tensor,
    indices: &Tensor,
    one: impl Fn((Tensor, Tensor)) -> Result<Tensor>,
) -> Result<Tensor> {
    let shared = x.dim(0)? == 1;
    let parts = (0..indices.dim(0)?).map(|i| {
        let row = if shared { 0 } else { i };
        one((x.get(row)?, indices.get(i)?.contiguous()?))
    });
    Tensor::stack(&parts.collect::<Result<Vec<_>>>()?, 0)
}
