//! Each ONNX operator against what the standard says, in numbers.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod moved;
#[path = "../support/onnx_writer.rs"]
mod onnx_writer;
#[path = "../support/outputs.rs"]
mod outputs;
mod selected;

use candle_core::{DType, Device};
use loclin_models::onnx;
use onnx_writer::{
    attribute_float, attribute_int, attribute_ints, bytes, doubles, ints, model, node,
};
use outputs::values;

/// Operator, names of its inputs, initialisers, attributes, and the output.
pub(crate) type Case = (
    &'static str,
    Vec<&'static str>,
    Vec<Vec<u8>>,
    Vec<Vec<u8>>,
    Vec<f64>,
);

/// The input, of shape `[1, 2, 1, 2]`.
pub(crate) const X: [f64; 4] = [-1.5, 0.5, 2.0, -0.25];

pub(crate) fn map(f: fn(f64) -> f64) -> Vec<f64> {
    X.iter().map(|x| f(*x)).collect()
}

/// With the number of its channel, 2 or -4.
fn by_channel(f: fn(f64, f64) -> f64) -> Vec<f64> {
    let channels = [2.0, 2.0, -4.0, -4.0];
    X.iter().zip(channels).map(|(x, c)| f(*x, c)).collect()
}

fn arithmetic() -> Vec<Case> {
    let c = doubles("c", &[2, 1, 1], &[2.0, -4.0]);
    vec![
        (
            "Add",
            vec!["c", "x"],
            vec![c.clone()],
            vec![],
            by_channel(|x, c| x + c),
        ),
        ("Add", vec!["x", "x"], vec![], vec![], map(|x| x + x)),
        (
            "Sub",
            vec!["x", "c"],
            vec![c.clone()],
            vec![],
            by_channel(|x, c| x - c),
        ),
        (
            "Sub",
            vec!["c", "x"],
            vec![c.clone()],
            vec![],
            by_channel(|x, c| c - x),
        ),
        (
            "Mul",
            vec!["x", "c"],
            vec![c.clone()],
            vec![],
            by_channel(|x, c| x * c),
        ),
        (
            "Div",
            vec!["x", "c"],
            vec![c.clone()],
            vec![],
            by_channel(|x, c| x / c),
        ),
        (
            "Div",
            vec!["x", "s"],
            vec![doubles("s", &[], &[0.5])],
            vec![],
            map(|x| x / 0.5),
        ),
        ("Neg", vec!["x"], vec![], vec![], map(|x| -x)),
    ]
}

fn activations() -> Vec<Case> {
    let (low, high) = (doubles("low", &[], &[-1.0]), doubles("high", &[], &[1.0]));
    vec![
        ("Relu", vec!["x"], vec![], vec![], map(|x| x.max(0.0))),
        ("Abs", vec!["x"], vec![], vec![], map(f64::abs)),
        (
            "LeakyRelu",
            vec!["x"],
            vec![],
            vec![attribute_float("alpha", 0.25)],
            map(|x| x.max(0.25 * x)),
        ),
        (
            "PRelu",
            vec!["x", "c"],
            vec![doubles("c", &[2, 1, 1], &[2.0, -4.0])],
            vec![],
            by_channel(|x, c| if x < 0.0 { c * x } else { x }),
        ),
        (
            "Clip",
            vec!["x", "low", "high"],
            vec![low.clone(), high.clone()],
            vec![],
            map(|x| x.clamp(-1.0, 1.0)),
        ),
        (
            "Clip",
            vec!["x", "", "high"],
            vec![high],
            vec![],
            map(|x| x.min(1.0)),
        ),
        (
            "Clip",
            vec!["x", "low"],
            vec![low],
            vec![],
            map(|x| x.max(-1.0)),
        ),
    ]
}

fn shapes() -> Vec<Case> {
    vec![
        ("Dropout", vec!["x"], vec![], vec![], X.to_vec()),
        ("Identity", vec!["x"], vec![], vec![], X.to_vec()),
        ("Flatten", vec!["x"], vec![], vec![], X.to_vec()),
        (
            "Squeeze",
            vec!["x", "axes"],
            vec![ints("axes", &[-2])],
            vec![],
            X.to_vec(),
        ),
        (
            "Unsqueeze",
            vec!["x", "axes"],
            vec![ints("axes", &[1, -1])],
            vec![],
            X.to_vec(),
        ),
        (
            "Reshape",
            vec!["x", "shape"],
            vec![ints("shape", &[0, -1, 1])],
            vec![],
            X.to_vec(),
        ),
        (
            "Transpose",
            vec!["x"],
            vec![],
            vec![attribute_ints("perm", &[0, 3, 2, 1])],
            vec![X[0], X[2], X[1], X[3]],
        ),
        (
            "Concat",
            vec!["x", "x"],
            vec![],
            vec![attribute_int("axis", 3)],
            vec![X[0], X[1], X[0], X[1], X[2], X[3], X[2], X[3]],
        ),
        (
            "Pad",
            vec!["x", "pads"],
            vec![ints("pads", &[0, 0, 0, 1, 0, 0, 0, 0])],
            vec![],
            vec![0.0, X[0], X[1], 0.0, X[2], X[3]],
        ),
    ]
}

