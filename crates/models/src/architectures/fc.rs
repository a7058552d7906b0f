//! Fully connected networks.

use super::graph::GraphSpec;
use crate::{
    error::{Error, Result},
    network::Network,
    spec::{NetworkSpec, OperatorSpec},
};
use candle_nn::VarBuilder;

/// A fully connected network: `z^i = W^i a^{i-1} + b^i`, `a^i = phi(z^i)`, `f = W^{M+1} a^M + b^{M+1}`.
///
/// Nodes are named `layers.0`, `layers.0.activation`, `layers.1`, ...; parameters `layers.0.weight` `[out, in]`
/// and `layers.0.bias` `[out]`, as PyTorch's. Where the builder initialises, it does so as PyTorch's default:
/// uniform in `+-1/sqrt(fan_in)` for weights and biases.
#[derive(Debug, Clone, PartialEq)]
pub struct Mlp {
    /// Shape of one input, flattened if it has more than one dimension. The paper's MNIST: `[1, 28, 28]`.
    pub inputs: Vec<usize>,
    /// Widths of the hidden layers; the paper's MNIST: `[300, 300, 300, 300]`. May be empty: an affine map.
    pub hidden: Vec<usize>,
    /// Number of outputs, at least 1.
    pub outputs: usize,
    /// Slope of the activation for negative pre-activations, finite; 0 is the ReLU.
    pub negative_slope: f64,
}

impl Mlp {
    /// The network's graph.
    ///
    /// # Errors
    /// A layer of width 0, and inputs of more numbers than can be counted.
    pub fn spec(&self) -> Result<NetworkSpec> {
        if let Some(width) = self
            .hidden
            .iter()
            .chain([&self.outputs])
            .find(|width| **width == 0)
        {
            return Err(Error::Config {
                field: "hidden",
                cause: format!("a layer of width {width}; at least 1"),
            });
        }
        let mut graph = GraphSpec::new(&self.inputs);
        let mut add = |name: String, operator: OperatorSpec| {
            let operand = graph.last();
            graph.add(name, operator, &[&operand]);
        };
        if self.inputs.len() > 1 {
            add("flatten".into(), OperatorSpec::Flatten);
        }
        let mut sizes = self.inputs.iter();
        let inputs = sizes.try_fold(1usize, |n, size| n.checked_mul(*size));
        let mut inputs = inputs.ok_or_else(|| Error::Config {
            field: "inputs",
            cause: format!("{:?} overflows", self.inputs),
        })?;
        for (i, &outputs) in self.hidden.iter().enumerate() {
            add(
                format!("layers.{i}"),
                OperatorSpec::Linear {
                    inputs,
                    outputs,
                    bias: true,
                },
            );
            add(
                format!("layers.{i}.activation"),
                OperatorSpec::leaky_relu(self.negative_slope),
            );
            inputs = outputs;
        }
        let head = OperatorSpec::Linear {
            inputs,
            outputs: self.outputs,
            bias: true,
        };
        add(format!("layers.{}", self.hidden.len()), head);
        Ok(graph.finish())
    }

    /// The network, its parameters taken from (or initialised by) `vars`.
    ///
    /// # Errors
    /// Those of [`Mlp::spec`], and parameters that `vars` lacks or has in another shape.
    pub fn build(&self, vars: VarBuilder) -> Result<Network> {
        self.spec()?.build(vars)
    }
}
