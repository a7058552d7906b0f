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
