//! Operators that pick, repeat and combine entries by constants.

use super::onnx_writer::{
    attribute_float, attribute_floats, attribute_int, attribute_ints, attribute_text, doubles,
    ints, ints_of,
};
use super::{Case, X, map};

pub(crate) fn cases() -> Vec<Case> {
    [picks(), images(), repeats(), sums(), resizes(), products()].concat()
}

fn picks() -> Vec<Case> {
    let one = |name: &'static str, value: i64| ints(name, &[value]);
    vec![
        (
            "Slice",
            vec!["x", "from", "to", "axis", "step"],
            vec![
                one("from", -1),
                one("to", -9),
                one("axis", 1),
                one("step", -1),
            ],
            vec![],
            vec![X[2], X[3], X[0], X[1]],
        ),
        (
            "Split",
            vec!["x", "parts"],
            vec![ints("parts", &[2])],
            vec![attribute_int("axis", -1)],
            X.to_vec(),
        ),
        (
            "Gather",
            vec!["x", "i"],
            vec![ints("i", &[1, -2, 1])],
            vec![attribute_int("axis", 3)],
            vec![X[1], X[0], X[1], X[3], X[2], X[3]],
        ),
        (
            "GatherElements",
            vec!["x", "i"],
            vec![ints_of("i", &[1, 1, 1, 2], &[1, 0])],
            vec![attribute_int("axis", 1)],
            vec![X[2], X[1]],
        ),
        (
            "GatherND",
            vec!["x", "i"],
            vec![ints_of("i", &[2, 2], &[0, 1, 0, 0])],
            vec![],
            vec![X[2], X[3], X[0], X[1]],
        ),
        (
            "ReverseSequence",
            vec!["x", "lengths"],
            vec![ints("lengths", &[2])],
            vec![
                attribute_int("time_axis", 3),
                attribute_int("batch_axis", 0),
            ],
            vec![X[1], X[0], X[3], X[2]],
        ),
        (
            "ReverseSequence",
            vec!["x", "lengths"],
            vec![ints("lengths", &[1, 2])],
            vec![
                attribute_int("time_axis", 3),
                attribute_int("batch_axis", 1),
            ],
            vec![X[0], X[1], X[3], X[2]],
        ),
        (
            "Compress",
            vec!["x", "keep"],
            vec![ints("keep", &[0, 1])],
            vec![attribute_int("axis", 3)],
            vec![X[1], X[3]],
        ),
        (
            "ScatterND",
            vec!["x", "i", "u"],
            vec![
                ints_of("i", &[1, 4], &[0, 1, 0, 0]),
                doubles("u", &[1], &[7.0]),
            ],
            vec![],
            vec![X[0], X[1], 7.0, X[3]],
        ),
        (
            "ScatterElements",
            vec!["x", "i", "u"],
            vec![
                ints_of("i", &[1, 1, 1, 2], &[1, 1]),
                doubles("u", &[1, 1, 1, 2], &[3.0, 4.0]),
            ],
            vec![
                attribute_int("axis", -1),
                attribute_text("reduction", "add"),
            ],
            vec![X[0], X[1] + 7.0, X[2], X[3]],
        ),
        (
            "Scatter",
            vec!["x", "i", "u"],
            vec![
                ints_of("i", &[1, 1, 1, 1], &[1]),
                doubles("u", &[1, 1, 1, 1], &[3.0]),
            ],
            vec![attribute_int("axis", 1)],
            vec![X[0], X[1], 3.0, X[3]],
        ),
        (
            "Cast",
            vec!["x"],
            vec![],
            vec![attribute_int("to", 1)],
            X.to_vec(),
        ),
        (
            "CastLike",
            vec!["x", "s"],
            vec![doubles("s", &[], &[0.0])],
            vec![],
            X.to_vec(),
        ),
        (
            "Pad",
            vec!["x", "pads"],
            vec![ints("pads", &[0, 0, 0, -1, 0, 0, 0, 1])],
            vec![],
            vec![X[1], 0.0, X[3], 0.0],
        ),
        (
            "Pad",
            vec!["x", "pads", "", "axes"],
            vec![ints("pads", &[2, 1]), ints("axes", &[-1])],
            vec![attribute_text("mode", "wrap")],
            vec![X[0], X[1], X[0], X[1], X[0], X[2], X[3], X[2], X[3], X[2]],
        ),
        (
            "Pad",
            vec!["x", "pads"],
            vec![ints("pads", &[0, 0, 0, 1, 0, 0, 0, 1])],
            vec![attribute_text("mode", "reflect")],
            vec![X[1], X[0], X[1], X[0], X[3], X[2], X[3], X[2]],
        ),
        (
            "Pad",
            vec!["x", "pads"],
            vec![ints("pads", &[0, 0, 0, 2, 0, 0, 0, 0])],
            vec![attribute_text("mode", "edge")],
            vec![X[0], X[0], X[0], X[1], X[2], X[2], X[2], X[3]],
        ),
    ]
}

/// The middle of an image.
fn images() -> Vec<Case> {
    vec![(
        "CenterCropPad",
        vec!["x", "sizes"],
        vec![ints("sizes", &[1, 4])],
        vec![attribute_ints("axes", &[1, -1])],
        vec![0.0, X[0], X[1], 0.0],
    )]
}

