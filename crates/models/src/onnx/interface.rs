//! What goes into the graph and what comes out: its input, its output, and heads that are left out.

use super::{
    body::{captured, malformed, refused, size},
    element::Element,
    message::{Graph, Node, ValueInfo, is_standard},
    wire::Outcome,
};
use crate::error::Result;
use std::collections::{HashMap, HashSet};

/// Which part of a file is read, [`load_with`](super::load_with).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The value that is the network's output: an output of the graph, or any value in it. By default the only output,
    /// or the only one of floating-point numbers.
    pub output: Option<String>,
    /// The shape of one input, where the file leaves sizes open.
    pub input_shape: Option<Vec<usize>>,
}

/// The graph's input.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Input<'a> {
    pub(super) name: &'a str,
    /// The shape with the batch, if there is one.
    pub(super) full: Vec<usize>,
    pub(super) batch: Option<usize>,
    /// Whether it holds integers.
    pub(super) integers: bool,
    /// The type of its numbers, where the file says it and it is known here.
    pub(super) element: Option<Element>,
    /// Whether the file leaves the size of the batch open.
    pub(super) open: bool,
}

impl Input<'_> {
    /// The same with all of it as one input.
    pub(super) fn as_one(&self) -> Self {
        Self {
            batch: None,
            open: false,
            ..self.clone()
        }
    }

    /// The same with a batch of `n`.
    pub(super) fn of(&self, n: usize) -> Self {
        let mut of = self.clone();
        of.full[0] = n;
        of
    }
}

/// The graph's input that is no initialiser; the first dimension, if there are several, is the batch.
pub(super) fn input<'a>(graph: &Graph<'a>, options: &Options) -> Result<Input<'a>> {
    let input = free_input(graph)?;
    let says = |cause: String| refused(format!("input `{}`: {cause}", input.name));
    let dims = match (&input.shape, &options.input_shape) {
        // A size that is negative is how some exporters write one that is open.
        (Some(dims), _) => dims.iter().map(|d| d.filter(|d| *d >= 0)).collect(),
        (None, Some(own)) => vec![None; own.len() + 1],
        (None, None) => return Err(says("no shape; give that of one input".into())),
    };
    let open = matches!(dims[..], [None | Some(0), _, ..]);
    let (batch, rest) = match &dims[..] {
        [] => {
            return Err(says(
                "a single number; at least one dimension is needed".into(),
            ));
        }
        [_] => (None, &dims[..]),
        [None, rest @ ..] => (Some(1), rest),
        [Some(batch), rest @ ..] => (Some((*batch).max(1)), rest),
    };
    let own = own_shape(rest, options.input_shape.as_deref()).map_err(says)?;
    if size(&own).is_none() || own.contains(&0) {
        return Err(says(format!("shape {own:?} is too large, or empty")));
    }
    let batch = batch.map(|batch| {
        usize::try_from(batch)
            .ok()
            .filter(|n| size(&[*n]).is_some())
    });
    let element = input.data_type.and_then(|of| Element::of(of).ok());
    let integers = element.is_some_and(|element| !element.is_float());
    Ok(match batch {
        Some(batch) => Input {
            name: input.name,
            integers,
            element,
            open,
            full: [
                &[batch.ok_or_else(|| says("a batch that is too large".into()))?],
                &own[..],
            ]
            .concat(),
            batch: Some(0),
        },
        None => Input {
            name: input.name,
            integers,
            element,
            open: false,
            full: own,
            batch: None,
        },
    })
}

/// The only input that is no initialiser, or of several the only one that a node reads.
fn free_input<'g, 'a>(graph: &'g Graph<'a>) -> Result<&'g ValueInfo<'a>> {
    let initializers: HashSet<&str> = graph.initializers.iter().map(|t| t.name).collect();
    let free = graph
        .inputs
        .iter()
        .filter(|input| !initializers.contains(input.name));
    let mut free: Vec<_> = free.collect();
    if free.len() > 1 {
        let mut read = HashSet::new();
        for node in &graph.nodes {
            read.extend(node.inputs.iter().copied().chain(captured(node, 0)?));
        }
        free.retain(|input| read.contains(input.name));
    }
    match free[..] {
        [input] => Ok(input),
        _ => {
            let names: Vec<_> = graph.inputs.iter().map(|i| i.name).collect();
            Err(refused(format!(
                "the graph must have one input that is no initialiser, found inputs {names:?}"
            )))
        }
    }
}

