//! `certify --deployed`, and why radii are 0.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::fixture::{command, json, model, text};
use crate::refusal::refused;

/// The cells of a column.
fn column(path: &Path, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let at = reader
        .headers()
        .unwrap()
        .iter()
        .position(|header| header == name)
        .unwrap();
    reader
        .records()
        .map(|record| record.unwrap()[at].to_owned())
        .collect()
}

/// Certifies forty digits into a table.
fn certify(model: &Path, out: &Path, more: &[&str]) -> Value {
    let (model, out) = (text(model), text(out));
    let fixed = [
        "certify", "--model", model, "--data", "digits", "--limit", "40", "--force", "--out", out,
    ];
    json(&[&fixed[..], more].concat())
}

/// Whether `check` finds that the table holds.
fn holds(model: &Path, out: &Path) -> bool {
    let (model, out) = (text(model), text(out));
    let arguments = [
        "check", out, "--model", model, "--data", "digits", "--quiet",
    ];
    command(&arguments).output().unwrap().status.success()
}

#[test]
fn radii_of_evaluations_are_a_little_smaller_and_hold() {
    let dir = tempfile::tempdir().unwrap();
    let [file, proved, single] =
        ["m.safetensors", "p.csv", "s.csv"].map(|name| dir.path().join(name));
    model(&file, &[1, 28, 28], &[9, 6]);
    let claim = |out: &Path, more: &[&str]| certify(&file, out, more)["guarantee"].clone();
    assert_eq!(claim(&proved, &[]), "proved");
    assert_eq!(claim(&single, &["--deployed", "f32"]), "deployed(f32)");
    assert!(
        column(&single, "guarantee")
            .iter()
            .all(|claim| claim == "deployed(f32)")
    );
    let arguments = [
        "check",
        text(&single),
        "--model",
        text(&file),
        "--data",
        "digits",
    ];
    assert_eq!(json(&arguments)["deployed"], 40);
    for name in ["eps_1", "eps_2", "eps_inf"] {
        let [proved, single] = [&proved, &single].map(|path| column(path, name));
        let mut close = 0;
        for (proved, single) in proved.iter().zip(&single) {
            let [proved, single] = [proved, single].map(|text| text.parse::<f64>().unwrap());
            assert!(single < proved, "{single} {proved}");
            close += usize::from(single > 0.5 * proved);
        }
        assert!(close > 20, "{close} of 40");
    }
    assert!(holds(&file, &single));
    // In half precision a sum of 784 products says nothing: that is an answer, too.
    let half = certify(&file, &single, &["--deployed", "f16"]);
    let undecided = &half["zero"]["undecided"];
    assert!(
        undecided["inputs"].as_u64().unwrap() > 0 && undecided["layer"].is_string(),
        "{half}"
    );
    let data = "certify --model @m.safetensors --data digits --limit 2 --deployed";
    refused(
        dir.path(),
        &format!("{data} f64"),
        2,
        "expected f32, f16 or bf16",
    );
    refused(
        dir.path(),
        &format!("{data} f32 --dtype f32"),
        2,
        "needs --dtype f64",
    );
    refused(
        dir.path(),
        &format!("{data} f32 --failure-probability 1e-9"),
        2,
        "cannot be used with",
    );
}

#[test]
fn a_true_radius_is_between_two_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let [file, out] = ["m.safetensors", "m.csv"].map(|name| dir.path().join(name));
    model(&file, &[1, 28, 28], &[9, 6]);
    certify(&file, &out, &["--upper"]);
    for norm in ["1", "2", "inf"] {
        let [low, high] = ["eps", "upper"].map(|kind| column(&out, &format!("{kind}_{norm}")));
        for (low, high) in low.iter().zip(&high) {
            let [low, high] = [low, high].map(|text| text.parse::<f64>().unwrap());
            assert!(low <= high && high <= low * (1.0 + 1e-6), "{low} {high}");
        }
    }
    assert!(holds(&file, &out));
    let line = "certify --model @m.safetensors --data digits --upper";
    refused(dir.path(), line, 2, "--out");
}

#[test]
fn a_radius_of_0_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("m.csv");
    // Black pictures: all entries under a window are equal.
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1, 8, 8), }";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let padded = format!("{header:117}\n");
    bytes.extend((padded.len() as u16).to_le_bytes());
    bytes.extend(padded.as_bytes());
    bytes.extend([0u8; 128]);
    let data = dir.path().join("x.npy");
    fs::write(&data, bytes).unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = own
        .ancestors()
        .map(|folder| folder.join("tests/evidence/max-pool.onnx"));
    let model = model.into_iter().find(|file| file.is_file()).unwrap();
    let arguments = [
        "certify",
        "--model",
        text(&model),
        "--data",
        text(&data),
        "--force",
        "--out",
        text(&out),
    ];
    let found = json(&arguments);
    assert_eq!(found["zero"]["tie"]["inputs"], 2, "{found}");
    assert_eq!(column(&out, "position"), ["tie", "tie"]);
    assert_eq!(column(&out, "eps_2"), ["0", "0"]);
    let output = command(&[&arguments[..], &["--quiet"]].concat())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.contains("margin 0   2 inputs, first 0 (p, channel 0, "),
        "{stdout}"
    );
    assert!(
        stdout.contains("entries of a maximum are exactly equal")
            && stdout.contains("average pooling"),
        "{stdout}"
    );
}
