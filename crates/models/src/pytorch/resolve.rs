//! From an architecture to a graph and the tensors under its names.

use super::{architecture::Architecture, renamed, sequential, state_dict::StateDict};
use crate::{
    architectures::ScoRnn,
    error::{Error, Result},
    network::Network,
    spec::NetworkSpec,
};
use candle_core::{DType, Device};
use loclin_tensor::Parameters;

impl Architecture {
    /// The graph with the sizes that the tensors have, and the tensors under the graph's names. `ordered` says whether the
    /// tensors come in the order of the modules.
    pub(super) fn resolve(
        &self,
        tensors: StateDict,
        ordered: bool,
    ) -> Result<(NetworkSpec, StateDict)> {
        match self {
            Self::Fc {
                input_shape,
                negative_slope,
                bias,
            } => {
                let shape = input_shape.as_deref();
                renamed::fc(shape, *negative_slope, *bias, (tensors, ordered))
            }
            Self::Sequential {
                input_shape,
                layers,
            } => Ok((sequential::graph(input_shape, layers, &tensors)?, tensors)),
            Self::ConvNet(config) => Ok((config.spec()?, tensors)),
            Self::ResNet(config) => Ok((config.spec()?, tensors)),
            Self::ScoRnn { length, network } => renamed::scornn(*length, network, tensors),
            Self::Torchvision(config) => config.resolve(tensors),
            Self::Network { spec } => Ok((spec.clone(), tensors)),
        }
    }

    /// The network with seeded parameters instead of a file's: those that each architecture is initialised with.
    ///
    /// # Errors
    /// Sizes that make no network, and the kinds whose sizes only the tensors of a file say.
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
            Self::Fc { .. } | Self::Sequential { .. } | Self::Torchvision(_) => Err(Error::Config {
                field: "kind",
                cause: "`fc`, `sequential` and `torchvision` have the sizes of a file's tensors, and so no parameters without \
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
