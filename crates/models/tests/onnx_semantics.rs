//! What ONNX files mean: values that writers leave out, types of constants, calls, and what older versions say.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

#[path = "support/onnx_reader.rs"]
mod onnx_reader;
#[path = "support/onnx_writer.rs"]
mod onnx_writer;
#[path = "support/outputs.rs"]
mod outputs;

use candle_core::{DType, Device};
use flate2::{Compression, write::GzEncoder};
use loclin_models::{Network, Node, Operator, nnet, onnx};
use onnx_reader::{read, refusal};
use onnx_writer::{
    attribute_float, attribute_graph, attribute_int, attribute_ints, attribute_left_out,
    attribute_reference, attribute_text, bytes, doubles, function, int, ints, ints_of, model, node,
    singles, subgraph, tensor_head, value_info,
};
use outputs::values;
use std::io::Write;

fn kinds(network: &Network) -> Vec<String> {
    let nodes = network.nodes().iter().skip(1);
    nodes.map(|n| n.operator.kind().to_string()).collect()
}

/// With another version of the standard operators; the last one counts.
fn of_version(model: &[u8], version: i64) -> Vec<u8> {
    [model, &bytes(8, &int(2, version))].concat()
}

#[test]
fn attributes_that_are_there_without_a_value_are_zero() {
    let (float, whole) = (1, 2);
    let unary = |kind: &str, attributes: &[Vec<u8>]| {
        let nodes = [node(kind, &["x"], "y", attributes)];
        values(&read(&model(&[0, 2], &nodes, &[])), &[-1.0, 2.0])
    };
    let zero = |name: &str| attribute_left_out(name, float);
    assert_eq!(unary("LeakyRelu", &[zero("alpha")]), [0.0, 2.0]);
    assert_eq!(unary("Clip", &[zero("min")]), [0.0, 2.0]);
    let slope = attribute_float("alpha", 1.0);
    assert_eq!(unary("HardSigmoid", &[slope, zero("beta")]), [0.0, 1.0]);
    let gemm = node("Gemm", &["x", "w", "c"], "y", &[zero("beta")]);
    let w = doubles("w", &[2, 2], &[1.0, 0.0, 0.0, 1.0]);
    let c = doubles("c", &[2], &[5.0, 5.0]);
    let network = read(&model(&[0, 2], &[gemm], &[w, c]));
    assert_eq!(values(&network, &[-1.0, 2.0]), [-1.0, 2.0]);

    let axis = attribute_left_out("axis", whole);
    let concat = node("Concat", &["x", "x"], "y", std::slice::from_ref(&axis));
    let network = read(&model(&[1, 2], &[concat], &[]));
    assert_eq!(values(&network, &[-1.0, 2.0]), [-1.0, 2.0, -1.0, 2.0]);
    // [2, 2] as [1, 4], whose sum over the last dimension without it is [1], and not [2, 1].
    let nodes = [
        node("Flatten", &["x"], "flat", &[axis]),
        node(
            "ReduceSum",
            &["flat", "last"],
            "y",
            &[attribute_left_out("keepdims", whole)],
        ),
    ];
    let network = read(&model(&[2, 2], &nodes, &[ints("last", &[-1])]));
    assert_eq!(values(&network, &[1.0, 2.0, 3.0, 4.0]), [10.0]);
    // A text that is empty is no mode.
    let pads = ints("pads", &[0, 1, 0, 0]);
    let pad = node("Pad", &["x", "pads"], "y", &[attribute_left_out("mode", 3)]);
    assert!(refusal(&model(&[0, 2], &[pad], std::slice::from_ref(&pads))).contains("by mode ``"));
    let pad = node("Pad", &["x", "pads", "least"], "y", &[]);
    let least = doubles("least", &[], &[f64::NEG_INFINITY]);
    assert!(refusal(&model(&[0, 2], &[pad], &[pads, least])).contains("give the MaxPool"));
}

#[test]
fn calls_reach_into_branches() {
    let yes = node("Constant", &[], "q", &[attribute_int("value_int", 1)]);
    let branches = |graph: &[u8]| {
        [
            attribute_graph("then_branch", graph),
            attribute_graph("else_branch", graph),
        ]
    };
    let slope = attribute_reference("alpha", "slope");
    let leak = node("LeakyRelu", &["in"], "a", std::slice::from_ref(&slope));
    let inner = subgraph(&[leak], &["a"]);
    let outer = subgraph(&[node("If", &["q"], "b", &branches(&inner))], &["b"]);
    let choose = node("If", &["q"], "out", &branches(&outer));
    let leaks = function("Leak", &["in"], "out", &[yes.clone(), choose]);
    let call = |kind: &str, attributes: &[Vec<u8>]| {
        [node(kind, &["x"], "y", attributes), bytes(7, b"own")].concat()
    };
    let nodes = [call("Leak", &[attribute_float("slope", 0.5)])];
    let file = [model(&[0, 2], &nodes, &[]), leaks].concat();
    assert_eq!(values(&read(&file), &[-1.0, 2.0]), [-0.5, 2.0]);
    let nodes = [node("LeakyRelu", &["x"], "y", &[slope])];
    let message = refusal(&model(&[0, 2], &nodes, &[]));
    assert!(message.contains("no call gives it"), "{message}");

    // A function's input that the call leaves out is left out within.
    let clip = |output: &str| node("Clip", &["in", "low"], output, &[]);
    let chosen = subgraph(&[clip("a")], &["a"]);
    let nodes = [
        yes,
        node("If", &["q"], "b", &branches(&chosen)),
        clip("c"),
        node("Add", &["b", "c"], "out", &[]),
    ];
    let clips = function("Low", &["in", "low"], "out", &nodes);
    let file = [model(&[0, 2], &[call("Low", &[])], &[]), clips].concat();
    assert_eq!(values(&read(&file), &[-1.0, 2.0]), [-2.0, 4.0]);
}

