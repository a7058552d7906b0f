//! The operators: one file each, and the one list of them.

mod activation;
mod add;
mod avg_pool2d;
mod batch_norm;
mod concat;
mod conv2d;
mod flatten;
mod global_avg_pool;
mod layout;
mod linear;
mod max_pool2d;
mod maxout;
mod pad;
mod prelu;
mod reshape;
mod scale;
mod select;
mod selection;
mod slice;
mod spectral;
mod standardize;
mod translate;
mod transpose;
mod window;

pub use activation::Activation;
pub use add::Add;
pub use avg_pool2d::AvgPool2d;
pub use batch_norm::BatchNorm;
pub use concat::Concat;
pub use conv2d::{Conv2d, Conv2dConfig};
pub use flatten::Flatten;
pub use global_avg_pool::GlobalAvgPool;
pub use linear::Linear;
pub use max_pool2d::MaxPool2d;
pub use maxout::Maxout;
pub use pad::Pad;
pub use prelu::Prelu;
pub use reshape::Reshape;
pub use scale::Scale;
pub use select::Select;
pub use slice::Slice;
pub use standardize::Standardize;
pub use translate::Translate;
pub use transpose::Transpose;
pub use window::Window2d;

use crate::{Affine, Error, Operator, PiecewiseLinear, Result};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a model file stores of an operator: everything but the values of its parameters.
///
/// Axes and shapes are those of one input; the batch is never counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum OperatorSpec {
    /// A piecewise-linear function of one variable, see [`Activation`].
    Activation {
        /// Where the slope changes, strictly increasing.
        breakpoints: Vec<f64>,
        /// The slope on each piece, one more than there are breakpoints.
        slopes: Vec<f64>,
        /// The value at the first breakpoint.
        anchor: f64,
    },
    /// See [`Add`].
    Add,
    /// See [`AvgPool2d`].
    #[serde(rename = "avg_pool2d")]
    AvgPool2d {
        /// The window, without dilation.
        window: Window2d,
        /// Whether the padding counts in the mean.
        count_padding: bool,
    },
    /// See [`BatchNorm`].
    BatchNorm {
        /// Number of channels, the first dimension.
        channels: usize,
        /// Added to the variance.
        eps: f64,
    },
    /// See [`Concat`].
    Concat {
        /// The dimension along which.
        axis: usize,
    },
    /// See [`Conv2d`].
    #[serde(rename = "conv2d")]
    Conv2d(Conv2dConfig),
    /// See [`Flatten`].
    Flatten,
    /// See [`GlobalAvgPool`].
    GlobalAvgPool,
    /// See [`Linear`].
    Linear {
        /// Number of input features.
        inputs: usize,
        /// Number of output features.
        outputs: usize,
        /// Whether there is a bias.
        bias: bool,
    },
    /// See [`MaxPool2d`].
    #[serde(rename = "max_pool2d")]
    MaxPool2d {
        /// The window; padding is never selected.
        window: Window2d,
    },
    /// See [`Maxout`].
    Maxout {
        /// How many channels compete.
        pieces: usize,
    },
    /// See [`Pad`].
    Pad {
        /// Entries added before each dimension.
        before: Vec<usize>,
        /// Entries added after each dimension.
        after: Vec<usize>,
        /// The value of the added entries.
        value: f64,
    },
    /// See [`Prelu`].
    Prelu {
        /// Number of channels, or 1 for one slope for all units.
        channels: usize,
    },
    /// See [`Reshape`].
    Reshape {
        /// The new shape.
        shape: Vec<usize>,
    },
    /// The operator of an earlier node, parameters included: how a recurrence or any other network with tied
    /// weights names them once.
    SameAs {
        /// Name of that node.
        node: String,
    },
    /// See [`Scale`].
    Scale {
        /// Shape of the constant `scale`.
        shape: Vec<usize>,
    },
    /// See [`Select`].
    Select {
        /// The dimension that falls away.
        axis: usize,
        /// Which entry of it.
        index: usize,
    },
    /// See [`Slice`].
    Slice {
        /// The dimension that is cut.
        axis: usize,
        /// The first entry.
        start: usize,
        /// The number of entries.
        length: usize,
    },
    /// See [`Standardize`].
    Standardize {
        /// Mean for each channel, or one for all.
        mean: Vec<f64>,
        /// Standard deviation for each channel, or one for all.
        std: Vec<f64>,
    },
    /// See [`Translate`].
    Translate {
        /// Shape of the constant `shift`.
        shape: Vec<usize>,
    },
    /// See [`Transpose`].
    Transpose {
        /// Which dimension of the operand each dimension is.
        permutation: Vec<usize>,
    },
}

