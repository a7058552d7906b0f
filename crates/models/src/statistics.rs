//! Batch normalisation in training mode: the statistics of a batch of inputs.

use crate::{
    Error, Network, Operator, Parameters, Result, Trace,
    operator::Affine,
    operators::{BatchNorm, OperatorSpec},
};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use loclin_tensor::channel_moments;
use std::{collections::HashMap, sync::Arc};

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
    /// The trace at a batch `x` `[B, in...]` in *training mode*, and the statistics in the order of the nodes: every
    /// batch normalisation uses mean and variance of its own operand over the batch, as PyTorch does in `train()`.
    /// Differentiable in the parameters, through the statistics too.
    ///
    /// In training mode an input's output depends on the other inputs, so it has no region of its own. The trace is
    /// that of the network whose running statistics *are* those of the batch, and they are constants in the input: what
    /// is pushed through it are the gradients of a network in inference mode, close to the one that is certified, whose
    /// running statistics follow by [`BatchStatistics::update`]. As functions of the weights they are not constants:
    /// multiplying a convolution before a normalisation by a number changes nothing, and no regulariser can be made
    /// small that way.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{BatchStatistics, Parameters, architectures::ResNetConfig};
    ///
    /// let parameters = Parameters::seeded(0);
    /// let config = ResNetConfig { width: 4, blocks: vec![1], inputs: [3, 8, 8], ..ResNetConfig::resnet20(10) };
    /// let network = config.build(parameters.builder(DType::F32, &Device::Cpu))?;
    /// let x = Tensor::arange(0f32, 384.0, &Device::Cpu)?.sin()?.reshape((2, 3, 8, 8))?;
    /// let (trace, statistics) = network.trace_train(&x)?;
    /// BatchStatistics::update(&statistics, &parameters, 0.1)?;
    /// assert_eq!((trace.output().dims(), statistics.len()), (&[2, 10][..], 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An input of another shape, and a batch normalisation that is given a single value for a channel.
    pub fn trace_train(&self, x: &Tensor) -> Result<(Trace, Vec<BatchStatistics>)> {
        self.check_input(x)?;
        let (mut records, mut statistics) = (Vec::new(), Vec::new());
        let mut nodes = self.nodes().to_vec();
        let output = self.forward_walk(x.clone(), |index, node, operands| {
            Ok::<_, Error>(match &node.operator {
                Operator::Input => operands[0].clone(),
                Operator::PiecewiseLinear(operator) => {
                    records.push(operator.record(operands[0])?);
                    operator.value(operands[0])?
                }
                Operator::Affine(operator) => match operator.spec() {
                    OperatorSpec::BatchNorm { eps, .. } => {
                        let found = BatchStatistics::of(&node.name, operands[0])?;
                        let of_batch = found.normalization(operator.as_ref(), eps)?;
                        let value = of_batch.value(operands, &node.shape)?;
                        nodes[index].operator = Operator::Affine(Arc::new(of_batch));
                        statistics.push(found);
                        value
                    }
                    _ => operator.value(operands, &node.shape)?,
                },
            })
        })?;
        // A network without normalisations is the same in both modes.
        let network = match statistics.is_empty() {
            true => self.clone(),
            false => self.with_operators(nodes),
        };
        Ok((Trace::from_records(&network, output, records)?, statistics))
    }

    /// The network whose batch normalisations use the statistics of the batch `x` `[B, in...]` in inference mode: on
    /// this batch it computes what the network computes in training mode ([`Network::trace_train`]).
    ///
    /// The result's parameters are detached from this network's. It gives a network with seeded weights the scale
    /// of activations that a trained one has.
    pub fn with_batch_statistics(&self, x: &Tensor) -> Result<Self> {
        let network = self.detached()?;
        let (_, statistics) = network.trace_train(&x.detach())?;
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
    /// Those of the operand `[B, C, n...]` of a node.
    fn of(node: &str, operand: &Tensor) -> Result<Self> {
        let count = operand.elem_count() / operand.dim(1)?;
        if count < 2 {
            return Err(Error::Config {
                field: "batch_norm",
                cause: format!(
                    "{node}: training mode needs more than one value for each channel of a batch"
                ),
            });
        }
        let [mean, variance] = channel_moments(operand).map_err(candle_core::Error::wrap)?;
        Ok(Self {
            node: node.to_owned(),
            mean,
            variance,
            count,
        })
    }

    /// The node's normalisation with these statistics.
    fn normalization(&self, operator: &dyn Affine, eps: f64) -> Result<BatchNorm> {
        let (mean, variance) = (self.mean.clone(), self.variance.clone());
        match operator.parameters()[..] {
            [(_, weight), (_, bias), ..] => Ok(BatchNorm::with_statistics(
                weight.clone(),
                bias.clone(),
                [mean, variance],
                eps,
            )),
            _ => Err(Error::Graph(format!(
                "{}: a batch normalisation without parameters",
                self.node
            ))),
        }
    }

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
