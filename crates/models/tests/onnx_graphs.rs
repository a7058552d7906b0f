//! ONNX graphs of several nodes: what is constant disappears, batches, heads, functions, branches.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

#[path = "support/onnx_reader.rs"]
mod onnx_reader;
#[path = "support/onnx_writer.rs"]
mod onnx_writer;
#[path = "support/outputs.rs"]
mod outputs;

use candle_core::{DType, Device};
use loclin_models::onnx;
use onnx_reader::{read, refusal};
use onnx_writer::{
    attribute_float, attribute_floats, attribute_graph, attribute_int, attribute_ints,
    attribute_text, bytes, doubles, int, ints, ints_of, model, node, subgraph, value_info,
};
use outputs::values;

/// Functions of two comparisons that are continuous.
#[test]
fn where_selects_by_comparisons() {
    let c = doubles("c", &[2], &[0.5, -1.0]);
    let compare = |kind: &str, first: &str, second: &str| node(kind, &[first, second], "q", &[]);
    let choose = |first: &str, second: &str| node("Where", &["q", first, second], "y", &[]);
    let half = node("Mul", &["x", "h"], "half", &[]);
    let h = doubles("h", &[], &[0.5]);
    let zero = doubles("zero", &[], &[0.0]);
    let two = doubles("two", &[], &[2.0]);
    let one = |nodes: &[Vec<u8>]| {
        read(&model(
            &[0, 2],
            nodes,
            &[c.clone(), h.clone(), zero.clone(), two.clone()],
        ))
    };
    let x = [-2.0, 3.0, 1.0, -4.0];
    let each = |f: fn(f64, f64) -> f64| -> Vec<f64> {
        x.iter()
            .enumerate()
            .map(|(i, x)| f(*x, [0.5, -1.0][i % 2]))
            .collect()
    };
    for kind in ["Greater", "GreaterOrEqual"] {
        assert_eq!(
            values(&one(&[compare(kind, "x", "c"), choose("x", "c")]), &x),
            each(f64::max)
        );
    }
    for kind in ["Less", "LessOrEqual"] {
        assert_eq!(
            values(&one(&[compare(kind, "x", "c"), choose("x", "c")]), &x),
            each(f64::min)
        );
    }
    let leaky = [
        half.clone(),
        compare("Less", "x", "zero"),
        choose("half", "x"),
    ];
    assert_eq!(
        values(&one(&leaky), &x),
        each(|x, _| if x < 0.0 { 0.5 * x } else { x })
    );
    let not = [
        compare("Less", "x", "zero"),
        node("Not", &["q"], "n", &[]),
        node("Where", &["n", "x", "zero"], "y", &[]),
    ];
    assert_eq!(values(&one(&not), &x), each(|x, _| x.max(0.0)));
    let mask = [
        compare("Greater", "x", "zero"),
        node("Cast", &["q"], "m", &[attribute_int("to", 1)]),
        node("Mul", &["x", "m"], "y", &[]),
    ];
    assert_eq!(values(&one(&mask), &x), each(|x, _| x.max(0.0)));
    let two_values = [half, compare("Greater", "half", "x"), choose("half", "x")];
    assert_eq!(values(&one(&two_values), &x), each(|x, _| x.max(0.5 * x)));

    let bytes = |nodes: &[Vec<u8>]| model(&[0, 2], nodes, &[c.clone(), zero.clone(), two.clone()]);
    for steps in [
        vec![compare("Greater", "x", "c"), choose("x", "zero")],
        vec![compare("Greater", "x", "zero"), choose("two", "zero")],
    ] {
        assert!(
            refusal(&bytes(&steps)).contains("may not be continuous"),
            "{}",
            refusal(&bytes(&steps))
        );
    }
}

