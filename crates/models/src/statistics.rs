//! Batch normalisation in training mode: the statistics of a batch of inputs.

use crate::{
    error::{Error, Result},
    network::{Network, Node},
    operator::Operator,
    operators::Shifted,
    trace::Trace,
};
use candle_core::Tensor;
use loclin_tensor::Parameters;
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
                Operator::Affine(operator) => match operator.normalization() {
                    Some(normalizing) => {
                        let count = BatchStatistics::count(&node.name, operands[0])?;
                        let [value, mean, variance] = normalizing.by_own_statistics(operands[0])?;
                        let of_batch = normalizing.with_statistics(mean.clone(), variance.clone());
                        nodes[index].operator = Operator::Affine(of_batch?);
                        statistics.push(BatchStatistics {
                            node: node.name.clone(),
                            mean,
                            variance,
                            count,
                        });
                        value
                    }
                    None => operator.value(operands, &node.shape)?,
                },
            })
        })?;
        for index in 1..nodes.len() {
            if let Operator::Affine(operator) = &self.nodes()[index].operator
                && operator.normalization().is_some()
            {
                join(&mut nodes, index)?;
            }
        }
        // A network without normalisations is the same in both modes.
        let network = match statistics.is_empty() {
            true => self.clone(),
            false => Self::of_nodes(nodes, self.dtype(), self.device()),
        };
        Ok((Trace::from_records(&network, output, records)?, statistics))
    }

    /// The network whose batch normalisations use the statistics of the batch `x` `[B, in...]` in inference mode: on
    /// this batch it computes what the network computes in training mode ([`Network::trace_train`]).
    ///
    /// The result's parameters are detached from this network's. It gives a network with seeded weights the scale
    /// of activations that a trained one has.
    ///
    /// # Errors
    /// Those of [`Network::trace_train`] and [`Network::detached`].
    pub fn with_batch_statistics(&self, x: &Tensor) -> Result<Self> {
        let network = self.detached()?;
        let (_, statistics) = network.trace_train(&x.detach())?;
        let mut found = HashMap::new();
        for one in statistics {
            let [mean, variance] = one.running();
            found.extend([(mean, one.mean), (variance, one.variance)]);
        }
        network.map_parameters(self.dtype(), self.device(), |name, tensor| {
            Ok(found.get(name).unwrap_or(tensor).clone())
        })
    }
}

/// Makes a normalisation's scale a part of the operator below it, where nothing else reads that one: tangents then pass
/// both at the cost of one.
fn join(nodes: &mut [Node], index: usize) -> Result<()> {
    let &[below] = &nodes[index].operands[..] else {
        return Ok(());
    };
    let readers = nodes.iter().flat_map(|node| &node.operands);
    if readers.filter(|operand| **operand == below).count() > 1 {
        return Ok(());
    }
    let (Operator::Affine(first), Operator::Affine(second)) =
        (&nodes[below].operator, &nodes[index].operator)
    else {
        return Ok(());
    };
    let Some(scale) = second.channel_scale()? else {
        return Ok(());
    };
    let shift = second.offset(&nodes[index].shape)?;
    if let Some(scaled) = first.scaled(&scale)? {
        nodes[below].operator = Operator::Affine(scaled);
        nodes[index].operator = Operator::Affine(Arc::new(Shifted { shift }));
    }
    Ok(())
}

impl BatchStatistics {
    /// How many values of each channel a node's operand `[B, C, n...]` has.
    fn count(node: &str, operand: &Tensor) -> Result<usize> {
        let count = operand.elem_count() / operand.dim(1)?;
        if count < 2 {
            return Err(Error::Config {
                field: "batch_norm",
                cause: format!(
                    "{node}: training mode needs more than one value for each channel of a batch"
                ),
            });
        }
        Ok(count)
    }

    /// The full names of the parameters that hold the running mean and the running variance.
    fn running(&self) -> [String; 2] {
        ["running_mean", "running_var"].map(|parameter| format!("{}.{parameter}", self.node))
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
            for (name, target) in one.running().into_iter().zip([&one.mean, &unbiased]) {
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
