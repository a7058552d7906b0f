//! First dimensions that ONNX files leave open stand for the batch; what mixes entries along them is refused. Matrix
//! products repeat nothing along the dimension that they sum over.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

#[path = "support/onnx_reader.rs"]
mod onnx_reader;
#[path = "support/onnx_writer.rs"]
mod onnx_writer;
#[path = "support/outputs.rs"]
mod outputs;

use onnx_reader::{read, refusal};
use onnx_writer::{attribute_int, attribute_ints, attribute_text, doubles, ints, model, node};
use outputs::values;

const OPEN: i64 = 0;
const REMEDY: &str = "export the file with that dimension fixed";

#[test]
fn matrix_products_repeat_no_entry_of_the_dimension_they_sum_over() {
    let square = || doubles("a", &[5, 5], &[1.0; 25]);
    let wide = || doubles("a", &[5, 2], &[1.0; 10]);
    let stack = || doubles("a", &[4, 5, 5], &[1.0; 100]);
    let left = || [node("MatMul", &["a", "x"], "y", &[])];
    let right = || [node("MatMul", &["x", "a"], "y", &[])];
    let gemm =
        |inputs: [&str; 2], turned: &str| [node("Gemm", &inputs, "y", &[attribute_int(turned, 1)])];
    let refused = [
        (vec![OPEN, 1, 6], left(), square()),
        (vec![1, 1, 6], left(), square()),
        (vec![3, 1, 6], left(), square()),
        (vec![OPEN, 1, 6], left(), stack()),
        (vec![OPEN, 3, 1], right(), wide()),
        (vec![OPEN, 1], right(), wide()),
        (vec![1], right(), wide()),
        (vec![OPEN, 1], gemm(["x", "a"], "none"), wide()),
        (vec![1, 6], gemm(["a", "x"], "none"), square()),
        (vec![6, 1], gemm(["a", "x"], "transB"), square()),
        (vec![1, 6], gemm(["x", "a"], "transA"), square()),
    ];
    for (shape, nodes, constant) in refused {
        let message = refusal(&model(&shape, &nodes, &[constant]));
        let says = message.contains("has 1 entries where the constant of shape")
            || message.contains("a value of 1 features and a matrix for 5");
        assert!(says, "{shape:?}: {message}");
    }
    // Other dimensions that do not fit are refused as well: of a stack no matrix is left out.
    for (shape, nodes) in [([7, 5, 1], left()), ([3, 2, 5], right())] {
        let message = refusal(&model(&shape, &nodes, &[stack()]));
        assert!(message.contains("does not broadcast"), "{message}");
    }
    // The constant's dimension of 1 is repeated no more than the value's.
    let thin = || doubles("a", &[1, 2], &[1.0; 2]);
    let message = refusal(&model(&[OPEN, 3, 4], &right(), &[thin()]));
    assert!(message.contains("has 4 entries where"), "{message}");
    // Where the dimension is the open one, it is mixed.
    for nodes in [left(), gemm(["a", "x"], "none")] {
        let message = refusal(&model(&[OPEN, 6], &nodes, &[square()]));
        assert!(message.contains(REMEDY), "{message}");
    }
    // Einsum allows 1 beside k.
    let equation = attribute_text("equation", "bj,jk->bk");
    let einsum = [node("Einsum", &["x", "a"], "y", &[equation])];
    let network = read(&model(&[OPEN, 1], &einsum, &[wide()]));
    assert_eq!(values(&network, &[2.0]), [10.0, 10.0]);
    // Dimensions that are not summed over repeat.
    let network = read(&model(&[OPEN, 5, 1], &left(), &[stack()]));
    assert_eq!(values(&network, &[1.0; 5]), [5.0; 20]);
}

