//! Residual networks (He et al. 2016) of basic blocks, in inference mode.

use super::graph::GraphSpec;
use crate::{
    error::{Error, Result},
    network::Network,
    spec::{Conv2dConfig, INPUT, NetworkSpec, OperatorSpec},
    window::Window2d,
};
use candle_nn::{
    Init, VarBuilder,
    init::{FanInOut, NonLinearity, NormalOrUniform},
};
use serde::{Deserialize, Serialize};

/// The two families of residual networks: how they begin, how a shortcut changes shape, and how their parameters
/// are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResNetFamily {
    /// Begins with a 7 x 7 convolution and a pooling ([`StemPooling`]), both of stride 2; shortcuts project by a 1 x 1
    /// convolution. Named as in torchvision (`layer2.0.downsample.0.weight`, `fc.weight`), whose state dicts fit.
    ImageNet,
    /// Begins with a 3 x 3 convolution; shortcuts drop every other pixel and pad the channels with zeros (option
    /// A). Named as usual for CIFAR in PyTorch (`conv1.weight`, `layer2.0.bn1.weight`, `linear.weight`).
    Cifar,
}

/// The pooling over 3 x 3 pixels at the beginning of [`ResNetFamily::ImageNet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StemPooling {
    /// The largest: torchvision's, and that of He et al.
    Max,
    /// The mean, zeros around the image counted: that of the paper.
    Average,
}

/// A residual network of basic blocks: two 3 x 3 convolutions with batch normalisation and a shortcut.
///
/// Where the builder initialises, convolutions are He-normal by fan-out and the rest PyTorch's default, as in
/// torchvision; [`Network::with_batch_statistics`] then sets the normalisations from a batch. Batch normalisation is
/// in inference mode, see [`crate::operators::BatchNorm`].
///
/// ```
/// use candle_core::{DType, Device};
/// use loclin_models::{Parameters, architectures::ResNetConfig};
///
/// let narrow = ResNetConfig { width: 4, inputs: [3, 32, 32], ..ResNetConfig::resnet18(10) };
/// let network = narrow.build(Parameters::seeded(0).builder(DType::F32, &Device::Cpu))?;
/// assert!(network.parameters().iter().any(|(name, _)| name == "layer2.0.downsample.0.weight"));
/// # Ok::<(), loclin_models::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// Channels, height and width of an input.
    #[serde(rename = "input_shape")]
    pub inputs: [usize; 3],
    /// Which family.
    pub family: ResNetFamily,
    /// Channels of the first stage; each further stage doubles them and halves the image.
    pub width: usize,
    /// Number of blocks in each stage, at least one stage.
    pub blocks: Vec<usize>,
    /// Number of outputs, at least 1.
    pub classes: usize,
    /// The first pooling of [`ResNetFamily::ImageNet`], by default the largest; the other family has none.
    #[serde(default)]
    pub pooling: Option<StemPooling>,
}

impl ResNetConfig {
    /// ResNet-18 as torchvision has it, for 224 x 224 x 3 inputs.
    pub fn resnet18(classes: usize) -> Self {
        Self {
            inputs: [3, 224, 224],
            family: ResNetFamily::ImageNet,
            width: 64,
            blocks: vec![2; 4],
            classes,
            pooling: Some(StemPooling::Max),
        }
    }

    /// ResNet-18 as the paper changed it for Caltech-256: 299 x 299 x 3 inputs, average pooling in place of the
    /// max pooling, and a last pooling over the whole image, so that 512 features come out.
    pub fn resnet18_paper(classes: usize) -> Self {
        Self {
            inputs: [3, 299, 299],
            pooling: Some(StemPooling::Average),
            ..Self::resnet18(classes)
        }
    }

    /// ResNet-20 of width 16 for 32 x 32 x 3 images.
    pub fn resnet20(classes: usize) -> Self {
        Self {
            inputs: [3, 32, 32],
            family: ResNetFamily::Cifar,
            width: 16,
            blocks: vec![3; 3],
            classes,
            pooling: None,
        }
    }

    /// The network's graph.
    ///
    /// # Errors
    /// Sizes that make no network, named by their field.
    pub fn spec(&self) -> Result<NetworkSpec> {
        let last = u32::try_from(self.blocks.len())
            .ok()
            .and_then(|stages| 1usize.checked_shl(stages.checked_sub(1)?))
            .and_then(|factor| self.width.checked_mul(factor));
        let Some(features) = last.filter(|n| *n > 0 && !self.blocks.contains(&0)) else {
            return Err(Error::Config {
                field: "blocks",
                cause: format!(
                    "needs a positive width and at least one stage of at least one block, found width {} and {:?}",
                    self.width, self.blocks
                ),
            });
        };
        if self.family == ResNetFamily::Cifar && self.pooling.is_some() {
            return Err(Error::Config {
                field: "pooling",
                cause: "the family \"cifar\" begins without one; only \"imagenet\" has it".into(),
            });
        }
        let mut graph = GraphSpec::new(&self.inputs);
        let mut x = self.stem(&mut graph);
        let mut channels = self.width;
        for (stage, &blocks) in self.blocks.iter().enumerate() {
            for block in 0..blocks {
                let outputs = self.width << stage;
                let shape = Shape {
                    inputs: channels,
                    outputs,
                    stride: if stage > 0 && block == 0 { 2 } else { 1 },
                };
                x = self.block(
                    &mut graph,
                    &format!("layer{}.{block}", stage + 1),
                    &x,
                    shape,
                );
                channels = outputs;
            }
        }
        let pooled = graph.add("avgpool", OperatorSpec::GlobalAvgPool, &[&x]);
        let flat = graph.add("flatten", OperatorSpec::Flatten, &[&pooled]);
        let head = OperatorSpec::Linear {
            inputs: features,
            outputs: self.classes,
            bias: true,
        };
        let name = match self.family {
            ResNetFamily::ImageNet => "fc",
            ResNetFamily::Cifar => "linear",
        };
        graph.add(name, head, &[&flat]);
        Ok(graph.finish())
    }

