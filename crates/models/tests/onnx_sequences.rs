//! Sequences of ONNX files, which PyTorch's exporter writes for `chunk` and `split`.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

#[path = "support/onnx_reader.rs"]
mod onnx_reader;
#[path = "support/onnx_writer.rs"]
mod onnx_writer;
#[path = "support/outputs.rs"]
mod outputs;

use onnx_reader::{read, refusal};
use onnx_writer::{attribute_int, doubles, ints, ints_of, model, node};
use outputs::values;

/// What says the lengths, `keepdims`, the place and the output.
type Case<'a> = (&'a [&'a str], Option<i64>, &'a str, &'a [f64]);

const X: [f64; 5] = [1.0, -2.0, 3.0, -4.0, 5.0];

fn constants() -> Vec<Vec<u8>> {
    vec![
        ints_of("two", &[], &[2]),
        ints("lengths", &[1, 4]),
        ints_of("first", &[], &[0]),
        ints_of("second", &[], &[1]),
        ints_of("last", &[], &[-1]),
        ints_of("seventh", &[], &[7]),
        ints_of("none", &[], &[0]),
        ints("short", &[1, 1]),
        doubles("c", &[1, 2], &[10.0, 20.0]),
    ]
}

/// The nodes with a part of the input at a place of a sequence first.
fn of(parts: &[&str], attributes: &[Vec<u8>], place: &str) -> Vec<Vec<u8>> {
    let inputs = [&["x"], parts].concat();
    let axis = attribute_int("axis", 1);
    vec![
        node(
            "SplitToSequence",
            &inputs,
            "s",
            &[&[axis], attributes].concat(),
        ),
        node("SequenceAt", &["s", place], "p", &[]),
        node("Relu", &["p"], "y", &[]),
    ]
}

#[test]
fn parts_of_sequences_are_read_at_constant_places() {
    let cases: [Case<'_>; 6] = [
        (&["two"], None, "first", &[1.0, 0.0]),
        (&["two"], None, "second", &[3.0, 0.0]),
        // The last part is the rest.
        (&["two"], None, "last", &[5.0]),
        (&["lengths"], None, "second", &[0.0, 3.0, 0.0, 5.0]),
        (&[], None, "last", &[5.0]),
        (&[], Some(0), "second", &[0.0]),
    ];
    for (parts, keep, place, expected) in cases {
        let keep = keep.map(|keep| attribute_int("keepdims", keep));
        let attributes = keep.as_slice();
        let network = read(&model(&[0, 5], &of(parts, attributes, place), &constants()));
        assert_eq!(values(&network, &X), expected, "{parts:?} {place}");
    }
    for (parts, place, says) in [
        ("two", "seventh", "names value 7 of a sequence of 3"),
        ("none", "first", "splits 5 entries along dimension 1"),
        ("short", "first", "splits 5 entries along dimension 1"),
        ("two", "x", "must be constant"),
    ] {
        let message = refusal(&model(&[0, 5], &of(&[parts], &[], place), &constants()));
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn sequences_are_made_and_joined() {
    let join = |new_axis: i64, axis: i64| {
        let attributes = [
            attribute_int("axis", axis),
            attribute_int("new_axis", new_axis),
        ];
        vec![
            node("Relu", &["x"], "r", &[]),
            node("SequenceConstruct", &["r", "c", "x"], "s", &[]),
            node("ConcatFromSequence", &["s"], "y", &attributes),
        ]
    };
    let x = [-1.0, 2.0];
    let network = read(&model(&[1, 2], &join(0, -1), &constants()));
    assert_eq!(values(&network, &x), [0.0, 2.0, 10.0, 20.0, -1.0, 2.0]);
    let network = read(&model(&[1, 2], &join(1, 1), &constants()));
    assert_eq!(values(&network, &x), [0.0, 2.0, 10.0, 20.0, -1.0, 2.0]);
    let network = read(&model(&[1, 2], &join(1, -1), &constants()));
    assert_eq!(values(&network, &x), [0.0, 10.0, -1.0, 2.0, 20.0, 2.0]);
    // The number of values is a constant.
    let nodes = [
        node("SequenceConstruct", &["x", "x", "x"], "s", &[]),
        node("SequenceLength", &["s"], "n", &[]),
        node("Cast", &["n"], "m", &[attribute_int("to", 1)]),
        node("Mul", &["x", "m"], "y", &[]),
    ];
    let network = read(&model(&[0, 2], &nodes, &[]));
    assert_eq!(values(&network, &x), [-3.0, 6.0]);
    // A sequence is no tensor.
    let nodes = [
        node("SequenceConstruct", &["x", "x"], "s", &[]),
        node("Relu", &["s"], "y", &[]),
    ];
    let message = refusal(&model(&[0, 2], &nodes, &[]));
    assert!(
        message.contains("is a sequence where a tensor must be"),
        "{message}"
    );
}
