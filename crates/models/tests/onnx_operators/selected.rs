//! Operators that select by comparing.

use super::onnx_writer::{attribute_float, attribute_int, attribute_ints, doubles};
use super::{Case, X, map};

pub(crate) fn cases() -> Vec<Case> {
    let c = doubles("c", &[2, 1, 1], &[0.25, -0.5]);
    let wide = |kind: &'static str, pads: [i64; 4], up: i64, expected: Vec<f64>| {
        let attributes = vec![
            attribute_ints("kernel_shape", &[1, 2]),
            attribute_ints("strides", &[1, 2]),
            attribute_ints("pads", &pads),
            attribute_int("ceil_mode", up),
        ];
        (kind, vec!["x"], vec![], attributes, expected)
    };
    vec![
        (
            "Max",
            vec!["x", "c"],
            vec![c.clone()],
            vec![],
            vec![0.25, 0.5, 2.0, -0.25],
        ),
        (
            "Min",
            vec!["x", "c"],
            vec![c],
            vec![],
            vec![-1.5, 0.25, -0.5, -0.5],
        ),
        (
            "Max",
            vec!["x", "s"],
            vec![doubles("s", &[], &[0.0])],
            vec![],
            map(|x| x.max(0.0)),
        ),
        ("Min", vec!["x", "x"], vec![], vec![], X.to_vec()),
        (
            "ThresholdedRelu",
            vec!["x"],
            vec![],
            vec![attribute_float("alpha", 0.0)],
            map(|x| x.max(0.0)),
        ),
        (
            "Shrink",
            vec!["x"],
            vec![],
            vec![attribute_float("lambd", 0.5), attribute_float("bias", 0.5)],
            vec![-1.0, 0.0, 1.5, 0.0],
        ),
        (
            "PRelu",
            vec!["x", "c"],
            vec![doubles("c", &[2], &[2.0, -4.0])],
            vec![],
            vec![-3.0, 0.5, 2.0, 1.0],
        ),
        (
            "Clip",
            vec!["x", "c", "c"],
            vec![doubles("c", &[], &[0.125])],
            vec![],
            vec![0.125; 4],
        ),
        // One entry under the first window, one under the last.
        wide("MaxPool", [0, 1, 0, 0], 1, X.to_vec()),
        wide("AveragePool", [0, 1, 0, 1], 0, X.to_vec()),
        // Windows larger than entries and padding together: one, where sizes are rounded up.
        larger("MaxPool", &[], vec![0.5, 2.0]),
        larger("AveragePool", &[], vec![-0.5, 0.875]),
        larger(
            "AveragePool",
            &[
                attribute_ints("pads", &[0, 1, 0, 0]),
                attribute_int("count_include_pad", 1),
            ],
            vec![-1.0 / 3.0, 1.75 / 3.0],
        ),
    ]
}

/// A pool with one window of four columns.
fn larger(op_type: &'static str, more: &[Vec<u8>], expected: Vec<f64>) -> Case {
    let attributes = [
        attribute_ints("kernel_shape", &[1, 4]),
        attribute_ints("strides", &[1, 3]),
        attribute_int("ceil_mode", 1),
    ];
    let attributes = [&attributes, more].concat();
    (op_type, vec!["x"], vec![], attributes, expected)
}