/// A model that names no version of the standard operators has that of its functions.
#[test]
fn functions_say_the_version_of_operators() {
    let call = [node("Half", &["x"], "y", &[]), bytes(7, b"own")].concat();
    let own = bytes(8, &[bytes(1, b"own"), int(2, 1)].concat());
    let file = |version: &[u8]| {
        let leak = node(
            "LeakyRelu",
            &["in"],
            "out",
            &[attribute_float("alpha", 0.5)],
        );
        let half = [
            bytes(1, b"Half"),
            bytes(10, b"own"),
            bytes(4, b"in"),
            bytes(5, b"out"),
            bytes(7, &leak),
            version.to_vec(),
        ];
        let graph = [
            bytes(1, &call),
            bytes(11, &value_info("x", &[0, 2])),
            bytes(12, &value_info("y", &[])),
        ];
        [
            int(1, 8),
            bytes(7, &graph.concat()),
            own.clone(),
            bytes(25, &half.concat()),
        ]
        .concat()
    };
    let network = read(&file(&bytes(9, &int(2, 17))));
    assert_eq!(values(&network, &[-1.0, 2.0]), [-0.5, 2.0]);
    assert!(refusal(&file(&[])).contains("no version of the standard operators"));
}

/// An input that a branch alone reads is one.
#[test]
fn inputs_are_read_in_branches() {
    let other = subgraph(&[node("Neg", &["z"], "n", &[])], &["n"]);
    let branches = [
        attribute_graph("then_branch", &other),
        attribute_graph("else_branch", &other),
    ];
    let graph = [
        bytes(1, &node("If", &["q"], "b", &branches)),
        bytes(1, &node("Add", &["x", "b"], "y", &[])),
        bytes(5, &ints_of("q", &[], &[1])),
        bytes(11, &value_info("x", &[0, 2])),
        bytes(11, &value_info("z", &[0, 2])),
        bytes(12, &value_info("y", &[])),
    ];
    let file = [int(1, 8), bytes(7, &graph.concat()), bytes(8, &int(2, 13))].concat();
    assert!(refusal(&file).contains("must have one input"));
}

