//! Fully connected chains, recognised in a graph.

use crate::{Network, Node, operator::Operator, operators::OperatorSpec};
use candle_core::Tensor;
use loclin_tensor::TwoPieces;

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

impl Network {
    /// The chain this network is, if it is one with at least one hidden layer.
    ///
    /// Layer `i` feeds the `i`-th piecewise-linear node, so that [`crate::Trace::records`] lists the layers in order,
    /// each with one constraint and one selected slope for each unit.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use loclin_models::{Mlp, Parameters};
    ///
    /// let config = Mlp { inputs: vec![2, 2], hidden: vec![3, 5], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
    /// let raw = network.standardized(&[0.5], &[0.25])?;
    /// let chain = raw.fc_chain().unwrap();
    /// assert_eq!(chain.scale, 4.0);
    /// assert_eq!(chain.weights[1].dims(), [5, 3]);
    /// assert_eq!(chain.activations[1].slopes, [0.0, 1.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fc_chain(&self) -> Option<FcChain> {
        let mut chain = FcChain {
            scale: 1.0,
            shift: 0.0,
            weights: Vec::new(),
            biases: Vec::new(),
            activations: Vec::new(),
            head: None,
        };
        // The linear layer whose output is at hand.
        let mut pending: Option<&Node> = None;
        for (index, node) in self.nodes().iter().enumerate().skip(1) {
            if node.operands != [index - 1] {
                return None;
            }
            match node.operator.spec()? {
                OperatorSpec::Flatten if chain.weights.is_empty() && pending.is_none() => {}
                OperatorSpec::Standardize { mean, std }
                    if chain.weights.is_empty() && pending.is_none() && std.len() == 1 =>
                {
                    chain.scale /= std[0];
                    chain.shift = (chain.shift - mean[0]) / std[0];
                }
                OperatorSpec::Linear { .. } if pending.is_none() => pending = Some(node),
                OperatorSpec::Activation {
                    breakpoints,
                    slopes,
                    anchor,
                } if breakpoints.len() == 1 => {
                    let linear = pending.take()?;
                    chain.weights.push(parameter(linear, "weight")?.clone());
                    chain.biases.push(parameter(linear, "bias").cloned());
                    chain.activations.push(TwoPieces {
                        breakpoint: breakpoints[0],
                        slopes: [slopes[0], slopes[1]],
                        anchor,
                    });
                }
                _ => return None,
            }
        }
        if let Some(linear) = pending {
            let weight = parameter(linear, "weight")?.clone();
            chain.head = Some((weight, parameter(linear, "bias").cloned()));
        }
        (!chain.weights.is_empty()).then_some(chain)
    }
}

pub(crate) fn parameter<'a>(node: &'a Node, name: &str) -> Option<&'a Tensor> {
    match &node.operator {
        Operator::Affine(operator) => operator
            .parameters()
            .into_iter()
            .find_map(|(own, tensor)| (own == name).then_some(tensor)),
        _ => None,
    }
}
