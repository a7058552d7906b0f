//! Affine operators.

use crate::{error, parameter_map::ParameterMap, patch::Patch, spec::OperatorSpec};
use candle_core::{DType, Result, Tensor};
use std::{fmt::Debug, sync::Arc};

/// Why an operator refuses its inputs' shapes; the network adds the name of the node.
pub type ShapeResult = std::result::Result<Vec<usize>, String>;

/// An affine map with one or more inputs: a linear layer, a convolution, a sum, a reshape, ...
pub trait Affine: Debug + Send + Sync {
    /// What a model file stores to build the operator again; the parameters' values are stored beside it. `None`, the
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

    /// Shape of the output of one input, given the shapes of the operands of one input.
    ///
    /// # Errors
    /// As text, operands that the operator cannot take.
    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult;

    /// Tangents through the linear part: operands `[B or 1, K, in...]`, result `[B or 1, K, out...]`.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor>;

    /// The value at operands `[B, in...]`, `[B, out...]`, given the shape `out` of the output of one input: the push of
    /// the operands as tangents, plus the offset.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn value(&self, operands: &[&Tensor], output: &[usize]) -> Result<Tensor> {
        let tangents = operands
            .iter()
            .map(|x| x.unsqueeze(1))
            .collect::<Result<Vec<_>>>()?;
        let value = self
            .push(&tangents.iter().collect::<Vec<_>>())?
            .squeeze(1)?;
        match self.offset(output)? {
            Some(offset) => value.broadcast_add(&offset),
            None => Ok(value),
        }
    }

    /// Cotangents `[B or 1, K, out...]` through the transpose of the linear part, one `[B or 1, K, in...]`
    /// for each operand. `operands` are the shapes that [`Affine::output_shape`] saw.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn pull(&self, cotangent: &Tensor, operands: &[&[usize]]) -> Result<Vec<Tensor>>;

    /// [`Affine::pull`] of cotangents that are 0 but for a patch of the output's positions, `[1, K, channels, h, w]`: for each operand
    /// those of the patch that they reach, and that patch. `wanted` has for each operand the numbers `[in...]` that its cotangents are
    /// multiplied with next, where that is all that becomes of them: where one is 0, they may be 0. `None`, the default, where only the
    /// whole can be pulled.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn pull_patch(
        &self,
        _cotangent: &Tensor,
        _patch: &Patch,
        _operands: &[&[usize]],
        _wanted: &[Option<Tensor>],
    ) -> Result<Option<Vec<(Tensor, Patch)>>> {
        Ok(None)
    }

    /// The constant part, broadcastable to `[B, out...]`, given the shape `out` of the output of one input;
    /// `None` when it is zero.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn offset(&self, _output: &[usize]) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// How many numbers a push or pull of one tangent needs for a moment beside its operands and its result,
    /// given the shapes of the operands and of the output. Inference sizes its work by it.
    fn workspace(&self, _operands: &[&[usize]], _output: &[usize]) -> usize {
        0
    }

    /// An upper bound on the l2 Lipschitz constant of the result as a function of the network's input, given `bounds`
    /// on those of the operands and the operands' shapes: for one operand, its bound times the spectral norm.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn lipschitz(&self, operands: &[&[usize]], bounds: &[f64]) -> Result<f64>;

    /// What each channel (the first dimension of an input) is multiplied by, if that is all the operator does but for
    /// its offset: then it and the operator below it are bounded together, [`Affine::scaled_lipschitz`].
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn channel_scale(&self) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// What each number of the result is made of, if that can be said without weights; [`Made::Mixed`], the default, says nothing.
    fn made(&self) -> Made {
        Made::Mixed
    }

    /// The operator with each channel of its result (the first dimension of an output) multiplied by an entry of `scale`,
    /// differentiable in it; `None`, the default, where that is no operator of the same cost.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn scaled(&self, _scale: &Tensor) -> Result<Option<Arc<dyn Affine>>> {
        Ok(None)
    }

    /// [`Affine::lipschitz`] with each channel of the result multiplied by an entry of `scale`; `None` where nothing
    /// better than the product of both bounds is known.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn scaled_lipschitz(
        &self,
        _scale: &Tensor,
        _operands: &[&[usize]],
        _bounds: &[f64],
    ) -> Result<Option<f64>> {
        Ok(None)
    }

    /// The parameters by local name (`weight`, `bias`), in a fixed order.
    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        Vec::new()
    }

    /// The operator with other parameters: each of [`Affine::parameters`] handed to [`ParameterMap::apply`]. `None`, the
    /// default, if it is the same in every dtype and on every device, as an operator without parameters is; a copy of a
    /// network then shares it.
    ///
    /// # Errors
    /// Those of the map, and parameters that the operator cannot have.
    fn map_parameters(
        &self,
        _map: &mut ParameterMap<'_>,
    ) -> error::Result<Option<Arc<dyn Affine>>> {
        Ok(None)
    }

    /// What evaluations in a type of numbers may do beside what [`Affine::magnitude`] says, given the operands' shapes: nothing, the default.
    ///
    /// # Errors
    /// A tensor computation that fails, and shapes that the operator does not take.
    fn evaluation(&self, _operands: &[&[usize]], _dtype: DType) -> error::Result<Evaluation> {
        Ok(Evaluation::default())
    }

    /// The operator's absolute values, given the shapes of the operands and of the output: what bounds its rounding errors.
    /// `None`, the default, if it does not know them: numbers of a network with it are estimates.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn magnitude(
        &self,
        _operands: &[&[usize]],
        _output: &[usize],
    ) -> error::Result<Option<Magnitude>> {
        Ok(None)
    }

    /// How many products each number of a push sums at most, if a push does nothing but sum products of the parameter `weight` with
    /// numbers of its operand, each with its exact value and in whatever order; `None`, the default, otherwise. Rounding errors are found
    /// then, and need not be bounded ([`crate::Magnitudes::local_errors`]).
    fn products(&self) -> Option<usize> {
        None
    }

    /// The operator as a normalisation by statistics, which in training mode are those of the batch
    /// ([`crate::Network::trace_train`]); `None`, the default, for an operator that is the same in both modes.
    fn normalization(&self) -> Option<&dyn Normalizing> {
        None
    }
}