/// A bias is taken into a product only where nothing else reads the product, branches included.
#[test]
fn a_product_that_a_branch_reads_stays() {
    let taken = subgraph(&[node("Neg", &["p"], "n", &[])], &["n"]);
    let branches = [
        attribute_graph("then_branch", &taken),
        attribute_graph("else_branch", &taken),
    ];
    let nodes = [
        node("MatMul", &["x", "w"], "p", &[]),
        node("Add", &["p", "c"], "s", &[]),
        node("If", &["q"], "b", &branches),
        node("Add", &["s", "b"], "y", &[]),
    ];
    let constants = [
        doubles("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]),
        doubles("c", &[2], &[0.5, 0.25]),
        ints_of("q", &[], &[1]),
    ];
    let network = read(&model(&[0, 2], &nodes, &constants));
    assert_eq!(values(&network, &[1.0, 1.0]), [0.5, 0.25]);
}

/// A model of two 64-bit integers.
fn of_integers(nodes: &[Vec<u8>], constants: &[Vec<u8>]) -> Vec<u8> {
    let shape = [bytes(1, &int(1, 1)), bytes(1, &int(1, 2))].concat();
    let of_integers = bytes(2, &bytes(1, &[int(1, 7), bytes(2, &shape)].concat()));
    let graph = [
        nodes.iter().flat_map(|n| bytes(1, n)).collect(),
        constants.iter().flat_map(|c| bytes(5, c)).collect(),
        bytes(11, &[bytes(1, b"x"), of_integers].concat()),
        bytes(12, &value_info("y", &[])),
    ];
    [int(1, 8), bytes(7, &graph.concat()), bytes(8, &int(2, 13))].concat()
}

/// Integers wrap and are cut off; what only chooses among them is the same as of numbers.
#[test]
fn arithmetic_on_integers_is_refused() {
    let cast = node("Cast", &["i"], "y", &[attribute_int("to", 1)]);
    for (kind, inputs) in [
        ("Add", &["x", "x"][..]),
        ("Sub", &["x", "c"]),
        ("Mul", &["x", "c"]),
        ("Neg", &["x"]),
        ("Abs", &["x"]),
        ("ReduceMean", &["x"]),
    ] {
        let nodes = [node(kind, inputs, "i", &[]), cast.clone()];
        let message = refusal(&of_integers(&nodes, &[ints("c", &[3])]));
        assert!(
            message.contains("computes with integers"),
            "{kind}: {message}"
        );
    }
    let nodes = [
        node("Max", &["x", "c"], "m", &[]),
        node("Identity", &["m"], "i", &[]),
        node("Cast", &["i"], "f", &[attribute_int("to", 1)]),
        node("Neg", &["f"], "y", &[]),
    ];
    let network = read(&of_integers(&nodes, &[ints("c", &[3])]));
    assert_eq!(values(&network, &[1.0, 7.0]), [-3.0, -7.0]);
    // Still integers behind what chooses.
    let nodes = [
        node("Identity", &["x"], "m", &[]),
        node("Neg", &["m"], "i", &[]),
        cast,
    ];
    assert!(refusal(&of_integers(&nodes, &[])).contains("computes with integers"));
}

/// They stay integers in sequences, and in what turns of a loop or a scatter put beside one another.
#[test]
fn integers_that_are_put_together_stay_integers() {
    let twice = |of: &str| node("Add", &[of, of], "y", &[]);
    let split = node("SplitToSequence", &["x"], "s", &[attribute_int("axis", 1)]);
    let at = node("SequenceAt", &["s", "first"], "p", &[]);
    let joined = node(
        "ConcatFromSequence",
        &["s"],
        "p",
        &[attribute_int("axis", 1)],
    );
    let made = node("SequenceConstruct", &["x", "x"], "s", &[]);
    let body = [
        bytes(1, &node("Identity", &["go"], "next", &[])),
        bytes(1, &node("Identity", &["x"], "row", &[])),
        bytes(11, &value_info("turn", &[])),
        bytes(11, &value_info("go", &[])),
        bytes(12, &value_info("next", &[])),
        bytes(12, &value_info("row", &[])),
    ];
    let turns = node(
        "Loop",
        &["two", "yes"],
        "p",
        &[attribute_graph("body", &body.concat())],
    );
    let added = node(
        "ScatterElements",
        &["x", "places", "x"],
        "y",
        &[attribute_text("reduction", "add"), attribute_int("axis", 1)],
    );
    let constants = [
        ints_of("first", &[], &[0]),
        ints_of("two", &[], &[2]),
        ints_of("yes", &[], &[1]),
        ints_of("places", &[1, 2], &[0, 0]),
    ];
    let cases = [
        vec![split.clone(), at.clone(), twice("p")],
        vec![split.clone(), joined, twice("p")],
        vec![made, at.clone(), twice("p")],
        vec![turns, twice("p")],
        vec![added],
    ];
    for (case, nodes) in cases.iter().enumerate() {
        let message = refusal(&of_integers(nodes, &constants));
        assert!(
            message.contains("computes with integers"),
            "{case}: {message}"
        );
    }
    let cast = node("Cast", &["p"], "f", &[attribute_int("to", 1)]);
    let network = read(&of_integers(&[split, at, cast, twice("f")], &constants));
    assert_eq!(values(&network, &[3.0, 7.0]), [6.0]);
}

/// Divisors and factors stay those of the file: a third, and a product of two numbers, are no floating-point numbers.
#[test]
fn quotients_and_factors_are_not_rounded() {
    let nodes = [node("Div", &["x", "c"], "y", &[])];
    let network = read(&model(&[0, 2], &nodes, &[doubles("c", &[1], &[3.0])]));
    assert_eq!(kinds(&network), ["divide"]);
    assert_eq!(values(&network, &[1.0, 49.0]), [1.0 / 3.0, 49.0 / 3.0]);
    let network = read(&model(&[0, 2], &nodes, &[doubles("c", &[1], &[4.0])]));
    assert_eq!(kinds(&network), ["scale"]);
    let zero = doubles("c", &[1], &[0.0]);
    assert!(refusal(&model(&[0, 2], &nodes, &[zero])).contains("divides by 0"));
    let nodes = [node("Mean", &["x", "x", "x"], "y", &[])];
    let network = read(&model(&[0, 2], &nodes, &[]));
    assert!(kinds(&network).contains(&"divide".to_owned()));

    let gemm = [attribute_float("alpha", 0.1), attribute_float("beta", 0.1)];
    let nodes = [node("Gemm", &["x", "w", "c"], "y", &gemm)];
    let single = |name: &str, v: f32| singles(name, &[1, 1], &[v]);
    let double = |name: &str, v: f64| doubles(name, &[1, 1], &[v]);
    let network = read(&model(
        &[0, 1],
        &nodes,
        &[double("w", 0.3), double("c", 0.7)],
    ));
    // `alpha`, `beta`, and twice what says that the bias is rounded at each addition.
    let scales = |network: &Network| {
        kinds(network)
            .iter()
            .filter(|kind| *kind == "scale")
            .count()
    };
    assert_eq!(scales(&network), 4);
    // The bias for all inputs, of any shape that broadcasts, also in a batch that the file fixes.
    for (batch, shape) in [
        (0, &[][..]),
        (0, &[1]),
        (0, &[1, 1]),
        (2, &[2, 1]),
        (2, &[1]),
    ] {
        let count = shape.iter().product::<i64>() as usize;
        let bias = doubles("c", shape, &vec![0.7; count]);
        let network = read(&model(&[batch, 1], &nodes, &[double("w", 0.3), bias]));
        assert_eq!(scales(&network), 4);
        assert!(
            (values(&network, &[1.0])[0] - 0.1).abs() < 1e-8,
            "{shape:?}"
        );
    }
    let factor = f64::from(0.1_f32);
    let found = values(&network, &[1.0])[0];
    assert!(
        (found - (factor * 0.3 + factor * 0.7)).abs() < 1e-16,
        "{found}"
    );
    let infinite = [node(
        "Gemm",
        &["x", "w", "c"],
        "y",
        &[attribute_float("alpha", f32::INFINITY)],
    )];
    let message = refusal(&model(
        &[0, 1],
        &infinite,
        &[single("w", 0.3), single("c", 0.7)],
    ));
    assert!(message.contains("not finite"), "{message}");
}

/// What is selected keeps its own factors: their difference, `1 - 1/3`, is no floating-point number.
#[test]
fn selections_do_not_round_factors() {
    for (comparison, constant) in [("Greater", 3.0), ("Less", 3.0), ("Greater", 0.1)] {
        let nodes = [
            node(comparison, &["x", "zero"], "q", &[]),
            node("Div", &["x", "c"], "less", &[]),
            node("Where", &["q", "x", "less"], "y", &[]),
        ];
        let constants = [doubles("c", &[], &[constant]), doubles("zero", &[], &[0.0])];
        let network = read(&model(&[0, 1], &nodes, &constants));
        for (name, factor) in network.parameters() {
            if name.ends_with(".scale") {
                let numbers = factor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                assert!(
                    numbers.iter().all(|v| v.abs() == 1.0),
                    "{name}: {numbers:?}"
                );
            }
        }
        let chooses = |x: f64| (x > 0.0) == (comparison == "Greater");
        let right = |x: f64| if chooses(x) { x } else { x / constant };
        for x in [-49.0, -1.0, 0.0, 1.0, 49.0] {
            let (found, right) = (values(&network, &[x])[0], right(x));
            assert!(
                (found - right).abs() <= 1e-15 * right.abs(),
                "{found} {right}"
            );
        }
    }
}

/// Whether a selection is continuous is decided without rounding: by less than a rounding, these jump.
#[test]
fn comparisons_are_read_without_rounding() {
    let refused = |nodes: &[Vec<u8>], constants: &[Vec<u8>]| {
        let message = refusal(&model(&[0, 1], nodes, constants));
        assert!(message.contains("may not be continuous"), "{message}");
    };
    let third = 1.0 / 3.0;
    refused(
        &[
            node("Mul", &["x", "three"], "m", &[]),
            node("Greater", &["m", "one"], "q", &[]),
            node("Where", &["q", "x", "third"], "y", &[]),
        ],
        &[
            doubles("three", &[], &[3.0]),
            doubles("one", &[], &[1.0]),
            doubles("third", &[], &[third]),
        ],
    );
    let shifts = [
        doubles("a", &[], &[0.1]),
        doubles("b", &[], &[0.2]),
        doubles("sum", &[], &[0.1 + 0.2]),
        doubles("zero", &[], &[0.0]),
    ];
    let shifted = [
        node("Add", &["x", "a"], "m", &[]),
        node("Add", &["m", "b"], "n", &[]),
        node("Greater", &["n", "sum"], "q", &[]),
    ];
    refused(
        &[
            &shifted[..],
            &[node("Where", &["q", "x", "zero"], "y", &[])],
        ]
        .concat(),
        &shifts,
    );

    // These do not, whatever sums and quotients of their numbers are rounded to.
    let whole = [&shifted[..], &[node("Where", &["q", "n", "sum"], "y", &[])]].concat();
    let found = read(&model(&[0, 1], &whole, &shifts));
    for x in [-1.0, 0.5] {
        let sum = (x + 0.1) + 0.2;
        assert_eq!(
            values(&found, &[x])[0],
            if sum > 0.1 + 0.2 { sum } else { 0.1 + 0.2 }
        );
    }
    let parts = [
        node("Div", &["x", "three"], "m", &[]),
        node("Greater", &["m", "third"], "q", &[]),
        node("Mul", &["m", "c"], "u", &[]),
        node("Where", &["q", "u", "v"], "y", &[]),
    ];
    // `c (x / 3 - 1/3)`, with a constant that is a product without rounding.
    let constants = [
        doubles("three", &[], &[3.0]),
        doubles("third", &[], &[third]),
        doubles("c", &[], &[4.0]),
        doubles("v", &[], &[4.0 * third]),
    ];
    let found = read(&model(&[0, 1], &parts, &constants));
    for x in [-2.0, 0.0, 2.0] {
        let right = 4.0 * f64::max(x / 3.0, third);
        assert!((values(&found, &[x])[0] - right).abs() <= 1e-15);
    }
}

/// Where entries lie is not rounded: what an entry weighs is right to a rounding, also where that is little.
#[test]
fn weights_of_resized_entries_are_rounded_once() {
    let (n, m) = (300i64, 451i64);
    for place in ["half_pixel", "asymmetric", "align_corners"] {
        let how = [
            attribute_text("mode", "linear"),
            attribute_text("coordinate_transformation_mode", place),
        ];
        let nodes = [node("Resize", &["x", "", "", "s"], "y", &how)];
        let network = read(&model(&[1, n], &nodes, &[ints("s", &[1, m])]));
        let mut looked = 0;
        for entry in 0..n {
            let mut one = vec![0.0; n as usize];
            one[entry as usize] = 1.0;
            for (i, found) in (0i64..).zip(values(&network, &one)) {
                // The coordinate as a fraction.
                let (over, under) = match place {
                    "half_pixel" => ((2 * i + 1) * n - m, 2 * m),
                    "asymmetric" => (i * n, m),
                    _ => (i * (n - 1), m - 1),
                };
                let inside = over.clamp(0, (n - 1) * under);
                let right = (under - (inside - entry * under).abs()).max(0) as f64 / under as f64;
                assert!(
                    (found - right).abs() <= 2.0 * f64::EPSILON * right,
                    "{place} {i} {entry}: {found} {right}"
                );
                looked += usize::from(right > 0.0 && right < 0.01);
            }
        }
        assert!(looked > 0, "{place}");
    }
}

/// Runtimes take the corner of the result, the standard's reference that of a length with a fraction.
#[test]
fn corners_are_aligned_where_there_is_one_reading() {
    let resize = |scale: f32| {
        let how = [
            attribute_text("mode", "linear"),
            attribute_text("coordinate_transformation_mode", "align_corners"),
        ];
        let nodes = [node("Resize", &["x", "", "s"], "y", &how)];
        model(&[0, 4], &nodes, &[singles("s", &[2], &[1.0, scale])])
    };
    let found = values(&read(&resize(1.75)), &[0.0, 3.0, 6.0, 9.0]);
    let expected = [0.0, 1.5, 3.0, 4.5, 6.0, 7.5, 9.0];
    assert!(
        found
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-12),
        "{found:?}"
    );
    assert!(refusal(&resize(1.7)).contains("export with sizes"));
}

