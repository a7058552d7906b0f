//! Batch normalisation's statistics from a batch of inputs.

use crate::{Network, Operator, Result, network::affine_value, operators::OperatorSpec};
use candle_core::{D, Tensor};
use candle_nn::VarBuilder;
use std::collections::HashMap;

impl Network {
    /// The network whose batch normalisations use the statistics of the batch `x` `[B, in...]`: each running mean
    /// and (biased) variance is set, in the order of the nodes, to that of its own operand, as the earlier ones
    /// leave it. On this batch it computes what the network computes in training mode.
    ///
    /// The result's parameters are detached from this network's. It gives a network with seeded weights the scale
    /// of activations that a trained one has.
    pub fn with_batch_statistics(&self, x: &Tensor) -> Result<Self> {
        self.check_input(x)?;
        let network = self.detached()?;
        let mut tensors: HashMap<String, Tensor> = network.parameters().into_iter().collect();
        network.forward_walk(x.detach(), |_, node, operands| {
            let value = match &node.operator {
                Operator::Input => operands[0].clone(),
                Operator::Switching(operator) => operator.value(operands[0])?,
                Operator::Affine(operator) => match operator.spec() {
                    spec @ OperatorSpec::BatchNorm { .. } => {
                        let channels = operands[0].flatten_from(1)?;
                        let channels = channels.reshape((
                            channels.dim(0)?,
                            node.shape[0],
                            channels.dim(1)? / node.shape[0],
                        ))?;
                        let channels = channels.transpose(0, 1)?.flatten_from(1)?;
                        let mean = channels.mean_keepdim(D::Minus1)?;
                        let variance = channels.broadcast_sub(&mean)?.sqr()?.mean(D::Minus1)?;
                        let name = |parameter: &str| format!("{}.{parameter}", node.name);
                        tensors.insert(name("running_mean"), mean.squeeze(D::Minus1)?);
                        tensors.insert(name("running_var"), variance);
                        let vars =
                            VarBuilder::from_tensors(tensors.clone(), self.dtype(), self.device());
                        match spec.build(vars.pp(&node.name))? {
                            Operator::Affine(operator) => {
                                affine_value(operator.as_ref(), operands, &node.shape)?
                            }
                            _ => operands[0].clone(),
                        }
                    }
                    _ => affine_value(operator.as_ref(), operands, &node.shape)?,
                },
            };
            Ok::<_, crate::Error>(value)
        })?;
        self.spec().build(VarBuilder::from_tensors(
            tensors,
            self.dtype(),
            self.device(),
        ))
    }
}
