//! Networks of torchvision by name. What the file does not say is here: the order of modules, strides and paddings.
//! Numbers of channels, features, groups and outputs are those of the tensors.

mod densenet;
mod layers;
mod mobilenet;
mod plain;
mod resnet;
mod squeezenet;

use super::{names, state_dict::StateDict};
use crate::{
    builder::MAX_OUTPUT,
    error::{Error, Result},
    spec::NetworkSpec,
};
use layers::{Layers, Value};
use serde::{Deserialize, Serialize};

/// A network of torchvision.
///
/// ```
/// use loclin_models::pytorch::{Architecture, TorchvisionConfig};
///
/// let config = TorchvisionConfig { network: "resnet50".into(), input_shape: [3, 224, 224] };
/// let architecture = Architecture::Torchvision(config);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TorchvisionConfig {
    /// Its name there, one of [`NAMES`].
    pub network: String,
    /// Channels, height and width of an input; by default `[3, 224, 224]`. Inputs are as the network takes them: for
    /// published weights, normalised.
    #[serde(default = "usual")]
    pub input_shape: [usize; 3],
}

/// The networks that are known.
pub const NAMES: [&str; 28] = [
    "alexnet",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "mobilenet_v2",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "squeezenet",
    "squeezenet1_0",
    "squeezenet1_1",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet50",
    "wide_resnet50_2",
    "wide_resnet101_2",
];

fn usual() -> [usize; 3] {
    [3, 224, 224]
}

impl TorchvisionConfig {
    /// The graph with the sizes that the tensors have, and the tensors under its names.
    pub(super) fn resolve(&self, mut tensors: StateDict) -> Result<(NetworkSpec, StateDict)> {
        let [channels, height, width] = self.input_shape.map(|n| n.max(1));
        let numbers = channels.saturating_mul(height).saturating_mul(width);
        if numbers > MAX_OUTPUT || self.input_shape.contains(&0) {
            return Err(Error::Config {
                field: "input_shape",
                cause: format!("{:?}, expected 1 to {MAX_OUTPUT} numbers", self.input_shape),
            });
        }
        if self.network.starts_with("densenet") {
            densenet::rename(&mut tensors);
        }
        let mut layers = Layers::new(&tensors);
        let x = Value::input(self.input_shape);
        self.build(&mut layers, x)?;
        names::check(&layers.wanted, &tensors)?;
        let spec = layers.finish(self.input_shape)?;
        Ok((spec, tensors))
    }

    fn build(&self, layers: &mut Layers<'_>, x: Value) -> Result<Value> {
        Ok(match &self.network[..] {
            "alexnet" => plain::alexnet(layers, x),
            "vgg11" => plain::vgg(layers, x, [1, 1, 2, 2, 2], false),
            "vgg11_bn" => plain::vgg(layers, x, [1, 1, 2, 2, 2], true),
            "vgg13" => plain::vgg(layers, x, [2, 2, 2, 2, 2], false),
            "vgg13_bn" => plain::vgg(layers, x, [2, 2, 2, 2, 2], true),
            "vgg16" => plain::vgg(layers, x, [2, 2, 3, 3, 3], false),
            "vgg16_bn" => plain::vgg(layers, x, [2, 2, 3, 3, 3], true),
            "vgg19" => plain::vgg(layers, x, [2, 2, 4, 4, 4], false),
            "vgg19_bn" => plain::vgg(layers, x, [2, 2, 4, 4, 4], true),
            "densenet121" => densenet::graph(layers, x, [6, 12, 24, 16]),
            "densenet161" => densenet::graph(layers, x, [6, 12, 36, 24]),
            "densenet169" => densenet::graph(layers, x, [6, 12, 32, 32]),
            "densenet201" => densenet::graph(layers, x, [6, 12, 48, 32]),
            "mobilenet_v2" => mobilenet::graph(layers, x),
            "resnet18" => resnet::basic(layers, x, [2, 2, 2, 2]),
            "resnet34" => resnet::basic(layers, x, [3, 4, 6, 3]),
            "resnet50" | "resnext50_32x4d" | "wide_resnet50" | "wide_resnet50_2" => {
                resnet::bottleneck(layers, x, [3, 4, 6, 3])
            }
            "resnet101" | "resnext101_32x8d" | "resnext101_64x4d" | "wide_resnet101_2" => {
                resnet::bottleneck(layers, x, [3, 4, 23, 3])
            }
            "resnet152" => resnet::bottleneck(layers, x, [3, 8, 36, 3]),
            "squeezenet1_0" => squeezenet::first(layers, x),
            // Only version 1.0 has a fire module there.
            "squeezenet" if layers.has("features.5.squeeze.weight") => squeezenet::first(layers, x),
            "squeezenet" | "squeezenet1_1" => squeezenet::second(layers, x),
            other => {
                return Err(Error::Config {
                    field: "network",
                    cause: format!(
                        "`{}`, expected one of {}",
                        other.escape_default(),
                        NAMES.join(", ")
                    ),
                });
            }
        })
    }
}
