//! Operators whose units are the largest numbers of groups of entries.

use super::selection::Groups;
use crate::{
    operator::{Alternatives, PiecewiseLinear, ShapeResult, Terms, UnitPiece},
    patch::Patch,
    record::ActivationRecord,
    spec::OperatorSpec,
};
use candle_core::{Error, Result, Tensor};
use std::fmt::Debug;

/// What such an operator says of itself; all readings follow from its groups. Shapes are those of [`PiecewiseLinear`].
pub(super) trait Maxima: Debug + Send + Sync {
    /// As of [`PiecewiseLinear::spec`].
    fn spec(&self) -> Option<OperatorSpec>;

    /// As of [`PiecewiseLinear::output_shape`].
    fn output_shape(&self, operand: &[usize]) -> ShapeResult;

    /// Which entries of the operand each unit is the largest of.
    fn groups(&self, operand: &[usize]) -> Result<Groups>;

    /// The shape of the output, or an error.
    fn pooled(&self, operand: &[usize]) -> Result<Vec<usize>> {
        Maxima::output_shape(self, operand).map_err(Error::Msg)
    }

    /// How many entries all groups have together, at most.
    fn under(&self, operand: &[usize]) -> usize;

    /// As of [`PiecewiseLinear::readers`]: 1, the default, where no groups overlap.
    fn readers(&self, _operand: &[usize]) -> Result<usize> {
        Ok(1)
    }

    /// As of [`PiecewiseLinear::pull_patch`].
    fn pull_patch(
        &self,
        _cotangent: &Tensor,
        _patch: &Patch,
        _record: &ActivationRecord,
        _operand: &[usize],
    ) -> Result<Option<(Tensor, Patch)>> {
        Ok(None)
    }

    /// As of [`PiecewiseLinear::terms`].
    fn terms(
        &self,
        _neuron: usize,
        _record: &ActivationRecord,
        _operand: &[usize],
    ) -> Result<Terms> {
        Ok(None)
    }
}

/// `[leading..., units]` to `[leading..., out...]`.
fn shaped(flat: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let leading = flat.rank() - 1;
    flat.reshape([&flat.dims()[..leading], shape].concat())
}

impl<T: Maxima> PiecewiseLinear for T {
    fn spec(&self) -> Option<OperatorSpec> {
        Maxima::spec(self)
    }

    fn output_shape(&self, operand: &[usize]) -> ShapeResult {
        Maxima::output_shape(self, operand)
    }

    fn value(&self, operand: &Tensor) -> Result<Tensor> {
        let shape = &operand.dims()[1..];
        let value = self.groups(shape)?.value(&operand.flatten_from(1)?)?;
        shaped(&value, &self.pooled(shape)?)
    }

    fn record(&self, operand: &Tensor) -> Result<ActivationRecord> {
        let groups = self.groups(&operand.dims()[1..])?;
        groups.record(&operand.flatten_from(1)?)
    }

    fn turned(
        &self,
        record: &ActivationRecord,
        units: &[UnitPiece],
        operand: &[usize],
    ) -> Result<Option<ActivationRecord>> {
        self.groups(operand)?.turned(record, units).map(Some)
    }

    fn push(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor> {
        let shape = &tangent.dims()[2..];
        let groups = self.groups(shape)?;
        shaped(
            &groups.push(&tangent.flatten_from(2)?, record)?,
            &self.pooled(shape)?,
        )
    }

    fn pull(
        &self,
        cotangent: &Tensor,
        record: &ActivationRecord,
        operand: &[usize],
    ) -> Result<Tensor> {
        let (groups, entries) = (self.groups(operand)?, operand.iter().product());
        shaped(
            &groups.pull(&cotangent.flatten_from(2)?, record, entries)?,
            operand,
        )
    }

    fn pull_patch(
        &self,
        cotangent: &Tensor,
        patch: &Patch,
        record: &ActivationRecord,
        operand: &[usize],
    ) -> Result<Option<(Tensor, Patch)>> {
        Maxima::pull_patch(self, cotangent, patch, record, operand)
    }

    fn terms(&self, neuron: usize, record: &ActivationRecord, operand: &[usize]) -> Result<Terms> {
        Maxima::terms(self, neuron, record, operand)
    }

    fn offset(&self, _record: &ActivationRecord) -> Result<Option<Tensor>> {
        Ok(None)
    }

    fn push_neurons(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor> {
        let groups = self.groups(&tangent.dims()[2..])?;
        groups.push_neurons(&tangent.flatten_from(2)?, record)
    }

    fn pull_neurons(
        &self,
        cotangent: &Tensor,
        record: &ActivationRecord,
        operand: &[usize],
    ) -> Result<Tensor> {
        let (groups, entries) = (self.groups(operand)?, operand.iter().product());
        shaped(&groups.pull_neurons(cotangent, record, entries)?, operand)
    }

    fn readers(&self, operand: &[usize]) -> Result<usize> {
        Maxima::readers(self, operand)
    }

    fn lipschitz(&self, operand: &[usize]) -> Result<f64> {
        // One entry can be the largest of all groups that it is in.
        Ok((Maxima::readers(self, operand)? as f64).sqrt())
    }

    fn neuron_length(&self) -> f64 {
        std::f64::consts::SQRT_2
    }

    fn slope_changes(&self, cotangent: &Tensor, operand: &[usize]) -> Result<Tensor> {
        let groups = self.groups(operand)?;
        groups.slope_changes(&cotangent.flatten_from(2)?)
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
        let groups = self.groups(&magnitudes.dims()[2..])?;
        groups.push_neuron_magnitudes(&magnitudes.flatten_from(2)?, record)
    }

    fn push_error(
        &self,
        operand: &Tensor,
        error: &Tensor,
        _record: &ActivationRecord,
    ) -> Result<Tensor> {
        let shape = &operand.dims()[1..];
        let largest = self.groups(shape)?.largest_error(&error.flatten_from(1)?)?;
        shaped(&largest, &self.pooled(shape)?)
    }

    fn push_largest(&self, magnitudes: &Tensor) -> Result<Option<(Tensor, Tensor)>> {
        let shape = &magnitudes.dims()[2..];
        let groups = self.groups(shape)?;
        let (pushed, neurons) = groups.push_largest(&magnitudes.flatten_from(2)?)?;
        Ok(Some((shaped(&pushed, &self.pooled(shape)?)?, neurons)))
    }

    fn pull_largest(&self, magnitudes: &Tensor, operand: &[usize]) -> Result<Option<Tensor>> {
        let (groups, entries) = (self.groups(operand)?, operand.iter().product());
        let pulled = groups.pull_largest(&magnitudes.flatten_from(2)?, entries)?;
        shaped(&pulled, operand).map(Some)
    }

    fn alternatives(&self, operand: &[usize]) -> Result<Option<Alternatives>> {
        Ok(Some(Alternatives::Largest(self.groups(operand)?.to_vec())))
    }

    fn workspace(&self, operand: &[usize]) -> usize {
        // The neurons' tangents, and both terms of their differences.
        self.under(operand).saturating_mul(3)
    }
}
