//! Piecewise-linear operators.

use super::{affine::ShapeResult, alternatives::Alternatives};
use crate::{
    error, parameter_map::ParameterMap, patch::Patch, record::ActivationRecord, spec::OperatorSpec,
    unit_piece::UnitPiece,
};
use candle_core::{Result, Tensor};
use loclin_tensor::rounding::{SMALLEST, UNIT};
use std::{fmt::Debug, sync::Arc};

/// Entries of an operand and what they are multiplied with, [`PiecewiseLinear::terms`].
pub type Terms = Option<Vec<(usize, f64)>>;

/// A piecewise-linear operator that selects one of several affine maps for each unit: an activation,
/// max pooling, ... The selection is its part of the activation pattern (Def. 1).
///
/// The set of inputs with one selection is cut out by linear constraints on the operand, "neurons" for short:
/// `sign * neuron >= 0`. For a ReLU the neuron is the pre-activation itself; a max over `N` inputs
/// has the `N - 1` differences to the selected one (App. E).
pub trait PiecewiseLinear: Debug + Send + Sync {
    /// What a model file stores to build the operator again. `None`, the
    /// default, if no file can say it.
    fn spec(&self) -> Option<OperatorSpec> {
        None
    }

    /// What messages call the operator: the kind that files write, or the name of its type.
    fn kind(&self) -> &'static str {
        match self.spec() {
            Some(spec) => spec.kind(),
            None => std::any::type_name::<Self>(),
        }
    }

    /// Shape of the output of one input, given the shape of the operand of one input.
    ///
    /// # Errors
    /// As text, operands that the operator cannot take.
    fn output_shape(&self, operand: &[usize]) -> ShapeResult;

    /// The value alone: `[B, in...] -> [B, out...]`.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn value(&self, operand: &Tensor) -> Result<Tensor>;

    /// The selection made at a batch of operands `[B, in...]`.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn record(&self, operand: &Tensor) -> Result<ActivationRecord>;

    /// The record with some units on other pieces than computed values say. Their neurons' values are as the record has them where they are on
    /// the side that the piece says, else as near to 0 as can be on that side, or what the values recorded say of them. `operand` is the
    /// operand's shape. `None`, the default, if the operator does not know.
    ///
    /// # Errors
    /// A record of another operator, a unit or a piece that it does not have.
    fn turned(
        &self,
        _record: &ActivationRecord,
        _units: &[UnitPiece],
        _operand: &[usize],
    ) -> Result<Option<ActivationRecord>> {
        Ok(None)
    }

    /// Tangents `[B or 1, K, in...]` through the selected linear maps: `[B, K, out...]`.
    ///
    /// # Errors
    /// A tensor computation that fails, and a record of another operator.
    fn push(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor>;

    /// Cotangents `[B or 1, K, out...]` through their transpose: `[B, K, in...]`.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn pull(
        &self,
        cotangent: &Tensor,
        record: &ActivationRecord,
        operand: &[usize],
    ) -> Result<Tensor>;

    /// [`PiecewiseLinear::pull`] of cotangents of one input that are 0 but for a patch of the output's positions,
    /// `[1, K, channels, h, w]`: those of the patch of the operand that they reach, and that patch. `None`, the default, where only
    /// the whole can be pulled.
    ///
    /// # Errors
    /// A tensor computation that fails, and a record of another operator.
    fn pull_patch(
        &self,
        _cotangent: &Tensor,
        _patch: &Patch,
        _record: &ActivationRecord,
        _operand: &[usize],
    ) -> Result<Option<(Tensor, Patch)>> {
        Ok(None)
    }

    /// The entries of the operand of one input whose sum, each times a number, a neuron is but for a constant, given the record and the
    /// operand's shape: [`PiecewiseLinear::pull_neurons`] of a unit cotangent. `None`, the default, if that is not known without a pull.
    ///
    /// # Errors
    /// A record of another operator.
    fn terms(
        &self,
        _neuron: usize,
        _record: &ActivationRecord,
        _operand: &[usize],
    ) -> Result<Terms> {
        Ok(None)
    }

    /// The constant part of the selected affine maps, `[B or 1, out...]`; `None` when it is zero.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn offset(&self, record: &ActivationRecord) -> Result<Option<Tensor>>;

    /// Tangents `[B or 1, K, in...]` of the operand to tangents `[B or 1, K, m]` of the `m` neurons.
    ///
    /// # Errors
    /// A tensor computation that fails, and a record of another operator.
    fn push_neurons(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor>;

    /// [`PiecewiseLinear::push_neurons`] with the numbers in any shape `[B or 1, K, ...]`: an operator whose neurons are the
    /// entries of its operand gives back the tangent itself.
    ///
    /// # Errors
    /// Those of [`PiecewiseLinear::push_neurons`].
    fn push_unshaped_neurons(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor> {
        self.push_neurons(tangent, record)
    }

    /// The transpose: cotangents `[B or 1, K, m]` of the neurons to `[B or 1, K, in...]` of the operand.
    ///
    /// # Errors
    /// A tensor computation that fails, and a record of another operator.
    fn pull_neurons(
        &self,
        cotangent: &Tensor,
        record: &ActivationRecord,
        operand: &[usize],
    ) -> Result<Tensor>;

    /// How many entries of the output can depend on one entry of the operand, given its shape, under one selection: as many cotangents a pull
    /// adds up. 1, the default, for activations and for maxima over groups that do not overlap.
    ///
    /// # Errors
    /// A shape that the operator does not take.
    fn readers(&self, _operand: &[usize]) -> Result<usize> {
        Ok(1)
    }

    /// An upper bound on the spectral norm of the linear part under every selection, given the operand's shape: the
    /// l2 Lipschitz constant of a continuous operator.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn lipschitz(&self, operand: &[usize]) -> Result<f64>;

    /// The largest l2 norm of a neuron's gradient with respect to the operand: 1 for a pre-activation, the square
    /// root of 2 for a difference of two entries.
    fn neuron_length(&self) -> f64;

    /// By what a pull changes at each neuron: cotangents `[B or 1, K, out...]` of the output to `[B or 1, K, m]`. The operator
    /// is continuous, so the linear maps on the positive and on the negative side of neuron `z_j` differ by a
    /// matrix of rank one, `a_j (grad z_j)^T`; this is `a_j . cotangent`. `operand` is the operand's shape.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn slope_changes(&self, cotangent: &Tensor, operand: &[usize]) -> Result<Tensor>;

    /// The record that pushes magnitudes, given operands `[B, in...]`, bounds of their errors, and their own record: each slope is at least the
    /// absolute value of any that the exact operand can select. `None`, the default, if the operator does not know how
    /// errors pass it: numbers of a network with it are estimates.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn magnitude(
        &self,
        _operand: &Tensor,
        _error: &Tensor,
        _record: &ActivationRecord,
    ) -> Result<Option<ActivationRecord>> {
        Ok(None)
    }

    /// Magnitudes `[B or 1, K, in...]` of the operand's tangents to those `[B or 1, K, m]` of the neurons, by the record of
    /// [`PiecewiseLinear::magnitude`]: [`PiecewiseLinear::push_neurons`], the default, where no neuron is a difference.
    ///
    /// # Errors
    /// A tensor computation that fails, and a record of another operator.
    fn push_neuron_magnitudes(
        &self,
        magnitudes: &Tensor,
        record: &ActivationRecord,
    ) -> Result<Tensor> {
        self.push_neurons(magnitudes, record)
    }

    /// Bounds of the errors of the computed output, `[B, out...]`, given operands `[B, in...]`, bounds of their errors, and
    /// the record of [`PiecewiseLinear::magnitude`]. The default is right where a value is a product with a slope.
    ///
    /// # Errors
    /// A tensor computation that fails, and a record of another operator.
    fn push_error(
        &self,
        operand: &Tensor,
        error: &Tensor,
        record: &ActivationRecord,
    ) -> Result<Tensor> {
        let terms = (error + (operand.abs()? * (4.0 * UNIT))?)?;
        let pushed = self.push(&terms.unsqueeze(1)?, record)?.squeeze(1)?;
        // A product may vanish.
        pushed.affine(1.0 + 4.0 * UNIT, 2.0 * SMALLEST)
    }

    /// Magnitudes `[b, K, in...]` of the operand's tangents to those of the output, `[b, K, out...]`, and of the neurons,
    /// `[b, K, m]`, whatever is selected: at least what [`PiecewiseLinear::magnitude`]'s record of any operand would push.
    /// `None`, the default, if the operator does not know: what is bounded by this for all of a network's regions is an
    /// estimate then.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn push_largest(&self, _magnitudes: &Tensor) -> Result<Option<(Tensor, Tensor)>> {
        Ok(None)
    }

    /// Magnitudes `[b, K, out...]` of the output's cotangents to those of the operand, `[b, K, in...]`, whatever is selected;
    /// `operand` is the operand's shape. `None`, the default, if the operator does not know.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn pull_largest(&self, _magnitudes: &Tensor, _operand: &[usize]) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// What the operator selects from, given the shape of the operand of one input: by it exact arithmetic evaluates the operator. `None`, the
    /// default, if that is not known: nothing is decided exactly for a network with it.
    ///
    /// # Errors
    /// A parameter that cannot be read.
    fn alternatives(&self, _operand: &[usize]) -> Result<Option<Alternatives>> {
        Ok(None)
    }

    /// How many numbers one tangent needs for a moment beside the operand and the result, the neurons'
    /// tangents included, given the shape of the operand. Inference sizes its work by it.
    fn workspace(&self, _operand: &[usize]) -> usize {
        0
    }

    /// The parameters by local name, in a fixed order.
    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        Vec::new()
    }

    /// The operator with other parameters: each of [`PiecewiseLinear::parameters`] handed to [`ParameterMap::apply`]. `None`, the
    /// default, if it is the same in every dtype and on every device, as an operator without parameters is; a copy of a
    /// network then shares it.
    ///
    /// # Errors
    /// Those of the map, and parameters that the operator cannot have.
    fn map_parameters(
        &self,
        _map: &mut ParameterMap<'_>,
    ) -> error::Result<Option<Arc<dyn PiecewiseLinear>>> {
        Ok(None)
    }
}
