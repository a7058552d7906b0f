//! Building a graph node by node, and the residual block.

use crate::spec::{INPUT, NetworkSpec, NodeSpec, OperatorSpec};
use std::collections::HashSet;

/// A [`NetworkSpec`] in the making. Nodes are referred to by name, so that graphs can be put together from
/// functions that take and return names.
///
/// ```
/// use loclin_models::architectures::GraphSpec;
/// use loclin_models::operators::OperatorSpec;
/// use loclin_models::INPUT;
///
/// let mut graph = GraphSpec::new(&[4]);
/// let linear = |inputs, outputs| OperatorSpec::Linear { inputs, outputs, bias: true };
/// let block = graph.residual(
///     "block",
///     INPUT,
///     |graph, x| {
///         let hidden = graph.add("block.0", linear(4, 8), &[x]);
///         let active = graph.add("block.1", OperatorSpec::relu(), &[&hidden]);
///         graph.add("block.2", linear(8, 4), &[&active])
///     },
///     |_, x| x.to_string(),
/// );
/// graph.add("output", linear(4, 2), &[&block]);
/// assert_eq!(graph.finish().nodes.len(), 5);
/// ```
#[derive(Debug, Clone)]
pub struct GraphSpec {
    input_shape: Vec<usize>,
    nodes: Vec<NodeSpec>,
    names: HashSet<String>,
}

impl GraphSpec {
    /// A graph for inputs of shape `input_shape`; the input's name is [`INPUT`].
    pub fn new(input_shape: &[usize]) -> Self {
        Self {
            input_shape: input_shape.to_vec(),
            nodes: Vec::new(),
            names: HashSet::new(),
        }
    }

    /// Adds a node and returns its name.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        operator: OperatorSpec,
        operands: &[&str],
    ) -> String {
        let name = name.into();
        self.names.insert(name.clone());
        self.nodes.push(NodeSpec {
            name: name.clone(),
            operator,
            operands: operands.iter().map(|name| name.to_string()).collect(),
        });
        name
    }

    /// Adds a node `name` with the operator of node `first`, parameters included, or that operator itself as
    /// node `first` if there is none yet. Returns the new node's name.
    pub fn share(
        &mut self,
        first: &str,
        name: impl Into<String>,
        operator: OperatorSpec,
        operands: &[&str],
    ) -> String {
        if self.names.contains(first) {
            let node = first.into();
            self.add(name, OperatorSpec::SameAs { node }, operands)
        } else {
            self.add(first, operator, operands)
        }
    }

    /// Adds a residual block, `body(x) + shortcut(x)`, as node `name`. Both are functions that add nodes
    /// reading the node they are given and return the name of their last one; a shortcut that returns that name
    /// itself is the identity.
    pub fn residual(
        &mut self,
        name: impl Into<String>,
        operand: &str,
        body: impl FnOnce(&mut Self, &str) -> String,
        shortcut: impl FnOnce(&mut Self, &str) -> String,
    ) -> String {
        let body = body(self, operand);
        let shortcut = shortcut(self, operand);
        self.add(name, OperatorSpec::Add, &[&body, &shortcut])
    }

    /// Name of the node added last; [`INPUT`] if there is none.
    pub fn last(&self) -> String {
        let name = self.nodes.last().map(|node| &node.name[..]);
        name.unwrap_or(INPUT).to_string()
    }

    /// The graph, the node added last being the output.
    pub fn finish(self) -> NetworkSpec {
        NetworkSpec {
            input_shape: self.input_shape,
            nodes: self.nodes,
        }
    }
}
