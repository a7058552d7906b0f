//! The page of files and fields has all of them: every key of `--json`, every column of a table, every key of `metrics.jsonl`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use image::{ImageFormat, RgbImage};
use loclin::program::check::Failure;
use loclin::program::config::KEYS;
use loclin::program::fetch::{Fetched, FetchedFile, Status};
use serde_json::Value;

use crate::fixture::{command, demo_config, model, small_data};

/// Commands with the section that lists what they print.
const RUNS: &str = "
init --json: init --architecture net.toml --out net.safetensors
certify --json: certify --model leaky.onnx --data leaky.npy --domain ends.npy --classes names.txt --at 0.01 --upper --out margins.csv
certify --json: certify --model net.safetensors --data photos --out files.csv
certify --json: merge margins.csv --out merged.csv
check --json: check margins.csv --model leaky.onnx --data leaky.npy --domain ends.npy --classes names.txt
bound --json: bound --model leaky.onnx --data leaky.npy --limit 1 --eps 0.02 --what sign --largest --time 0 --out signs.csv
bound --json: bound --model leaky.onnx --data leaky.npy --limit 1 --eps 0.02 --what class --time 0 --out classes.csv --proof proof.json
bound --json: bound --model net.safetensors --data photos --limit 1 --eps 1e-9 --time 0 --out pictures.csv
distortion --json: distortion --model m.safetensors --data ./data --limit 2 --samples 5 --population 4 --generations 1 --out distortion
explain --json: explain --model m.safetensors --data ./data --input 0 --evaluations 20 --steps 5 --smooth 2 --out numbers.csv
train --json: train --config base.toml --out run
metrics --json: metrics run --csv metrics.csv
sweep --json: sweep --config sweep.toml --out sweep
sweep --dry-run --json: sweep --config sweep.toml --out sweep --dry-run
config --json: config list
config --json: config show demo
config --json: config init demo --out mine.toml";

/// What they wrote, with its section.
const FILES: [(&str, &str); 12] = [
    ("certify --out", "margins.csv"),
    ("certify --out", "files.csv"),
    ("bound --out", "signs.csv"),
    ("bound --out", "classes.csv"),
    ("bound --out", "pictures.csv"),
    ("bound --proof", "proof.json"),
    ("distortion.csv", "distortion/distortion.csv"),
    ("explain --out", "numbers.csv"),
    ("metrics.jsonl", "run/metrics.jsonl"),
    ("metrics --csv", "metrics.csv"),
    ("results.csv", "sweep/results.csv"),
    ("results.json", "sweep/results.json"),
];

/// With a run that diverges.
const SWEEP: &str = "base = \"base.toml\"\nvanilla = \"vanilla.toml\"\nsearch = \"grid\"\nfolds = 2\n\
    [vary]\nlambda = [0.5, 1e30]\n[[select]]\nname = \"any\"\npoints_less = 100\n";

const NETWORK: &str = "[architecture]\nkind = \"resnet\"\nfamily = \"cifar\"\ninput_shape = [3, 8, 8]\nwidth = 2\n\
    blocks = [1, 1]\nclasses = 3\n";

/// A file of the repository, where the tests lie in it.
fn found(name: &str) -> Option<PathBuf> {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut files = folders.map(|folder| folder.join(name));
    files.find(|file| file.is_file())
}

/// What the commands read.
fn prepare(dir: &Path) {
    small_data(dir);
    model(&dir.join("m.safetensors"), &[1, 6, 6], &[7]);
    for name in ["leaky.onnx", "leaky.npy"] {
        let file = found(&format!("tests/evidence/{name}")).unwrap();
        fs::copy(file, dir.join(name)).unwrap();
    }
    let ends = Tensor::new(&[[-9f64; 6], [9.0; 6]], &Device::Cpu).unwrap();
    ends.write_npy(dir.join("ends.npy")).unwrap();
    for class in ["a", "b", "c"] {
        let folder = dir.join("photos").join(class);
        fs::create_dir_all(&folder).unwrap();
        let picture = RgbImage::new(8, 8);
        let saved = picture.save_with_format(folder.join("1.png"), ImageFormat::Png);
        saved.unwrap();
    }
    let demo = fs::read_to_string(demo_config()).unwrap();
    let own = "dataset = \"./data\"\nhidden = [7]\nepochs = 1";
    let config = |loss: &str| {
        let mut table: toml::Table = demo.parse().unwrap();
        let changed: toml::Table = format!("{own}\nloss = {loss:?}").parse().unwrap();
        table.extend(changed);
        table.to_string()
    };
    for (name, text) in [
        ("names.txt", "a\nb\nc\n".to_owned()),
        ("net.toml", NETWORK.to_owned()),
        ("sweep.toml", SWEEP.to_owned()),
        ("base.toml", config("roll")),
        ("vanilla.toml", config("vanilla")),
    ] {
        fs::write(dir.join(name), text).unwrap();
    }
}

