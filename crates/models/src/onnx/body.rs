//! The nodes of a graph or function before translation: which are needed, in what order, and how nodes are asked.

use super::{
    message::{self, Attribute, Node},
    wire::Outcome,
};
use crate::error::{Error, Result};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
};

/// More numbers than this in one value of one input are taken for a hostile file: nothing could be computed.
const MAX_SIZE: usize = 1 << 28;

/// The largest product of the other dimensions of a tensor that has one of 0.
const MAX_EMPTY: usize = 1 << 16;
/// Subgraphs within subgraphs.
const MAX_DEPTH: usize = 16;

pub(super) fn malformed(cause: impl Into<String>) -> Error {
    Error::Malformed {
        format: "ONNX",
        cause: cause.into(),
    }
}

/// A well-formed file that asks for something that cannot be done.
pub(super) fn refused(cause: impl Into<String>) -> Error {
    Error::Unreadable(cause.into())
}

/// The first name that comes a second time.
pub(super) fn first_twice<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.find(|name| !seen.insert(*name))
}

/// The indices of the nodes that the outputs need, each after those it reads; where the order of the file is such an
/// order, in that. `is_known` says which names have a value before the first node.
pub(super) fn order<'a>(
    nodes: &[Node<'a>],
    outputs: &[&'a str],
    is_known: &dyn Fn(&str) -> bool,
) -> Result<Vec<usize>> {
    let makers = makers(nodes, is_known)?;
    let mut wanted = vec![false; nodes.len()];
    let mut open = Vec::new();
    for output in outputs {
        match makers.get(output) {
            Some(&index) => open.push(index),
            None if is_known(output) => {}
            None => return Err(malformed(format!("no node makes the output `{output}`"))),
        }
    }
    let mut reads = vec![Vec::new(); nodes.len()];
    while let Some(index) = open.pop() {
        if std::mem::replace(&mut wanted[index], true) {
            continue;
        }
        let node = &nodes[index];
        for name in node.inputs.iter().filter(|name| !name.is_empty()) {
            if !makers.contains_key(name) && !is_known(name) {
                return Err(malformed(format!(
                    "node `{}` reads `{name}`, which is no input, no initialiser and no output of a node",
                    label(node)
                )));
            }
        }
        let captured = captured(node, 0)?;
        let names = node.inputs.iter().chain(&captured);
        reads[index].extend(names.filter_map(|name| makers.get(name).copied()));
        open.extend(&reads[index]);
    }
    sorted(&wanted, &reads).ok_or_else(|| {
        malformed("the nodes form a cycle: some read what is made by themselves or by later ones")
    })
}

/// The node that makes each name.
fn makers<'a>(
    nodes: &[Node<'a>],
    is_known: &dyn Fn(&str) -> bool,
) -> Result<HashMap<&'a str, usize>> {
    let mut makers = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            if is_known(name) || makers.insert(*name, index).is_some() {
                return Err(malformed(format!("two values have the name `{name}`")));
            }
        }
    }
    Ok(makers)
}

/// The wanted nodes, each after those it reads, with the smallest index first; `None` if there is a cycle.
fn sorted(wanted: &[bool], reads: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut readers = vec![Vec::new(); wanted.len()];
    let mut missing: Vec<usize> = reads.iter().map(Vec::len).collect();
    for (index, made_by) in reads.iter().enumerate() {
        made_by.iter().for_each(|maker| readers[*maker].push(index));
    }
    let all = || (0..wanted.len()).filter(|index| wanted[*index]);
    let mut ready: BinaryHeap<_> = all().filter(|i| missing[*i] == 0).map(Reverse).collect();
    let mut order = Vec::new();
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for &reader in &readers[index] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    (order.len() == all().count()).then_some(order)
}

/// What the subgraphs of a node read, names of their own included.
pub(super) fn captured<'a>(node: &Node<'a>, depth: usize) -> Result<Vec<&'a str>> {
    let mut names = Vec::new();
    for bytes in node.attributes.iter().filter_map(|a| a.graph) {
        if depth == MAX_DEPTH {
            return Err(malformed("subgraphs are nested too deeply"));
        }
        let graph = message::graph(bytes).map_err(malformed)?;
        names.extend(graph.outputs.iter().map(|output| output.name));
        for node in &graph.nodes {
            names.extend(&node.inputs);
            names.extend(captured(node, depth + 1)?);
        }
    }
    Ok(names)
}

/// The number of numbers in a shape, unless it is unreasonable: also of one without numbers, whose other dimensions are gone through.
pub(super) fn size(shape: &[usize]) -> Option<usize> {
    let others = shape
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul((*d).max(1)))?;
    match shape.contains(&0) {
        true => (others <= MAX_EMPTY).then_some(0),
        false => (others <= MAX_SIZE).then_some(others),
    }
}

/// The node's name, or that of its output.
pub(super) fn label<'a>(node: &Node<'a>) -> &'a str {
    match node.name {
        "" => (node.outputs.iter().find(|name| !name.is_empty()))
            .copied()
            .unwrap_or_default(),
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

    /// A text attribute, or its default.
    pub(super) fn text(&self, name: &str, default: &'static str) -> String {
        let found = self.attribute(name).and_then(|a| a.text);
        String::from_utf8_lossy(found.unwrap_or(default.as_bytes())).into_owned()
    }

    /// A list of integers, if it is there.
    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| &a.ints[..])
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

    /// A dimension of `rank`; negative ones count from the end.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let positive = match axis < 0 {
            true => axis.checked_add(rank as i64),
            false => Some(axis),
        };
        positive
            .and_then(|axis| usize::try_from(axis).ok())
            .filter(|axis| *axis < rank)
            .ok_or_else(|| self.error(format!("names dimension {axis} of {rank}")))
    }

    /// Which of `rank` dimensions the axes are.
    pub(super) fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<bool>> {
        let mut chosen = vec![false; rank];
        for &axis in axes {
            let axis = self.axis(axis, rank)?;
            if std::mem::replace(&mut chosen[axis], true) {
                return Err(self.error(format!("names dimension {axis} twice")));
            }
        }
        Ok(chosen)
    }
}
