//! Writes small ONNX files, field by field, also ones that no exporter would write.
#![allow(dead_code, reason = "each test program uses a part")]

/// An integer of variable length.
fn varint(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// Bytes, a string or a message in field `number`.
pub(crate) fn bytes(number: u64, content: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    varint(number << 3 | 2, &mut field);
    varint(content.len() as u64, &mut field);
    [field, content.to_vec()].concat()
}

/// An integer in field `number`.
pub(crate) fn int(number: u64, value: i64) -> Vec<u8> {
    let mut field = Vec::new();
    varint(number << 3, &mut field);
    varint(value.cast_unsigned(), &mut field);
    field
}

/// A tensor's dimensions and data type.
pub(crate) fn tensor_head(name: &str, dims: &[i64], data_type: i64) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|d| int(1, *d)).collect();
    [dims, int(2, data_type), bytes(8, name.as_bytes())].concat()
}

/// A tensor of doubles as raw data.
pub(crate) fn doubles(name: &str, dims: &[i64], values: &[f64]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    [tensor_head(name, dims, 11), bytes(9, &raw)].concat()
}

/// A tensor of floats as raw data.
pub(crate) fn singles(name: &str, dims: &[i64], values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    [tensor_head(name, dims, 1), bytes(9, &raw)].concat()
}

/// A tensor of 64-bit integers as packed numbers.
pub(crate) fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    let mut packed = Vec::new();
    values
        .iter()
        .for_each(|v| varint(v.cast_unsigned(), &mut packed));
    [
        tensor_head(name, &[values.len() as i64], 7),
        bytes(7, &packed),
    ]
    .concat()
}

/// Attributes.
pub(crate) fn attribute_int(name: &str, value: i64) -> Vec<u8> {
    [bytes(1, name.as_bytes()), int(3, value)].concat()
}

/// An attribute of a type (1 for a float, 2 for an integer, 3 for a text) without its value, as writers leave out a 0.
pub(crate) fn attribute_left_out(name: &str, kind: i64) -> Vec<u8> {
    [bytes(1, name.as_bytes()), int(20, kind)].concat()
}

/// An attribute of a function's node that is an attribute of the call.
pub(crate) fn attribute_reference(name: &str, of_call: &str) -> Vec<u8> {
    [
        bytes(1, name.as_bytes()),
        int(20, 1),
        bytes(21, of_call.as_bytes()),
    ]
    .concat()
}

pub(crate) fn attribute_ints(name: &str, values: &[i64]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|v| int(8, *v)).collect();
    [bytes(1, name.as_bytes()), values].concat()
}

pub(crate) fn attribute_float(name: &str, value: f32) -> Vec<u8> {
    let mut field = bytes(1, name.as_bytes());
    field.push(2 << 3 | 5);
    field.extend(value.to_le_bytes());
    field
}

pub(crate) fn attribute_floats(name: &str, values: &[f32]) -> Vec<u8> {
    let packed: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    [bytes(1, name.as_bytes()), bytes(7, &packed)].concat()
}

pub(crate) fn attribute_text(name: &str, value: &str) -> Vec<u8> {
    [bytes(1, name.as_bytes()), bytes(4, value.as_bytes())].concat()
}

pub(crate) fn attribute_graph(name: &str, graph: &[u8]) -> Vec<u8> {
    [bytes(1, name.as_bytes()), bytes(6, graph)].concat()
}

/// A node without a name.
pub(crate) fn node(
    op_type: &str,
    inputs: &[&str],
    output: &str,
    attributes: &[Vec<u8>],
) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|i| bytes(1, i.as_bytes())).collect();
    let attributes: Vec<u8> = attributes.iter().flat_map(|a| bytes(5, a)).collect();
    [
        inputs,
        bytes(2, output.as_bytes()),
        bytes(4, op_type.as_bytes()),
        attributes,
    ]
    .concat()
}

/// An input or output of the graph; 0 stands for a symbolic dimension.
pub(crate) fn value_info(name: &str, dims: &[i64]) -> Vec<u8> {
    let dimension = |d: &i64| match d {
        0 => bytes(1, &bytes(2, b"batch")),
        d => bytes(1, &int(1, *d)),
    };
    let shape: Vec<u8> = dims.iter().flat_map(dimension).collect();
    [
        bytes(1, name.as_bytes()),
        bytes(2, &bytes(1, &[int(1, 1), bytes(2, &shape)].concat())),
    ]
    .concat()
}

/// A tensor of 64-bit integers of any shape.
pub(crate) fn ints_of(name: &str, dims: &[i64], values: &[i64]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    [tensor_head(name, dims, 7), bytes(9, &raw)].concat()
}

/// A function of the domain `own`.
pub(crate) fn function(name: &str, inputs: &[&str], output: &str, nodes: &[Vec<u8>]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|i| bytes(4, i.as_bytes())).collect();
    let nodes: Vec<u8> = nodes.iter().flat_map(|n| bytes(7, n)).collect();
    let head = [bytes(1, name.as_bytes()), bytes(10, b"own")].concat();
    bytes(
        25,
        &[head, inputs, bytes(5, output.as_bytes()), nodes].concat(),
    )
}

/// A graph without inputs of its own, with outputs of the given names.
pub(crate) fn subgraph(nodes: &[Vec<u8>], outputs: &[&str]) -> Vec<u8> {
    let outputs = outputs.iter().flat_map(|o| bytes(12, &value_info(o, &[])));
    let nodes: Vec<u8> = nodes.iter().flat_map(|n| bytes(1, n)).collect();
    [nodes, outputs.collect()].concat()
}

/// A model with input `x` of shape `input` and output `y`.
pub(crate) fn model(input: &[i64], nodes: &[Vec<u8>], initializers: &[Vec<u8>]) -> Vec<u8> {
    let graph = [
        nodes.iter().flat_map(|n| bytes(1, n)).collect(),
        initializers.iter().flat_map(|t| bytes(5, t)).collect(),
        bytes(11, &value_info("x", input)),
        bytes(12, &value_info("y", &[])),
    ]
    .concat();
    [int(1, 8), bytes(7, &graph), bytes(8, &int(2, 13))].concat()
}