/// The shape of one input: what the file says, and where it leaves a size open what was given.
fn own_shape(dims: &[Option<i64>], given: Option<&[usize]>) -> Outcome<Vec<usize>> {
    if let Some(given) = given.filter(|given| given.len() != dims.len()) {
        return Err(format!(
            "has {} dimensions, and a shape of {given:?} was asked for",
            dims.len()
        ));
    }
    let one = |(axis, dim): (usize, &Option<i64>)| match (dim, given) {
        (Some(dim), None) => usize::try_from(*dim)
            .ok()
            .filter(|d| *d > 0)
            .ok_or_else(|| format!("a dimension of {dim}")),
        (Some(dim), Some(given)) if given[axis] as i64 != *dim => Err(format!(
            "a dimension of {dim}, and {} was asked for",
            given[axis]
        )),
        (_, Some(given)) => Ok(given[axis]),
        (None, None) => Err(
            "a dimension other than the batch is open; give the shape of one input (--input-shape)"
                .into(),
        ),
    };
    dims.iter().enumerate().map(one).collect()
}

/// The output to translate: that of a name, the only one, or the only one of floating-point numbers.
pub(super) fn output<'a>(graph: &Graph<'a>, options: &Options) -> Result<&'a str> {
    if let Some(wanted) = &options.output {
        let outputs = graph.outputs.iter().map(|output| output.name);
        let values = graph
            .nodes
            .iter()
            .flat_map(|node| node.outputs.iter().copied());
        let found = outputs.chain(values).find(|name| *name == wanted.as_str());
        return found.ok_or_else(|| {
            refused(format!(
                "has no value `{wanted}`; its outputs are {:?}",
                names(graph)
            ))
        });
    }
    let number = |data_type: Option<i64>| matches!(data_type, None | Some(0 | 1 | 10 | 11 | 16));
    let numbers = graph
        .outputs
        .iter()
        .filter(|output| number(output.data_type));
    let numbers: Vec<_> = numbers.map(|output| output.name).collect();
    match (&graph.outputs[..], &numbers[..]) {
        ([], _) => Err(malformed("no output")),
        ([only], _) => Ok(only.name),
        (_, [only]) => Ok(only),
        _ => Err(refused(format!(
            "has {} outputs, {:?}; say which one (--output NAME)",
            graph.outputs.len(),
            names(graph)
        ))),
    }
}

fn names<'a>(graph: &Graph<'a>) -> Vec<&'a str> {
    graph.outputs.iter().map(|output| output.name).collect()
}

/// The value below the heads of an output, and the operators that are left out with it, the last one first: those that
/// make probabilities or labels of scores and change no region.
pub(super) fn below_heads<'a>(nodes: &[Node<'a>], output: &'a str) -> (&'a str, Vec<&'a str>) {
    let makers: HashMap<&str, &Node<'a>> = nodes
        .iter()
        .flat_map(|node| node.outputs.iter().map(move |name| (*name, node)))
        .collect();
    let (mut found, mut removed) = (output, Vec::new());
    let (mut name, mut passed) = (output, Vec::new());
    for _ in 0..nodes.len() {
        let Some(node) = makers.get(name) else {
            break;
        };
        let step = match kind(node) {
            Some(Head::Scores) => Some((0, true)),
            Some(Head::Same(input)) => Some((input, false)),
            None => probabilities_of_two(node, &makers).map(|input| (input, false)),
        };
        let Some((input, head)) = step else {
            break;
        };
        let Some(next) = node.inputs.get(input) else {
            break;
        };
        name = next;
        passed.push(node.op_type);
        if head {
            found = name;
            removed.append(&mut passed);
        }
    }
    (found, removed)
}

/// What may stand between scores and an output.
enum Head {
    /// It makes probabilities or a label of its first input, or names of what it hands on.
    Scores,
    /// It hands on an input.
    Same(usize),
}

fn kind(node: &Node<'_>) -> Option<Head> {
    match (is_standard(node.domain), node.op_type) {
        (true, "Softmax" | "LogSoftmax" | "Sigmoid" | "ArgMax" | "Hardmax") | (false, "ZipMap") => {
            Some(Head::Scores)
        }
        (true, "Identity" | "Cast" | "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten") => {
            Some(Head::Same(0))
        }
        (false, "ArrayFeatureExtractor") => Some(Head::Same(1)),
        _ => None,
    }
}

/// The input of a `Concat` of `1 - p` and `p` that is `p`, a sigmoid.
fn probabilities_of_two(node: &Node<'_>, makers: &HashMap<&str, &Node<'_>>) -> Option<usize> {
    let is = |name: &str, kind: &str| makers.get(name).is_some_and(|node| node.op_type == kind);
    let [first, second] = node.inputs[..] else {
        return None;
    };
    let other = makers.get(first).filter(|node| node.op_type == "Sub")?;
    let two =
        node.op_type == "Concat" && is(second, "Sigmoid") && other.inputs.get(1) == Some(&second);
    two.then_some(1)
}
