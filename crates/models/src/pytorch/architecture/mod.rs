//! What network a state dict belongs to.

use super::StateDict;
use crate::{
    Error, INPUT, Mlp, Network, NetworkSpec, NodeSpec, Parameters, Result,
    architectures::{ConvNetConfig, ResNetConfig, ScoRnn, ScoRnnConfig},
    operators::{Conv2dConfig, OperatorSpec, Window2d},
};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What network the tensors of a state dict make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Architecture {
    /// A fully connected network: the linear layers of the state dict in its order, whatever their names, with an
    /// activation between them. Widths are those of the tensors.
    Fc {
        /// Shape of one input; by default a vector as long as the first layer is wide.
        #[serde(default)]
        input_shape: Option<Vec<usize>>,
        /// Slope of the activation for negative pre-activations; 0 is the ReLU.
        #[serde(default)]
        negative_slope: f64,
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
    /// [`ScoRnn`]'s parameters; of `recurrent.skew` the part below the diagonal counts.
    #[serde(rename = "scornn")]
    ScoRnn {
        /// The number of time steps, at least 1.
        length: usize,
        /// Its sizes.
        network: ScoRnnConfig,
    },
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

fn default_eps() -> f64 {
    1e-5
}

fn says(name: impl Into<String>, cause: impl Into<String>) -> Error {
    Error::StateDict {
        name: name.into(),
        cause: cause.into(),
    }
}

impl Architecture {
    /// The graph with the sizes that the tensors have, and the tensors under the graph's names.
    pub(super) fn resolve(&self, tensors: StateDict) -> Result<(NetworkSpec, StateDict)> {
        match self {
            Self::Fc {
                input_shape,
                negative_slope,
            } => fc(input_shape.as_deref(), *negative_slope, tensors),
            Self::Sequential {
                input_shape,
                layers,
            } => Ok((sequential(input_shape, layers, &tensors)?, tensors)),
            Self::ConvNet(config) => Ok((config.spec()?, tensors)),
            Self::ResNet(config) => Ok((config.spec()?, tensors)),
            Self::ScoRnn { length, network } => scornn(*length, network, tensors),
            Self::Network { spec } => Ok((spec.clone(), tensors)),
        }
    }

    /// The network with seeded parameters instead of a file's: those that each architecture is initialised with.
    ///
    /// # Errors
    /// Sizes that make no network, and the two kinds whose sizes only the tensors of a file say.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use loclin_models::{architectures::ResNetConfig, pytorch::Architecture};
    ///
    /// let architecture = Architecture::ResNet(ResNetConfig { width: 2, ..ResNetConfig::resnet20(10) });
    /// let network = architecture.seeded(7, DType::F32, &Device::Cpu)?;
    /// assert_eq!(network.output_size(), 10);
    /// # Ok::<(), loclin_models::Error>(())
    /// ```
    pub fn seeded(&self, seed: u64, dtype: DType, device: &Device) -> Result<Network> {
        let parameters = Parameters::seeded(seed);
        let vars = parameters.builder(dtype, device);
        match self {
            Self::Fc { .. } | Self::Sequential { .. } => Err(Error::Config {
                field: "kind",
                cause: "`fc` and `sequential` have the sizes of a file's tensors, and so no parameters without \
                        one; describe a `convnet`, `resnet`, `scornn` or `network`"
                    .into(),
            }),
            Self::ConvNet(config) => config.build(vars),
            Self::ResNet(config) => config.build(vars),
            Self::ScoRnn { length, network } => {
                let (rnn, _) = ScoRnn::seeded(network.clone(), seed, dtype, device)?;
                rnn.rnn()?.network(*length)
            }
            Self::Network { spec } => spec.build(vars),
        }
    }
}

/// The unrolled graph, whose recurrent weight is a function of `recurrent.skew`.
fn scornn(
    length: usize,
    config: &ScoRnnConfig,
    tensors: StateDict,
) -> Result<(NetworkSpec, StateDict)> {
    const SKEW: &str = "recurrent.skew";
    let spec = config.recurrence().spec(length)?;
    let n = config.hidden;
    let (skew, mut others): (StateDict, StateDict) =
        tensors.into_iter().partition(|(name, _)| name == SKEW);
    let Some((_, skew)) = skew.into_iter().next() else {
        return Err(says(
            SKEW,
            format!("is missing; expected with shape [{n}, {n}]"),
        ));
    };
    if skew.dims() != [n, n] {
        return Err(says(
            SKEW,
            format!("has shape {:?}, expected [{n}, {n}]", skew.dims()),
        ));
    }
    crate::file::check_finite(SKEW, &skew)?;
    // In double precision: an orthogonal matrix made in single precision is one to six digits only.
    let drawn = Parameters::seeded(0);
    ScoRnn::new(config.clone(), drawn.builder(DType::F64, &Device::Cpu))?;
    let mut parameters: HashMap<String, Tensor> = drawn
        .named()
        .into_iter()
        .map(|(name, variable)| (name, variable.as_tensor().clone()))
        .collect();
    parameters.insert(SKEW.into(), skew.to_dtype(DType::F64)?);
    let vars = VarBuilder::from_tensors(parameters, DType::F64, &Device::Cpu);
    if length > 1 {
        let weight = ScoRnn::new(config.clone(), vars)?.recurrent_weight()?;
        others.push(("recurrent.weight".into(), weight));
    }
    Ok((spec, others))
}

/// Linear layers in order, renamed as [`Mlp`] names them.
fn fc(
    input_shape: Option<&[usize]>,
    negative_slope: f64,
    tensors: StateDict,
) -> Result<(NetworkSpec, StateDict)> {
    let mut biases: HashMap<String, Tensor> = HashMap::new();
    let mut weights = Vec::new();
    for (name, tensor) in tensors {
        match (name.rsplit_once('.'), tensor.dims()) {
            (Some((module, "weight")), [_, _]) => weights.push((module.to_string(), tensor)),
            (Some((module, "bias")), [_]) => drop(biases.insert(module.to_string(), tensor)),
            (_, dims) => {
                let cause = format!(
                    "shape {dims:?}: neither the weight [outputs, inputs] nor the bias [outputs] of a linear layer"
                );
                return Err(says(name, cause));
            }
        }
    }
    let mut widths = Vec::new();
    let mut renamed = Vec::new();
    for (index, (module, weight)) in weights.into_iter().enumerate() {
        let (outputs, inputs) = weight.dims2()?;
        if let Some(&width) = widths.last().filter(|width| **width != inputs) {
            return Err(says(
                format!("{module}.weight"),
                format!("takes {inputs} inputs, and the layer before it has {width} outputs"),
            ));
        }
        if widths.is_empty() {
            widths.push(inputs);
        }
        widths.push(outputs);
        let bias = match biases.remove(&module) {
            Some(bias) if bias.dims() == [outputs] => bias,
            Some(bias) => {
                let cause = format!("has shape {:?}, expected [{outputs}]", bias.dims());
                return Err(says(format!("{module}.bias"), cause));
            }
            None => Tensor::zeros(outputs, weight.dtype(), weight.device())?,
        };
        renamed.push((format!("layers.{index}.weight"), weight));
        renamed.push((format!("layers.{index}.bias"), bias));
    }
    if let Some(module) = biases.keys().min() {
        return Err(says(format!("{module}.weight"), "is missing"));
    }
    let [inputs, hidden @ .., outputs] = &widths[..] else {
        return Err(says("*.weight", "no linear layer in the file"));
    };
    let input_shape = input_shape.map_or(vec![*inputs], <[usize]>::to_vec);
    let config = Mlp {
        inputs: input_shape,
        hidden: hidden.to_vec(),
        outputs: *outputs,
        negative_slope,
    };
    Ok((config.spec()?, renamed))
}

fn sequential(
    input_shape: &[usize],
    layers: &[Layer],
    tensors: &[(String, Tensor)],
) -> Result<NetworkSpec> {
    let dims: HashMap<&str, &[usize]> = tensors
        .iter()
        .map(|(n, t)| (n.as_str(), t.dims()))
        .collect();
    let weight = |module: &str| {
        let name = format!("{module}.weight");
        let found = dims.get(name.as_str()).copied();
        found.ok_or_else(|| says(name, "is missing"))
    };
    let misshaped = |module: &str, expected: &str| {
        let name = format!("{module}.weight");
        let found = dims.get(name.as_str()).copied().unwrap_or_default();
        says(
            name.as_str(),
            format!("has shape {found:?}, expected {expected}"),
        )
    };
    let bias = |module: &str| dims.contains_key(format!("{module}.bias").as_str());
    let mut nodes: Vec<NodeSpec> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let (name, operator) = match layer {
            Layer::Linear { name } => {
                let [outputs, inputs] = *weight(name)? else {
                    return Err(misshaped(name, "[outputs, inputs]"));
                };
                let bias = bias(name);
                (
                    Some(name),
                    OperatorSpec::Linear {
                        inputs,
                        outputs,
                        bias,
                    },
                )
            }
            Layer::Conv2d {
                name,
                stride,
                padding,
                dilation,
                groups,
            } => {
                let [outputs, inputs, height, width] = *weight(name)? else {
                    return Err(misshaped(name, "[outputs, inputs / groups, height, width]"));
                };
                let window = Window2d {
                    kernel: [height, width],
                    stride: [*stride; 2],
                    padding: [[*padding; 2]; 2],
                    dilation: [*dilation; 2],
                };
                let config = Conv2dConfig {
                    inputs: inputs.saturating_mul(*groups),
                    outputs,
                    window,
                    groups: *groups,
                    bias: bias(name),
                };
                (Some(name), OperatorSpec::Conv2d(config))
            }
            Layer::BatchNorm { name, eps } => {
                let [channels] = *weight(name)? else {
                    return Err(misshaped(name, "[channels]"));
                };
                (
                    Some(name),
                    OperatorSpec::BatchNorm {
                        channels,
                        eps: *eps,
                    },
                )
            }
            Layer::Relu => (None, OperatorSpec::relu()),
            Layer::LeakyRelu { negative_slope } => {
                (None, OperatorSpec::leaky_relu(*negative_slope))
            }
            Layer::MaxPool2d {
                kernel,
                stride,
                padding,
            } => {
                let window = Window2d::square(*kernel, *stride, *padding);
                (None, OperatorSpec::MaxPool2d { window })
            }
            Layer::AvgPool2d {
                kernel,
                stride,
                padding,
            } => (
                None,
                OperatorSpec::AvgPool2d {
                    window: Window2d::square(*kernel, *stride, *padding),
                    count_padding: true,
                },
            ),
            Layer::GlobalAvgPool => (None, OperatorSpec::GlobalAvgPool),
            Layer::Flatten => (None, OperatorSpec::Flatten),
        };
        let operand = nodes.last().map_or(INPUT, |node| &node.name).to_string();
        nodes.push(NodeSpec {
            name: name.map_or_else(|| format!("{}_{index}", operator.kind()), String::clone),
            operator,
            operands: vec![operand],
        });
    }
    Ok(NetworkSpec {
        input_shape: input_shape.to_vec(),
        nodes,
    })
}