#[test]
fn casts_like_integers_are_refused() {
    let nodes = [node("CastLike", &["x", "c"], "y", &[])];
    let message = refusal(&model(&[0, 2], &nodes, &[ints("c", &[1])]));
    assert!(message.contains("not continuous"), "{message}");
    // The input may hold integers itself.
    let nodes = [
        node("Cast", &["x"], "f", &[attribute_int("to", 1)]),
        node("CastLike", &["f", "x"], "y", &[]),
    ];
    assert!(refusal(&of_integers(&nodes, &[])).contains("not continuous"));
    let nodes = [
        node("CastLike", &["x", "c"], "z", &[]),
        node("Neg", &["z"], "y", &[]),
    ];
    let network = read(&model(&[0, 2], &nodes, &[doubles("c", &[1], &[1.0])]));
    assert_eq!(values(&network, &[1.0, 2.0]), [-1.0, -2.0]);
    // A small whole number is the same in every type.
    let like = |value: f64| {
        let nodes = [
            node("CastLike", &["c", "x"], "d", &[]),
            node("Add", &["x", "d"], "y", &[]),
        ];
        model(&[0, 2], &nodes, &[doubles("c", &[1], &[value])])
    };
    assert_eq!(values(&read(&like(6.0)), &[1.0, 2.0]), [7.0, 8.0]);
    // Another one is rounded to the type of the input, which all that is computed of it has.
    assert_eq!(
        values(&read(&like(0.1)), &[0.0; 2]),
        [f64::from(0.1_f32); 2]
    );
    // Where there are several types it is not known which one.
    let nodes = [
        node("Cast", &["x"], "wide", &[attribute_int("to", 11)]),
        node("CastLike", &["c", "wide"], "d", &[]),
        node("Add", &["x", "d"], "y", &[]),
    ];
    let message = refusal(&model(&[0, 2], &nodes, &[doubles("c", &[1], &[0.1])]));
    assert!(message.contains("fold constants"), "{message}");
}

