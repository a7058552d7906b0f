//! Recurrent networks for sequences of any length.

use super::graph::GraphSpec;
use crate::{
    error::{Error, Result},
    network::{Network, Node},
    operator::{Operator, PiecewiseLinear},
    record::ActivationRecord,
    spec::{INPUT, NetworkSpec, OperatorSpec},
    trace::Trace,
};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Hyper-parameters of a recurrence `h_t = phi(U x_t + b + W h_{t-1})` from `h_0 = 0`, with a linear read-out of the
/// last state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RnnConfig {
    /// Number of channels of a time step, at least 1.
    pub inputs: usize,
    /// Number of hidden units, at least 1.
    pub hidden: usize,
    /// Number of outputs, at least 1.
    pub outputs: usize,
    /// Slope of the LeakyReLU `phi` for negative pre-activations, finite; 0 is the ReLU.
    #[serde(alias = "leak")]
    pub negative_slope: f64,
}

/// A recurrent network with its parameters: a [`Network`] for each length of sequence.
///
/// A network takes inputs `[length, inputs]`; a neuron of it is a hidden unit at a time step, unit `j` of node
/// `state.t`. Its steps share their parameters: `encoder.weight` (`U`, `[hidden, inputs]`) and `encoder.bias`,
/// `recurrent.weight` (`W`, `[hidden, hidden]`), `output.weight` and `output.bias`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Module, Parameters, architectures::{Rnn, RnnConfig}};
///
/// let config = RnnConfig { inputs: 12, hidden: 16, outputs: 9, negative_slope: 0.1 };
/// let rnn = Rnn::new(config, Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
/// let sequences = Tensor::ones((2, 7, 12), DType::F64, &Device::Cpu)?;
/// assert_eq!(rnn.network(7)?.forward(&sequences)?.dims(), [2, 9]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rnn {
    config: RnnConfig,
    parameters: Vec<(String, Tensor)>,
    dtype: DType,
    device: Device,
}

impl Rnn {
    /// Parameters from `vars`; where it initialises, as PyTorch's linear layers.
    ///
    /// # Errors
    /// Sizes of 0, and parameters that `vars` lacks or has in another shape.
    pub fn new(config: RnnConfig, vars: VarBuilder) -> Result<Self> {
        // Two steps are the shortest sequence that has every parameter.
        let network = config.spec(2)?.build(vars.clone())?;
        Ok(Self {
            config,
            parameters: network.parameters(),
            dtype: vars.dtype(),
            device: vars.device().clone(),
        })
    }

    /// Hyper-parameters.
    pub fn config(&self) -> &RnnConfig {
        &self.config
    }

    /// The dtype it computes in.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The parameters by full name, in the order of the nodes.
    pub fn parameters(&self) -> &[(String, Tensor)] {
        &self.parameters
    }

    /// The same network with parameters cut off from differentiation (they share storage).
    pub fn detached(&self) -> Self {
        let detach = |(name, tensor): &(String, Tensor)| (name.clone(), tensor.detach());
        Self {
            parameters: self.parameters.iter().map(detach).collect(),
            ..self.clone()
        }
    }

    /// The network for sequences of `length` steps, at least 1.
    ///
    /// # Errors
    /// A length of 0.
    pub fn network(&self, length: usize) -> Result<Network> {
        let tensors: HashMap<String, Tensor> = self.parameters.iter().cloned().collect();
        let vars = VarBuilder::from_tensors(tensors, self.dtype, &self.device);
        self.config.spec(length)?.build(vars)
    }

    /// The network for inputs `[length, inputs]`; an error for inputs of another shape.
    ///
    /// # Errors
    /// Inputs of another number of dimensions or channels, and a length of 0.
    pub fn network_for(&self, input_shape: &[usize]) -> Result<Network> {
        match input_shape {
            [length, inputs] if *inputs == self.config.inputs => self.network(*length),
            _ => Err(Error::Config {
                field: "input shape",
                cause: format!(
                    "the network takes sequences of shape [length, {}], found {input_shape:?}",
                    self.config.inputs
                ),
            }),
        }
    }

