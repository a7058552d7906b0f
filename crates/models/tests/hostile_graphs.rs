//! Small ONNX files that ask for much: accepted or refused within a second and 100 MB.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

#[path = "support/onnx_writer.rs"]
mod onnx_writer;

use candle_core::{DType, Device};
use loclin_models::onnx;
use onnx_writer::{
    attribute_float, attribute_graph, attribute_int, attribute_ints, attribute_text, bytes,
    doubles, function, int, ints, ints_of, model, node, subgraph, tensor_head,
};
use std::time::Instant;

/// Memory that was in use at once, in MB.
fn peak() -> u64 {
    loclin_test_files::peak_memory("VmHWM").unwrap() / (1024 * 1024)
}

fn constant_of(name: &str, shape: &str) -> Vec<u8> {
    node("ConstantOfShape", &[shape], name, &[])
}

/// Nodes of one kind, one after the other.
fn chain(kind: &str, first: &str, second: &str, count: usize) -> Vec<Vec<u8>> {
    let name = |i: usize| {
        if i == 0 {
            first.to_string()
        } else {
            format!("c{i}")
        }
    };
    (0..count)
        .map(|i| node(kind, &[&name(i), second], &name(i + 1), &[]))
        .collect()
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let side = ints("side", &[1 << 13, 1 << 13]);
    let thousand = ints("thousand", &[1000, 1000]);
    let huge = ints("huge", &[1 << 28]);
    let million = ints("million", &[1 << 20]);
    let add = |name: &'static str, made: Vec<Vec<u8>>, constants: &[Vec<u8>]| {
        let nodes = [made, vec![node("Add", &["x", "k"], "y", &[])]].concat();
        (name, model(&[1, 2], &nodes, constants))
    };
    let squares = [
        vec![constant_of("c0", "thousand"), constant_of("m", "thousand")],
        chain("MatMul", "c0", "m", 40),
        vec![node("ReduceSum", &["c40"], "k", &[])],
    ]
    .concat();
    let range = ["from", "to", "by"]
        .map(|name| ints_of(name, &[], &[if name == "to" { 1 << 40 } else { 1 }]));
    let window = |kind: &str, kernel: i64, pads: i64| {
        let attributes = [
            attribute_ints("kernel_shape", &[kernel]),
            attribute_ints("pads", &[pads, pads]),
        ];
        model(
            &[1, 1, 100_000],
            &[node(kind, &["x"], "y", &attributes)],
            &[],
        )
    };
    let volume = [tensor_head("k", &[16, 1, 1, 1, 1], 11), bytes(9, &[0; 128])].concat();
    let shrunk = [
        attribute_text("mode", "linear"),
        attribute_int("antialias", 1),
    ];
    let shrunk = node("Resize", &["x", "", "", "one"], "y", &shrunk);
    vec![
        add(
            "a constant of many numbers",
            vec![constant_of("k", "side")],
            std::slice::from_ref(&side),
        ),
        add(
            "a list of many numbers",
            vec![constant_of("k", "huge")],
            &[huge],
        ),
        add("powers of a matrix", squares, &[thousand]),
        add(
            "a long range",
            vec![node("Range", &["from", "to", "by"], "k", &[])],
            &range,
        ),
        add(
            "many constants of a million",
            (0..400)
                .map(|i| constant_of(&format!("c{i}"), "million"))
                .chain([node("ReduceSum", &["c399"], "k", &[])])
                .collect(),
            &[million],
        ),
        (
            "running sums",
            model(
                &[1, 1 << 20],
                &[node("CumSum", &["x", "one"], "y", &[])],
                &[ints_of("one", &[], &[1])],
            ),
        ),
        (
            "a mask",
            model(
                &[1, 1 << 13, 1 << 13],
                &[node("Trilu", &["x"], "y", &[])],
                &[],
            ),
        ),
        ("a wide mean", window("AveragePool", 1 << 27, 1 << 26)),
        ("a wide maximum", window("MaxPool", 1 << 27, 1 << 26)),
        (
            "a band",
            model(
                &[1, 1, 1 << 14, 1, 1],
                &[node("Conv", &["x", "k"], "y", &[])],
                &[volume],
            ),
        ),
        (
            "many to one",
            model(&[1, 1, 1 << 27], &[shrunk], &[ints("one", &[1, 1, 1])]),
        ),
        (
            "slopes",
            model(
                &[1, 1 << 13, 1 << 13],
                &[node("PRelu", &["x", "s"], "y", &[])],
                &[doubles("s", &[1, 2], &[0.1, 0.2])],
            ),
        ),
        ("a million weights", {
            let up = [node(
                "Resize",
                &["x", "", "", "million"],
                "y",
                &[attribute_text("mode", "cubic")],
            )];
            model(&[1, 6], &up, &[ints("million", &[1, 1 << 20])])
        }),
        ("doubling", doubling()),
        ("comparisons of comparisons", {
            let nodes = [
                chain("Greater", "x", "x", 400),
                vec![node("Where", &["c400", "x", "x"], "y", &[])],
            ]
            .concat();
            model(&[1, 2], &nodes, &[])
        }),
        ("sums of sums", {
            let name = |i: usize| {
                if i == 0 {
                    "x".to_string()
                } else {
                    format!("c{i}")
                }
            };
            let sum = |i: usize| node("Sum", &vec![&name(i)[..]; 60], &name(i + 1), &[]);
            let last = [
                node("Greater", &["c20", "x"], "q", &[]),
                node("Where", &["q", "c20", "x"], "y", &[]),
            ];
            model(
                &[1, 2],
                &[(0..20).map(sum).collect(), last.to_vec()].concat(),
                &[],
            )
        }),
        ("parts of nothing, many of them", {
            let size = node("SequenceLength", &["parts"], "count", &[]);
            of_nothing(
                &[node("SplitToSequence", &["z"], "parts", &[]), size],
                1 << 61,
            )
        }),
        ("a part of nothing that is long", {
            let cut = node("Slice", &["z", "from", "to"], "part", &[]);
            of_nothing(&[cut, node("Size", &["part"], "count", &[])], 1 << 40)
        }),
        ("nothing beside nothing", {
            let joined = node("Concat", &["z", "z"], "both", &[attribute_int("axis", 1)]);
            of_nothing(&[joined, node("Size", &["both"], "count", &[])], 1 << 40)
        }),
        ("a branch that is read for each of many calls", {
            let unused = |i: usize| node("Identity", &["a"], &format!("u{i}"), &[]);
            let wide: Vec<Vec<u8>> = (0..600).map(unused).collect();
            let branch = subgraph(&wide, &["u0"]);
            let branches = [("then_branch", &branch), ("else_branch", &branch)];
            let branches = branches.map(|(name, graph)| attribute_graph(name, graph));
            let chosen = node("If", &["c"], "b", &branches);
            let call = |i: usize| {
                let (from, to) = (format!("k{i}"), format!("k{}", i + 1));
                let from = if i == 0 { "x" } else { &from };
                [node("F", &[from], &to, &[]), bytes(7, b"own")].concat()
            };
            let calls: Vec<Vec<u8>> = (0..500).map(call).collect();
            let last = node("Relu", &["k500"], "y", &[]);
            let constant = node("Greater", &["two", "one"], "c", &[]);
            let numbers = ["one", "two"].map(|name| {
                node(
                    "Constant",
                    &[],
                    name,
                    &[attribute_float("value_float", name.len() as f32)],
                )
            });
            let body = [numbers.to_vec(), vec![constant, chosen]].concat();
            [
                model(&[1, 2], &[calls, vec![last]].concat(), &[]),
                function("F", &["a"], "b", &body),
            ]
            .concat()
        }),
        ("copies", {
            let nodes = chain("Tile", "x", "twice", 200);
            let last = node("Clip", &["c200"], "y", &[attribute_float("min", 0.0)]);
            model(
                &[1, 2],
                &[nodes, vec![last]].concat(),
                &[ints("twice", &[1, 2])],
            )
        }),
    ]
}