/// Clips and soft thresholds as exporters of JAX and Keras, and people, write them.
#[test]
fn selections_within_selections_are_read_where_they_are_continuous() {
    let constants: Vec<Vec<u8>> = [("low", -0.5), ("high", 0.5), ("one", 1.0), ("none", 0.0)]
        .map(|(name, value)| doubles(name, &[], &[value]))
        .into();
    let compare = |kind: &str, with: &str, to: &str| node(kind, &["x", with], to, &[]);
    let choose = |names: [&str; 3], to: &str| node("Where", &names, to, &[]);
    let [less, more] = [compare("Less", "low", "p"), compare("Greater", "high", "q")];
    let add = |with: &str, to: &str| node("Add", &["x", with], to, &[]);
    let graph = |nodes: &[Vec<u8>]| model(&[0, 5], nodes, &constants);
    let x = [-2.0, -0.5, 0.25, 0.5, 3.0];
    let each = |f: fn(f64) -> f64| x.map(f).to_vec();
    let clip = [
        less.clone(),
        more.clone(),
        choose(["p", "low", "x"], "u"),
        choose(["q", "high", "u"], "y"),
    ];
    assert_eq!(
        values(&read(&graph(&clip)), &x),
        each(|x| x.clamp(-0.5, 0.5))
    );
    let soft = [
        less.clone(),
        more.clone(),
        add("high", "below"),
        add("low", "above"),
        choose(["p", "below", "none"], "u"),
        choose(["q", "above", "u"], "y"),
    ];
    let shrunk = |x: f64| (x - 0.5).max(0.0) + (x + 0.5).min(0.0);
    assert_eq!(values(&read(&graph(&soft)), &x), each(shrunk));
    // By masks of 0 and 1, of which one is 1 less another.
    let number = |from: &str, to: &str| node("Cast", &[from], to, &[attribute_int("to", 11)]);
    let product = |names: [&str; 2], to: &str| node("Mul", &names, to, &[]);
    let masked = [
        less.clone(),
        more.clone(),
        add("high", "below"),
        add("low", "above"),
        number("p", "is_below"),
        number("q", "is_above"),
        node("Sub", &["one", "is_above"], "is_not", &[]),
        product(["is_below", "below"], "u"),
        product(["u", "is_not"], "v"),
        product(["is_above", "above"], "w"),
        node("Add", &["v", "w"], "y", &[]),
    ];
    assert_eq!(values(&read(&graph(&masked)), &x), each(shrunk));
    // A comparison is moved as numbers are.
    let perm = |from: &str, to: &str| {
        node(
            "Transpose",
            &[from],
            to,
            &[attribute_ints("perm", &[0, 2, 1])],
        )
    };
    let first = |from: &str, to: &str| {
        let attribute = attribute_int("axis", 1);
        node("Gather", &[from, "places"], to, &[attribute])
    };
    let moved = [
        more.clone(),
        add("low", "above"),
        perm("q", "q_turned"),
        perm("above", "above_turned"),
        first("q_turned", "q_first"),
        first("above_turned", "above_first"),
        choose(["q_first", "above_first", "none"], "y"),
    ];
    let nested = [
        less.clone(),
        more.clone(),
        choose(["p", "low", "x"], "u"),
        perm("q", "q_turned"),
        perm("u", "u_turned"),
        choose(["q_turned", "high", "u_turned"], "y"),
    ];
    let constants_and_places = [&constants[..], &[ints("places", &[1, 0])]].concat();
    let network = read(&model(&[0, 2, 2], &nested, &constants));
    assert_eq!(
        values(&network, &[1.0, 2.0, -3.0, 0.25]),
        [0.5, -0.5, 0.5, 0.25]
    );
    let network = read(&model(&[0, 2, 2], &moved, &constants_and_places));
    assert_eq!(
        values(&network, &[1.0, 2.0, -3.0, 4.0]),
        [1.5, 3.5, 0.5, 0.0]
    );
    // The other way round, and with a third one.
    let turned = [
        node("Less", &["high", "x"], "q", &[]),
        node("LessOrEqual", &["x", "low"], "p", &[]),
        node("GreaterOrEqual", &["one", "x"], "r", &[]),
        choose(["p", "low", "x"], "u"),
        choose(["q", "high", "u"], "v"),
        node("Sub", &["x", "high"], "far", &[]),
        choose(["r", "v", "far"], "y"),
    ];
    let rising = |x: f64| x.clamp(-0.5, 0.5) + (x - 1.0).max(0.0);
    assert_eq!(values(&read(&graph(&turned)), &x), each(rising));
    for jumps in [
        [
            less.clone(),
            more.clone(),
            choose(["p", "low", "x"], "u"),
            choose(["q", "one", "u"], "y"),
        ],
        [
            less,
            more,
            choose(["p", "none", "none"], "u"),
            choose(["q", "x", "u"], "y"),
        ],
    ] {
        refusal(&graph(&jumps));
    }
}

/// The legacy exporters' way to write `x.view(x.size(0), -1)`, and arithmetic with sizes.
#[test]
fn what_does_not_depend_on_the_input_disappears() {
    let nodes = [
        node("Shape", &["x"], "s", &[]),
        node("Gather", &["s", "zero"], "n", &[]),
        node("Unsqueeze", &["n", "axes"], "n1", &[]),
        node(
            "Concat",
            &["n1", "rest"],
            "shape",
            &[attribute_int("axis", 0)],
        ),
        node("Reshape", &["x", "shape"], "flat", &[]),
        node("Size", &["x"], "count", &[]),
        node("Cast", &["count"], "float", &[attribute_int("to", 11)]),
        node("Sqrt", &["float"], "root", &[]),
        node("Div", &["flat", "root"], "y", &[]),
    ];
    let constants = [
        ints_of("zero", &[], &[0]),
        ints("axes", &[0]),
        ints("rest", &[-1]),
    ];
    let network = read(&model(&[0, 2, 2, 1], &nodes, &constants));
    let kinds: Vec<_> = network
        .nodes()
        .iter()
        .map(|node| node.operator.kind())
        .collect();
    assert_eq!(kinds, ["input", "flatten", "scale"]);
    assert_eq!(
        values(&network, &[2.0, 4.0, 6.0, 8.0]),
        [1.0, 2.0, 3.0, 4.0]
    );
}

