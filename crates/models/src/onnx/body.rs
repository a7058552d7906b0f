//! The graph before translation: what goes in, which nodes are needed, and how nodes are asked.

use super::{
    message::{self, Attribute, Graph, Node},
    wire::Outcome,
};
use crate::error::{Error, Result};
use std::collections::{HashMap, HashSet};

/// More numbers than this in one value of one input are taken for a hostile file: nothing could be computed.
const MAX_SIZE: usize = 1 << 28;

pub(super) fn malformed(cause: impl Into<String>) -> Error {
    Error::Malformed {
        format: "ONNX",
        cause: cause.into(),
    }
}

/// The first name that comes a second time.
pub(super) fn first_twice<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.find(|name| !seen.insert(*name))
}

/// The graph's input: its name, whether its first dimension is the batch, and the shape of one input.
pub(super) fn input<'a>(
    graph: &Graph<'a>,
    initializers: &HashMap<&str, &message::Tensor<'a>>,
) -> Result<(&'a str, bool, Vec<usize>)> {
    let mut free = graph
        .inputs
        .iter()
        .filter(|input| !initializers.contains_key(input.name));
    let (Some(input), None) = (free.next(), free.next()) else {
        let names: Vec<_> = graph.inputs.iter().map(|i| i.name).collect();
        return Err(malformed(format!(
            "the graph must have one input that is no initialiser, found inputs {names:?}"
        )));
    };
    let says = |cause: String| malformed(format!("input `{}`: {cause}", input.name));
    let dims = input
        .shape
        .as_ref()
        .ok_or_else(|| says("no shape".into()))?;
    let (batched, rest) = match &dims[..] {
        [] => {
            return Err(says(
                "a single number; at least one dimension is needed".into(),
            ));
        }
        [_] => (false, &dims[..]),
        [None, rest @ ..] => (true, rest),
        [Some(batch), rest @ ..] if *batch <= 1 => (true, rest),
        [Some(batch), ..] => {
            return Err(says(format!(
                "the first dimension is the batch and must be 1 or symbolic, found {batch}"
            )));
        }
    };
    let shape = rest.iter().map(|dim| match dim {
        Some(dim) => usize::try_from(*dim)
            .ok()
            .filter(|d| *d > 0)
            .ok_or_else(|| says(format!("a dimension of {dim}"))),
        None => Err(says("a dimension other than the batch is symbolic".into())),
    });
    let shape: Vec<usize> = shape.collect::<Result<_>>()?;
    match size(&shape) {
        Some(_) => Ok((input.name, batched, shape)),
        None => Err(says(format!("shape {shape:?} is too large"))),
    }
}

/// The indices of the nodes that the output needs, in order; an error where a node reads what is not there yet.
pub(super) fn needed<'a>(
    graph: &'a Graph<'a>,
    input: &str,
    output: &'a str,
    initializers: &HashMap<&str, &message::Tensor<'_>>,
) -> Result<Vec<usize>> {
    let mut makers = HashMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            if *name == input
                || initializers.contains_key(name)
                || makers.insert(*name, index).is_some()
            {
                return Err(malformed(format!("two values have the name `{name}`")));
            }
        }
    }
    let mut wanted = vec![false; graph.nodes.len()];
    match makers.get(output) {
        Some(&index) => wanted[index] = true,
        None if output == input || initializers.contains_key(output) => {}
        None => return Err(malformed(format!("no node makes the output `{output}`"))),
    }
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if !wanted[index] {
            continue;
        }
        for name in node.inputs.iter().filter(|name| !name.is_empty()) {
            match makers.get(name) {
                Some(&maker) if maker < index => wanted[maker] = true,
                Some(_) => {
                    return Err(malformed(format!(
                        "node `{}` reads `{name}`, which is made by itself or a later node: a cycle, or nodes that are not in topological order",
                        label(node)
                    )));
                }
                None if *name == input || initializers.contains_key(name) => {}
                None => {
                    return Err(malformed(format!(
                        "node `{}` reads `{name}`, which is no input, no initialiser and no output of a node",
                        label(node)
                    )));
                }
            }
        }
    }
    Ok((0..wanted.len()).filter(|&i| wanted[i]).collect())
}

/// The number of numbers in a shape, unless it is unreasonable.
pub(super) fn size(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul(*d))
        .filter(|n| *n <= MAX_SIZE)
}

/// The node's name, or that of its output.
pub(super) fn label<'a>(node: &Node<'a>) -> &'a str {
    match node.name {
        "" => node.outputs.first().copied().unwrap_or_default(),
        name => name,
    }
}

impl<'a> Node<'a> {
    /// An error at this node.
    pub(super) fn error(&self, cause: impl Into<String>) -> Error {
        Error::Translation {
            node: label(self).into(),
            op_type: self.op_type.into(),
            cause: cause.into(),
        }
    }

    /// The attribute of a name, if it is there.
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|a| a.name == name)
    }

    /// An integer attribute, or its default.
    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|a| a.int).unwrap_or(default)
    }

    /// A float attribute, or its default.
    pub(super) fn float(&self, name: &str, default: f32) -> f64 {
        let found = self.attribute(name).and_then(|a| a.float);
        f64::from(found.unwrap_or(default))
    }

    /// Input `index`, if it is given.
    pub(super) fn optional_input(&self, index: usize) -> Option<&'a str> {
        let found = self.inputs.get(index).copied();
        found.filter(|name| !name.is_empty())
    }

    /// Input `index`.
    pub(super) fn input(&self, index: usize) -> Result<&'a str> {
        self.optional_input(index)
            .ok_or_else(|| self.error(format!("lacks input {index}")))
    }

    /// The result of a computation at this node.
    pub(super) fn check<T>(&self, outcome: Outcome<T>) -> Result<T> {
        outcome.map_err(|cause| self.error(cause))
    }
}
