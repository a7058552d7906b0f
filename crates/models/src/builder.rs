//! Building a network: node by node, or from its specification.

use crate::{
    error::{Error, Result},
    network::{Network, Node},
    operator::{Affine, Operator, PiecewiseLinear},
    spec::{INPUT, NetworkSpec, OperatorSpec},
};
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use std::{collections::HashMap, sync::Arc};

impl NetworkSpec {
    /// Builds the network, parameters taken from (or initialised by) `vars` under the nodes' names.
    ///
    /// # Errors
    /// A graph that is not well formed ([`Error::Graph`]), an operator that cannot take its operands ([`Error::Node`]),
    /// and those of [`OperatorSpec::build`].
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
                operator => {
                    // Before its parameters are drawn.
                    if let OperatorSpec::Linear { outputs, .. } = operator {
                        check_budget(&node.name, "its output", *outputs, MAX_OUTPUT)?;
                    }
                    operator.build(vars.pp(&node.name))?
                }
            };
            builder.add(&node.name, operator, &operands)?;
        }
        builder.finish(vars.dtype(), vars.device())
    }
}

/// The most numbers that a node's output may have for one input, `2^26`: half a GiB in float64. A few bytes of a file can
/// ask for any number, so larger ones are refused before anything is computed.
pub const MAX_OUTPUT: usize = 1 << 26;

/// The most numbers that a node may need beside its output for one input, such as the entries under all windows of a
/// pooling.
pub const MAX_WORKSPACE: usize = 3 * MAX_OUTPUT;

/// The most numbers that the outputs of all nodes together may have for one input, `2^28`.
pub const MAX_OUTPUTS: usize = 1 << 28;

/// Builds a network node by node.
#[derive(Debug)]
pub struct NetworkBuilder {
    nodes: Vec<Node>,
    /// Numbers of all nodes' outputs.
    numbers: usize,
    names: HashMap<String, usize>,
}

impl NetworkBuilder {
    /// Starts with the input, node 0, for inputs of shape `input_shape` each.
    ///
    /// # Errors
    /// A shape without dimensions, of no numbers, or of more than [`MAX_OUTPUT`].
    pub fn new(input_shape: &[usize]) -> Result<Self> {
        let numbers = checked_size(input_shape)
            .filter(|size| *size > 0 && !input_shape.is_empty())
            .ok_or_else(|| Error::Graph(format!("{input_shape:?} is no shape for an input")))?;
        check_budget(INPUT, "an input", numbers, MAX_OUTPUT)?;
        let input = Node {
            name: INPUT.into(),
            operator: Operator::Input,
            operands: vec![],
            shape: input_shape.to_vec(),
        };
        Ok(Self {
            nodes: vec![input],
            numbers,
            names: HashMap::from([(INPUT.into(), 0)]),
        })
    }

    /// Adds a node that reads the nodes with the given indices, and returns its index.
    ///
    /// # Errors
    /// A name that is in use, an operand that is not there, operands that the operator cannot take, and more numbers
    /// than [`MAX_OUTPUT`], [`MAX_WORKSPACE`] and [`MAX_OUTPUTS`] allow ([`Error::Budget`]).
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
        let own = checked_size(&shape)
            .filter(|n| *n > 0)
            .ok_or_else(|| error(format!("has an output of shape {shape:?}")))?;
        check_budget(name, "its output", own, MAX_OUTPUT)?;
        let workspace = operator.workspace(&shapes, &shape);
        check_budget(
            name,
            "what it needs beside its output",
            workspace,
            MAX_WORKSPACE,
        )?;
        let numbers = self.numbers.saturating_add(own);
        check_budget(
            name,
            "the outputs of the nodes up to it together",
            numbers,
            MAX_OUTPUTS,
        )?;
        self.numbers = numbers;
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
    ///
    /// # Errors
    /// Those of [`NetworkBuilder::add`].
    pub fn affine(
        &mut self,
        name: &str,
        operator: impl Affine + 'static,
        operands: &[usize],
    ) -> Result<usize> {
        self.add(name, Operator::Affine(Arc::new(operator)), operands)
    }

    /// Adds a piecewise-linear operator.
    ///
    /// # Errors
    /// Those of [`NetworkBuilder::add`].
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
    ///
    /// # Errors
    /// A name that no node has.
    pub fn find(&self, name: &str) -> Result<usize> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| Error::Graph(format!("no node `{name}` before its use")))
    }

    /// The network whose output is the last node, which must be a vector for each input. `dtype` and `device`
    /// are those of its parameters.
    ///
    /// # Errors
    /// An output that is no vector.
    pub fn finish(self, dtype: DType, device: &Device) -> Result<Network> {
        let last = self.nodes.len() - 1;
        if self.nodes[last].shape.len() != 1 {
            return Err(Error::Graph(format!(
                "the output `{}` must be a vector for each input, found shape {:?}",
                self.nodes[last].name, self.nodes[last].shape
            )));
        }
        Ok(Network::of_nodes(self.nodes, dtype, device))
    }
}

fn check_budget(node: &str, what: &'static str, found: usize, allowed: usize) -> Result<()> {
    if found <= allowed {
        return Ok(());
    }
    Err(Error::Budget {
        node: node.into(),
        what,
        found,
        allowed,
    })
}

/// The product of a shape's dimensions, if it does not overflow.
fn checked_size(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))
}
