//! Fully connected chains, recognised in a graph.

use crate::{Network, Node, operator::Operator, operators::OperatorSpec};
use candle_core::Tensor;

/// A network that is a fully connected chain: whatever flattens or scales the input by one number, then linear
/// layers with activations of two pieces between them, and at most one linear layer after the last activation.
///
/// What is known of such a network's gradients without the input's dimension, and per neuron without the rest
/// of the graph, makes exact objectives and margins cheap. Biases and the last linear layer have no part in the
/// gradients of neurons, so they are not here.
#[derive(Debug, Clone)]
pub struct FcChain {
    /// What the input is multiplied by before the first layer.
    pub scale: f64,
    /// The weights `W^1, ..., W^M` of the hidden layers, `[out, in]`, as the network holds them.
    pub weights: Vec<Tensor>,
}

impl Network {
    /// The chain this network is, if it is one with at least one hidden layer.
    ///
    /// Layer `i` feeds the `i`-th switching node, so that [`crate::Trace::switches`] lists the layers in order,
    /// each with one constraint and one selected slope for each unit.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use roll_models::{FcConfig, Parameters};
    ///
    /// let config = FcConfig { inputs: vec![2, 2], hidden: vec![3, 5], outputs: 1, leak: 0.0 };
    /// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
    /// let raw = network.standardized(&[0.5], &[0.25])?;
    /// let chain = raw.fc_chain().unwrap();
    /// assert_eq!(chain.scale, 4.0);
    /// assert_eq!(chain.weights[1].dims(), [5, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fc_chain(&self) -> Option<FcChain> {
        let mut chain = FcChain {
            scale: 1.0,
            weights: Vec::new(),
        };
        // The weight of the linear layer whose output is at hand.
        let mut pending: Option<&Tensor> = None;
        for (index, node) in self.nodes().iter().enumerate().skip(1) {
            if node.operands != [index - 1] {
                return None;
            }
            match node.operator.spec()? {
                OperatorSpec::Flatten if chain.weights.is_empty() && pending.is_none() => {}
                OperatorSpec::Standardize { std, .. }
                    if chain.weights.is_empty() && pending.is_none() && std.len() == 1 =>
                {
                    chain.scale /= std[0];
                }
                OperatorSpec::Linear { .. } if pending.is_none() => pending = Some(weight(node)?),
                OperatorSpec::Activation { breakpoints, .. } if breakpoints.len() == 1 => {
                    chain.weights.push(pending.take()?.clone());
                }
                _ => return None,
            }
        }
        (!chain.weights.is_empty()).then_some(chain)
    }
}

fn weight(node: &Node) -> Option<&Tensor> {
    match &node.operator {
        Operator::Affine(operator) => operator
            .parameters()
            .into_iter()
            .find_map(|(name, tensor)| (name == "weight").then_some(tensor)),
        _ => None,
    }
}
