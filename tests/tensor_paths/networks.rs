//! Small networks of every kind that has a loop or an engine of its own.

use candle_core::{DType, Device, Tensor};
use loclin_models::architectures::{
    ConvNetConfig, Pooling, ResNetConfig, ScoRnn, ScoRnnConfig, StemPooling,
};
use loclin_models::{BatchStatistics, Mlp, Network, Parameters, Trace};
use loclin_tensor::random;

/// What the networks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A fully connected chain.
    Chain,
    /// Sequences through a recurrence whose matrix is made from a skew-symmetric one.
    Sequence,
    /// A residual network of small images.
    Residual,
    /// One whose stem selects the largest pixel.
    Pooled,
    /// One whose stem averages, of 1 x 1 projections.
    Averaged,
    /// Convolutions without normalisation.
    Plain,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Chain,
        Self::Sequence,
        Self::Residual,
        Self::Pooled,
        Self::Averaged,
        Self::Plain,
    ];

    /// Of one input.
    pub(crate) fn shape(self) -> Vec<usize> {
        match self {
            Self::Chain => vec![6],
            Self::Sequence => vec![4, 3],
            Self::Residual | Self::Plain => vec![3, 6, 6],
            Self::Pooled | Self::Averaged => vec![2, 16, 16],
        }
    }

    /// Inputs `[count, in...]`.
    pub(crate) fn inputs(self, count: usize, dtype: DType) -> Tensor {
        let shape = [&[count], &self.shape()[..]].concat();
        random::normal(&mut random::stream(5, &[9]), shape, dtype, &Device::Cpu).unwrap()
    }

    pub(crate) fn model(self, dtype: DType) -> Model {
        let parameters = Parameters::seeded(3);
        let vars = parameters.builder(dtype, &Device::Cpu);
        let network = match self {
            Self::Chain => chain().build(vars),
            Self::Residual => residual().build(vars),
            Self::Pooled => stem(StemPooling::Max).build(vars),
            Self::Averaged => stem(StemPooling::Average).build(vars),
            Self::Plain => plain().build(vars),
            Self::Sequence => {
                let drawn = ScoRnn::seeded(recurrence(), 3, dtype, &Device::Cpu);
                let (rnn, parameters) = drawn.unwrap();
                let source = Source::Sequence(Box::new(rnn));
                return Model { source, parameters };
            }
        };
        Model {
            source: Source::Fixed(network.unwrap()),
            parameters,
        }
    }
}

fn chain() -> Mlp {
    Mlp {
        inputs: vec![6],
        hidden: vec![9, 8, 7],
        outputs: 3,
        negative_slope: 0.1,
    }
}

fn recurrence() -> ScoRnnConfig {
    ScoRnnConfig {
        inputs: 3,
        hidden: 6,
        negative: 2,
        outputs: 3,
        negative_slope: 0.1,
    }
}

fn residual() -> ResNetConfig {
    ResNetConfig {
        inputs: [3, 6, 6],
        width: 4,
        blocks: vec![1, 1],
        ..ResNetConfig::resnet20(3)
    }
}

fn stem(pooling: StemPooling) -> ResNetConfig {
    ResNetConfig {
        inputs: [2, 16, 16],
        width: 2,
        blocks: vec![1, 1],
        pooling: Some(pooling),
        ..ResNetConfig::resnet18(3)
    }
}

fn plain() -> ConvNetConfig {
    ConvNetConfig {
        inputs: [3, 6, 6],
        channels: vec![4],
        kernel: 3,
        pooling: Pooling::Strided,
        outputs: 3,
        negative_slope: 0.0,
    }
}

/// A network with its parameters.
pub(crate) struct Model {
    source: Source,
    pub(crate) parameters: Parameters,
}

/// Where the network comes from.
enum Source {
    Fixed(Network),
    /// Made anew for other parameters.
    Sequence(Box<ScoRnn>),
}

impl Model {
    /// The network as its parameters are now.
    pub(crate) fn network(&self) -> Network {
        match &self.source {
            Source::Fixed(network) => network.clone(),
            Source::Sequence(rnn) => rnn.rnn().unwrap().network(4).unwrap(),
        }
    }

    /// In training mode.
    pub(crate) fn trace(&self, x: &Tensor) -> (Trace, Vec<BatchStatistics>) {
        self.network().trace_train(x).unwrap()
    }

    /// In inference mode, with the statistics of a batch.
    pub(crate) fn fixed(&self, x: &Tensor) -> Network {
        self.network().with_batch_statistics(x).unwrap()
    }
}
