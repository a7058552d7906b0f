//! The architecture of a configuration: its parameters, and the networks that they make.

use anyhow::{Context, bail};
use candle_core::{DType, Device};
use candle_ext::Parameters;
use roll_data::Data;
use roll_models::architectures::{Rnn, ScoRnn, ScoRnnConfig};
use roll_models::{FcConfig, Model, ModelFile, Network, Normalization};

use crate::config::{Architecture, Config};
use crate::tensors;

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
            bail!("{name}: training needs labelled data with a known number of classes");
        };
        let dtype = config.dtype.candle();
        match (config.architecture, train) {
            (Architecture::Fc, Data::Table(table)) => {
                let fc = FcConfig {
                    inputs: table.input_shape().to_vec(),
                    hidden: config.hidden.clone(),
                    outputs,
                    leak: config.leak,
                };
                let parameters = Parameters::seeded(config.seed);
                let model = Model {
                    network: fc.build(parameters.builder(dtype, device))?,
                    normalization: tensors::normalization(table),
                };
                Ok(Self {
                    parameters,
                    maker: Maker::Network(model),
                })
            }
            (Architecture::Fc, Data::Sequences(_)) => {
                bail!(
                    "{name}: sequences of different lengths; architecture = \"fc\" takes inputs of one shape, \"scornn\" takes these"
                )
            }
            (Architecture::ScoRnn, _) => {
                let inputs = match train {
                    Data::Sequences(sequences) => sequences.channels(),
                    Data::Table(table) => match *table.input_shape() {
                        [_, channels] if table.moments().is_none() => channels,
                        _ => bail!(
                            "{name}: inputs of shape {:?}; architecture = \"scornn\" takes sequences, inputs of shape [steps, channels]",
                            table.input_shape()
                        ),
                    },
                };
                let hidden = *config.hidden.first().context("hidden is empty")?;
                let scornn = ScoRnnConfig {
                    inputs,
                    hidden,
                    negative: config.negative,
                    outputs,
                    leak: config.leak,
                };
                let (rnn, parameters) = ScoRnn::seeded(scornn, config.seed, dtype, device)?;
                Ok(Self {
                    parameters,
                    maker: Maker::ScoRnn(rnn),
                })
            }
        }
    }

    /// The model with the present parameters, differentiable in them.
    pub(super) fn model(&self) -> anyhow::Result<ModelFile> {
        Ok(match &self.maker {
            Maker::Network(model) => ModelFile::Network(model.clone()),
            Maker::ScoRnn(rnn) => ModelFile::Recurrent(rnn.rnn()?),
        })
    }

    /// What inputs are normalised with.
    pub(super) fn normalization(&self) -> Option<&Normalization> {
        match &self.maker {
            Maker::Network(model) => model.normalization.as_ref(),
            Maker::ScoRnn(_) => None,
        }
    }
}

/// A model's network of normalised inputs of shape `input_shape`.
pub(super) fn network(model: &ModelFile, input_shape: &[usize]) -> roll_models::Result<Network> {
    match model {
        ModelFile::Network(model) => Ok(model.network.clone()),
        ModelFile::Recurrent(rnn) => rnn.network_for(input_shape),
    }
}

/// The dtype in which a model computes.
pub(super) fn dtype(model: &ModelFile) -> DType {
    match model {
        ModelFile::Network(model) => model.network.dtype(),
        ModelFile::Recurrent(rnn) => Rnn::dtype(rnn),
    }
}