/// The sum of `x` and what the nodes make of constants, cast to doubles, for `x = 0`.
fn computed(nodes: &[Vec<u8>], constants: &[Vec<u8>]) -> Vec<f64> {
    let last = [
        node("Cast", &["c"], "d", &[attribute_int("to", 11)]),
        node("Add", &["x", "d"], "y", &[]),
    ];
    let network = read(&model(&[0, 1], &[nodes, &last].concat(), constants));
    values(&network, &vec![0.0; network.input_size()])
}

#[test]
fn constants_have_the_precision_of_their_type() {
    let (tenths, ten) = (singles("a", &[1], &[0.7]), singles("b", &[1], &[10.0]));
    // 0.7 in single precision is less than 0.7, and its product with 10 is rounded to 7.
    let nodes = [
        node("Mul", &["a", "b"], "p", &[]),
        node("Floor", &["p"], "c", &[]),
    ];
    assert_eq!(computed(&nodes, &[tenths, ten]), [7.0]);
    let sum = [
        node("Add", &["a", "b"], "s", &[]),
        node("Equal", &["s", "t"], "c", &[]),
    ];
    let one = |name: &str, value: f32| singles(name, &[1], &[value]);
    let constants = [one("a", 0.1), one("b", 0.2), one("t", 0.3)];
    assert_eq!(computed(&sum, &constants), [1.0]);
    let one = |name: &str, value: f64| doubles(name, &[1], &[value]);
    let constants = [one("a", 0.1), one("b", 0.2), one("t", 0.3)];
    assert_eq!(computed(&sum, &constants), [0.0]);
    // A half has eleven digits.
    let half = [node("Cast", &["a"], "c", &[attribute_int("to", 10)])];
    assert_eq!(computed(&half, &[one("a", 2049.0)]), [2048.0]);
    let mixed = [
        node("Add", &["a", "b"], "c", &[]),
        node("Add", &["x", "c"], "y", &[]),
    ];
    let constants = [singles("a", &[1], &[1.0]), one("b", 1.0)];
    let message = refusal(&model(&[0, 1], &mixed, &constants));
    assert!(message.contains("Single and Double"), "{message}");
}

#[test]
fn integer_constants_wrap_to_their_type() {
    let small = |name: &str, value: u8| [tensor_head(name, &[1], 2), bytes(9, &[value])].concat();
    let cast = [node("Cast", &["a"], "c", &[attribute_int("to", 2)])];
    assert_eq!(computed(&cast, &[ints("a", &[300])]), [44.0]);
    let sub = [node("Sub", &["a", "b"], "c", &[])];
    assert_eq!(computed(&sub, &[small("a", 3), small("b", 5)]), [254.0]);
    let add = [node("Add", &["a", "b"], "c", &[])];
    let word = |name: &str, value: i32| {
        [tensor_head(name, &[1], 6), bytes(9, &value.to_le_bytes())].concat()
    };
    let most = [word("a", i32::MAX), word("b", 1)];
    assert_eq!(computed(&add, &most), [f64::from(i32::MIN)]);
    // Neighbours beyond the precision of a double are told apart.
    let equal = [node("Equal", &["a", "b"], "c", &[])];
    let near = [ints("a", &[1 << 60]), ints("b", &[(1 << 60) + 1])];
    assert_eq!(computed(&equal, &near), [0.0]);
    let less = [node("Less", &["a", "b"], "c", &[])];
    let long = |name: &str, value: u64| {
        [tensor_head(name, &[1], 13), bytes(9, &value.to_le_bytes())].concat()
    };
    assert_eq!(computed(&less, &[long("a", 1), long("b", u64::MAX)]), [1.0]);
}

