//! A network: a graph of operators in topological order.

use crate::{
    Error, Result, Trace,
    operator::{Affine, Operator, PiecewiseLinear},
    operators::{OperatorSpec, Standardize},
};
use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, VarBuilder};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc};

/// The name of the input node.
pub const INPUT: &str = "input";

/// An operator, its name and the indices of the nodes it reads.
#[derive(Debug, Clone)]
pub struct Node {
    /// Unique name; that of its PyTorch module where there is one (`layers.0`).
    pub name: String,
    /// What it computes.
    pub operator: Operator,
    /// Indices of its operands, all smaller than its own.
    pub operands: Vec<usize>,
    /// Shape of its output for one input.
    pub shape: Vec<usize>,
}

/// A piecewise-linear network `f: R^D -> R^L`, once defined and read in several ways:
/// its value ([`Module::forward`]), its value with the activation pattern ([`Network::trace`]), and through a
/// trace the push of tangents and the pull of cotangents.
///
/// Cheap to clone; parameters are shared with whoever made them, so that an optimiser's update is seen here.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Module, Parameters};
///
/// let parameters = Parameters::seeded(7);
/// let config = Mlp { inputs: vec![4], hidden: vec![8, 8], outputs: 3, negative_slope: 0.0 };
/// let network = config.build(parameters.builder(DType::F64, &Device::Cpu))?;
/// let x = Tensor::ones((5, 4), DType::F64, &Device::Cpu)?;
/// assert_eq!(network.forward(&x)?.dims(), [5, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Network {
    nodes: Arc<[Node]>,
    /// Index of the last node that reads each node.
    last_use: Arc<[usize]>,
    dtype: DType,
    device: Device,
}

/// What a model file stores of a network: the graph, without the parameters' values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Shape of one input.
    pub input_shape: Vec<usize>,
    /// The nodes after the input, in topological order; the last one is the output.
    pub nodes: Vec<NodeSpec>,
}

/// One node of a [`NetworkSpec`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// Unique name, the prefix of its parameters' names.
    pub name: String,
    /// The operator.
    pub operator: OperatorSpec,
    /// Names of its operands.
    pub operands: Vec<String>,
}

impl NetworkSpec {
    /// Builds the network, parameters taken from (or initialised by) `vars` under the nodes' names.
    pub fn build(&self, vars: VarBuilder) -> Result<Network> {
        let mut builder = NetworkBuilder::new(&self.input_shape)?;
        for node in &self.nodes {
            let operands = node
                .operands
                .iter()
                .map(|name| builder.find(name))
                .collect::<Result<Vec<_>>>()?;
            let operator = match &node.operator {
                OperatorSpec::SameAs { node } => {
                    builder.nodes[builder.find(node)?].operator.clone()
                }
                operator => operator.build(vars.pp(&node.name))?,
            };
            builder.add(&node.name, operator, &operands)?;
        }
        builder.finish(vars.dtype(), vars.device())
    }
}

/// Builds a network node by node.
#[derive(Debug)]
pub struct NetworkBuilder {
    nodes: Vec<Node>,
    names: HashMap<String, usize>,
}

impl NetworkBuilder {
    /// Starts with the input, node 0, for inputs of shape `input_shape` each.
    pub fn new(input_shape: &[usize]) -> Result<Self> {
        checked_size(input_shape)
            .filter(|size| *size > 0 && !input_shape.is_empty())
            .ok_or_else(|| Error::Graph(format!("{input_shape:?} is no shape for an input")))?;
        let input = Node {
            name: INPUT.into(),
            operator: Operator::Input,
            operands: vec![],
            shape: input_shape.to_vec(),
        };
        Ok(Self {
            nodes: vec![input],
            names: HashMap::from([(INPUT.into(), 0)]),
        })
    }

