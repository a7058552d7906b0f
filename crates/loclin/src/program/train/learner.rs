//! The architecture of a configuration: its parameters, and the networks that they make.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use candle_core::{DType, Device};
use loclin_data::{Data, Dataset};
use loclin_models::architectures::{
    ResNetConfig, ResNetFamily, Rnn, ScoRnn, ScoRnnConfig, StemPooling,
};
use loclin_models::{Mlp, Model, ModelFile, Network, Node, Normalization, Structure, pytorch};
use loclin_tensor::Parameters;

use crate::program::config::{Architecture, Config};
use crate::program::{files, tensors};

const GIB: f64 = (1u64 << 30) as f64;

/// Tangents of a step of which a word is said.
const MANY_BYTES: f64 = 4.0 * GIB;

/// Parameters in training, and how they make a model.
pub(super) struct Learner {
    pub(super) parameters: Parameters,
    maker: Maker,
}

enum Maker {
    /// A network built on the parameters, which sees their new values.
    Network(Model),
    /// A recurrent network, made anew after each step because its weight is a function of the parameters.
    ScoRnn(ScoRnn),
}

impl Learner {
    /// The architecture at its seeded initial parameters, for inputs such as those of `train`.
    pub(super) fn new(config: &Config, train: &Data, device: &Device) -> anyhow::Result<Self> {
        let name = train.name();
        let (true, Some(outputs)) = (train.labels().is_some(), train.classes()) else {
            bail!(
                "{name}: found no labels, expected labelled data: a known dataset, a directory with one folder of images for each class, \
                 a .safetensors file of `inputs` and `labels`, or inputs.npy,labels=labels.npy"
            );
        };
        ensure!(
            outputs > 1,
            "{name}: found one class, expected two or more: all its inputs have the same label, and nothing can be learnt"
        );
        match (config.architecture, train) {
            (Architecture::Fc, Data::Table(table)) => Self::fc(config, table, outputs, device),
            (Architecture::Fc, Data::Sequences(_)) => bail!(
                "{name}: sequences of different lengths; architecture = \"fc\" takes inputs of one shape, \"scornn\" takes these"
            ),
            (Architecture::ResNet, Data::Table(table)) => {
                Self::resnet(config, table, outputs, device)
            }
            (Architecture::ResNet, Data::Sequences(_)) => bail!(
                "{name}: sequences of different lengths; architecture = \"resnet\" takes images"
            ),
            (Architecture::ScoRnn, _) => Self::scornn(config, train, outputs, device),
        }
    }

    fn fc(
        config: &Config,
        table: &Dataset,
        outputs: usize,
        device: &Device,
    ) -> anyhow::Result<Self> {
        let fc = Mlp {
            inputs: table.input_shape().to_vec(),
            hidden: config.hidden.clone(),
            outputs,
            negative_slope: config.negative_slope,
        };
        let parameters = Parameters::seeded(config.seed);
        let network = fc.build(parameters.builder(config.dtype.candle(), device))?;
        Ok(Self::of_network(parameters, network, table))
    }

    fn resnet(
        config: &Config,
        table: &Dataset,
        classes: usize,
        device: &Device,
    ) -> anyhow::Result<Self> {
        let &[channels, height, width] = table.input_shape() else {
            bail!(
                "{}: inputs of shape {:?}; architecture = \"resnet\" takes images, [channels, height, width]",
                table.name(),
                table.input_shape()
            )
        };
        let resnet = ResNetConfig {
            inputs: [channels, height, width],
            family: config.family,
            width: *config.hidden.first().context("hidden is empty")?,
            blocks: config.blocks.clone(),
            classes,
            pooling: (config.family == ResNetFamily::ImageNet).then_some(StemPooling::Average),
        };
        let parameters = Parameters::seeded(config.seed);
        let network = resnet.build(parameters.builder(config.dtype.candle(), device))?;
        Ok(Self::of_network(parameters, network, table))
    }

    fn of_network(parameters: Parameters, network: Network, table: &Dataset) -> Self {
        let normalization = tensors::normalization(table);
        Self {
            parameters,
            maker: Maker::Network(Model {
                network,
                normalization,
            }),
        }
    }

    fn scornn(
        config: &Config,
        train: &Data,
        outputs: usize,
        device: &Device,
    ) -> anyhow::Result<Self> {
        let inputs = match train {
            Data::Sequences(sequences) => sequences.channels(),
            Data::Table(table) => match *table.input_shape() {
                [_, channels] if table.moments().is_none() => channels,
                _ => bail!(
                    "{}: inputs of shape {:?}; architecture = \"scornn\" takes sequences, inputs of shape [steps, channels]",
                    train.name(),
                    table.input_shape()
                ),
            },
        };
        let scornn = ScoRnnConfig {
            inputs,
            hidden: *config.hidden.first().context("hidden is empty")?,
            negative: config.negative,
            outputs,
            negative_slope: config.negative_slope,
        };
        let (rnn, parameters) = ScoRnn::seeded(scornn, config.seed, config.dtype.candle(), device)?;
        Ok(Self {
            parameters,
            maker: Maker::ScoRnn(rnn),
        })
    }