#[test]
fn constants_are_computed_also_by_curved_and_stepped_operators() {
    let a = |values: &[f64]| doubles("a", &[1, values.len() as i64], values);
    let soft = |version: i64, kind: &str, shape: &[i64]| {
        let nodes = [
            node(kind, &["a"], "c", &[]),
            node("Add", &["x", "c"], "y", &[]),
        ];
        let a = doubles("a", shape, &[0.0, 3f64.ln()]);
        let file = model(&[&[0], &shape[1..]].concat(), &nodes, &[a]);
        values(&read(&of_version(&file, version)), &[0.0, 0.0])
    };
    let near = |found: &[f64], expected: &[f64]| {
        let close = found
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close, "{found:?}, expected {expected:?}");
    };
    near(&soft(13, "Softmax", &[1, 2]), &[0.25, 0.75]);
    near(
        &soft(13, "LogSoftmax", &[1, 2]),
        &[0.25f64.ln(), 0.75f64.ln()],
    );
    // Before version 13 all dimensions from the first on are one.
    near(&soft(13, "Softmax", &[1, 2, 1]), &[1.0, 1.0]);
    near(&soft(12, "Softmax", &[1, 2, 1]), &[0.25, 0.75]);

    // 0.5 and 1.5 go to the even neighbour; what is too large or too small stops at the end.
    let quantize = [node("QuantizeLinear", &["a", "s", "z"], "c", &[])];
    let zero = [tensor_head("z", &[], 3), bytes(9, &[1])].concat();
    let constants = [
        a(&[1.0, 3.0, -900.0, 900.0]),
        doubles("s", &[], &[2.0]),
        zero,
    ];
    assert_eq!(computed(&quantize, &constants), [1.0, 3.0, -128.0, 127.0]);
    let gemm = node(
        "Gemm",
        &["a", "b", "x"],
        "y",
        &[attribute_float("beta", 2.0)],
    );
    let constants = [a(&[1.0, 2.0]), doubles("b", &[2, 1], &[3.0, 4.0])];
    let network = read(&model(&[0, 1], &[gemm], &constants));
    assert_eq!(values(&network, &[1.0]), [13.0]);

    let nodes = [
        node("Softsign", &["a"], "c", &[]),
        node("Add", &["x", "c"], "y", &[]),
    ];
    let message = refusal(&model(&[0, 1], &nodes, &[a(&[1.0])]));
    assert!(message.contains("is not computed here"), "{message}");
}

/// Version 10 of Resize takes the next entry where it makes fewer, and the one before where it makes more.
#[test]
fn resize_of_version_10_rounds_up_where_it_shrinks() {
    let found = |kind: &str, scale: f32| {
        let nodes = [node(kind, &["x", "s"], "y", &[])];
        let file = model(&[0, 4], &nodes, &[singles("s", &[2], &[1.0, scale])]);
        let version = if kind == "Resize" { 10 } else { 9 };
        values(&read(&of_version(&file, version)), &[1.0, 2.0, 3.0, 4.0])
    };
    assert_eq!(found("Resize", 0.6), [1.0, 3.0]);
    assert_eq!(found("Resize", 1.5), [1.0, 1.0, 2.0, 3.0, 3.0, 4.0]);
    assert_eq!(found("Upsample", 1.5), [1.0, 1.0, 2.0, 3.0, 3.0, 4.0]);
}

#[test]
fn negative_sizes_are_open() {
    let graph = [
        bytes(1, &node("Relu", &["x"], "y", &[])),
        bytes(11, &value_info("x", &[-1, -1])),
        bytes(12, &value_info("y", &[])),
    ];
    let file = [int(1, 8), bytes(7, &graph.concat()), bytes(8, &int(2, 13))].concat();
    assert!(refusal(&file).contains("--input-shape"));
    let options = onnx::Options {
        input_shape: Some(vec![2]),
        ..Default::default()
    };
    let found = onnx::from_bytes_with(&file, &options, DType::F64, &Device::Cpu);
    assert_eq!(found.unwrap().model.network.input_shape(), [2]);
}

#[test]
fn an_empty_part_matters_to_its_readers_alone() {
    let split = |last: &str| {
        let parts = node("Split", &["x", "n"], "a", &[attribute_int("axis", 1)]);
        let nodes = [
            [parts, bytes(2, b"b")].concat(),
            node("Neg", &[last], "y", &[]),
        ];
        model(&[0, 2], &nodes, &[ints("n", &[2, 0])])
    };
    assert_eq!(values(&read(&split("a")), &[1.0, 2.0]), [-1.0, -2.0]);
    let message = refusal(&split("b"));
    assert!(message.contains("which is empty"), "{message}");
}

#[test]
fn pieces_of_one_slope_are_one() {
    let alone = |nodes: Vec<u8>, constants: &[Vec<u8>]| {
        let nodes = [nodes, node("Neg", &["z"], "y", &[])];
        let network = read(&model(&[0, 2], &nodes, constants));
        (kinds(&network), values(&network, &[-1.0, 2.0]))
    };
    let same = (vec!["scale".to_string()], vec![1.0, -2.0]);
    let leak = node("LeakyRelu", &["x"], "z", &[attribute_float("alpha", 1.0)]);
    assert_eq!(alone(leak, &[]), same);
    let low = node("Max", &["x", "c"], "z", &[]);
    let least = doubles("c", &[], &[f64::NEG_INFINITY]);
    assert_eq!(alone(low, &[least]), same);
}

