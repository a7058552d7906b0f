//! Small undamaged files, to be damaged by tests and by fuzzing.

use super::onnx_writer::{
    attribute_float, attribute_int, attribute_ints, doubles, ints, model, node,
};
use super::pickle_writer::{archive, pickle, tensor};

/// An ONNX network of eight operators.
pub(crate) fn onnx_file() -> Vec<u8> {
    let nodes = [
        node(
            "Conv",
            &["x", "k"],
            "a",
            &[attribute_ints("pads", &[1, 1, 1, 1])],
        ),
        node("LeakyRelu", &["a"], "b", &[attribute_float("alpha", 0.1)]),
        node(
            "MaxPool",
            &["b"],
            "c",
            &[
                attribute_ints("kernel_shape", &[2, 2]),
                attribute_ints("strides", &[2, 2]),
            ],
        ),
        node("Reshape", &["c", "shape"], "d", &[]),
        node("Transpose", &["w"], "t", &[attribute_ints("perm", &[1, 0])]),
        node("MatMul", &["d", "t"], "e", &[]),
        node("Add", &["e", "bias"], "f", &[]),
        node("Concat", &["f", "f"], "y", &[attribute_int("axis", 1)]),
    ];
    let initializers = [
        doubles("k", &[2, 1, 3, 3], &[0.25; 18]),
        ints("shape", &[0, -1]),
        doubles("w", &[3, 8], &[0.5; 24]),
        doubles("bias", &[3], &[1.0, 2.0, 3.0]),
    ];
    model(&[0, 1, 4, 4], &nodes, &initializers)
}

/// The pickle of a state dict of one linear layer.
pub(crate) fn fc_pickle() -> Vec<u8> {
    pickle(&[
        ("0.weight", tensor("0", 6, &[2, 3], &[3, 1])),
        ("0.bias", tensor("1", 2, &[2], &[1])),
    ])
}

/// The archive of that pickle with its numbers.
pub(crate) fn pytorch_file(pickle: &[u8]) -> Vec<u8> {
    archive(pickle, &[("0", vec![0.5; 6]), ("1", vec![0.25; 2])])
}
