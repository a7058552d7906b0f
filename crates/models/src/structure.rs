//! What can be recognised in a network, so that an engine may serve it.

use candle_core::Tensor;
use loclin_tensor::TwoPieces;
use std::fmt;

/// What was recognised in a network: [`crate::Network::structure`]. An engine that is cheaper than the general walk over
/// the graph is chosen by it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Structure {
    /// A fully connected chain.
    Chain(FcChain),
    /// A recurrence over the rows of the input.
    Recurrence(Recurrence),
    /// Any other graph.
    General,
}

impl Structure {
    /// The chain, if it is one.
    pub fn chain(&self) -> Option<&FcChain> {
        match self {
            Self::Chain(chain) => Some(chain),
            _ => None,
        }
    }

    /// The recurrence, if it is one.
    pub fn recurrence(&self) -> Option<&Recurrence> {
        match self {
            Self::Recurrence(recurrence) => Some(recurrence),
            _ => None,
        }
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(chain) => {
                let layers = chain.weights.len();
                write!(f, "fully connected chain, hidden layers: {layers}")
            }
            Self::Recurrence(recurrence) => {
                write!(f, "recurrence, time steps: {}", recurrence.steps)
            }
            Self::General => f.write_str("general graph"),
        }
    }
}

/// A network that is a fully connected chain: whatever flattens the input or maps all of it by one affine function
/// of a number, then linear layers with activations of two pieces between them, and at most one linear layer
/// after the last activation.
///
/// What is known of such a network's gradients without the input's dimension, and per neuron without the rest
/// of the graph, makes exact objectives and margins cheap.
#[derive(Debug, Clone)]
pub struct FcChain {
    /// What the input is multiplied by before the first layer.
    pub scale: f64,
    /// What is added to it then.
    pub shift: f64,
    /// The weights `W^1, ..., W^M` of the hidden layers, `[out, in]`, as the network holds them.
    pub weights: Vec<Tensor>,
    /// Their biases, `[out]`, where they have them.
    pub biases: Vec<Option<Tensor>>,
    /// Their activations.
    pub activations: Vec<TwoPieces>,
    /// Weight and bias of the linear layer after the last activation, if there is one.
    pub head: Option<(Tensor, Option<Tensor>)>,
}

/// A network that is a recurrence `h_t = phi(U x_t + b + W h_{t-1})` over the rows `x_t` of its input `[T, C]`, with an
/// activation of two pieces for each unit, and at most one linear layer that reads the last state.
///
/// A time step has no part in the gradients of the states before it, so a push of all axes is half the work that the
/// graph suggests. Biases and the read-out have no part in the gradients of neurons, so they are not here.
#[derive(Debug, Clone)]
pub struct Recurrence {
    /// `T`, the number of time steps.
    pub steps: usize,
    /// `U`, `[H, C]`, as the network holds it.
    pub input: Tensor,
    /// `W`, `[H, H]`, as the network holds it; `None` for a single step.
    pub recurrent: Option<Tensor>,
}
