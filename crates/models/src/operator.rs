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
//! | slope_changes | what a pull changes by across each neuron's boundary | `[B or 1, K, out...] -> [B or 1, K, m]` |
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

mod affine;
mod alternatives;
mod piecewise_linear;

pub use crate::unit_piece::UnitPiece;
pub use affine::{Affine, Evaluation, Made, Magnitude, Normalizing, ShapeResult};
pub use alternatives::Alternatives;
pub use piecewise_linear::{PiecewiseLinear, Terms};

use crate::{error, parameter_map::ParameterMap, spec::OperatorSpec};
use candle_core::Tensor;
use std::sync::Arc;

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
