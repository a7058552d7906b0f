//! Fully connected chains, recognised in a graph.

use crate::{network::Node, operator::Operator, spec::OperatorSpec, structure::FcChain};
use candle_core::Tensor;
use loclin_tensor::TwoPieces;

/// The chain that the nodes are, if they are one with at least one hidden layer.
///
/// Layer `i` feeds the `i`-th piecewise-linear node, so that [`crate::Trace::records`] lists the layers in order,
/// each with one neuron and one selected slope for each unit.
pub(crate) fn of_nodes(nodes: &[Node]) -> Option<FcChain> {
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
    for (index, node) in nodes.iter().enumerate().skip(1) {
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

/// A parameter of a node by its local name.
pub(crate) fn parameter<'a>(node: &'a Node, name: &str) -> Option<&'a Tensor> {
    match &node.operator {
        Operator::Affine(operator) => operator
            .parameters()
            .into_iter()
            .find_map(|(own, tensor)| (own == name).then_some(tensor)),
        _ => None,
    }
}