    /// Takes the parameters of a PyTorch state dict. An output layer of another size keeps what it has; any other
    /// parameter must be there, with the same shape. The SHA-256 of the file comes back.
    pub(super) fn load(&self, path: &Path) -> anyhow::Result<String> {
        let read = || -> anyhow::Result<String> {
            let head = match &self.maker {
                Maker::Network(model) => model.network.nodes().last().map(|node| &node.name[..]),
                Maker::ScoRnn(_) => None,
            };
            let bytes = files::read(path)?;
            let mut tensors: BTreeMap<_, _> = pytorch::state_dict(&bytes)?.into_iter().collect();
            for (name, variable) in self.parameters.named() {
                let of_head = name.rsplit_once('.').map(|(node, _)| node) == head;
                let fits = tensors
                    .get(&name)
                    .is_some_and(|t| t.shape() == variable.shape());
                if of_head && !fits {
                    tracing::info!(
                        "{}: no `{name}` of shape {:?}; it stays as it was drawn",
                        path.display(),
                        variable.dims()
                    );
                    tensors.insert(name, variable.as_detached_tensor());
                }
            }
            if let Some((name, _)) = tensors.iter().find(|(_, tensor)| {
                !tensor
                    .to_dtype(DType::F64)
                    .and_then(|t| t.sum_all()?.to_scalar::<f64>())
                    .is_ok_and(f64::is_finite)
            }) {
                bail!("`{name}` is not finite");
            }
            self.parameters.load(&tensors)?;
            Ok(files::digest_of(&bytes[..])?)
        };
        read().with_context(|| format!("{}: cannot initialise this architecture", path.display()))
    }

    /// The model with the present parameters, differentiable in them.
    pub(super) fn model(&self) -> anyhow::Result<ModelFile> {
        Ok(match &self.maker {
            Maker::Network(model) => ModelFile::Network(model.clone()),
            Maker::ScoRnn(rnn) => ModelFile::Recurrent(rnn.rnn()?),
        })
    }

    /// What to say where an exact objective keeps very many tangents: one for every axis of every input, at every node. `rows` are trained on.
    pub(super) fn word_on_tangents(
        &self,
        config: &Config,
        rows: usize,
    ) -> anyhow::Result<Option<String>> {
        let (Maker::Network(Model { network, .. }), true) =
            (&self.maker, config.loss.pushes_all_axes())
        else {
            return Ok(None);
        };
        let estimate = config.loss.estimate();
        if estimate.is_some() && config.estimated_epochs >= config.epochs
            || !matches!(network.structure(), Structure::General)
        {
            return Ok(None);
        }
        let of_node = |node: &Node| node.shape.iter().product::<usize>();
        let numbers: usize = network.nodes().iter().map(of_node).sum();
        let batch = config.batch_size.min(rows);
        let tangents = network.input_size() as f64 * batch as f64;
        let bytes = tangents * numbers as f64 * network.dtype().size_in_bytes() as f64;
        if bytes <= MANY_BYTES {
            return Ok(None);
        }
        let instead = match estimate {
            Some(estimate) => format!(
                "loss = {} keeps one or two for each input",
                serde_json::to_value(estimate)?
            ),
            None => "a smaller batch_size keeps fewer".to_owned(),
        };
        Ok(Some(format!(
            "loss = {} keeps about {:.0} GiB of tangents for a step of {batch} inputs, one for each of the {} numbers of each input; {instead}",
            serde_json::to_value(config.loss)?,
            bytes / GIB,
            network.input_size(),
        )))
    }

    /// What inputs are normalised with.
    pub(super) fn normalization(&self) -> Option<&Normalization> {
        match &self.maker {
            Maker::Network(model) => model.normalization.as_ref(),
            Maker::ScoRnn(_) => None,
        }
    }
}

/// The dtype in which a model computes.
pub(super) fn dtype(model: &ModelFile) -> DType {
    match model {
        ModelFile::Network(model) => model.network.dtype(),
        ModelFile::Recurrent(rnn) => Rnn::dtype(rnn),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test panics")]

    use super::*;
    use crate::program::train::open;
    use loclin_data::Split;

    /// Of networks without a faster way, as many as a step has, and what keeps fewer.
    #[test]
    fn what_exact_objectives_keep_is_said() {
        let said = |set: &[&str]| {
            let set = [&["dataset=digits"], set].concat();
            let set: Vec<String> = set.into_iter().map(str::to_owned).collect();
            let config = Config::preset("cifar10-vanilla", &set).unwrap();
            let data = open(&config, Split::Train, Path::new("data")).unwrap();
            let learner = Learner::new(&config, &data, &Device::Cpu).unwrap();
            learner.word_on_tangents(&config, 100).unwrap()
        };
        for set in [
            &["loss=vanilla"][..],
            &["loss=sampled"],
            &["loss=relaxed", "batch_size=1"],
            // Gram matrices keep none.
            &["loss=roll", "architecture=fc"],
            &["loss=roll", "estimated_epochs=30"],
        ] {
            assert_eq!(said(set), None, "{set:?}");
        }
        for (set, instead) in [
            (&["loss=roll"][..], "loss = \"sampled\" keeps"),
            (&["loss=relaxed"], "a smaller batch_size keeps"),
            (&["loss=mmr-2"], "a smaller batch_size keeps"),
            // No more inputs than there are.
            (
                &["loss=roll", "batch_size=1000000"],
                "for a step of 100 inputs",
            ),
        ] {
            let word = said(set).unwrap();
            assert!(word.contains(instead) && word.contains("GiB"), "{word}");
        }
    }
}
