//! What a model file stores of operators and networks: data alone. [`OperatorSpec::build`] and [`NetworkSpec::build`]
//! make operators and networks of it.

use crate::{sparse_rows::SparseRows, window::Window2d};
use serde::{Deserialize, Serialize};

/// The name of the input node.
pub const INPUT: &str = "input";

/// What a model file stores of a network: the graph, without the parameters' values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Shape of one input.
    pub input_shape: Vec<usize>,
    /// The nodes after the input, in topological order; the last one is the output.
    pub nodes: Vec<NodeSpec>,
}

/// One node of a [`NetworkSpec`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// Unique name, the prefix of its parameters' names.
    pub name: String,
    /// The operator.
    pub operator: OperatorSpec,
    /// Names of its operands.
    pub operands: Vec<String>,
}

/// What a model file stores of an operator: everything but the values of its parameters.
///
/// Axes and shapes are those of one input; the batch is never counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum OperatorSpec {
    /// A piecewise-linear function of one variable, see [`Activation`](crate::operators::Activation).
    Activation {
        /// Where the slope changes, strictly increasing.
        breakpoints: Vec<f64>,
        /// The slope on each piece, one more than there are breakpoints.
        slopes: Vec<f64>,
        /// The value at the first breakpoint.
        anchor: f64,
    },
    /// See [`Add`](crate::operators::Add).
    Add,
    /// See [`AvgPool2d`](crate::operators::AvgPool2d).
    #[serde(rename = "avg_pool2d")]
    AvgPool2d {
        /// The window, without dilation.
        window: Window2d,
        /// Whether the padding counts in the mean.
        count_padding: bool,
    },
    /// See [`BatchNorm`](crate::operators::BatchNorm).
    BatchNorm {
        /// Number of channels, the first dimension.
        channels: usize,
        /// Added to the variance.
        eps: f64,
    },
    /// See [`Concat`](crate::operators::Concat).
    Concat {
        /// The dimension along which.
        axis: usize,
    },
    /// See [`Conv2d`](crate::operators::Conv2d).
    #[serde(rename = "conv2d")]
    Conv2d(Conv2dConfig),
    /// See [`Flatten`](crate::operators::Flatten).
    Flatten,
    /// See [`GlobalAvgPool`](crate::operators::GlobalAvgPool).
    GlobalAvgPool,
    /// See [`Linear`](crate::operators::Linear).
    Linear {
        /// Number of input features.
        inputs: usize,
        /// Number of output features.
        outputs: usize,
        /// Whether there is a bias.
        bias: bool,
    },
    /// See [`MaxPool2d`](crate::operators::MaxPool2d).
    #[serde(rename = "max_pool2d")]
    MaxPool2d {
        /// The window; padding is never selected.
        window: Window2d,
    },
    /// See [`Maxout`](crate::operators::Maxout).
    Maxout {
        /// How many channels compete.
        pieces: usize,
    },
    /// See [`Pad`](crate::operators::Pad).
    Pad {
        /// Entries added before each dimension.
        before: Vec<usize>,
        /// Entries added after each dimension.
        after: Vec<usize>,
        /// The value of the added entries.
        value: f64,
    },
    /// See [`Prelu`](crate::operators::Prelu).
    Prelu {
        /// Number of channels, or 1 for one slope for all units.
        channels: usize,
    },
    /// See [`Resample`](crate::operators::Resample).
    Resample {
        /// The dimension along which.
        axis: usize,
        /// The weights.
        rows: SparseRows,
    },
    /// See [`Reshape`](crate::operators::Reshape).
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
    /// See [`Divide`](crate::operators::Divide).
    Divide {
        /// Shape of the constant `divisor`.
        shape: Vec<usize>,
    },
    /// See [`Scale`](crate::operators::Scale).
    Scale {
        /// Shape of the constant `scale`.
        shape: Vec<usize>,
    },
    /// See [`Select`](crate::operators::Select).
    Select {
        /// The dimension that falls away.
        axis: usize,
        /// Which entry of it.
        index: usize,
    },
    /// See [`Slice`](crate::operators::Slice).
    Slice {
        /// The dimension that is cut.
        axis: usize,
        /// The first entry.
        start: usize,
        /// The number of entries.
        length: usize,
    },
    /// See [`Standardize`](crate::operators::Standardize).
    Standardize {
        /// Mean for each channel, or one for all.
        mean: Vec<f64>,
        /// Standard deviation for each channel, or one for all.
        std: Vec<f64>,
    },
    /// See [`Translate`](crate::operators::Translate).
    Translate {
        /// Shape of the constant `shift`.
        shape: Vec<usize>,
    },
    /// See [`Transpose`](crate::operators::Transpose).
    Transpose {
        /// Which dimension of the operand each dimension is.
        permutation: Vec<usize>,
    },
}

impl OperatorSpec {
    /// `max(z, 0)`, an [`Activation`](crate::operators::Activation).
    pub fn relu() -> Self {
        Self::leaky_relu(0.0)
    }

    /// `z` for `z >= 0`, `negative_slope * z` otherwise, an [`Activation`](crate::operators::Activation).
    pub fn leaky_relu(negative_slope: f64) -> Self {
        Self::Activation {
            breakpoints: vec![0.0],
            slopes: vec![negative_slope, 1.0],
            anchor: 0.0,
        }
    }

    /// `|z|`, an [`Activation`](crate::operators::Activation).
    pub fn abs() -> Self {
        Self::Activation {
            breakpoints: vec![0.0],
            slopes: vec![-1.0, 1.0],
            anchor: 0.0,
        }
    }

    /// `min(max(z, lo), hi)` with `lo < hi`, an [`Activation`](crate::operators::Activation) with two neurons for each unit: the hard-tanh is
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
            Self::Resample { .. } => "resample",
            Self::Reshape { .. } => "reshape",
            Self::Divide { .. } => "divide",
            Self::Scale { .. } => "scale",
            Self::Select { .. } => "select",
            Self::Slice { .. } => "slice",
            Self::Standardize { .. } => "standardize",
            Self::Translate { .. } => "translate",
            Self::Transpose { .. } => "transpose",
            Self::SameAs { .. } => "same_as",
        }
    }
}

/// Hyper-parameters of a [`Conv2d`](crate::operators::Conv2d).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dConfig {
    /// Number of input channels.
    pub inputs: usize,
    /// Number of output channels.
    pub outputs: usize,
    /// Kernel, stride, padding and dilation.
    pub window: Window2d,
    /// In how many groups of channels the convolution falls apart; divides both numbers of channels.
    pub groups: usize,
    /// Whether there is a bias.
    pub bias: bool,
}