#[test]
fn batches_may_be_fixed_and_moved() {
    let weight = doubles("w", &[2, 1], &[1.0, -2.0]);
    let there = node("Transpose", &["x"], "t", &[attribute_ints("perm", &[1, 0])]);
    let relu = node("Relu", &["t"], "r", &[]);
    let back = node("Transpose", &["r"], "b", &[attribute_ints("perm", &[1, 0])]);
    let last = node("MatMul", &["b", "w"], "y", &[]);
    for batch in [0, 1, 8] {
        let nodes = [there.clone(), relu.clone(), back.clone(), last.clone()];
        let network = read(&model(&[batch, 2], &nodes, std::slice::from_ref(&weight)));
        assert_eq!(network.input_shape(), [2]);
        assert_eq!(values(&network, &[3.0, 1.0, -1.0, 2.0]), [1.0, -4.0]);
    }
    // What mixes the inputs of a fixed batch is a function of all of them.
    let sum = [node("ReduceSum", &["x", "axes"], "y", &[])];
    let network = read(&model(&[3, 2], &sum, &[ints("axes", &[0])]));
    assert_eq!(network.input_shape(), [3, 2]);
    assert_eq!(
        values(&network, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        [9.0, 12.0]
    );
    let split = node("Split", &["x"], "a", &[attribute_int("axis", 0)]);
    let parts = [
        [split, bytes(2, b"b")].concat(),
        node("Sub", &["a", "b"], "y", &[]),
    ];
    let network = read(&model(&[2, 2], &parts, &[]));
    assert_eq!(values(&network, &[1.0, 2.0, 5.0, 4.0]), [-4.0, -2.0]);
    // Where that is not piecewise linear either, it is said: a symbolic batch would not help.
    let square = [
        node("ReduceSum", &["x", "axes"], "s", &[]),
        node("Mul", &["s", "s"], "y", &[]),
    ];
    let error = refusal(&model(&[3, 2], &square, &[ints("axes", &[0])]));
    for words in ["node `y` (Mul): multiplies", "node `s` mixes the 3 inputs"] {
        assert!(error.contains(words), "{error}");
    }
    // An output without a dimension of features is one number.
    let sum = [node(
        "ReduceSum",
        &["x", "axes"],
        "y",
        &[attribute_int("keepdims", 0)],
    )];
    let network = read(&model(&[0, 2], &sum, &[ints("axes", &[1])]));
    assert_eq!(values(&network, &[1.0, 2.0, 3.0, 4.0]), [3.0, 7.0]);
}

#[test]
fn nodes_come_in_any_order() {
    let nodes = [
        node("Add", &["r", "x"], "y", &[]),
        node("Relu", &["n"], "r", &[]),
        node("Neg", &["x"], "n", &[]),
    ];
    assert_eq!(
        values(&read(&model(&[0, 2], &nodes, &[])), &[-1.0, 2.0]),
        [0.0, 2.0]
    );
}

#[test]
fn a_constant_condition_takes_one_branch() {
    let branch = |kind: &str, name: &str| subgraph(&[node(kind, &["x"], name, &[])], &[name]);
    let choose = |kind: &str| {
        node(
            "If",
            &["q"],
            "z",
            &[
                attribute_graph("then_branch", &branch("Relu", "a")),
                // Not translatable, and not taken.
                attribute_graph("else_branch", &branch(kind, "b")),
            ],
        )
    };
    let compare = node("Equal", &["one", "one"], "q", &[]);
    let nodes = [compare, choose("Tanh"), node("Neg", &["z"], "y", &[])];
    let network = read(&model(&[0, 2], &nodes, &[ints_of("one", &[], &[1])]));
    assert_eq!(values(&network, &[-1.0, 2.0]), [-0.0, -2.0]);
    let open = [
        node("Greater", &["x", "zero"], "q", &[]),
        choose("Abs"),
        node("Neg", &["z"], "y", &[]),
    ];
    let message = refusal(&model(&[0, 2], &open, &[doubles("zero", &[], &[0.0])]));
    assert!(
        message.contains("branches by a number that depends on the input"),
        "{message}"
    );
}

/// A function with an attribute, called twice; and one that calls itself.
#[test]
fn functions_of_the_model_are_taken_in() {
    let reference = [bytes(1, b"alpha"), bytes(21, b"slope")].concat();
    let function = |inner: &[Vec<u8>]| {
        let head = [
            bytes(1, b"Leak"),
            bytes(10, b"own"),
            bytes(4, b"in"),
            bytes(5, b"out"),
        ]
        .concat();
        let nodes: Vec<u8> = inner.iter().flat_map(|n| bytes(7, n)).collect();
        bytes(25, &[head, bytes(6, b"slope"), nodes].concat())
    };
    let call = |from: &str, to: &str, slope: f32| {
        [
            node("Leak", &[from], to, &[attribute_float("slope", slope)]),
            bytes(7, b"own"),
        ]
        .concat()
    };
    let nodes = [call("x", "a", 0.5), call("a", "y", 0.25)];
    let leak = node("LeakyRelu", &["in"], "hidden", &[reference]);
    let body = [leak, node("Neg", &["hidden"], "out", &[])];
    let file = [model(&[0, 2], &nodes, &[]), function(&body)].concat();
    let network = read(&file);
    assert_eq!(values(&network, &[-1.0, 2.0]), [-0.5, 0.5]);
    let names: Vec<_> = network.nodes().iter().map(|node| &node.name[..]).collect();
    assert_eq!(names, ["input", "a/hidden", "a/out", "y/hidden", "y/out"]);

    let itself = [call("in", "out", 0.5)];
    let message = refusal(&[model(&[0, 2], &nodes, &[]), function(&itself)].concat());
    assert!(message.contains("nested too deeply"), "{message}");
    let many: Vec<_> = (0..50)
        .map(|i| call("in", if i == 0 { "out" } else { "other" }, 0.5))
        .collect();
    let message = refusal(&[model(&[0, 2], &nodes, &[]), function(&many[..1])].concat());
    assert!(message.contains("too"), "{message}");
}

#[test]
fn heads_are_left_out_and_said() {
    let layer = node("MatMul", &["x", "w"], "logits", &[]);
    let w = doubles("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let loaded = |nodes: &[Vec<u8>], options: &onnx::Options| {
        let bytes = model(&[0, 2], nodes, std::slice::from_ref(&w));
        onnx::from_bytes_with(&bytes, options, DType::F64, &Device::Cpu)
    };
    let any = onnx::Options::default();
    for head in ["Softmax", "LogSoftmax", "Sigmoid", "ArgMax"] {
        let nodes = [
            layer.clone(),
            node(head, &["logits"], "p", &[]),
            node("Identity", &["p"], "y", &[]),
        ];
        let found = loaded(&nodes, &any).unwrap();
        assert_eq!(
            (&found.output[..], &found.left_out[..]),
            ("logits", &["Identity".to_string(), head.into()][..])
        );
        assert_eq!(values(&found.model.network, &[1.0, 1.0]), [4.0, 6.0]);
    }
    let nodes = [
        layer.clone(),
        node("Relu", &["logits"], "hidden", &[]),
        node("Tanh", &["hidden"], "y", &[]),
    ];
    let message = loaded(&nodes, &any).unwrap_err().to_string();
    assert!(
        message.contains("node `y` (Tanh): is not piecewise linear"),
        "{message}"
    );
    let hidden = onnx::Options {
        output: Some("hidden".into()),
        ..any.clone()
    };
    assert_eq!(loaded(&nodes, &hidden).unwrap().output, "hidden");
    let none = onnx::Options {
        output: Some("none".into()),
        ..any
    };
    assert!(
        loaded(&nodes, &none)
            .unwrap_err()
            .to_string()
            .contains("has no value `none`")
    );
}

#[test]
fn open_sizes_are_given() {
    let graph = [
        bytes(1, &node("Relu", &["x"], "y", &[])),
        bytes(11, &value_info("x", &[0, 3, 0, 0])),
        bytes(12, &value_info("y", &[])),
    ];
    let file = [int(1, 8), bytes(7, &graph.concat()), bytes(8, &int(2, 13))].concat();
    assert!(refusal(&file).contains("--input-shape"));
    let with = |shape: &[usize]| {
        let options = onnx::Options {
            input_shape: Some(shape.to_vec()),
            ..Default::default()
        };
        onnx::from_bytes_with(&file, &options, DType::F64, &Device::Cpu)
    };
    assert_eq!(
        with(&[3, 4, 5]).unwrap().model.network.input_shape(),
        [3, 4, 5]
    );
    assert!(
        with(&[2, 4, 5])
            .unwrap_err()
            .to_string()
            .contains("a dimension of 3")
    );
    assert!(with(&[3, 4]).is_err());
}

/// An operator of `ai.onnx.ml`.
fn of_trees_and_lines(node: Vec<u8>) -> Vec<u8> {
    [node, bytes(7, b"ai.onnx.ml")].concat()
}

/// What a linear regression becomes, beside a network.
#[test]
fn regressors_are_affine() {
    let regressor = |more: &[Vec<u8>]| {
        let floats = attribute_floats("coefficients", &[2.0, -1.0, 0.5, 3.0]);
        let own = [&[floats, attribute_int("targets", 2)], more].concat();
        of_trees_and_lines(node("LinearRegressor", &["x"], "line", &own))
    };
    let rest = [
        node("Relu", &["x"], "r", &[]),
        node("Add", &["line", "r"], "y", &[]),
    ];
    let graph = |more: &[Vec<u8>]| model(&[0, 2], &[&[regressor(more)], &rest[..]].concat(), &[]);
    let with = read(&graph(&[attribute_floats("intercepts", &[1.0, -2.0])]));
    assert_eq!(values(&with, &[3.0, -4.0]), [14.0, -12.5]);
    assert_eq!(values(&read(&graph(&[])), &[3.0, -4.0]), [13.0, -10.5]);
    for (more, cause) in [
        (
            attribute_text("post_transform", "LOGISTIC"),
            "post_transform of LOGISTIC",
        ),
        (attribute_floats("intercepts", &[1.0]), "1 intercepts for 2"),
    ] {
        let said = refusal(&graph(&[more]));
        assert!(said.contains(cause), "{said}");
    }
    let wide = model(
        &[0, 3],
        &[regressor(&[]), node("Relu", &["line"], "y", &[])],
        &[],
    );
    assert!(
        refusal(&wide).contains("rows of 2 numbers"),
        "{}",
        refusal(&wide)
    );
}

/// Names of probabilities are left out, whatever makes these, and the message is about that.
#[test]
fn what_makes_named_probabilities_is_named() {
    let zip = of_trees_and_lines(node("ZipMap", &["p"], "y", &[]));
    let classifier = of_trees_and_lines(node("LinearClassifier", &["x"], "p", &[]));
    let said = refusal(&model(&[0, 2], &[classifier, zip.clone()], &[]));
    assert!(
        said.contains("LinearClassifier") && !said.contains("ZipMap"),
        "{said}"
    );
    let loaded = onnx::from_bytes_with(
        &model(&[0, 2], &[node("Relu", &["x"], "p", &[]), zip], &[]),
        &onnx::Options::default(),
        DType::F64,
        &Device::Cpu,
    );
    assert_eq!(loaded.unwrap().left_out, ["ZipMap"]);
}

#[test]
fn what_is_no_model_is_named() {
    let says = |bytes: &[u8], what: &str| {
        let found = refusal(bytes);
        assert!(found.contains(what), "{found}");
    };
    says(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "git lfs pull",
    );
    says(b"<!DOCTYPE html><html></html>", "a web page");
    says(b"PK\x03\x04....", "a zip archive");
    says(
        &[0x1f, 0x8b, 8, 0, 0],
        "packed by gzip, and cannot be unpacked",
    );
    let training = node(
        "BatchNormalization",
        &["x", "c", "c", "c", "c"],
        "y",
        &[attribute_int("training_mode", 1)],
    );
    says(
        &model(&[0, 1], &[training], &[doubles("c", &[1], &[1.0])]),
        "training mode",
    );
    let window = [
        attribute_ints("kernel_shape", &[1]),
        attribute_ints("pads", &[1, 1]),
    ];
    let pool = node("AveragePool", &["x"], "y", &window);
    says(&model(&[0, 1, 2], &[pool], &[]), "on padding alone");
    says(
        &model(&[0, 1], &[node("SequenceInsert", &["x"], "y", &[])], &[]),
        "docs/onnx.md",
    );
    // Where another file can be had, the message says how.
    for (operator, remedy) in [
        ("QuantizeLinear", "the file is quantised"),
        ("Xor", "is not read in this form"),
        ("Sign", "is not read in this form"),
    ] {
        let only = node(operator, &["x"], "y", &[]);
        says(&model(&[0, 1], &[only], &[]), remedy);
    }
    says(
        &model(
            &[0, 1],
            &[of_runtime(node("TransposeMatMul", &["x"], "y", &[]))],
            &[],
        ),
        "ONNX Runtime has optimised the file",
    );
    // Numbers that make no operator.
    let leaky = [attribute_float("alpha", f32::NAN)];
    says(
        &model(&[0, 1], &[node("LeakyRelu", &["x"], "y", &leaky)], &[]),
        "node `y` (LeakyRelu): activation: NaN is not finite",
    );
    // Second outputs that nobody reads do no harm; of those that are read the message names the maker.
    let window = [attribute_ints("kernel_shape", &[2])];
    let pool = [node("MaxPool", &["x"], "p", &window), bytes(2, b"places")].concat();
    let places = node("Identity", &["places"], "y", &[]);
    says(
        &model(&[0, 1, 4], &[pool, places], &[]),
        "(MaxPool): gives the places",
    );
    let drop = [node("Dropout", &["x"], "p", &[]), bytes(2, b"mask")].concat();
    let mask = node("Identity", &["mask"], "y", &[]);
    says(
        &model(&[0, 1], &[drop, mask], &[]),
        "(Dropout): gives a mask",
    );
    // A file of some hundred bytes whose windows have billions of entries.
    let window = [
        attribute_ints("kernel_shape", &[31, 31, 31]),
        attribute_ints("pads", &[15; 6]),
    ];
    let pool = node("MaxPool", &["x"], "y", &window);
    says(&model(&[0, 1, 32, 32, 32], &[pool], &[]), "entries in all");
    says(
        &model(&[0, 1], &[node("Floor", &["x"], "y", &[])], &[]),
        "not continuous",
    );
}

/// A node of ONNX Runtime's own.
fn of_runtime(node: Vec<u8>) -> Vec<u8> {
    [node, bytes(7, b"com.microsoft")].concat()
}

/// What ONNX Runtime puts into one node is the nodes that it was made of.
#[test]
fn fused_nodes_are_what_they_were_made_of() {
    let constants = [
        doubles("w", &[2, 1, 1, 2], &[1.0, -2.0, 0.5, 3.0]),
        doubles("b", &[2], &[0.25, -0.5]),
        doubles("half", &[], &[0.5]),
        doubles("m", &[4, 2], &[1.0, 0.5, -2.0, 1.5, 0.25, -1.0, 2.0, 3.0]),
    ];
    let same = |shape: &[i64], fused: &[Vec<u8>], apart: &[Vec<u8>], x: &[f64]| {
        let [fused, apart] = [fused, apart].map(|nodes| read(&model(shape, nodes, &constants)));
        assert_eq!(values(&fused, x), values(&apart, x));
        let count = |network: &loclin_models::Network| {
            let shape = [&[1], network.input_shape()].concat();
            let x = candle_core::Tensor::zeros(shape, DType::F64, &Device::Cpu).unwrap();
            network.trace(&x).unwrap().neuron_ranges().unwrap()
        };
        let counts = |network| -> Vec<usize> { count(network).iter().map(|r| r.count).collect() };
        assert_eq!(counts(&fused), counts(&apart));
    };
    let image = [-1.5, 0.5, 2.0, -0.25, 0.75, -3.0];
    let pads = attribute_ints("pads", &[0, 1, 0, 0]);
    let activation = |name: &str| attribute_text("activation", name);
    let conv = node("Conv", &["x", "w", "b"], "c", std::slice::from_ref(&pads));
    for (name, parameters, standard) in [
        ("Relu", vec![], node("Relu", &["c"], "y", &[])),
        (
            "LeakyRelu",
            vec![0.125],
            node("LeakyRelu", &["c"], "y", &[attribute_float("alpha", 0.125)]),
        ),
        (
            "Clip",
            vec![-1.0, 1.5],
            node(
                "Clip",
                &["c"],
                "y",
                &[attribute_float("min", -1.0), attribute_float("max", 1.5)],
            ),
        ),
    ] {
        let parameters = attribute_floats("activation_params", &parameters);
        let attributes = [pads.clone(), activation(name), parameters];
        let fused = of_runtime(node("FusedConv", &["x", "w", "b"], "y", &attributes));
        same(&[0, 1, 2, 3], &[fused], &[conv.clone(), standard], &image);
    }
    // With a sum, and without a bias.
    let other = node("Conv", &["x", "w"], "z", std::slice::from_ref(&pads));
    let attributes = [pads.clone(), activation("Relu")];
    let fused = of_runtime(node("FusedConv", &["x", "w", "", "z"], "y", &attributes));
    let apart = [
        node("Conv", &["x", "w"], "c", std::slice::from_ref(&pads)),
        other.clone(),
        node("Add", &["c", "z"], "s", &[]),
        node("Relu", &["s"], "y", &[]),
    ];
    same(&[0, 1, 2, 3], &[other, fused], &apart, &image);
    // Gemm has its parameters one by one.
    let attributes = [
        activation("LeakyRelu"),
        attribute_float("activation_alpha", 0.5),
        attribute_float("alpha", 2.0),
    ];
    let fused = of_runtime(node("FusedGemm", &["x", "m", "b"], "y", &attributes));
    let apart = [
        node(
            "Gemm",
            &["x", "m", "b"],
            "g",
            &[attribute_float("alpha", 2.0)],
        ),
        node("LeakyRelu", &["g"], "y", &[attribute_float("alpha", 0.5)]),
    ];
    same(&[0, 4], &[fused], &apart, &[1.0, -2.0, 0.5, 0.25]);
    // A product of transposes, times a factor.
    let attributes = [
        attribute_int("transA", 1),
        attribute_int("transB", 1),
        attribute_float("alpha", 0.5),
    ];
    let fused = of_runtime(node("FusedMatMul", &["x", "m"], "y", &attributes));
    let apart = [
        node(
            "Transpose",
            &["x"],
            "xt",
            &[attribute_ints("perm", &[0, 2, 1])],
        ),
        node(
            "Transpose",
            &["m"],
            "mt",
            &[attribute_ints("perm", &[1, 0])],
        ),
        node("MatMul", &["xt", "mt"], "p", &[]),
        node("Mul", &["p", "half"], "y", &[]),
    ];
    same(&[0, 2, 3], &[fused], &apart, &image);
    let tanh = of_runtime(node(
        "FusedGemm",
        &["x", "m", "b"],
        "y",
        &[activation("Tanh")],
    ));
    let refused = refusal(&model(&[0, 4], &[tanh], &constants));
    assert!(refused.contains("not piecewise linear"), "{refused}");
}

/// Sorted numbers, as `torch.sort` and GroupSort are exported.
#[test]
fn a_few_numbers_are_sorted() {
    let x = [0.5, -1.0, 2.0, 0.25, -3.0, 2.5, 1.0, -0.5, 0.75, -2.0];
    for (n, k, largest) in [(2, 2, 1), (5, 5, 1), (5, 3, 1), (5, 2, 0)] {
        let attributes = [attribute_int("axis", 2), attribute_int("largest", largest)];
        let sort = node("TopK", &["x", "k"], "y", &attributes);
        let network = read(&model(
            &[0, 10 / n, n],
            &[[sort, bytes(2, b"places")].concat()],
            &[ints("k", &[k])],
        ));
        let mut expected = Vec::<f64>::new();
        for row in x.chunks(n as usize) {
            let mut row = row.to_vec();
            row.sort_by(f64::total_cmp);
            if largest == 1 {
                row.reverse();
            }
            expected.extend(&row[..k as usize]);
        }
        assert_eq!(values(&network, &x), expected, "{k} of {n}");
    }
    // Along another dimension; before version 10 their number is an attribute.
    let attributes = [attribute_int("axis", 1), attribute_int("k", 1)];
    let first = node("TopK", &["x"], "y", &attributes);
    let network = read(&model(&[0, 2, 5], &[first], &[]));
    assert_eq!(values(&network, &x), [2.5, 1.0, 2.0, 0.75, -2.0]);
    let places = node("Identity", &["places"], "y", &[]);
    let sort = node("TopK", &["x", "k"], "v", &[]);
    let sort = [sort, bytes(2, b"places")].concat();
    let refused = refusal(&model(&[0, 4], &[sort, places], &[ints("k", &[2])]));
    assert!(refused.contains("places of numbers"), "{refused}");
    let many = node("TopK", &["x", "k"], "y", &[]);
    let refused = refusal(&model(&[0, 33], &[many], &[ints("k", &[33])]));
    assert!(refused.contains("at most 32"), "{refused}");
}

/// Two blocks of two pixels each, the first of which begins before the image.
#[test]
fn blocks_make_an_image() {
    let columns = ints("columns", &[1, 2, 2]);
    let nodes = |attributes: &[Vec<u8>]| {
        let blocks = node("Reshape", &["x", "columns"], "blocks", &[]);
        vec![
            blocks,
            node("Col2Im", &["blocks", "image", "block"], "y", attributes),
        ]
    };
    let of = |attributes: &[Vec<u8>], image: &[i64]| {
        model(
            &[0, 4],
            &nodes(attributes),
            &[
                columns.clone(),
                ints("image", image),
                ints("block", &[1, 2]),
            ],
        )
    };
    let pads = attribute_ints("pads", &[0, 1, 0, 0]);
    let x = [1.0, 2.0, 4.0, 8.0];
    let found = values(&read(&of(std::slice::from_ref(&pads), &[1, 2])), &x);
    assert_eq!(found, [2.0 + 4.0, 8.0]);
    let apart = attribute_ints("strides", &[1, 2]);
    let found = values(&read(&of(&[apart], &[1, 4])), &x);
    assert_eq!(found, [1.0, 4.0, 2.0, 8.0]);
    let wrong = refusal(&of(&[pads], &[2, 2]));
    assert!(
        wrong.contains("2 rows and 2 columns for 4 blocks of 2 entries"),
        "{wrong}"
    );
}

/// As `torch.nan_to_num` is exported: nothing is replaced of finite numbers.
#[test]
fn guards_against_what_is_no_number_are_left_out() {
    let constants = [
        doubles("zero", &[], &[0.0]),
        doubles("most", &[], &[1e300]),
        doubles("inf", &[], &[f64::INFINITY]),
        doubles("half", &[], &[0.5]),
    ];
    let where_ = |condition: &str, first: &str, second: &str, output: &str| {
        node("Where", &[condition, first, second], output, &[])
    };
    let nodes = [
        node("IsNaN", &["x"], "nan", &[]),
        where_("nan", "zero", "x", "a"),
        node("IsInf", &["a"], "infinite", &[]),
        node("Greater", &["a", "zero"], "positive", &[]),
        node("And", &["infinite", "positive"], "above", &[]),
        where_("above", "most", "a", "b"),
        node("Equal", &["inf", "b"], "is", &[]),
        node("Or", &["is", "above"], "either", &[]),
        where_("either", "most", "b", "c"),
        node("Relu", &["c"], "y", &[]),
    ];
    let network = read(&model(&[0, 2], &nodes, &constants));
    let x = [1.5, -2.0, -0.25, 3.0];
    assert_eq!(values(&network, &x), [1.5, 0.0, 0.0, 3.0]);
    let jumps = [
        node("Equal", &["x", "half"], "is", &[]),
        where_("is", "zero", "x", "y"),
    ];
    let why = refusal(&model(&[0, 2], &jumps, &constants));
    assert!(why.contains("(Equal): is not continuous"), "{why}");
    let open = [
        node("Greater", &["x", "zero"], "p", &[]),
        node("Greater", &["x", "half"], "q", &[]),
        node("And", &["p", "q"], "both", &[]),
        where_("both", "x", "zero", "y"),
    ];
    let why = refusal(&model(&[0, 2], &open, &constants));
    assert!(why.contains("(And): is not read in this form"), "{why}");
}

/// `h = relu(x_t + h / 2)` over the rows of the input as a loop, its states and the last one.
#[test]
fn a_loop_of_known_length_is_its_turns() {
    let body = |condition: &str| {
        let graph = [
            [
                node("Gather", &["x", "turn"], "row", &[attribute_int("axis", 1)]),
                node("Mul", &["h", "half"], "less", &[]),
                node("Add", &["row", "less"], "sum", &[]),
                node("Relu", &["sum"], "next", &[]),
                node("Identity", &["next"], "state", &[]),
                node("Less", &["turn", "two"], "early", &[]),
                node("Greater", &["sum", "half"], "large", &[]),
            ]
            .iter()
            .flat_map(|n| bytes(1, n))
            .collect::<Vec<u8>>(),
            ["turn", "go", "h"]
                .iter()
                .flat_map(|name| bytes(11, &value_info(name, &[])))
                .collect(),
            [condition, "next", "state"]
                .iter()
                .flat_map(|name| bytes(12, &value_info(name, &[])))
                .collect(),
        ];
        attribute_graph("body", &graph.concat())
    };
    let constants = [
        ints_of("most", &[], &[9]),
        ints_of("yes", &[], &[1]),
        ints_of("two", &[], &[2]),
        ints("places", &[1, 0, 2]),
        doubles("h0", &[1, 2], &[4.0, 0.0]),
        doubles("half", &[], &[0.5]),
    ];
    let of = |condition: &str, most: &str, last: Vec<Vec<u8>>| {
        let turns = node("Loop", &[most, "yes", "h0"], "last", &[body(condition)]);
        let turns = [turns, bytes(2, b"all")].concat();
        model(&[0, 3, 2], &[vec![turns], last].concat(), &constants)
    };
    let x = [1.0, -2.0, -4.0, 3.0, 0.5, -1.0];
    // Rows (1, -2), (-4, 3), (0.5, -1): the third turn is the last, as the condition says.
    let expected = [[3.0, 0.0], [0.0, 3.0], [0.5, 0.5]];
    let ends = |last: &str| vec![node("Neg", &[last], "y", &[])];
    let found = values(&read(&of("early", "most", ends("last"))), &x);
    assert_eq!(found, [-0.5, -0.5]);
    let states = vec![node(
        "Transpose",
        &["all"],
        "y",
        &[attribute_ints("perm", &[1, 0, 2])],
    )];
    let found = values(&read(&of("early", "", states)), &x);
    assert_eq!(found, expected.concat());
    let why = refusal(&of("large", "most", ends("last")));
    assert!(
        why.contains("by a number that depends on the input"),
        "{why}"
    );
    // One that never ends is refused, whatever its body.
    let why = refusal(&of("go", "", ends("last")));
    assert!(
        why.contains("names dimension 3") || why.contains("index"),
        "{why}"
    );
    let empty = [
        ["turn", "go", "h"]
            .iter()
            .flat_map(|name| bytes(11, &value_info(name, &[])))
            .collect::<Vec<u8>>(),
        ["go", "h"]
            .iter()
            .flat_map(|name| bytes(12, &value_info(name, &[])))
            .collect(),
    ];
    let forever = node(
        "Loop",
        &["", "yes", "x"],
        "y",
        &[attribute_graph("body", &empty.concat())],
    );
    let why = refusal(&model(&[0, 2], &[forever], &constants));
    assert!(why.contains("repeat too many nodes"), "{why}");
}
