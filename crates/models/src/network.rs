//! A network: a graph of operators in topological order.

use crate::{
    error::{Error, Result},
    operator::Operator,
    spec::{NetworkSpec, NodeSpec, OperatorSpec},
    structure::Structure,
};
use candle_core::{DType, Device, Tensor};
use candle_nn::Module;
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

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
    structure: Arc<OnceLock<Structure>>,
    dtype: DType,
    device: Device,
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
        // What is alive before a node: the values before it that it or a later one reads.
        let (mut alive, mut most) = (0usize, 1);
        for (index, node) in self.nodes.iter().enumerate() {
            let operands: Vec<&[usize]> = self.shapes(&node.operands);
            let work = 2 * size(node) + node.operator.workspace(&operands, &node.shape);
            most = most.max(alive.saturating_add(work));
            let mut done = node.operands.clone();
            done.sort_unstable();
            done.dedup();
            for operand in done.into_iter().filter(|i| self.last_use(*i) == index) {
                alive -= size(&self.nodes[operand]);
            }
            if self.last_use(index) > index {
                alive += size(node);
            }
        }
        most
    }

    /// The network of nodes in topological order, the last of which is a vector for each input.
    pub(crate) fn of_nodes(nodes: Vec<Node>, dtype: DType, device: &Device) -> Self {
        let mut last_use: Vec<usize> = (0..nodes.len()).collect();
        for (index, node) in nodes.iter().enumerate() {
            for &operand in &node.operands {
                last_use[operand] = index;
            }
        }
        if let Some(output) = last_use.last_mut() {
            *output = usize::MAX;
        }
        Self {
            nodes: nodes.into(),
            last_use: last_use.into(),
            structure: Arc::default(),
            dtype,
            device: device.clone(),
        }
    }

    /// What was recognised in it, once it was asked for.
    pub(crate) fn known_structure(&self) -> &OnceLock<Structure> {
        &self.structure
    }

    /// Index of the last node that reads node `index`: after it the node's value is not needed.
    pub(crate) fn last_use(&self, index: usize) -> usize {
        self.last_use[index]
    }

    fn shapes(&self, nodes: &[usize]) -> Vec<&[usize]> {
        nodes.iter().map(|&i| &self.nodes[i].shape[..]).collect()
    }

    /// For each node the first one with the very same operator: the one that names its parameters.
    pub(crate) fn owners(&self) -> Vec<usize> {
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
    ///
    /// # Errors
    /// [`Error::NoSpec`] with the node and the kind of an operator that no file can hold.
    pub fn spec(&self) -> Result<NetworkSpec> {
        let name = |&index: &usize| self.nodes[index].name.clone();
        let owners = self.owners();
        let node = |(index, node): (usize, &Node)| {
            let operator = match owners[index] {
                owner if owner == index => node.operator.spec().ok_or_else(|| Error::NoSpec {
                    node: node.name.clone(),
                    operator: node.operator.kind(),
                })?,
                owner => OperatorSpec::SameAs { node: name(&owner) },
            };
            Ok(NodeSpec {
                name: node.name.clone(),
                operator,
                operands: node.operands.iter().map(name).collect(),
            })
        };
        let nodes = self.nodes.iter().enumerate().skip(1).map(node);
        Ok(NetworkSpec {
            input_shape: self.input_shape().to_vec(),
            nodes: nodes.collect::<Result<_>>()?,
        })
    }

    /// An error unless `x` has shape `[B, in...]` with at least one input.
    ///
    /// # Errors
    /// [`Error::InputShape`] with both shapes.
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