#[test]
fn files_packed_in_several_parts_are_whole() {
    let nodes = [node(
        "Transpose",
        &["x"],
        "t",
        &[attribute_ints("perm", &[0, 1])],
    )];
    let file = model(
        &[0, 2],
        &[&nodes[..], &[node("Neg", &["t"], "y", &[])]].concat(),
        &[],
    );
    let packed = |part: &[u8]| {
        let mut to = GzEncoder::new(Vec::new(), Compression::default());
        to.write_all(part).unwrap();
        to.finish().unwrap()
    };
    let (first, second) = file.split_at(file.len() / 2);
    let both = [packed(first), packed(second)].concat();
    assert_eq!(values(&read(&both), &[1.0, 2.0]), [-1.0, -2.0]);
}

#[test]
fn nnet_files_end_after_the_last_layer() {
    let text = "1,1,1,1,\n1,1,\n0,\n-5.0,\n5.0,\n0.0,0.0,\n1.0,1.0,\n2.0,\n0.5,\n";
    assert!(nnet::from_text(text, DType::F64, &Device::Cpu).is_ok());
    let more = format!("{text}3.0,\n4.0,\n");
    let error = nnet::from_text(&more, DType::F64, &Device::Cpu).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("after the last layer: 2 more"),
        "{message}"
    );
}

#[test]
fn outputs_that_are_steps_are_not_continuous() {
    let nodes = [
        node("Greater", &["x", "zero"], "above", &[]),
        node("Cast", &["above"], "y", &[attribute_int("to", 1)]),
    ];
    let message = refusal(&model(&[0, 2], &nodes, &[doubles("zero", &[], &[0.0])]));
    assert!(
        message.contains("result of a comparison and is not continuous"),
        "{message}"
    );
}

/// Exporters write a clip by whole numbers as the larger, then the smaller: one activation, as by other numbers.
#[test]
fn the_smaller_of_the_larger_is_a_clip() {
    let bounds = || [doubles("low", &[], &[-1.0]), doubles("high", &[], &[1.5])].to_vec();
    let pair = |first: [&str; 2], second: [&str; 2]| {
        let nodes = [
            node(first[0], &["x", first[1]], "h", &[]),
            node(second[0], &[second[1], "h"], "y", &[]),
        ];
        read(&model(&[0, 3], &nodes, &bounds()))
    };
    let (low, high) = (["Max", "low"], ["Min", "high"]);
    for network in [pair(low, high), pair(high, low)] {
        assert_eq!(kinds(&network), ["activation"]);
        assert_eq!(values(&network, &[-3.0, 0.25, 2.0]), [-1.0, 0.25, 1.5]);
    }
    // Bounds the wrong way round are no clip: the last has the last word.
    let nodes = [
        node("Max", &["x", "high"], "h", &[]),
        node("Min", &["h", "low"], "y", &[]),
    ];
    let network = read(&model(&[0, 3], &nodes, &bounds()));
    assert_eq!(values(&network, &[-3.0, 0.25, 2.0]), [-1.0; 3]);
    // A rectifier in front is an activation of its own.
    let nodes = [
        node("Relu", &["x"], "h", &[]),
        node("Min", &["h", "high"], "y", &[]),
    ];
    let network = read(&model(&[0, 3], &nodes, &bounds()));
    assert_eq!(kinds(&network), ["activation", "activation"]);
    assert_eq!(values(&network, &[-3.0, 0.25, 2.0]), [0.0, 0.25, 1.5]);
}

/// Of n entries by a scale: what ONNX Runtime and the standard's reference both say.
#[test]
fn coordinates_that_cancel_are_exact() {
    let resized = |n: i64, scale: f64, nearest: &str, expected: &[f64]| {
        let attributes = [
            attribute_text("nearest_mode", nearest),
            attribute_text("coordinate_transformation_mode", "half_pixel_symmetric"),
        ];
        let nodes = [
            node("Resize", &["x", "", "scales"], "r", &attributes),
            node("Add", &["r", "r"], "y", &[]),
        ];
        let scales = singles("scales", &[2], &[1.0, scale as f32]);
        let input: Vec<f64> = (0..n).map(|at| at as f64).collect();
        let file = of_version(&model(&[0, n], &nodes, &[scales]), 19);
        let found = values(&read(&file), &input);
        let found: Vec<f64> = found.iter().map(|twice| twice / 2.0).collect();
        assert_eq!(found, expected, "{n} by {scale}, {nearest}");
    };
    resized(2, 0.6, "round_prefer_floor", &[0.0]);
    resized(3, 0.4, "ceil", &[1.0]);
    resized(3, 1.5, "floor", &[0.0, 0.0, 1.0, 2.0]);
    resized(2, 1.7, "round_prefer_ceil", &[0.0, 1.0, 1.0]);
}

/// The third entry lies at 3.5, which in single precision is a little less.
#[test]
fn middles_that_are_rounded_are_middles() {
    let attributes = [
        attribute_text("nearest_mode", "round_prefer_ceil"),
        attribute_text("coordinate_transformation_mode", "asymmetric"),
    ];
    let nodes = [
        node("Resize", &["x", "", "", "sizes"], "r", &attributes),
        node("Add", &["r", "r"], "y", &[]),
    ];
    let file = of_version(&model(&[1, 7], &nodes, &[ints("sizes", &[1, 4])]), 19);
    let input: Vec<f64> = (0..7).map(f64::from).collect();
    assert_eq!(values(&read(&file), &input), [0.0, 4.0, 8.0, 10.0]);
}