fn repeats() -> Vec<Case> {
    vec![
        (
            "Tile",
            vec!["x", "times"],
            vec![ints("times", &[1, 1, 1, 2])],
            vec![],
            vec![X[0], X[1], X[0], X[1], X[2], X[3], X[2], X[3]],
        ),
        (
            "TopK",
            vec!["x", "k"],
            vec![ints("k", &[2])],
            vec![],
            vec![X[1], X[0], X[2], X[3]],
        ),
        (
            "Expand",
            vec!["x", "shape"],
            vec![ints("shape", &[2, 1])],
            vec![],
            vec![X[0], X[1], X[0], X[1], X[2], X[3], X[2], X[3]],
        ),
        (
            "Trilu",
            vec!["x", "k"],
            vec![ints_of("k", &[], &[1])],
            vec![],
            vec![0.0, X[1], 0.0, X[3]],
        ),
        (
            "SpaceToDepth",
            vec!["x"],
            vec![],
            vec![attribute_int("blocksize", 1)],
            X.to_vec(),
        ),
        (
            "DepthToSpace",
            vec!["x"],
            vec![],
            vec![attribute_int("blocksize", 1)],
            X.to_vec(),
        ),
    ]
}

fn sums() -> Vec<Case> {
    let last = || vec![ints("axes", &[-1])];
    let over = vec!["x", "axes"];
    vec![
        (
            "ReduceSum",
            over.clone(),
            last(),
            vec![],
            vec![X[0] + X[1], X[2] + X[3]],
        ),
        (
            "ReduceMean",
            over.clone(),
            last(),
            vec![],
            vec![(X[0] + X[1]) / 2.0, (X[2] + X[3]) / 2.0],
        ),
        (
            "ReduceMax",
            over.clone(),
            last(),
            vec![attribute_int("keepdims", 0)],
            vec![X[1], X[2]],
        ),
        ("ReduceMin", over.clone(), last(), vec![], vec![X[0], X[3]]),
        ("ReduceL1", over, last(), vec![], vec![2.0, 2.25]),
        (
            "CumSum",
            vec!["x", "axis"],
            vec![ints_of("axis", &[], &[3])],
            vec![attribute_int("reverse", 1)],
            vec![X[0] + X[1], X[1], X[2] + X[3], X[3]],
        ),
        ("Sum", vec!["x", "x", "x"], vec![], vec![], map(|x| 3.0 * x)),
        (
            "Mean",
            vec!["x", "c"],
            vec![doubles("c", &[1], &[1.0])],
            vec![],
            map(|x| (x + 1.0) / 2.0),
        ),
        (
            "LpPool",
            vec!["x"],
            vec![],
            vec![
                attribute_ints("kernel_shape", &[1, 2]),
                attribute_int("p", 1),
            ],
            vec![2.0, 2.25],
        ),
        ("GlobalMaxPool", vec!["x"], vec![], vec![], vec![X[1], X[2]]),
    ]
}

fn resizes() -> Vec<Case> {
    let quarters = |a: f64, b: f64| vec![a, 0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b, b];
    vec![
        (
            "Resize",
            vec!["x", "", "", "sizes"],
            vec![ints("sizes", &[1, 2, 1, 4])],
            vec![attribute_text("mode", "linear")],
            [quarters(X[0], X[1]), quarters(X[2], X[3])].concat(),
        ),
        (
            "Upsample",
            vec!["x", "scales"],
            vec![doubles("scales", &[4], &[1.0, 1.0, 1.0, 2.0])],
            vec![],
            vec![X[0], X[0], X[1], X[1], X[2], X[2], X[3], X[3]],
        ),
    ]
}

fn products() -> Vec<Case> {
    vec![
        (
            "ConvTranspose",
            vec!["x", "k", "b"],
            vec![
                doubles("k", &[2, 1, 1, 2], &[1.0, 2.0, 3.0, 4.0]),
                doubles("b", &[1], &[0.5]),
            ],
            vec![],
            vec![
                X[0] + 3.0 * X[2] + 0.5,
                2.0 * X[0] + X[1] + 4.0 * X[2] + 3.0 * X[3] + 0.5,
                2.0 * X[1] + 4.0 * X[3] + 0.5,
            ],
        ),
        (
            "Einsum",
            vec!["x", "c"],
            vec![doubles("c", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])],
            vec![attribute_text("equation", "bihw,ik->bkw")],
            vec![
                X[0] + 4.0 * X[2],
                X[1] + 4.0 * X[3],
                2.0 * X[0] + 5.0 * X[2],
                2.0 * X[1] + 5.0 * X[3],
                3.0 * X[0] + 6.0 * X[2],
                3.0 * X[1] + 6.0 * X[3],
            ],
        ),
        (
            "Pow",
            vec!["x", "one"],
            vec![doubles("one", &[], &[1.0])],
            vec![],
            X.to_vec(),
        ),
        (
            "ai.onnx.ml.ArrayFeatureExtractor",
            vec!["x", "i"],
            vec![ints_of("i", &[1, 3], &[1, 0, 1])],
            vec![],
            vec![X[1], X[0], X[1], X[3], X[2], X[3]],
        ),
        (
            "ai.onnx.ml.Imputer",
            vec!["x"],
            vec![],
            vec![
                attribute_floats("imputed_value_floats", &[3.0]),
                attribute_float("replaced_value_float", f32::NAN),
            ],
            X.to_vec(),
        ),
        (
            "ai.onnx.ml.Scaler",
            vec!["x"],
            vec![],
            vec![
                attribute_floats("offset", &[0.5, 1.0]),
                attribute_floats("scale", &[2.0, 4.0]),
            ],
            vec![
                2.0 * (X[0] - 0.5),
                4.0 * (X[1] - 1.0),
                2.0 * (X[2] - 0.5),
                4.0 * (X[3] - 1.0),
            ],
        ),
        (
            "HardSigmoid",
            vec!["x"],
            vec![],
            vec![attribute_float("alpha", 0.5), attribute_float("beta", 0.25)],
            map(|x| (0.5 * x + 0.25).clamp(0.0, 1.0)),
        ),
    ]
}
