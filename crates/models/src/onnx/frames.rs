//! The graph, subgraph or function within which translation is.

use super::{
    body::captured,
    calls::Call,
    message::{self, Node, Tensor},
    value::Value,
};
use crate::error::Result;
use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

/// Stands for the outputs among the readers of a value.
const OUTPUT: usize = usize::MAX;
/// So many letters of the names of graphs and functions begin the name of a node.
const LONGEST: usize = 200;

/// Names and nodes of one graph or function body.
#[derive(Debug, Default)]
pub(super) struct Frame<'a> {
    pub(super) nodes: Rc<[Node<'a>]>,
    pub(super) initializers: HashMap<&'a str, Rc<Tensor<'a>>>,
    pub(super) values: HashMap<&'a str, Value>,
    /// Which nodes read each value.
    readers: HashMap<&'a str, Vec<usize>>,
    /// Nodes that were translated together with one before them, by the name of their output.
    absorbed: HashSet<&'a str>,
    /// Whether names outside are out of sight, as in a function.
    pub(super) isolated: bool,
    /// The call of the function that this is the body of, or lies in.
    pub(super) call: Option<Rc<Call<'a>>>,
    /// What names of nodes begin with.
    pub(super) prefix: String,
}

impl<'a> Frame<'a> {
    pub(super) fn new(nodes: Vec<Node<'a>>, initializers: Vec<Tensor<'a>>) -> Self {
        Self {
            nodes: nodes.into(),
            initializers: (initializers.into_iter())
                .map(|tensor| (tensor.name, Rc::new(tensor)))
                .collect(),
            ..Self::default()
        }
    }

    /// The same nodes and initialisers with no values yet.
    pub(super) fn copy(&self) -> Self {
        Self {
            nodes: self.nodes.clone(),
            initializers: self.initializers.clone(),
            ..Self::default()
        }
    }

    /// With names that begin with that of the node it belongs to.
    pub(super) fn named(self, outside: Option<&Self>, label: &str) -> Self {
        let before = outside.map_or("", |frame| &frame.prefix[..]);
        // Names stay short however deep they lie.
        let whole = format!("{before}{label}/");
        let cut = whole
            .char_indices()
            .rev()
            .nth(LONGEST)
            .map_or(0, |(at, _)| at);
        Self {
            prefix: whole[cut..].into(),
            ..self
        }
    }

    /// Whether a name has a value before the first node.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.values.contains_key(name) || self.initializers.contains_key(name)
    }

    /// Says which nodes will be translated, for which outputs. What subgraphs of a node read it reads.
    pub(super) fn expect(&mut self, order: &[usize], outputs: &[&'a str]) -> Result<()> {
        for output in outputs {
            self.readers.entry(output).or_default().push(OUTPUT);
        }
        for &index in order {
            let node = &self.nodes[index];
            for name in node.inputs.iter().copied().chain(captured(node, 0)?) {
                self.readers.entry(name).or_default().push(index);
            }
        }
        Ok(())
    }

    /// Whether the node was translated together with one before it.
    pub(super) fn is_absorbed(&self, node: &Node<'a>) -> bool {
        (node.outputs.first()).is_some_and(|name| self.absorbed.contains(name))
    }

    /// Says that `reader` was translated together with the node before it.
    pub(super) fn absorb(&mut self, reader: &Node<'a>) {
        self.absorbed.extend(reader.outputs.first());
    }

    /// The only reader of the node's output, if it is an `op_type` that comes with one constant: the input of that
    /// constant and the reader itself.
    pub(super) fn sole_reader(&self, node: &Node<'a>, op_type: &str) -> Option<(usize, Node<'a>)> {
        let output = *node.outputs.first()?;
        let [reader] = self.readers.get(output)?[..] else {
            return None;
        };
        let reader = self.nodes.get(reader)?;
        let (index, other) = match reader.inputs[..] {
            [a, b] if a == output => (1, b),
            [a, b] if b == output => (0, a),
            _ => return None,
        };
        let constant = match self.values.get(other) {
            Some(value) => matches!(value, Value::Constant(_)),
            None => self.initializers.contains_key(other),
        };
        (reader.op_type == op_type && message::is_standard(reader.domain) && constant)
            .then(|| (index, reader.clone()))
    }
}
