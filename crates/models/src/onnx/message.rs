//! The messages of an ONNX file that a network needs, borrowed from the file's bytes.
//!
//! Field numbers are those of `onnx.proto3`. Fields that are not listed here are skipped. Subgraphs of control flow stay
//! bytes until they are asked for, so nothing here recurses.

use super::wire::{Fields, Outcome, Wire};

/// A model: its graph, its functions, and the version of the standard operators it uses.
#[derive(Debug)]
pub(super) struct Model<'a> {
    pub(super) graph: Graph<'a>,
    pub(super) functions: Vec<Function<'a>>,
    pub(super) opset: i64,
}

/// An operator that the model defines itself.
#[derive(Debug, Default)]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    pub(super) domain: &'a str,
    pub(super) overload: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) nodes: Vec<Node<'a>>,
    /// The version of the standard operators that it is written in, if it says one.
    pub(super) opset: Option<i64>,
    /// Attributes that a call may leave out.
    pub(super) defaults: Vec<Attribute<'a>>,
}

/// A graph: nodes in order, constants, and what goes in and out.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) initializers: Vec<Tensor<'a>>,
    pub(super) inputs: Vec<ValueInfo<'a>>,
    pub(super) outputs: Vec<ValueInfo<'a>>,
}

/// One node.
#[derive(Debug, Default, Clone)]
pub(super) struct Node<'a> {
    pub(super) name: &'a str,
    pub(super) op_type: &'a str,
    pub(super) domain: &'a str,
    pub(super) overload: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// A named attribute of a node.
#[derive(Debug, Default, Clone)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) float: Option<f32>,
    pub(super) int: Option<i64>,
    pub(super) text: Option<&'a [u8]>,
    pub(super) tensor: Option<Box<Tensor<'a>>>,
    /// The bytes of a graph.
    pub(super) graph: Option<&'a [u8]>,
    /// In a function, the attribute of the call that this one is.
    pub(super) reference: &'a str,
    pub(super) floats: Vec<f64>,
    pub(super) ints: Vec<i64>,
    pub(super) texts: Vec<&'a [u8]>,
}

/// A constant tensor as the file stores it.
#[derive(Debug, Default, Clone)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    pub(super) dims: Vec<i64>,
    pub(super) data_type: i64,
    pub(super) raw: Option<&'a [u8]>,
    /// `float_data` and `double_data`.
    pub(super) floats: Vec<f64>,
    /// `int32_data`, `int64_data` and `uint64_data`; 16-bit floats are stored here as their bits.
    pub(super) ints: Vec<i64>,
    pub(super) external: bool,
    /// Where external data is: keys `location`, `offset`, `length`.
    pub(super) external_data: Vec<(&'a str, &'a str)>,
}

/// The name, type and shape of an input or output; `None` for a dimension that is symbolic or not given.
#[derive(Debug, Default)]
pub(super) struct ValueInfo<'a> {
    pub(super) name: &'a str,
    /// The data type of a tensor; `None` if it is no tensor or of no stated type.
    pub(super) data_type: Option<i64>,
    /// `None` if no shape is given.
    pub(super) shape: Option<Vec<Option<i64>>>,
}

pub(super) fn model(bytes: &[u8]) -> Outcome<Model<'_>> {
    let (mut found, mut opset, mut functions) = (None, None, Vec::new());
    for field in Fields::new(bytes) {
        match field? {
            (7, wire) if found.is_none() => found = Some(graph(wire.bytes()?)?),
            (7, _) => return Err("two graphs".into()),
            (25, wire) => functions.push(function(wire.bytes()?)?),
            (8, wire) => {
                let (domain, version) = operator_set(wire.bytes()?)?;
                if is_standard(domain) {
                    opset = Some(version);
                }
            }
            _ => {}
        }
    }
    Ok(Model {
        graph: found.ok_or("no graph")?,
        // A model of nothing but functions may leave the version to them.
        opset: opset
            .or_else(|| functions.iter().find_map(|of: &Function<'_>| of.opset))
            .ok_or("no version of the standard operators (opset_import)")?,
        functions,
    })
}

/// Whether a domain is that of the standard operators.
pub(super) fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

fn operator_set(bytes: &[u8]) -> Outcome<(&str, i64)> {
    let mut set = ("", 1);
    for field in Fields::new(bytes) {
        match field? {
            (1, wire) => set.0 = wire.text()?,
            (2, wire) => set.1 = wire.int()?,
            _ => {}
        }
    }
    Ok(set)
}

fn function(bytes: &[u8]) -> Outcome<Function<'_>> {
    let mut function = Function::default();
    for field in Fields::new(bytes) {
        match field? {
            (1, wire) => function.name = wire.text()?,
            (4, wire) => function.inputs.push(wire.text()?),
            (5, wire) => function.outputs.push(wire.text()?),
            (7, wire) => function.nodes.push(node(wire.bytes()?)?),
            (9, wire) => {
                let (domain, version) = operator_set(wire.bytes()?)?;
                if is_standard(domain) {
                    function.opset = Some(version);
                }
            }
            (10, wire) => function.domain = wire.text()?,
            (11, wire) => function.defaults.push(attribute(wire.bytes()?)?),
            (13, wire) => function.overload = wire.text()?,
            _ => {}
        }
    }
    Ok(function)
}