    /// The network, its parameters taken from (or initialised by) `vars`.
    ///
    /// # Errors
    /// Those of [`ResNetConfig::spec`], and parameters that `vars` lacks or has in another shape.
    pub fn build(&self, vars: VarBuilder) -> Result<Network> {
        let spec = self.spec()?;
        let init = Init::Kaiming {
            dist: NormalOrUniform::Normal,
            fan: FanInOut::FanOut,
            non_linearity: NonLinearity::ReLU,
        };
        for node in &spec.nodes {
            if let OperatorSpec::Conv2d(config) = &node.operator {
                // The first request for a parameter draws it.
                let [height, width] = config.window.kernel;
                let shape = (config.outputs, config.inputs / config.groups, height, width);
                vars.pp(&node.name).get_with_hints(shape, "weight", init)?;
            }
        }
        spec.build(vars)
    }

    fn stem(&self, graph: &mut GraphSpec) -> String {
        let window = match self.family {
            ResNetFamily::ImageNet => Window2d::square(7, 2, 3),
            ResNetFamily::Cifar => Window2d::square(3, 1, 1),
        };
        let convolution = convolution(self.inputs[0], self.width, window);
        let z = graph.add("conv1", convolution, &[INPUT]);
        let normal = graph.add("bn1", normalization(self.width), &[&z]);
        let active = graph.add("relu", OperatorSpec::relu(), &[&normal]);
        match self.family {
            ResNetFamily::ImageNet => {
                let window = Window2d::square(3, 2, 1);
                let (name, pool) = match self.pooling {
                    Some(StemPooling::Average) => {
                        let count_padding = true;
                        (
                            "pool",
                            OperatorSpec::AvgPool2d {
                                window,
                                count_padding,
                            },
                        )
                    }
                    Some(StemPooling::Max) | None => {
                        ("maxpool", OperatorSpec::MaxPool2d { window })
                    }
                };
                graph.add(name, pool, &[&active])
            }
            ResNetFamily::Cifar => active,
        }
    }

    fn block(&self, graph: &mut GraphSpec, name: &str, x: &str, shape: Shape) -> String {
        let body = |graph: &mut GraphSpec, x: &str| {
            let node = |part: &str| format!("{name}.{part}");
            let window = Window2d::square(3, shape.stride, 1);
            let first = convolution(shape.inputs, shape.outputs, window);
            let second = convolution(shape.outputs, shape.outputs, Window2d::square(3, 1, 1));
            let z = graph.add(node("conv1"), first, &[x]);
            let normal = graph.add(node("bn1"), normalization(shape.outputs), &[&z]);
            let active = graph.add(node("relu1"), OperatorSpec::relu(), &[&normal]);
            let z = graph.add(node("conv2"), second, &[&active]);
            graph.add(node("bn2"), normalization(shape.outputs), &[&z])
        };
        let shortcut = |graph: &mut GraphSpec, x: &str| self.shortcut(graph, name, x, shape);
        let sum = graph.residual(format!("{name}.add"), x, body, shortcut);
        graph.add(format!("{name}.relu2"), OperatorSpec::relu(), &[&sum])
    }

    fn shortcut(&self, graph: &mut GraphSpec, name: &str, x: &str, shape: Shape) -> String {
        if shape.stride == 1 && shape.inputs == shape.outputs {
            return x.to_string();
        }
        let window = Window2d::square(1, shape.stride, 0);
        match self.family {
            ResNetFamily::ImageNet => {
                let projection = convolution(shape.inputs, shape.outputs, window);
                let z = graph.add(format!("{name}.downsample.0"), projection, &[x]);
                graph.add(
                    format!("{name}.downsample.1"),
                    normalization(shape.outputs),
                    &[&z],
                )
            }
            ResNetFamily::Cifar => {
                // The average over windows of one pixel is every other pixel.
                let pixels = OperatorSpec::AvgPool2d {
                    window,
                    count_padding: true,
                };
                let more = shape.outputs - shape.inputs;
                let pad = OperatorSpec::Pad {
                    before: vec![more / 2, 0, 0],
                    after: vec![more - more / 2, 0, 0],
                    value: 0.0,
                };
                let pixels = graph.add(format!("{name}.shortcut.pixels"), pixels, &[x]);
                graph.add(format!("{name}.shortcut.pad"), pad, &[&pixels])
            }
        }
    }
}

/// Channels and stride of one block.
#[derive(Clone, Copy)]
struct Shape {
    inputs: usize,
    outputs: usize,
    stride: usize,
}

fn convolution(inputs: usize, outputs: usize, window: Window2d) -> OperatorSpec {
    OperatorSpec::Conv2d(Conv2dConfig {
        inputs,
        outputs,
        window,
        groups: 1,
        bias: false,
    })
}

fn normalization(channels: usize) -> OperatorSpec {
    OperatorSpec::BatchNorm {
        channels,
        eps: 1e-5,
    }
}
