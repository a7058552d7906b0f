//! The two kinds of operator.
//!
//! A network is a graph of operators. Each gives *local readings* only, and the loops over the graph
//! ([`crate::Network`]) are written once:
//!
//! | reading | meaning | shapes (`B` inputs, `K` tangents each) |
//! |---|---|---|
//! | value | output at a batch of inputs | `[B, in...] -> [B, out...]` |
//! | push | tangents through the fixed-pattern linear map | `[B or 1, K, in...] -> [B or 1, K, out...]` |
//! | pull | cotangents through its transpose | `[B or 1, K, out...] -> [B or 1, K, in...]` |
//! | offset | the constant of the fixed-pattern *affine* map | `[B or 1, out...]` |
//! | slope_changes | what a pull changes by across each constraint's boundary | `[B or 1, K, out...] -> [B or 1, K, m]` |
//!
//! A leading dimension of 1 in tangents, cotangents or offsets says that all inputs of the batch share them:
//! below the first piecewise-linear operator every input has the same Jacobian, and it is computed once.
//!
//! The value of an affine operator is by definition `push(x) + offset`. Readings are ordinary Candle
//! computations, differentiable in the parameters.
//!
//! # An operator of your own
//!
//! Nothing in this workspace has a closed list of operators but the files: an operator of another crate is put into a
//! network with [`crate::NetworkBuilder`], and every question works for it. It has no [`Affine::spec`], so that a network
//! with it cannot be saved. If it has parameters it lists them ([`Affine::parameters`]) and says how it is made anew with
//! others ([`Affine::map_parameters`]).
//!
//! ```
//! use candle_core::{DType, Device, Result, Tensor};
//! use loclin_models::{Affine, NetworkBuilder, operator::ShapeResult};
//!
//! /// All entries in the reverse order.
//! #[derive(Debug)]
//! struct Reverse;
//!
//! impl Affine for Reverse {
//!     fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
//!         match operands {
//!             [shape] if shape.len() == 1 => Ok(shape.to_vec()),
//!             _ => Err(format!("takes a vector, found {operands:?}")),
//!         }
//!     }
//!     fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
//!         tangents[0].flip(&[2])
//!     }
//!     fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
//!         Ok(vec![cotangent.flip(&[2])?])
//!     }
//!     fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
//!         Ok(bounds[0])
//!     }
//! }
//!
//! let mut builder = NetworkBuilder::new(&[3])?;
//! builder.affine("reverse", Reverse, &[0])?;
//! let network = builder.finish(DType::F64, &Device::Cpu)?;
//! let x = Tensor::new(&[[1.0, 2.0, 3.0]], &Device::Cpu)?;
//! assert_eq!(network.trace(&x)?.output().to_vec2::<f64>()?, [[3.0, 2.0, 1.0]]);
//! assert!(network.spec().is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{error, parameter_map::ParameterMap, record::ActivationRecord, spec::OperatorSpec};
use candle_core::{Result, Tensor};
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
    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult;

    /// Tangents through the linear part: operands `[B or 1, K, in...]`, result `[B or 1, K, out...]`.
    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor>;

    /// The value at operands `[B, in...]`, `[B, out...]`, given the shape `out` of the output of one input: the push of
    /// the operands as tangents, plus the offset.
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
    fn pull(&self, cotangent: &Tensor, operands: &[&[usize]]) -> Result<Vec<Tensor>>;

    /// The constant part, broadcastable to `[B, out...]`, given the shape `out` of the output of one input;
    /// `None` when it is zero.
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
    fn lipschitz(&self, operands: &[&[usize]], bounds: &[f64]) -> Result<f64>;

    /// What each channel (the first dimension of an input) is multiplied by, if that is all the operator does but for
    /// its offset: then it and the operator below it are bounded together, [`Affine::scaled_lipschitz`].
    fn channel_scale(&self) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// [`Affine::lipschitz`] with each channel of the result multiplied by an entry of `scale`; `None` where nothing
    /// better than the product of both bounds is known.
    fn scaled_lipschitz(&self, _scale: &Tensor, _bounds: &[f64]) -> Result<Option<f64>> {
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

    /// The operator as a normalisation by statistics, which in training mode are those of the batch
    /// ([`crate::Network::trace_train`]); `None`, the default, for an operator that is the same in both modes.
    fn normalization(&self) -> Option<&dyn Normalizing> {
        None
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
}

/// A piecewise-linear operator that selects one of several affine maps for each unit: an activation,
/// max pooling, ... The selection is its part of the activation pattern (Def. 1).
///
/// The set of inputs with one selection is cut out by linear constraints on the operand, "neurons" for short:
/// `sign * constraint >= 0`. For a ReLU the constraint is the pre-activation itself; a max over `N` inputs
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
    fn output_shape(&self, operand: &[usize]) -> ShapeResult;

    /// The value alone: `[B, in...] -> [B, out...]`.
    fn value(&self, operand: &Tensor) -> Result<Tensor>;

    /// The selection made at a batch of operands `[B, in...]`.
    fn record(&self, operand: &Tensor) -> Result<ActivationRecord>;

    /// Tangents `[B or 1, K, in...]` through the selected linear maps: `[B, K, out...]`.
    fn push(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor>;

    /// Cotangents `[B or 1, K, out...]` through their transpose: `[B, K, in...]`.
    fn pull(
        &self,
        cotangent: &Tensor,
        record: &ActivationRecord,
        operand: &[usize],
    ) -> Result<Tensor>;

    /// The constant part of the selected affine maps, `[B or 1, out...]`; `None` when it is zero.
    fn offset(&self, record: &ActivationRecord) -> Result<Option<Tensor>>;

    /// Tangents `[B or 1, K, in...]` of the operand to tangents `[B or 1, K, m]` of the `m` constraints.
    fn push_neurons(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor>;

    /// The transpose: cotangents `[B or 1, K, m]` of the constraints to `[B or 1, K, in...]` of the operand.
    fn pull_neurons(
        &self,
        cotangent: &Tensor,
        record: &ActivationRecord,
        operand: &[usize],
    ) -> Result<Tensor>;

    /// An upper bound on the spectral norm of the linear part under every selection, given the operand's shape: the
    /// l2 Lipschitz constant of a continuous operator.
    fn lipschitz(&self, operand: &[usize]) -> Result<f64>;

    /// The largest l2 norm of a constraint's gradient with respect to the operand: 1 for a pre-activation, the square
    /// root of 2 for a difference of two entries.
    fn neuron_length(&self) -> f64;

    /// What the constraints are worth: cotangents `[B or 1, K, out...]` of the output to `[B or 1, K, m]`. The operator
    /// is continuous, so the linear maps on the positive and on the negative side of constraint `c_j` differ by a
    /// matrix of rank one, `a_j (grad c_j)^T`; this is `a_j . cotangent`. `operand` is the operand's shape.
    fn slope_changes(&self, cotangent: &Tensor, operand: &[usize]) -> Result<Tensor>;

    /// How many numbers one tangent needs for a moment beside the operand and the result, the constraints'
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

/// An operator at a node of a network.
#[derive(Debug, Clone)]
pub enum Operator {
    /// The network's input; the first node, and only that.
    Input,
    /// An affine map.
    Affine(Arc<dyn Affine>),
    /// A map that selects.
    PiecewiseLinear(Arc<dyn PiecewiseLinear>),
}

impl Operator {
    /// The parameters by local name, in a fixed order.
    pub fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        match self {
            Self::Input => Vec::new(),
            Self::Affine(operator) => operator.parameters(),
            Self::PiecewiseLinear(operator) => operator.parameters(),
        }
    }

    /// What a model file stores; `None` for the input and for an operator that no file can hold.
    pub fn spec(&self) -> Option<OperatorSpec> {
        match self {
            Self::Input => None,
            Self::Affine(operator) => operator.spec(),
            Self::PiecewiseLinear(operator) => operator.spec(),
        }
    }

    /// What messages call the operator.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Affine(operator) => operator.kind(),
            Self::PiecewiseLinear(operator) => operator.kind(),
        }
    }

    /// The operator with other parameters; `None` if it stays as it is.
    pub(crate) fn map_parameters(&self, map: &mut ParameterMap<'_>) -> error::Result<Option<Self>> {
        Ok(match self {
            Self::Input => None,
            Self::Affine(operator) => operator.map_parameters(map)?.map(Self::Affine),
            Self::PiecewiseLinear(operator) => {
                operator.map_parameters(map)?.map(Self::PiecewiseLinear)
            }
        })
    }

    /// Tells operators apart that are equal but have parameters of their own; `None` for the input.
    pub(crate) fn identity(&self) -> Option<*const ()> {
        match self {
            Self::Input => None,
            Self::Affine(operator) => Some(Arc::as_ptr(operator).cast()),
            Self::PiecewiseLinear(operator) => Some(Arc::as_ptr(operator).cast()),
        }
    }

    /// How many numbers one tangent needs for a moment beside operands and result.
    pub(crate) fn workspace(&self, operands: &[&[usize]], output: &[usize]) -> usize {
        match (self, operands) {
            (Self::Affine(operator), _) => operator.workspace(operands, output),
            (Self::PiecewiseLinear(operator), [operand]) => operator.workspace(operand),
            _ => 0,
        }
    }

    pub(crate) fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        match (self, operands) {
            (Self::Input, _) => Err("the input takes no operand".into()),
            (Self::Affine(operator), _) => operator.output_shape(operands),
            (Self::PiecewiseLinear(operator), [operand]) => operator.output_shape(operand),
            (Self::PiecewiseLinear(_), _) => {
                Err(format!("takes one operand, found {}", operands.len()))
            }
        }
    }
}
