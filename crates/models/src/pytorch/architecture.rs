//! What network a state dict belongs to: data alone.

use super::torchvision::TorchvisionConfig;
use crate::{
    architectures::{ConvNetConfig, ResNetConfig, ScoRnnConfig},
    spec::NetworkSpec,
};
use serde::{Deserialize, Serialize};

/// What network the tensors of a state dict make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Architecture {
    /// A fully connected network: the linear layers of the state dict in its order, whatever their names, with an
    /// activation between them. Widths are those of the tensors. Safetensors keep no order; there names and widths must say
    /// which it is: names that differ in numbers alone are ordered by these.
    Fc {
        /// Shape of one input; by default a vector as long as the first layer is wide.
        #[serde(default)]
        input_shape: Option<Vec<usize>>,
        /// Slope of the activation for negative pre-activations; 0 is the ReLU.
        #[serde(default, alias = "leak")]
        negative_slope: f64,
        /// Whether the layers have biases: all of them or none.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// Layers in sequence. Numbers of features and channels and sizes of kernels are those of the tensors.
    Sequential {
        /// Shape of one input.
        input_shape: Vec<usize>,
        /// The layers.
        layers: Vec<Layer>,
    },
    /// A small ConvNet; the tensors have the names that [`ConvNetConfig`] says.
    #[serde(rename = "convnet")]
    ConvNet(ConvNetConfig),
    /// A residual network; torchvision's names, or the usual ones for CIFAR.
    #[serde(rename = "resnet")]
    ResNet(ResNetConfig),
    /// A scaled Cayley orthogonal recurrent network for sequences of one length. The tensors have the names of
    /// [`ScoRnn`](crate::architectures::ScoRnn)'s parameters; of `recurrent.skew` the part below the diagonal counts.
    #[serde(rename = "scornn")]
    ScoRnn {
        /// The number of time steps, at least 1.
        length: usize,
        /// Its sizes.
        network: ScoRnnConfig,
    },
    /// A network of torchvision, by name.
    Torchvision(TorchvisionConfig),
    /// A network whose parameters have the names of the tensors.
    Network {
        /// Its graph.
        spec: NetworkSpec,
    },
}

/// A layer of [`Architecture::Sequential`], with PyTorch's defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// `nn.Linear`.
    Linear {
        /// The module's name, the prefix of its tensors' names.
        name: String,
        /// Whether it has a bias.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// `nn.Conv2d` with square stride, padding and dilation.
    #[serde(rename = "conv2d")]
    Conv2d {
        /// The module's name.
        name: String,
        /// Steps between positions.
        #[serde(default = "one")]
        stride: usize,
        /// Zeros on every side.
        #[serde(default)]
        padding: usize,
        /// Steps between the kernel's entries.
        #[serde(default = "one")]
        dilation: usize,
        /// Groups of channels.
        #[serde(default = "one")]
        groups: usize,
        /// Whether it has a bias.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// `nn.BatchNorm1d`, `nn.BatchNorm2d`.
    BatchNorm {
        /// The module's name.
        name: String,
        /// Added to the variance.
        #[serde(default = "default_eps")]
        eps: f64,
    },
    /// `nn.ReLU`.
    Relu,
    /// `nn.LeakyReLU`.
    LeakyRelu {
        /// Slope for negative values.
        #[serde(alias = "leak")]
        negative_slope: f64,
    },
    /// `nn.MaxPool2d`.
    #[serde(rename = "max_pool2d")]
    MaxPool2d {
        /// Side of the window.
        kernel: usize,
        /// Steps between positions.
        stride: usize,
        /// Padding on every side.
        #[serde(default)]
        padding: usize,
    },
    /// `nn.AvgPool2d`, padding counted.
    #[serde(rename = "avg_pool2d")]
    AvgPool2d {
        /// Side of the window.
        kernel: usize,
        /// Steps between positions.
        stride: usize,
        /// Zeros on every side.
        #[serde(default)]
        padding: usize,
    },
    /// `nn.AdaptiveAvgPool2d(1)`.
    GlobalAvgPool,
    /// `nn.Flatten`, `x.view(x.size(0), -1)`.
    Flatten,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

fn default_eps() -> f64 {
    1e-5
}
