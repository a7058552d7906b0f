//! Maxout.

use super::{layout::refuse, selection::Groups};
use crate::{
    error::Error,
    operator::{Alternatives, PiecewiseLinear, ShapeResult, UnitPiece},
    record::ActivationRecord,
    spec::OperatorSpec,
};
use candle_core::{Result, Tensor};

/// The largest of each `pieces` consecutive channels: `[pieces * channels, n...]` to `[channels, n...]`
/// (Goodfellow et al. 2013).
///
/// The selected channel is the unit's piece of the pattern, the first where several are equal; each unit
/// contributes the `pieces - 1` neurons "selected minus other >= 0" (App. E), in the channels' order, unit
/// after unit.
#[derive(Debug)]
pub struct Maxout {
    pieces: usize,
}

impl Maxout {
    /// `pieces` is at least 2.
    ///
    /// # Errors
    /// Fewer than 2 pieces.
    pub fn new(pieces: usize) -> crate::error::Result<Self> {
        if pieces < 2 {
            return Err(Error::Config {
                field: "maxout",
                cause: format!("needs at least 2 pieces, found {pieces}"),
            });
        }
        Ok(Self { pieces })
    }

    fn groups(&self, operand: &[usize]) -> Groups {
        let inner: usize = operand[1..].iter().product();
        let pieces = self.pieces;
        Groups::new((0..operand[0] / pieces).flat_map(move |channel| {
            (0..inner).map(move |i| {
                let entry = |piece| ((channel * pieces + piece) * inner + i) as u32;
                (0..pieces).map(entry).collect()
            })
        }))
    }

    /// The output's dimensions, with `leading` dimensions before those of one input.
    fn shaped(&self, flat: &Tensor, leading: usize, operand: &[usize]) -> Result<Tensor> {
        let channels = [operand[0] / self.pieces];
        flat.reshape([&flat.dims()[..leading], &channels, &operand[1..]].concat())
    }
}

impl PiecewiseLinear for Maxout {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Maxout {
            pieces: self.pieces,
        })
    }

    fn output_shape(&self, operand: &[usize]) -> ShapeResult {
        let entries = operand.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        let countable = entries.is_some_and(|n| u32::try_from(n).is_ok());
        match operand {
            [channels, rest @ ..] if countable && channels.is_multiple_of(self.pieces) => {
                Ok([&[channels / self.pieces], rest].concat())
            }
            _ => refuse(
                format!(
                    "with a multiple of {} channels, below 2^32 numbers",
                    self.pieces
                ),
                operand,
            ),
        }
    }

    fn value(&self, operand: &Tensor) -> Result<Tensor> {
        let shape = &operand.dims()[1..];
        let value = self.groups(shape).value(&operand.flatten_from(1)?)?;
        self.shaped(&value, 1, shape)
    }

    fn record(&self, operand: &Tensor) -> Result<ActivationRecord> {
        self.groups(&operand.dims()[1..])
            .record(&operand.flatten_from(1)?)
    }

    fn turned(
        &self,
        record: &ActivationRecord,
        units: &[UnitPiece],
        operand: &[usize],
    ) -> Result<Option<ActivationRecord>> {
        self.groups(operand).turned(record, units).map(Some)
    }

    fn push(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor> {
        let shape = &tangent.dims()[2..];
        let pushed = self.groups(shape).push(&tangent.flatten_from(2)?, record)?;
        self.shaped(&pushed, 2, shape)
    }

    fn pull(
        &self,
        cotangent: &Tensor,
        record: &ActivationRecord,
        operand: &[usize],
    ) -> Result<Tensor> {
        let flat = cotangent.flatten_from(2)?;
        let pulled = self
            .groups(operand)
            .pull(&flat, record, operand.iter().product())?;
        pulled.reshape([&pulled.dims()[..2], operand].concat())
    }

    fn offset(&self, _record: &ActivationRecord) -> Result<Option<Tensor>> {
        Ok(None)
    }

    fn push_neurons(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor> {
        let groups = self.groups(&tangent.dims()[2..]);
        groups.push_neurons(&tangent.flatten_from(2)?, record)
    }

    fn pull_neurons(
        &self,
        cotangent: &Tensor,
        record: &ActivationRecord,
        operand: &[usize],
    ) -> Result<Tensor> {
        let groups = self.groups(operand);
        let pulled = groups.pull_neurons(cotangent, record, operand.iter().product())?;
        pulled.reshape([&pulled.dims()[..2], operand].concat())
    }

    fn slope_changes(&self, cotangent: &Tensor, operand: &[usize]) -> Result<Tensor> {
        self.groups(operand)
            .slope_changes(&cotangent.flatten_from(2)?)
    }

    fn workspace(&self, operand: &[usize]) -> usize {
        // The neurons' tangents, and both terms of their differences.
        operand.iter().product::<usize>().saturating_mul(3)
    }

    fn magnitude(
        &self,
        _operand: &Tensor,
        _error: &Tensor,
        record: &ActivationRecord,
    ) -> Result<Option<ActivationRecord>> {
        Ok(Some(record.clone()))
    }

    fn push_neuron_magnitudes(
        &self,
        magnitudes: &Tensor,
        record: &ActivationRecord,
    ) -> Result<Tensor> {
        let groups = self.groups(&magnitudes.dims()[2..]);
        groups.push_neuron_magnitudes(&magnitudes.flatten_from(2)?, record)
    }

    fn push_error(
        &self,
        operand: &Tensor,
        error: &Tensor,
        _record: &ActivationRecord,
    ) -> Result<Tensor> {
        let shape = &operand.dims()[1..];
        let largest = self.groups(shape).largest_error(&error.flatten_from(1)?)?;
        self.shaped(&largest, 1, shape)
    }

    fn push_largest(&self, magnitudes: &Tensor) -> Result<Option<(Tensor, Tensor)>> {
        let shape = &magnitudes.dims()[2..];
        let groups = self.groups(shape);
        let (pushed, neurons) = groups.push_largest(&magnitudes.flatten_from(2)?)?;
        let pushed = self.shaped(&pushed, 2, shape)?;
        Ok(Some((pushed, neurons)))
    }

    fn pull_largest(&self, magnitudes: &Tensor, operand: &[usize]) -> Result<Option<Tensor>> {
        let groups = self.groups(operand);
        let entries = operand.iter().product();
        let pulled = groups.pull_largest(&magnitudes.flatten_from(2)?, entries)?;
        let shape = [&pulled.dims()[..2], operand].concat();
        Ok(Some(pulled.reshape(shape)?))
    }

    fn alternatives(&self, operand: &[usize]) -> Result<Option<Alternatives>> {
        Ok(Some(Alternatives::Largest(self.groups(operand).to_vec())))
    }

    fn lipschitz(&self, _operand: &[usize]) -> Result<f64> {
        Ok(1.0)
    }

    fn neuron_length(&self) -> f64 {
        std::f64::consts::SQRT_2
    }
}