fn windows() -> Vec<Case> {
    let square = |side: i64| attribute_ints("kernel_shape", &[1, side]);
    vec![
        (
            "AveragePool",
            vec!["x"],
            vec![],
            vec![square(2)],
            vec![(X[0] + X[1]) / 2.0, (X[2] + X[3]) / 2.0],
        ),
        (
            "GlobalAveragePool",
            vec!["x"],
            vec![],
            vec![],
            vec![(X[0] + X[1]) / 2.0, (X[2] + X[3]) / 2.0],
        ),
        (
            "GlobalLpPool",
            vec!["x"],
            vec![],
            vec![attribute_int("p", 1)],
            vec![2.0, 2.25],
        ),
        (
            "MaxPool",
            vec!["x"],
            vec![],
            vec![square(2)],
            vec![0.5, 2.0],
        ),
        (
            "Conv",
            vec!["x", "k", "b"],
            vec![
                doubles("k", &[1, 2, 1, 2], &[1.0, 2.0, 3.0, 4.0]),
                doubles("b", &[1], &[0.125]),
            ],
            vec![],
            vec![X[0] + 2.0 * X[1] + 3.0 * X[2] + 4.0 * X[3] + 0.125],
        ),
        (
            "BatchNormalization",
            vec!["x", "g", "b", "m", "v"],
            vec![
                doubles("g", &[2], &[2.0, 3.0]),
                doubles("b", &[2], &[0.5, 0.25]),
                doubles("m", &[2], &[1.0, 2.0]),
                doubles("v", &[2], &[4.0, 1.0]),
            ],
            vec![attribute_float("epsilon", 0.0)],
            vec![X[0] - 0.5, X[1] - 0.5, 3.0 * X[2] - 5.75, 3.0 * X[3] - 5.75],
        ),
    ]
}

/// The node under test; a name with dots has a domain.
fn operator(op_type: &str, inputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let (domain, name) = op_type.rsplit_once('.').unwrap_or(("", op_type));
    let domain = if domain.is_empty() {
        Vec::new()
    } else {
        bytes(7, domain.as_bytes())
    };
    [node(name, inputs, "out", attributes), domain].concat()
}

/// One operator at a time, with what it must give for `X`.
#[test]
fn operators_compute_what_onnx_says() {
    let cases = [
        arithmetic(),
        activations(),
        shapes(),
        windows(),
        moved::cases(),
        selected::cases(),
    ]
    .concat();
    // These are tested in graphs of several nodes.
    let mut seen: Vec<&str> = vec![
        "And",
        "Col2Im",
        "Constant",
        "Equal",
        "Gemm",
        "MatMul",
        "Greater",
        "GreaterOrEqual",
        "IsInf",
        "IsNaN",
        "Less",
        "LessOrEqual",
        "Not",
        "Or",
        "RNN",
        "Shape",
        "Size",
        "Where",
        "ai.onnx.ml.LinearRegressor",
    ];
    for (op_type, inputs, initializers, attributes, expected) in cases {
        // Doubled, so that an identity has something after it.
        let nodes = [
            operator(op_type, &inputs, &attributes),
            node(
                "Constant",
                &[],
                "two",
                &[[bytes(1, b"value"), bytes(5, &doubles("", &[], &[2.0]))].concat()],
            ),
            node("Mul", &["out", "two"], "y", &[]),
        ];
        let bytes = model(&[1, 2, 1, 2], &nodes, &initializers);
        let network = onnx::from_bytes(&bytes, DType::F64, &Device::Cpu)
            .unwrap()
            .network;
        let found = values(&network, &X);
        let expected: Vec<f64> = expected.iter().map(|v| 2.0 * v).collect();
        let close = found
            .iter()
            .zip(&expected)
            .all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(
            close && found.len() == expected.len(),
            "{op_type}: {found:?}, expected {expected:?}"
        );
        seen.push(op_type);
    }
    // Sequences are no tensors: `onnx_sequences.rs` has them.
    let untested: Vec<_> = onnx::supported()
        .filter(|op_type| !op_type.contains("Sequence"))
        .filter(|op_type| !seen.contains(op_type))
        .collect();
    assert!(untested.is_empty(), "{untested:?}");
}