/// Every key, those of objects in objects or lists as `a.b`.
fn keys(value: &Value, above: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(own) => {
            for (key, value) in own {
                let key = format!("{above}{key}");
                keys(value, &format!("{key}."), found);
                found.insert(key);
            }
        }
        Value::Array(own) => own.iter().for_each(|value| keys(value, above, found)),
        _ => {}
    }
}

/// The section that lists a key, and what it is called there; `None` for names that are the user's, and for percentiles.
fn place(section: &str, key: &str) -> Option<(String, String)> {
    let key = key.replace("largest.curve.", "bounds.");
    let (above, last) = key.rsplit_once('.').unwrap_or(("", key.as_str()));
    let is_given = above.ends_with("varied") || key.starts_with("data.");
    if is_given || ["p25", "p50", "p75", "p100"].contains(&last) {
        return None;
    }
    let is_shared = ["preprocessing", "domain"]
        .iter()
        .any(|own| above.ends_with(own));
    let is_epoch = above.ends_with("best") || above == "epochs";
    let is_of_sweep = ["rows", "means", "selected"]
        .iter()
        .any(|own| above.starts_with(own));
    Some(match section {
        _ if is_shared => {
            let object = above.rsplit('.').next().unwrap_or(above);
            ("What all of them share".into(), format!("{object}.{last}"))
        }
        _ if is_epoch => ("metrics.jsonl".into(), last.to_owned()),
        "results.json" if is_of_sweep => ("sweep --json".into(), key),
        _ => (section.to_owned(), key),
    })
}

/// A key with what stands for norms and reasons, or for a key of the configuration.
fn general(key: &str) -> String {
    if KEYS.iter().any(|own| own.name == key) {
        return "KEY".to_owned();
    }
    let word = |word: &str| match word.split_once('_') {
        Some((of @ ("eps" | "upper"), "1" | "2" | "inf")) => format!("{of}_P"),
        _ if ["boundary", "tie", "undecided"].contains(&word) => "REASON".to_owned(),
        _ => word.to_owned(),
    };
    key.split('.').map(word).collect::<Vec<_>>().join(".")
}

/// Whether a section of the page has a key in backticks.
fn has(page: &str, section: &str, key: &str) -> bool {
    let headings = [format!("### `{section}`"), format!("## {section}")];
    let lines = page
        .lines()
        .skip_while(|line| !headings.iter().any(|own| own == line));
    let mut own = lines.skip(1).take_while(|line| !line.starts_with('#'));
    let words = [key.to_owned(), general(key)].map(|word| format!("`{word}`"));
    own.any(|line| words.iter().any(|word| line.contains(word)))
}

#[test]
fn the_page_of_files_has_every_key_and_every_column() {
    let Some(page) = found("docs/files.md") else {
        loclin_test_files::skipped("no docs/files.md");
        return;
    };
    let page = fs::read_to_string(page).unwrap();
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let mut written: BTreeSet<(String, String)> = BTreeSet::new();
    let mut add = |section: &str, value: &Value| {
        let mut own = BTreeSet::new();
        keys(value, "", &mut own);
        written.extend(own.iter().filter_map(|key| place(section, key)));
    };
    for (section, arguments) in RUNS.lines().filter_map(|line| line.split_once(": ")) {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let mut run = command(&arguments);
        let run = run.args(["--json", "--quiet"]).current_dir(dir.path());
        let output = run.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        add(section, &value);
    }
    for (section, file) in FILES {
        let text = fs::read_to_string(dir.path().join(file)).unwrap();
        let first = text.lines().next().unwrap();
        let object: Value = match file.rsplit_once('.') {
            Some((_, "csv")) => first.split(',').map(|name| (name, Value::Null)).collect(),
            Some((_, "jsonl")) => serde_json::from_str(first).unwrap(),
            _ => serde_json::from_str(&text).unwrap(),
        };
        add(section, &object);
    }
    // What takes a network, or a result that is wrong.
    let (path, sha256) = (PathBuf::new(), String::new());
    let fetched = Fetched {
        dataset: "mnist".into(),
        directory: PathBuf::new(),
        files: vec![FetchedFile {
            path,
            status: Status::Kept,
            sha256,
        }],
    };
    add("fetch --json", &serde_json::to_value(fetched).unwrap());
    let failures = serde_json::json!({ "failures": [Failure::default()] });
    add("check --json", &failures);
    // What the page says of parts of a proof is that they are internal.
    let is_internal =
        |key: &str| key.starts_with("statements.question.") || key.starts_with("statements.steps.");
    let missing: Vec<String> = written
        .iter()
        .filter(|(section, key)| !is_internal(key) && !has(&page, section, key))
        .map(|(section, key)| format!("{section}: `{key}`"))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/files.md lacks\n{}",
        missing.join("\n")
    );
}
