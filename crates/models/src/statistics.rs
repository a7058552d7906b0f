//! Batch normalisation in training mode: the statistics of a batch of inputs.

use crate::{
    Error, Network, Operator, Parameters, Result, operator::Affine, operators::OperatorSpec,
};
use candle_core::{D, Tensor};
use candle_nn::VarBuilder;
use std::collections::HashMap;

/// Mean and variance of what one batch normalisation is given, for each channel.
#[derive(Debug, Clone)]
pub struct BatchStatistics {
    /// Name of the node.
    pub node: String,
    /// `[channels]`.
    pub mean: Tensor,
    /// `[channels]`, biased: the mean of the squared deviations.
    pub variance: Tensor,
    /// How many values each is a mean of: inputs times positions.
    pub count: usize,
}

impl Network {
    /// The value at a batch `x` `[B, in...]` in *training mode*, `[B, L]`, and the statistics in the order of the
    /// nodes: every batch normalisation uses mean and variance of its own operand over the batch, as PyTorch does in
    /// `train()`. Differentiable in the parameters, through the statistics too.
    ///
    /// In training mode an input's output depends on the other inputs, so it has no region of its own. A task loss
    /// may be computed this way; what is regularised, certified and saved is the network in inference mode, whose
    /// running statistics follow by [`BatchStatistics::update`].
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use roll_models::{BatchStatistics, Parameters, architectures::ResNetConfig};
    ///
    /// let parameters = Parameters::seeded(0);
    /// let config = ResNetConfig { width: 4, blocks: vec![1], inputs: [3, 8, 8], ..ResNetConfig::resnet20(10) };
    /// let network = config.build(parameters.builder(DType::F32, &Device::Cpu))?;
    /// let x = Tensor::arange(0f32, 384.0, &Device::Cpu)?.sin()?.reshape((2, 3, 8, 8))?;
    /// let (logits, statistics) = network.forward_train(&x)?;
    /// BatchStatistics::update(&statistics, &parameters, 0.1)?;
    /// assert_eq!((logits.dims(), statistics.len()), (&[2, 10][..], 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An input of another shape, and a batch normalisation that is given a single value for a channel.
    pub fn forward_train(&self, x: &Tensor) -> Result<(Tensor, Vec<BatchStatistics>)> {
        self.check_input(x)?;
        let mut statistics = Vec::new();
        let output = self.forward_walk(x.clone(), |_, node, operands| {
            Ok::<_, Error>(match &node.operator {
                Operator::Input => operands[0].clone(),
                Operator::Switching(operator) => operator.value(operands[0])?,
                Operator::Affine(operator) => match operator.spec() {
                    OperatorSpec::BatchNorm { eps, .. } => {
                        let (value, found) =
                            normalized(&node.name, operands[0], operator.as_ref(), eps)?;
                        statistics.push(found);
                        value
                    }
                    _ => operator.value(operands, &node.shape)?,
                },
            })
        })?;
        Ok((output, statistics))
    }

    /// The network whose batch normalisations use the statistics of the batch `x` `[B, in...]` in inference mode: on
    /// this batch it computes what the network computes in training mode ([`Network::forward_train`]).
    ///
    /// The result's parameters are detached from this network's. It gives a network with seeded weights the scale
    /// of activations that a trained one has.
    pub fn with_batch_statistics(&self, x: &Tensor) -> Result<Self> {
        let network = self.detached()?;
        let (_, statistics) = network.forward_train(&x.detach())?;
        let mut tensors: HashMap<String, Tensor> = network.parameters().into_iter().collect();
        for BatchStatistics {
            node,
            mean,
            variance,
            ..
        } in statistics
        {
            tensors.insert(format!("{node}.running_mean"), mean);
            tensors.insert(format!("{node}.running_var"), variance);
        }
        self.spec().build(VarBuilder::from_tensors(
            tensors,
            self.dtype(),
            self.device(),
        ))
    }
}

impl BatchStatistics {
    /// Moves the running statistics among `parameters` the share `momentum` (PyTorch's default: 0.1) of the way to
    /// those of a batch, the variance unbiased, as PyTorch does. Networks built on the parameters see it.
    ///
    /// # Errors
    /// A node whose running statistics `parameters` lacks.
    pub fn update(statistics: &[Self], parameters: &Parameters, momentum: f64) -> Result<()> {
        let variables: HashMap<String, _> = parameters.named().into_iter().collect();
        for one in statistics {
            let bessel = one.count as f64 / (one.count as f64 - 1.0);
            let unbiased = (&one.variance * bessel)?;
            for (parameter, target) in [("running_mean", &one.mean), ("running_var", &unbiased)] {
                let name = format!("{}.{parameter}", one.node);
                let variable = variables.get(&name).ok_or_else(|| Error::StateDict {
                    name: name.clone(),
                    cause: "is missing".into(),
                })?;
                let running = variable.as_detached_tensor();
                let moved = ((running * (1.0 - momentum))? + (target.detach() * momentum)?)?;
                variable.set(&moved)?;
            }
        }
        Ok(())
    }
}

/// The operand `[B, C, n...]` normalised over the batch, then scaled and shifted by the operator's parameters.
fn normalized(
    node: &str,
    operand: &Tensor,
    operator: &dyn Affine,
    eps: f64,
) -> Result<(Tensor, BatchStatistics)> {
    let channels = operand.dim(1)?;
    let count = operand.elem_count() / channels;
    if count < 2 {
        return Err(Error::Config {
            field: "batch_norm",
            cause: format!(
                "{node}: training mode needs more than one value for each channel of a batch"
            ),
        });
    }
    // Channels first: one row of all values for each.
    let rows = operand.transpose(0, 1)?.flatten_from(1)?;
    let mean = rows.mean_keepdim(D::Minus1)?;
    let centred = rows.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let parameter = |name: &str| {
        let found = operator
            .parameters()
            .into_iter()
            .find(|(known, _)| *known == name);
        found.map(|(_, tensor)| tensor.clone())
    };
    let (Some(weight), Some(bias)) = (parameter("weight"), parameter("bias")) else {
        return Err(Error::Graph(format!(
            "{node}: a batch normalisation without parameters"
        )));
    };
    let scale = (weight.unsqueeze(1)? / (&variance + eps)?.sqrt()?)?;
    let value = centred
        .broadcast_mul(&scale)?
        .broadcast_add(&bias.unsqueeze(1)?)?;
    let shape = operand.dims();
    let first = [&[channels, shape[0]], &shape[2..]].concat();
    let value = value.reshape(first)?.transpose(0, 1)?.contiguous()?;
    let statistics = BatchStatistics {
        node: node.to_owned(),
        mean: mean.squeeze(D::Minus1)?,
        variance: variance.squeeze(D::Minus1)?,
        count,
    };
    Ok((value, statistics))
}