#[test]
fn what_mixes_a_first_dimension_that_is_open_is_refused() {
    let reduce = |kind: &str, keep: i64| {
        let attributes = [
            attribute_ints("axes", &[0]),
            attribute_int("keepdims", keep),
        ];
        node(kind, &["x"], "s", &attributes)
    };
    let summed = |keep: i64| {
        let attribute = attribute_int("keepdims", keep);
        node("ReduceSum", &["x", "first"], "s", &[attribute])
    };
    let relu = || node("Relu", &["s"], "y", &[]);
    let minus = || node("Sub", &["x", "s"], "y", &[]);
    let cases = [
        vec![summed(0), relu()],
        vec![summed(1), relu()],
        vec![reduce("ReduceMax", 0), relu()],
        vec![reduce("ReduceMean", 1), minus()],
        vec![node("Gather", &["x", "last"], "s", &[]), relu()],
        vec![node("Gather", &["x", "third"], "s", &[]), relu()],
        vec![node("CumSum", &["x", "zero"], "s", &[]), relu()],
        vec![
            node("Flatten", &["x"], "s", &[attribute_int("axis", 0)]),
            node("MatMul", &["s", "w"], "y", &[]),
        ],
        vec![
            node("Transpose", &["x"], "s", &[attribute_ints("perm", &[1, 0])]),
            node("CumSum", &["s", "one"], "y", &[]),
        ],
    ];
    let constants = [
        ints("first", &[0]),
        ints("last", &[-1]),
        ints("third", &[2]),
        ints("zero", &[0]),
        ints("one", &[1]),
        doubles("w", &[3, 2], &[1.0; 6]),
    ];
    for nodes in cases.iter().take(7).chain(&cases[8..]) {
        let message = refusal(&model(&[OPEN, 3], nodes, &constants));
        assert!(message.contains(REMEDY), "{message}");
        // Where the dimension is fixed, all of it is one input.
        let whole = read(&model(&[4, 3], nodes, &constants));
        assert_eq!(whole.input_shape(), [4, 3]);
    }
    // This graph can have one input alone.
    assert_eq!(
        values(&read(&model(&[OPEN, 3], &cases[7], &constants)), &[1.0; 3]),
        [3.0, 3.0]
    );
}

#[test]
fn what_keeps_inputs_apart_is_read_where_the_batch_is_open() {
    let perm = |to: &[i64]| attribute_ints("perm", to);
    let constants = [
        ints("rows", &[-1, 2]),
        ints("back", &[-1, 6]),
        ints("nothing", &[0]),
        ints("all", &[i64::MAX]),
        ints("first", &[0]),
        ints("two", &[2]),
        ints("indices", &[1, 0]),
        ints("last", &[-1]),
    ];
    let by_rows = vec![
        node("Reshape", &["x", "rows"], "r", &[]),
        node("Relu", &["r"], "a", &[]),
        node("Reshape", &["a", "back"], "y", &[]),
    ];
    let turned = vec![
        node("Transpose", &["x"], "t", &[perm(&[1, 0])]),
        node("Relu", &["t"], "a", &[]),
        node("Transpose", &["a"], "y", &[perm(&[1, 0])]),
    ];
    // PyTorch writes `x[:]` so.
    let sliced = vec![
        node("Slice", &["x", "nothing", "all", "first"], "s", &[]),
        node("Relu", &["s"], "y", &[]),
    ];
    let moved = vec![
        node("Relu", &["x"], "a", &[]),
        node("Transpose", &["a"], "y", &[perm(&[1, 0])]),
    ];
    let x = [-1.0, 2.0, -3.0, 4.0, 5.0, -6.0];
    for nodes in [by_rows, turned, sliced, moved] {
        let network = read(&model(&[OPEN, 6], &nodes, &constants));
        assert_eq!(network.input_shape(), [6]);
        assert_eq!(values(&network, &x), [0.0, 2.0, 0.0, 4.0, 5.0, 0.0]);
    }
    // Indices as many times as there are inputs: read as one input, they are seen to keep them apart.
    let nodes = [
        node("Shape", &["x"], "shape", &[]),
        node("Gather", &["shape", "first"], "count", &[]),
        node(
            "Concat",
            &["count", "two"],
            "wanted",
            &[attribute_int("axis", 0)],
        ),
        node("Expand", &["indices", "wanted"], "many", &[]),
        node(
            "GatherElements",
            &["x", "many"],
            "y",
            &[attribute_int("axis", 1)],
        ),
    ];
    let network = read(&model(&[OPEN, 6], &nodes, &constants));
    assert_eq!(values(&network, &x), [2.0, -1.0]);
}

