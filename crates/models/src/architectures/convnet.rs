//! A small convolutional network.

use super::graph::GraphSpec;
use crate::{
    error::{Error, Result},
    network::Network,
    spec::{Conv2dConfig, NetworkSpec, OperatorSpec},
    window::Window2d,
};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// How a [`ConvNetConfig`] halves the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Average pooling, which adds no neurons: the paper's advice.
    Average,
    /// Max pooling, three neurons for each output.
    Max,
    /// Convolutions of stride 2.
    Strided,
}

/// A small ConvNet: for each entry of `channels` a convolution, an activation and a halving of the image; then a
/// linear layer.
///
/// Nodes are named `features.0`, `features.0.activation`, `features.0.pool`, ..., `flatten`, `classifier`.
/// Parameters are initialised as PyTorch's default.
///
/// ```
/// use candle_core::{DType, Device};
/// use loclin_models::{Parameters, architectures::{ConvNetConfig, Pooling}};
///
/// let config = ConvNetConfig { inputs: [1, 28, 28], channels: vec![8, 16], kernel: 3, pooling: Pooling::Average,
///     outputs: 10, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(0).builder(DType::F32, &Device::Cpu))?;
/// assert_eq!(network.output_size(), 10);
/// # Ok::<(), loclin_models::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvNetConfig {
    /// Channels, height and width of an input.
    #[serde(rename = "input_shape")]
    pub inputs: [usize; 3],
    /// Channels of each convolution; at least one.
    pub channels: Vec<usize>,
    /// Size of the kernels, odd, so that a convolution of stride 1 keeps the image's size.
    pub kernel: usize,
    /// How the image is halved after each convolution.
    pub pooling: Pooling,
    /// Number of outputs, at least 1.
    pub outputs: usize,
    /// Slope of the activation for negative pre-activations, finite; 0 is the ReLU.
    #[serde(alias = "leak")]
    pub negative_slope: f64,
}

impl ConvNetConfig {
    /// The network's graph.
    ///
    /// # Errors
    /// Sizes that make no network, named by their field.
    pub fn spec(&self) -> Result<NetworkSpec> {
        let error = |field, cause| Err(Error::Config { field, cause });
        if self.kernel.is_multiple_of(2) {
            return error("kernel", format!("{} is not odd", self.kernel));
        }
        let halvings = u32::try_from(self.channels.len()).unwrap_or(u32::MAX);
        let halved = |n: usize| n.checked_shr(halvings).unwrap_or(0);
        let sides = [halved(self.inputs[1]), halved(self.inputs[2])];
        if self.channels.is_empty() || sides.contains(&0) {
            return error(
                "channels",
                format!(
                    "{} halvings of an image {:?}; at least one, and something must be left",
                    self.channels.len(),
                    self.inputs
                ),
            );
        }
        let mut graph = GraphSpec::new(&self.inputs);
        let mut add = |name: String, operator: OperatorSpec| {
            let operand = graph.last();
            graph.add(name, operator, &[&operand]);
        };
        let [mut inputs, mut height, mut width] = self.inputs;
        for (i, &outputs) in self.channels.iter().enumerate() {
            let stride = if self.pooling == Pooling::Strided {
                2
            } else {
                1
            };
            let window = Window2d::square(self.kernel, stride, self.kernel / 2);
            let convolution = OperatorSpec::Conv2d(Conv2dConfig {
                inputs,
                outputs,
                window,
                groups: 1,
                bias: true,
            });
            add(format!("features.{i}"), convolution);
            add(
                format!("features.{i}.activation"),
                OperatorSpec::leaky_relu(self.negative_slope),
            );
            let window = Window2d::square(2, 2, 0);
            let pool = match self.pooling {
                Pooling::Average => Some(OperatorSpec::AvgPool2d {
                    window,
                    count_padding: true,
                }),
                Pooling::Max => Some(OperatorSpec::MaxPool2d { window }),
                Pooling::Strided => None,
            };
            [height, width] = match pool {
                Some(pool) => {
                    add(format!("features.{i}.pool"), pool);
                    [height / 2, width / 2]
                }
                None => [height.div_ceil(2), width.div_ceil(2)],
            };
            inputs = outputs;
        }
        add("flatten".into(), OperatorSpec::Flatten);
        let features = inputs
            .checked_mul(height)
            .and_then(|n| n.checked_mul(width));
        let Some(features) = features else {
            return error("channels", format!("{inputs} are too many"));
        };
        let head = OperatorSpec::Linear {
            inputs: features,
            outputs: self.outputs,
            bias: true,
        };
        add("classifier".into(), head);
        Ok(graph.finish())
    }

    /// The network, its parameters taken from (or initialised by) `vars`.
    ///
    /// # Errors
    /// Those of [`ConvNetConfig::spec`], and parameters that `vars` lacks or has in another shape.
    pub fn build(&self, vars: VarBuilder) -> Result<Network> {
        self.spec()?.build(vars)
    }
}