impl OperatorSpec {
    /// `max(z, 0)`, an [`Activation`].
    pub fn relu() -> Self {
        Activation::relu().spec()
    }

    /// `z` for `z >= 0`, `negative_slope * z` otherwise, an [`Activation`].
    pub fn leaky_relu(negative_slope: f64) -> Self {
        Self::Activation {
            breakpoints: vec![0.0],
            slopes: vec![negative_slope, 1.0],
            anchor: 0.0,
        }
    }

    /// `|z|`, an [`Activation`].
    pub fn abs() -> Self {
        Activation::abs().spec()
    }

    /// `min(max(z, lo), hi)` with `lo < hi`, an [`Activation`] with two constraints for each unit: the hard-tanh is
    /// `clip(-1, 1)`, the ReLU6 `clip(0, 6)`.
    pub fn clip(lo: f64, hi: f64) -> Self {
        Self::Activation {
            breakpoints: vec![lo, hi],
            slopes: vec![0.0, 1.0, 0.0],
            anchor: lo,
        }
    }

    /// The kind, as files write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Activation { .. } => "activation",
            Self::Add => "add",
            Self::AvgPool2d { .. } => "avg_pool2d",
            Self::BatchNorm { .. } => "batch_norm",
            Self::Concat { .. } => "concat",
            Self::Conv2d(_) => "conv2d",
            Self::Flatten => "flatten",
            Self::GlobalAvgPool => "global_avg_pool",
            Self::Linear { .. } => "linear",
            Self::MaxPool2d { .. } => "max_pool2d",
            Self::Maxout { .. } => "maxout",
            Self::Pad { .. } => "pad",
            Self::Prelu { .. } => "prelu",
            Self::Reshape { .. } => "reshape",
            Self::Scale { .. } => "scale",
            Self::Select { .. } => "select",
            Self::Slice { .. } => "slice",
            Self::Standardize { .. } => "standardize",
            Self::Translate { .. } => "translate",
            Self::Transpose { .. } => "transpose",
            Self::SameAs { .. } => "same_as",
        }
    }

    /// Builds the operator, its parameters taken from (or initialised by) `vars`.
    pub fn build(&self, vars: VarBuilder) -> Result<Operator> {
        let (dtype, device) = (vars.dtype(), vars.device().clone());
        Ok(match self {
            Self::Activation {
                breakpoints,
                slopes,
                anchor,
            } => piecewise_linear(Activation::new(breakpoints, slopes, *anchor)?),
            Self::Add => affine(Add),
            Self::AvgPool2d {
                window,
                count_padding,
            } => affine(AvgPool2d::new(window.clone(), *count_padding)?),
            Self::BatchNorm { channels, eps } => affine(BatchNorm::new(*channels, *eps, vars)?),
            Self::Concat { axis } => affine(Concat::new(*axis)),
            Self::Conv2d(config) => affine(Conv2d::new(config.clone(), vars)?),
            Self::Flatten => affine(Flatten),
            Self::GlobalAvgPool => affine(GlobalAvgPool),
            Self::Linear {
                inputs,
                outputs,
                bias,
            } => affine(Linear::new(*inputs, *outputs, *bias, vars)?),
            Self::MaxPool2d { window } => piecewise_linear(MaxPool2d::new(window.clone())?),
            Self::Maxout { pieces } => piecewise_linear(Maxout::new(*pieces)?),
            Self::Pad {
                before,
                after,
                value,
            } => affine(Pad::new(before, after, *value, dtype, &device)?),
            Self::Prelu { channels } => piecewise_linear(Prelu::new(*channels, vars)?),
            Self::Reshape { shape } => affine(Reshape::new(shape)),
            Self::Scale { shape } => affine(Scale::new(shape, vars)?),
            Self::Select { axis, index } => affine(Select::new(*axis, *index)),
            Self::Slice {
                axis,
                start,
                length,
            } => affine(Slice::new(*axis, *start, *length)),
            Self::Standardize { mean, std } => affine(Standardize::new(mean, std, dtype, &device)?),
            Self::Translate { shape } => affine(Translate::new(shape, vars)?),
            Self::Transpose { permutation } => affine(Transpose::new(permutation)?),
            Self::SameAs { node } => {
                return Err(Error::Graph(format!(
                    "the operator of node `{node}` can be named again only within a network"
                )));
            }
        })
    }
}

fn affine(operator: impl Affine + 'static) -> Operator {
    Operator::Affine(Arc::new(operator))
}

fn piecewise_linear(operator: impl PiecewiseLinear + 'static) -> Operator {
    Operator::PiecewiseLinear(Arc::new(operator))
}
