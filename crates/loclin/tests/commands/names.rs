//! Names from files that hold control characters: escaped wherever a person or a table meets them.

use std::fs;

use candle_core::{DType, Device};
use loclin_models::architectures::GraphSpec;
use loclin_models::operators::OperatorSpec;
use loclin_models::{INPUT, Model};
use loclin_tensor::Parameters;

use crate::fixture::{command, small_data, text};

/// Clears a terminal, and begins a second line.
const ODD: &str = "a\u{1b}[2J\nb";
const ESCAPED: &str = "a\\u{1b}[2J\\nb";

fn linear(inputs: usize, outputs: usize) -> OperatorSpec {
    OperatorSpec::Linear {
        inputs,
        outputs,
        bias: true,
    }
}

#[test]
fn control_characters_are_escaped() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let data = small_data(dir.path());
    let mut graph = GraphSpec::new(&[1, 6, 6]);
    graph.add("flat", OperatorSpec::Flatten, &[INPUT]);
    graph.add("first", linear(36, 5), &["flat"]);
    graph.add(ODD, OperatorSpec::relu(), &["first"]);
    graph.add("last", linear(5, 3), &[ODD]);
    let network = graph
        .finish()
        .build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu));
    let model = Model {
        network: network.unwrap(),
        normalization: None,
    };
    let file = model.to_bytes().unwrap();
    fs::write(path("m.safetensors"), &file).unwrap();
    let (given, csv) = (path("m.safetensors"), path("m.csv"));
    let certify = ["certify", "--data", text(&data), "--model"];
    let output = command(&[&certify[..], &[text(&given), "--out", text(&csv)]].concat())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let rows = fs::read_to_string(&csv).unwrap();
    assert!(rows.contains(ESCAPED) && !rows.contains('\u{1b}'), "{rows}");
    let (picture, page) = (path("out.png"), path("out.html"));
    let explain = [
        &["explain", "--data", text(&data), "--input", "0", "--model"],
        &[text(&given), "--out", text(&picture)][..],
        &["--report", text(&page), "--evaluations", "10"],
    ];
    let output = command(&explain.concat()).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.contains(ESCAPED) && !stdout.contains('\u{1b}'),
        "{stdout}"
    );
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains(ESCAPED) && !html.contains('\u{1b}'));
    // The name in an error.
    let given = path("none\u{1b}[2J.safetensors");
    let output = command(&[&certify[..], &[text(&given)]].concat())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains(r"none\u{1b}[2J.safetensors") && !stderr.contains('\u{1b}'),
        "{stderr}"
    );
}