    /// Adds a node that reads the nodes with the given indices, and returns its index.
    pub fn add(&mut self, name: &str, operator: Operator, operands: &[usize]) -> Result<usize> {
        let error = |cause| Error::Node {
            node: name.into(),
            operator: operator.kind(),
            cause,
        };
        let shapes = operands
            .iter()
            .map(|&i| self.nodes.get(i).map(|node| &node.shape[..]))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| error(format!("reads a node that is not there: {operands:?}")))?;
        let shape = operator.output_shape(&shapes).map_err(error)?;
        checked_size(&shape)
            .filter(|n| *n > 0)
            .ok_or_else(|| error(format!("has an output of shape {shape:?}")))?;
        let index = self.nodes.len();
        if self.names.insert(name.into(), index).is_some() {
            return Err(Error::Graph(format!("two nodes have the name `{name}`")));
        }
        self.nodes.push(Node {
            name: name.into(),
            operator,
            operands: operands.to_vec(),
            shape,
        });
        Ok(index)
    }

    /// Adds an affine operator.
    pub fn affine(
        &mut self,
        name: &str,
        operator: impl Affine + 'static,
        operands: &[usize],
    ) -> Result<usize> {
        self.add(name, Operator::Affine(Arc::new(operator)), operands)
    }

    /// Adds a piecewise-linear operator.
    pub fn piecewise_linear(
        &mut self,
        name: &str,
        operator: impl PiecewiseLinear + 'static,
        operand: usize,
    ) -> Result<usize> {
        self.add(
            name,
            Operator::PiecewiseLinear(Arc::new(operator)),
            &[operand],
        )
    }

    /// The index of a node by its name.
    pub fn find(&self, name: &str) -> Result<usize> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| Error::Graph(format!("no node `{name}` before its use")))
    }

    /// The network whose output is the last node, which must be a vector for each input. `dtype` and `device`
    /// are those of its parameters.
    pub fn finish(self, dtype: DType, device: &Device) -> Result<Network> {
        let last = self.nodes.len() - 1;
        if self.nodes[last].shape.len() != 1 {
            return Err(Error::Graph(format!(
                "the output `{}` must be a vector for each input, found shape {:?}",
                self.nodes[last].name, self.nodes[last].shape
            )));
        }
        let mut last_use: Vec<usize> = (0..self.nodes.len()).collect();
        for (index, node) in self.nodes.iter().enumerate() {
            for &operand in &node.operands {
                last_use[operand] = index;
            }
        }
        last_use[last] = usize::MAX;
        Ok(Network {
            nodes: self.nodes.into(),
            last_use: last_use.into(),
            dtype,
            device: device.clone(),
        })
    }
}

impl Network {
    /// Shape of one input.
    pub fn input_shape(&self) -> &[usize] {
        &self.nodes[0].shape
    }

    /// `D`, the number of numbers in one input.
    pub fn input_size(&self) -> usize {
        self.input_shape().iter().product()
    }

    /// `L`, the number of outputs.
    pub fn output_size(&self) -> usize {
        self.nodes[self.nodes.len() - 1].shape[0]
    }

    /// The nodes in topological order; the first is the input, the last the output.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The dtype it computes in.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device it computes on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How many numbers a push of one tangent holds at its peak: the values still to be read, and the result
    /// and temporaries of the operator at work.
    pub fn tangent_size(&self) -> usize {
        let size = |node: &Node| node.shape.iter().product::<usize>();
        let peak = |(index, node): (usize, &Node)| {
            let alive = self.nodes[..index]
                .iter()
                .enumerate()
                .filter(|(i, _)| self.last_use(*i) >= index);
            let operands: Vec<&[usize]> = self.shapes(&node.operands);
            alive.map(|(_, node)| size(node)).sum::<usize>()
                + 2 * size(node)
                + node.operator.workspace(&operands, &node.shape)
        };
        self.nodes.iter().enumerate().map(peak).max().unwrap_or(1)
    }

    /// The same network with parameters cut off from differentiation (they share storage): what inference
    /// uses, so that no computation is recorded.
    pub fn detached(&self) -> Result<Self> {
        let tensors = self
            .parameters()
            .into_iter()
            .map(|(name, tensor)| (name, tensor.detach()))
            .collect();
        self.spec()
            .build(VarBuilder::from_tensors(tensors, self.dtype, &self.device))
    }

    /// The same graph with other operators at its nodes.
    pub(crate) fn with_operators(&self, nodes: Vec<Node>) -> Self {
        Self {
            nodes: nodes.into(),
            ..self.clone()
        }
    }

    /// Index of the last node that reads node `index`: after it the node's value is not needed.
    pub(crate) fn last_use(&self, index: usize) -> usize {
        self.last_use[index]
    }

    fn shapes(&self, nodes: &[usize]) -> Vec<&[usize]> {
        nodes.iter().map(|&i| &self.nodes[i].shape[..]).collect()
    }

    /// For each node the first one with the very same operator: the one that names its parameters.
    fn owners(&self) -> Vec<usize> {
        let mut first = HashMap::new();
        let owner =
            |(index, node): (usize, &Node)| *first.entry(node.operator.identity()).or_insert(index);
        self.nodes.iter().enumerate().map(owner).collect()
    }