/// Frames of a film, a layer of time-distributed parts: several images of one input, each taken by itself.
#[test]
fn several_images_of_one_input_are_each_taken_by_themselves() {
    let conv = |from: &str, to: &str, name: &str, attributes: &[Vec<u8>]| {
        node("Conv", &[from, name, "bias"], to, attributes)
    };
    let numbers = |count: usize| {
        (0..count)
            .map(|i| (i * 7 % 11) as f64 * 0.3 - 1.4)
            .collect()
    };
    let constant = |name: &str, shape: &[i64]| {
        let values: Vec<f64> = numbers(shape.iter().product::<i64>() as usize);
        doubles(name, shape, &values)
    };
    let window = |stride: [i64; 2], dilation: [i64; 2], pads: [i64; 4], group: i64| {
        [
            attribute_ints("strides", &stride),
            attribute_ints("dilations", &dilation),
            attribute_ints("pads", &pads),
            attribute_int("group", group),
        ]
    };
    let constants = [
        constant("square", &[4, 4, 3, 3]),
        constant("grouped", &[4, 2, 2, 3]),
        constant("point", &[4, 4, 1, 1]),
        constant("spread", &[4, 2, 3, 2]),
        constant("wide", &[4, 4, 3]),
        constant("bias", &[4]),
        doubles("variance", &[4], &[0.5, 1.0, 2.0, 3.0]),
        constant("slope", &[4, 1, 1]),
        ints("line", &[0, 4, -1]),
    ];
    let pool = |kind: &str| {
        let window = [
            attribute_ints("kernel_shape", &[2, 3]),
            attribute_ints("strides", &[2, 1]),
            attribute_ints("pads", &[1, 0, 0, 1]),
        ];
        node(kind, &["f"], "g", &window)
    };
    let bodies = vec![
        vec![conv(
            "f",
            "g",
            "square",
            &window([1, 1], [1, 1], [1, 1, 1, 1], 1),
        )],
        vec![conv(
            "f",
            "g",
            "square",
            &window([2, 2], [1, 1], [0, 1, 1, 0], 1),
        )],
        vec![conv(
            "f",
            "g",
            "square",
            &window([3, 1], [2, 2], [2, 2, 2, 2], 1),
        )],
        vec![conv(
            "f",
            "g",
            "grouped",
            &window([2, 1], [1, 2], [0, 0, 0, 0], 2),
        )],
        vec![conv(
            "f",
            "g",
            "point",
            &window([1, 1], [1, 1], [0, 0, 0, 0], 1),
        )],
        vec![conv(
            "f",
            "g",
            "point",
            &window([3, 2], [1, 1], [1, 0, 2, 0], 1),
        )],
        vec![node(
            "ConvTranspose",
            &["f", "spread"],
            "g",
            &window([2, 3], [1, 1], [1, 0, 0, 1], 2),
        )],
        vec![
            node("Reshape", &["f", "line"], "r", &[]),
            node(
                "Conv",
                &["r", "wide", "bias"],
                "g",
                &[attribute_ints("strides", &[2])],
            ),
        ],
        vec![pool("MaxPool")],
        vec![pool("AveragePool")],
        vec![node("GlobalMaxPool", &["f"], "g", &[])],
        vec![node("GlobalAveragePool", &["f"], "g", &[])],
        vec![node(
            "BatchNormalization",
            &["f", "bias", "bias", "bias", "variance"],
            "g",
            &[],
        )],
        vec![node("PRelu", &["f", "slope"], "g", &[])],
    ];
    let (frames, each) = (3, 4 * 6 * 5);
    let x: Vec<f64> = (0..frames * each)
        .map(|i| (i * 37 % 41) as f64 * 0.1 - 2.0)
        .collect();
    for body in bodies {
        let first = node("Reshape", &["x", "frames"], "f", &[]);
        let last = node("Reshape", &["g", "together"], "y", &[]);
        let nodes = [&[first], &body[..], &[last]].concat();
        let first = node("Identity", &["x"], "f", &[]);
        let last = node("Identity", &["g"], "y", &[]);
        let alone = [&[first], &body[..], &[last]].concat();
        let shapes = [
            ints("frames", &[-1, 4, 6, 5]),
            ints("together", &[-1, (frames * 4) as i64]),
        ];
        let several = [&constants[..], &shapes].concat();
        let film = [OPEN, frames as i64, 4, 6, 5];
        for open in [OPEN, 1] {
            let shape = [&[open], &film[1..]].concat();
            let several = read(&model(&shape, &nodes, &several));
            let one = read(&model(&[1, 4, 6, 5], &alone, &constants));
            let found = values(&several, &x);
            let expected = x.chunks(each).flat_map(|frame| values(&one, frame));
            let expected: Vec<f64> = expected.collect();
            assert_eq!(found.len(), expected.len());
            let near = found
                .iter()
                .zip(&expected)
                .all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(near, "{found:?} {expected:?}");
        }
    }
    // Where the batch is open, images of several inputs are kept apart, and what mixes them is refused.
    let mixed = [
        node("Reshape", &["x", "frames"], "f", &[]),
        node("Conv", &["f", "point", "bias"], "c", &[]),
        node("CumSum", &["c", "first"], "y", &[]),
    ];
    let several = [
        &constants[..],
        &[ints("frames", &[-1, 4, 6, 5]), ints("first", &[0])],
    ]
    .concat();
    let message = refusal(&model(&[OPEN, 3, 4, 6, 5], &mixed, &several));
    assert!(message.contains(REMEDY), "{message}");
}