/// What a selection looks through holds one number where all are the same, however large its value is.
#[test]
fn selections_of_large_values_take_little() {
    let mut nodes = Vec::new();
    let mut of = "x".to_owned();
    for turn in 0..24 {
        let [tenth, above, next] = ["t", "g", "w"].map(|name| format!("{name}{turn}"));
        nodes.push(node("Mul", &[&of, "tenth"], &tenth, &[]));
        nodes.push(node("Greater", &[&of, "zero"], &above, &[]));
        nodes.push(node("Where", &[&above, &of, &tenth], &next, &[]));
        of = format!("{next}f");
        nodes.push(node("Sub", &[&next, "one"], &of, &[]));
    }
    nodes.push(node(
        "ReduceMax",
        &[&of],
        "y",
        &[attribute_ints("axes", &[1, 2, 3])],
    ));
    let number = |name, value| doubles(name, &[], &[value]);
    let constants = [
        number("zero", 0.0),
        number("tenth", 0.1),
        number("one", 1.0),
    ];
    let file = model(&[0, 64, 112, 112], &nodes, &constants);
    assert_eq!(read(&file).input_size(), 64 * 112 * 112);
}

/// What the standard's reference and runtimes read in two ways is refused.
#[test]
fn two_readings_are_none() {
    let scales = singles("scales", &[2], &[1.0, 1.2]);
    let resize = node("Resize", &["x", "", "scales"], "y", &[]);
    let message = refusal(&model(&[0, 4], &[resize], &[scales]));
    assert!(message.contains("sizes in place of scales"), "{message}");
    let wrap = [attribute_text("mode", "wrap")];
    let pad = node("Pad", &["x", "pads"], "y", &wrap);
    let file = |pads: [i64; 4]| {
        let file = model(&[0, 4], std::slice::from_ref(&pad), &[ints("pads", &pads)]);
        of_version(&file, 19)
    };
    let message = refusal(&file([0, -1, 0, 2]));
    assert!(message.contains("export a Slice"), "{message}");
    assert_eq!(
        values(&read(&file([0, 1, 0, 2])), &[1.0, 2.0, 3.0, 4.0]),
        [4.0, 1.0, 2.0, 3.0, 4.0, 1.0, 2.0]
    );
}

/// Outputs of branches that nobody reads may be what cannot be had.
#[test]
fn outputs_without_readers_are_not_needed() {
    let waves = node("Tanh", &["x"], "t", &[]);
    let bends = node("Relu", &["x"], "a", &[]);
    let graph = subgraph(&[bends, waves.clone()], &["a", "t"]);
    let branches = [
        attribute_graph("then_branch", &graph),
        attribute_graph("else_branch", &graph),
    ];
    let choose = [node("If", &["q"], "y", &branches), bytes(2, b"unread")].concat();
    let yes = ints_of("q", &[], &[1]);
    let file = |nodes: &[Vec<u8>]| model(&[0, 2], nodes, std::slice::from_ref(&yes));
    assert_eq!(
        values(&read(&file(std::slice::from_ref(&choose))), &[-1.0, 2.0]),
        [0.0, 2.0]
    );
    // Where it is read, the message is of what cannot be had.
    let read_it = node("Add", &["b", "unread"], "y", &[]);
    let choose = [node("If", &["q"], "b", &branches), bytes(2, b"unread")].concat();
    let message = refusal(&file(&[choose, read_it]));
    assert!(message.contains("Tanh"), "{message}");
}

/// A slope of a double, of which 1 less it is none.
#[test]
fn leaks_of_doubles_are_written_out() {
    for slope in [0.01, 0.1, 0.2, 0.25, 0.3] {
        let nodes = [
            node("Mul", &["x", "c"], "h", &[]),
            node("Greater", &["h", "zero"], "g", &[]),
            node("Mul", &["h", "s"], "l", &[]),
            node("Where", &["g", "h", "l"], "y", &[]),
        ];
        let constants = [
            doubles("c", &[], &[1.3]),
            doubles("zero", &[], &[0.0]),
            doubles("s", &[], &[slope]),
        ];
        let found = values(&read(&model(&[0, 2], &nodes, &constants)), &[-1.0, 2.0]);
        let apart = [found[0] + 1.3 * slope, found[1] - 2.6];
        assert!(
            apart.iter().all(|apart| apart.abs() < 1e-15),
            "{slope}: {found:?}"
        );
    }
}

/// Weights of fewer bits than a byte are well formed, and not read.
#[test]
fn small_integers_are_refused_by_name() {
    let weights = [tensor_head("q", &[2], 22), bytes(9, &[0x21])].concat();
    let message = refusal(&model(
        &[0, 2],
        &[node("Add", &["x", "q"], "y", &[])],
        &[weights],
    ));
    assert!(
        message.contains("data type 22") && !message.contains("well-formed"),
        "{message}"
    );
}

/// Exporters write the largest number of the type for no bound. In another type it is one.
#[test]
fn the_largest_number_of_the_type_is_no_bound() {
    let most = f64::from(f32::MAX);
    for (bound, is_one) in [
        (singles("high", &[], &[f32::MAX]), false),
        (doubles("high", &[], &[f64::MAX]), false),
        (doubles("high", &[], &[f64::INFINITY]), false),
        (doubles("high", &[], &[most]), true),
        (doubles("high", &[], &[4e38]), true),
    ] {
        let clip = node("Clip", &["x", "", "high"], "y", &[]);
        let file = model(&[1, 2], &[clip], &[bound]);
        let network = onnx::from_bytes(&file, DType::F64, &Device::Cpu)
            .unwrap()
            .network;
        let bends = |node: &Node| matches!(node.operator, Operator::PiecewiseLinear(_));
        assert_eq!(network.nodes().iter().any(bends), is_one);
    }
}
