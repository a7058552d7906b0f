//! Networks by name: functions from a few hyper-parameters to a graph.

mod convnet;
mod fc;
mod graph;
mod resnet;
mod rnn;
mod scornn;

pub use convnet::{ConvNetConfig, Pooling};
pub use fc::Mlp;
pub use graph::GraphSpec;
pub use resnet::{ResNetConfig, ResNetFamily, StemPooling};
pub use rnn::{Rnn, RnnConfig};
pub use scornn::{ScoRnn, ScoRnnConfig};