/// What each number of an affine operator's result is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It is a number of an operand, or a constant.
    Moved,
    /// It is a multiple of the operand's number at the same place, plus a constant; neither is rounded.
    Scaled,
    /// The same, where the multiple and the constant are computed of several parameters.
    Normalized,
    /// It may be any sum.
    Mixed,
}

/// An affine operator's absolute values.
#[derive(Debug, Clone)]
pub struct Magnitude {
    /// The operator with the absolute value of every coefficient. Its offset is at least the sum of the absolute values
    /// of the numbers that the operator's own offset is computed from.
    pub operator: Arc<dyn Affine>,
    /// At most this many roundings lie between an entry of an operand, or a number that the offset is computed from, and
    /// an entry of the output; and as many between an entry of a cotangent and what it is pulled back to. Roundings of
    /// coefficients that the operator computes count.
    pub roundings: usize,
    /// How many of them lie between the operator's parameters and a coefficient or the offset that it computes from them:
    /// 0 where a push of unit tangents gives back numbers that are stored, so that they are exact.
    pub rounded_coefficients: usize,
}

impl Magnitude {
    /// Those of an operator that rounds nothing and whose coefficients are not negative, as one that moves numbers: itself.
    pub fn exact(operator: impl Affine + 'static) -> Self {
        Self {
            operator: Arc::new(operator),
            roundings: 0,
            rounded_coefficients: 0,
        }
    }
}

/// What plain evaluations of an operator in some type of numbers do, beside what its [`Magnitude`] says of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// At most this many roundings lie between an operand's entry and the output's, in whatever order an evaluation sums.
    pub roundings: usize,
    /// By what factor a number on the way can be larger than the sum of the absolute values of the output's terms: the entries of a mean that
    /// is divided last.
    pub partial: f64,
    /// A number on the way is at most this times 1 and the largest absolute value of an operand's entries, together; 0 where `partial` says it.
    pub inside: f64,
    /// By what factor the output is off where a number on the way vanishes, at least 1.
    pub lost: f64,
    /// Whether what is computed of the parameters alone is right to a few roundings in the type.
    pub fits: bool,
}

impl Evaluation {
    /// That of an operand less a mean, which factors are multiplied with in some order: the means, each with the largest number by which the
    /// difference is multiplied on the way.
    pub(crate) fn of_centred(means: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let (mut inside, mut lost) = (0.0f64, 1.0f64);
        for (mean, most) in means {
            let most = most.max(1.0) * (1.0 + 1e-9);
            inside = inside.max(most * (1.0 + mean.abs()));
            lost = lost.max(most);
        }
        Self {
            inside,
            lost,
            ..Self::default()
        }
    }
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            roundings: 0,
            partial: 1.0,
            inside: 0.0,
            lost: 1.0,
            fits: true,
        }
    }
}

/// A normalisation of each channel (the first dimension of an input) by a mean and a variance. It keeps the running ones
/// in parameters of the names `running_mean` and `running_var`, `[channels]`.
pub trait Normalizing {
    /// The operator with another mean and variance, each `[channels]`, through which gradients flow.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn with_statistics(&self, mean: Tensor, variance: Tensor) -> Result<Arc<dyn Affine>>;

    /// The value at an operand `[B, in...]` by its own statistics over the batch, then its mean and its variance (biased:
    /// the mean of the squared deviations), each `[channels]`; differentiable.
    ///
    /// # Errors
    /// A tensor computation that fails.
    fn by_own_statistics(&self, operand: &Tensor) -> Result<[Tensor; 3]>;
}