pub(super) fn graph(bytes: &[u8]) -> Outcome<Graph<'_>> {
    let mut graph = Graph::default();
    for field in Fields::new(bytes) {
        match field? {
            (1, wire) => graph.nodes.push(node(wire.bytes()?)?),
            (5, wire) => {
                let tensor = tensor(wire.bytes()?)?;
                if tensor.name.is_empty() {
                    return Err("an initialiser without a name".into());
                }
                graph.initializers.push(tensor);
            }
            (11, wire) => graph.inputs.push(value_info(wire.bytes()?)?),
            (12, wire) => graph.outputs.push(value_info(wire.bytes()?)?),
            (15, _) => return Err("sparse initialisers, which are not supported".into()),
            _ => {}
        }
    }
    Ok(graph)
}

fn node(bytes: &[u8]) -> Outcome<Node<'_>> {
    let mut node = Node::default();
    for field in Fields::new(bytes) {
        match field? {
            (1, wire) => node.inputs.push(wire.text()?),
            (2, wire) => node.outputs.push(wire.text()?),
            (3, wire) => node.name = wire.text()?,
            (4, wire) => node.op_type = wire.text()?,
            (5, wire) => node.attributes.push(attribute(wire.bytes()?)?),
            (7, wire) => node.domain = wire.text()?,
            (8, wire) => node.overload = wire.text()?,
            _ => {}
        }
    }
    // Refused here and not later, so that a list of empty nodes cannot outgrow the file.
    if node.op_type.is_empty() || node.outputs.iter().all(|name| name.is_empty()) {
        return Err(format!(
            "the node `{}` lacks an operator or an output",
            node.name
        ));
    }
    Ok(node)
}

fn attribute(bytes: &[u8]) -> Outcome<Attribute<'_>> {
    let (mut attribute, mut kind) = (Attribute::default(), 0);
    for field in Fields::new(bytes) {
        match field? {
            (1, wire) => attribute.name = wire.text()?,
            (2, wire) => attribute.float = Some(wire.float()?),
            (3, wire) => attribute.int = Some(wire.int()?),
            (4, wire) => attribute.text = Some(wire.bytes()?),
            (5, wire) => attribute.tensor = Some(Box::new(tensor(wire.bytes()?)?)),
            (6, wire) => attribute.graph = Some(wire.bytes()?),
            (7, wire) => wire.push_floats(&mut attribute.floats)?,
            (8, wire) => wire.push_ints(&mut attribute.ints)?,
            (9, wire) => attribute.texts.push(wire.bytes()?),
            (20, wire) => kind = wire.int()?,
            (21, wire) => attribute.reference = wire.text()?,
            _ => {}
        }
    }
    // Writers leave out a field whose value is 0 or empty.
    match kind {
        _ if !attribute.reference.is_empty() => {}
        1 => drop(attribute.float.get_or_insert(0.0)),
        2 => drop(attribute.int.get_or_insert(0)),
        3 => drop(attribute.text.get_or_insert(b"")),
        _ => {}
    }
    match attribute.name {
        "" => Err("an attribute without a name".into()),
        _ => Ok(attribute),
    }
}

fn tensor(bytes: &[u8]) -> Outcome<Tensor<'_>> {
    let mut tensor = Tensor::default();
    for field in Fields::new(bytes) {
        match field? {
            (1, wire) => wire.push_ints(&mut tensor.dims)?,
            (2, wire) => tensor.data_type = wire.int()?,
            (4, wire) => wire.push_floats(&mut tensor.floats)?,
            (5 | 7 | 11, wire) => wire.push_ints(&mut tensor.ints)?,
            (8, wire) => tensor.name = wire.text()?,
            (9, wire) => tensor.raw = Some(wire.bytes()?),
            (10, wire) => wire.push_doubles(&mut tensor.floats)?,
            (13, wire) => tensor.external_data.push(entry(wire.bytes()?)?),
            (14, wire) => tensor.external = wire.int()? == 1,
            _ => {}
        }
    }
    Ok(tensor)
}

fn entry(bytes: &[u8]) -> Outcome<(&str, &str)> {
    let mut entry = ("", "");
    for field in Fields::new(bytes) {
        match field? {
            (1, wire) => entry.0 = wire.text()?,
            (2, wire) => entry.1 = wire.text()?,
            _ => {}
        }
    }
    match entry.0 {
        "" => Err("an entry of external data without a key".into()),
        _ => Ok(entry),
    }
}

fn value_info(bytes: &[u8]) -> Outcome<ValueInfo<'_>> {
    let mut info = ValueInfo::default();
    for field in Fields::new(bytes) {
        match field? {
            (1, wire) => info.name = wire.text()?,
            // ValueInfoProto.type -> TypeProto.tensor_type -> Tensor.shape
            (2, wire) => {
                let Some(tensor) = inner(wire, 1)? else {
                    continue;
                };
                for field in Fields::new(tensor) {
                    match field? {
                        (1, wire) => info.data_type = Some(wire.int()?),
                        (2, wire) => info.shape = Some(dimensions(wire.bytes()?)?),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    match info.name {
        "" => Err("an input or output without a name".into()),
        _ => Ok(info),
    }
}

/// The message in field `number`, if there is one.
fn inner(message: Wire<'_>, number: u64) -> Outcome<Option<&[u8]>> {
    let mut found = None;
    for field in Fields::new(message.bytes()?) {
        let (key, wire) = field?;
        if key == number {
            found = Some(wire.bytes()?);
        }
    }
    Ok(found)
}

fn dimensions(shape: &[u8]) -> Outcome<Vec<Option<i64>>> {
    let mut dimensions = Vec::new();
    for field in Fields::new(shape) {
        let (1, wire) = field? else { continue };
        let mut dimension = None;
        for field in Fields::new(wire.bytes()?) {
            if let (1, value) = field? {
                dimension = Some(value.int()?);
            }
        }
        dimensions.push(dimension);
    }
    Ok(dimensions)
}