/// A model that adds a number `count` of a constant `z` without numbers, but with so many rows.
fn of_nothing(nodes: &[Vec<u8>], rows: i64) -> Vec<u8> {
    let cast = node("Cast", &["count"], "k", &[attribute_int("to", 11)]);
    let nodes = [nodes, &[cast, node("Add", &["x", "k"], "y", &[])]].concat();
    let constants = [
        doubles("z", &[rows, 0], &[]),
        ints("from", &[0]),
        ints("to", &[rows]),
    ];
    model(&[1, 2], &nodes, &constants)
}

/// Functions that each call the one before twice.
fn doubling() -> Vec<u8> {
    let call = |name: &str, from: &str, to: &str| {
        [node(name, &[from], to, &[]), bytes(7, b"own")].concat()
    };
    let function = |i: usize| {
        let name = format!("f{i}");
        let head = [
            bytes(1, name.as_bytes()),
            bytes(10, b"own"),
            bytes(4, b"in"),
            bytes(5, b"out"),
        ]
        .concat();
        let below = format!("f{}", i.saturating_sub(1));
        let nodes = match i {
            0 => vec![node("Relu", &["in"], "out", &[])],
            _ => vec![call(&below, "in", "mid"), call(&below, "mid", "out")],
        };
        bytes(
            25,
            &[head, nodes.iter().flat_map(|n| bytes(7, n)).collect()].concat(),
        )
    };
    let functions: Vec<u8> = (0..20).flat_map(function).collect();
    [model(&[1, 2], &[call("f19", "x", "y")], &[]), functions].concat()
}

#[test]
fn small_files_cost_little() {
    for (name, file) in files() {
        assert!(file.len() < 40_000, "{name}: {} bytes", file.len());
        let (start, before) = (Instant::now(), peak());
        let found = onnx::from_bytes(&file, DType::F64, &Device::Cpu);
        let (seconds, memory) = (start.elapsed().as_secs_f64(), peak() - before);
        // The machine may be busy.
        assert!(
            seconds < 5.0 && memory < 100,
            "{name}: {seconds} s, {memory} MB, {:?}",
            found.err()
        );
    }
    // Version and graph alone.
    onnx::from_bytes(
        &[bytes(7, &[]), bytes(8, &int(2, 13))].concat(),
        DType::F64,
        &Device::Cpu,
    )
    .unwrap_err();
}