    /// The parameters by full name (`layers.0.weight`), in the order of the nodes; those of an operator that
    /// several nodes share once, under the name of the first.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let local = |node: &Node| {
            let name = node.name.clone();
            node.operator
                .parameters()
                .into_iter()
                .map(move |(parameter, tensor)| (format!("{name}.{parameter}"), tensor.clone()))
                .collect::<Vec<_>>()
        };
        let owners = self.owners();
        let nodes = self.nodes.iter().zip(owners).enumerate();
        nodes
            .filter(|(index, (_, owner))| index == owner)
            .flat_map(|(_, (node, _))| local(node))
            .collect()
    }

    /// What a model file stores of it.
    pub fn spec(&self) -> NetworkSpec {
        let name = |&index: &usize| self.nodes[index].name.clone();
        let owners = self.owners();
        let node = |(index, node): (usize, &Node)| {
            let operator = match owners[index] {
                owner if owner == index => node.operator.spec()?,
                owner => OperatorSpec::SameAs { node: name(&owner) },
            };
            Some(NodeSpec {
                name: node.name.clone(),
                operator,
                operands: node.operands.iter().map(name).collect(),
            })
        };
        NetworkSpec {
            input_shape: self.input_shape().to_vec(),
            nodes: self.nodes.iter().enumerate().filter_map(node).collect(),
        }
    }

    /// A copy in another dtype or on another device, its parameters detached from the originals.
    pub fn to(&self, dtype: DType, device: &Device) -> Result<Self> {
        let convert = |(name, tensor): (String, Tensor)| {
            Ok((
                name,
                tensor.detach().to_device(device)?.to_dtype(dtype)?.copy()?,
            ))
        };
        let tensors = self
            .parameters()
            .into_iter()
            .map(convert)
            .collect::<Result<HashMap<_, _>>>()?;
        self.spec()
            .build(VarBuilder::from_tensors(tensors, dtype, device))
    }

    /// The network of raw inputs: `(x - mean) / std` first, then this network. Its margins are in raw units.
    pub fn standardized(&self, mean: &[f64], std: &[f64]) -> Result<Self> {
        let mut builder = NetworkBuilder::new(self.input_shape())?;
        builder.affine(
            "normalization",
            Standardize::new(mean, std, self.dtype, &self.device)?,
            &[0],
        )?;
        for node in &self.nodes[1..] {
            let operands: Vec<usize> = node.operands.iter().map(|i| i + 1).collect();
            builder.add(&node.name, node.operator.clone(), &operands)?;
        }
        builder.finish(self.dtype, &self.device)
    }

    /// The value with the activation pattern, at a batch `x` of shape `[B, in...]`.
    pub fn trace(&self, x: &Tensor) -> Result<Trace> {
        Trace::new(self, x)
    }

    /// An error unless `x` has shape `[B, in...]` with at least one input.
    pub fn check_input(&self, x: &Tensor) -> Result<()> {
        if x.rank() == 0 || x.dims()[1..] != *self.input_shape() || x.dims()[0] == 0 {
            return Err(Error::InputShape {
                expected: self.input_shape().to_vec(),
                found: x.dims().to_vec(),
            });
        }
        Ok(())
    }

    /// Walks the graph from the input: `visit` computes each node from its operands, which are dropped after
    /// their last use. Returns the output's value.
    pub(crate) fn forward_walk<E: From<candle_core::Error>>(
        &self,
        input: Tensor,
        mut visit: impl FnMut(usize, &Node, &[&Tensor]) -> std::result::Result<Tensor, E>,
    ) -> std::result::Result<Tensor, E> {
        let mut values: Vec<Option<Tensor>> = vec![None; self.nodes.len()];
        values[0] = Some(input);
        for (index, node) in self.nodes.iter().enumerate().skip(1) {
            // Every operand has a smaller index and a last use no earlier than here.
            let operands: Vec<&Tensor> = node
                .operands
                .iter()
                .filter_map(|&i| values[i].as_ref())
                .collect();
            let value = visit(index, node, &operands)?;
            for &operand in &node.operands {
                if self.last_use(operand) == index {
                    values[operand] = None;
                }
            }
            values[index] = (self.last_use(index) > index).then_some(value);
        }
        values
            .pop()
            .flatten()
            .ok_or_else(|| E::from(candle_core::Error::Msg("a network without output".into())))
    }
}

impl Module for Network {
    /// The value at a batch `x` `[B, in...]`: `[B, L]`.
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.check_input(x)
            .map_err(|e| candle_core::Error::Msg(e.to_string()))?;
        self.forward_walk(x.clone(), |_, node, operands| match &node.operator {
            Operator::Input => Ok(operands[0].clone()),
            Operator::Affine(operator) => operator.value(operands, &node.shape),
            Operator::PiecewiseLinear(operator) => operator.value(operands[0]),
        })
    }
}

/// The product of a shape's dimensions, if it does not overflow.
fn checked_size(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))
}