    /// Batches of sequences, each `[B, length, inputs]` of another length, traced together: `traces(inputs)?[i]` is
    /// `network(length)?.trace(&inputs[i])?` but for rounding.
    ///
    /// A step of all sequences that are long enough is one product with `W`. Alone, a mini-batch of 32 utterances of 15 lengths
    /// would read `W` for each length at each step, and have a gradient of its size for each.
    ///
    /// # Errors
    /// Inputs of another number of dimensions or channels, and a tensor computation that fails.
    pub fn traces(&self, inputs: &[Tensor]) -> Result<Vec<Trace>> {
        let networks: Vec<Network> = inputs
            .iter()
            .map(|x| self.network_for(x.dims().get(1..).unwrap_or_default()))
            .collect::<Result<_>>()?;
        let lengths: Vec<usize> = networks.iter().map(|n| n.input_shape()[0]).collect();
        // The longest first: those that a step still has are the first rows of the step before.
        let mut order: Vec<usize> = (0..inputs.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(lengths[i]));
        let Some(&longest) = order.first() else {
            return Ok(Vec::new());
        };
        let mut firsts = vec![0; inputs.len()];
        let mut all = 0;
        for &i in &order {
            firsts[i] = all;
            all += inputs[i].dim(0)?;
        }
        let steps = Steps::of(&networks[longest])?;
        let mut records: Vec<Vec<ActivationRecord>> = lengths.iter().map(|_| Vec::new()).collect();
        let mut last = vec![None; inputs.len()];
        let mut state: Option<Tensor> = None;
        for t in 0..lengths[longest] {
            let there = order.iter().take_while(|&&i| lengths[i] > t);
            let there: Vec<usize> = there.copied().collect();
            let x: Vec<Tensor> = there
                .iter()
                .map(|&i| inputs[i].narrow(1, t, 1)?.squeeze(1))
                .collect::<candle_core::Result<_>>()?;
            let mut z = value(steps.encoder, &Tensor::cat(&x, 0)?)?;
            if let Some(state) = state {
                let recurrent = steps.recurrent.ok_or_else(not_a_recurrence)?;
                let fed = value(recurrent, &state.narrow(0, 0, z.dim(0)?)?)?;
                z = (z + fed)?;
            }
            let next = steps.activation.value(&z)?;
            for &i in &there {
                let (first, count) = (firsts[i], inputs[i].dim(0)?);
                let own = z.narrow(0, first, count)?;
                records[i].push(steps.activation.record(&own)?);
                if t + 1 == lengths[i] {
                    last[i] = Some(next.narrow(0, first, count)?);
                }
            }
            state = Some(next);
        }
        let last: Vec<Tensor> = order.iter().filter_map(|&i| last[i].clone()).collect();
        let output = value(steps.output, &Tensor::cat(&last, 0)?)?;
        let of = |(i, (network, records)): (usize, (&Network, Vec<ActivationRecord>))| {
            let output = output.narrow(0, firsts[i], inputs[i].dim(0)?)?;
            Trace::from_records(network, output, records)
        };
        networks.iter().zip(records).enumerate().map(of).collect()
    }
}

/// The operators of a step, and the read-out.
struct Steps<'a> {
    encoder: &'a Node,
    recurrent: Option<&'a Node>,
    activation: &'a dyn PiecewiseLinear,
    output: &'a Node,
}

impl<'a> Steps<'a> {
    fn of(network: &'a Network) -> Result<Self> {
        let named = |name: &str| network.nodes().iter().find(|node| node.name == name);
        let need = |name| named(name).ok_or_else(not_a_recurrence);
        let Operator::PiecewiseLinear(activation) = &need("state.0")?.operator else {
            return Err(not_a_recurrence());
        };
        Ok(Self {
            encoder: need("encoder")?,
            recurrent: named("recurrent"),
            activation: activation.as_ref(),
            output: need("output")?,
        })
    }
}

fn value(node: &Node, x: &Tensor) -> Result<Tensor> {
    match &node.operator {
        Operator::Affine(operator) => Ok(operator.value(&[x], &node.shape)?),
        _ => Err(not_a_recurrence()),
    }
}

fn not_a_recurrence() -> Error {
    Error::Graph("a graph without the nodes of a recurrence".into())
}

impl RnnConfig {
    /// The graph for sequences of `length` steps. Nodes are `step.t`, `encoder.t`, `recurrent.t`, `sum.t` and `state.t`
    /// for `t` from 0, and `output`; the first ones of `encoder` and `recurrent`, which own the parameters, have no
    /// number.
    ///
    /// # Errors
    /// A length of 0.
    pub fn spec(&self, length: usize) -> Result<NetworkSpec> {
        if length == 0 {
            return Err(Error::Config {
                field: "length",
                cause: "a sequence of 0 steps; at least 1".into(),
            });
        }
        let linear = |inputs, outputs, bias| OperatorSpec::Linear {
            inputs,
            outputs,
            bias,
        };
        let recurrent = linear(self.hidden, self.hidden, false);
        let mut graph = GraphSpec::new(&[length, self.inputs]);
        let mut state: Option<String> = None;
        for t in 0..length {
            let node = |part: &str| format!("{part}.{t}");
            let step = OperatorSpec::Select { axis: 0, index: t };
            let x = graph.add(node("step"), step, &[INPUT]);
            let input = linear(self.inputs, self.hidden, true);
            let mut z = graph.share("encoder", node("encoder"), input, &[&x]);
            if let Some(previous) = state {
                let fed = graph.share(
                    "recurrent",
                    node("recurrent"),
                    recurrent.clone(),
                    &[&previous],
                );
                z = graph.add(node("sum"), OperatorSpec::Add, &[&z, &fed]);
            }
            state = Some(graph.add(
                node("state"),
                OperatorSpec::leaky_relu(self.negative_slope),
                &[&z],
            ));
        }
        let last = graph.last();
        graph.add("output", linear(self.hidden, self.outputs, true), &[&last]);
        Ok(graph.finish())
    }
}
