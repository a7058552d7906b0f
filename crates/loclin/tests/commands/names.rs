//! Names from files that hold control characters: escaped wherever a person or a table meets them.

use std::fs;

use candle_core::{DType, Device};
use loclin_models::architectures::GraphSpec;
use loclin_models::operators::OperatorSpec;
use loclin_models::{INPUT, Model};
use loclin_tensor::Parameters;

use crate::fixture::{command, json, model, small_data, text};

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

/// What a table calls a file, `check` finds again, whatever the name holds.
#[cfg(target_os = "linux")]
#[test]
fn odd_names_of_files_are_checked() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    model(&path("m.safetensors"), &[3, 4, 4], &[5]);
    let classes = [&b"a\x1b[2J"[..], b"b\xff"];
    for (pixel, class) in (0u8..).zip(classes) {
        let folder = path("photos").join(OsStr::from_bytes(class));
        fs::create_dir_all(&folder).unwrap();
        let image = image::RgbImage::from_pixel(4, 4, image::Rgb([90 * pixel, 3, 7]));
        image.save(folder.join("0.png")).unwrap();
        fs::rename(
            folder.join("0.png"),
            folder.join(OsStr::from_bytes(b"\xfe\n.png")),
        )
        .unwrap();
    }
    let (model, data, table) = (path("m.safetensors"), path("photos"), path("m.csv"));
    let about = ["--model", text(&model), "--data", text(&data)];
    json(&[&["certify", "--out", text(&table)][..], &about].concat());
    let check = [&["check", text(&table)][..], &about].concat();
    let found = json(&check);
    assert_eq!(found["checked"], 2, "{found}");
    // Another file is another.
    let text = fs::read_to_string(&table).unwrap();
    fs::write(&table, text.replace("a\\u{1b}", "a")).unwrap();
    let output = command(&check).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains(r"the data's is `") && stdout.contains(r"a\u{1b}[2J"));
}
