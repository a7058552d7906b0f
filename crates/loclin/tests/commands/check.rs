//! `check`: true tables hold, and what is not true is found.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_data::npy;
use loclin_models::operators::{Activation, Linear, Translate};
use loclin_models::{Model, NetworkBuilder};
use serde_json::Value;

use crate::fixture::{command, json, model, small_data, text};
use crate::refusal::refused;

/// A model, its data and a table of margins in a directory.
struct Certified {
    dir: tempfile::TempDir,
}

impl Certified {
    fn new(hidden: &[usize], dtype: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        small_data(dir.path());
        let certified = Self { dir };
        model(&certified.path("m.safetensors"), &[1, 6, 6], hidden);
        certified.certify(&["--dtype", dtype]);
        certified
    }

    fn certify(&self, more: &[&str]) {
        let (file, data) = (self.path("m.safetensors"), self.path("data"));
        let fixed = ["certify", "--model", text(&file), "--data", text(&data)];
        let out = self.path("m.csv");
        json(&[&fixed[..], &["--out", text(&out), "--force"], more].concat());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Changes the table, cell by cell: line, column, content.
    fn edit(&self, change: impl Fn(usize, usize, &str) -> String) {
        let table = fs::read_to_string(self.path("m.csv")).unwrap();
        let line = |(line, text): (usize, &str)| {
            let cells = text.split(',').enumerate();
            let cells: Vec<String> = cells.map(|(at, cell)| change(line, at, cell)).collect();
            cells.join(",") + "\n"
        };
        let changed: String = table.lines().enumerate().map(line).collect();
        fs::write(self.path("m.csv"), changed).unwrap();
    }

    /// Multiplies the radii of one line, or of all (0).
    fn scale(&self, only: usize, factor: f64) {
        self.edit(|line, at, cell| match (line, at) {
            (1.., 3..=5) if only == 0 || line == only => {
                (cell.parse::<f64>().unwrap() * factor).to_string()
            }
            _ => cell.to_owned(),
        });
    }

    /// What the command says with `--json`, and its exit code.
    fn check(&self, more: &[&str]) -> (i32, Value) {
        let (code, stdout) = self.run(&[more, &["--json"]].concat());
        (code, serde_json::from_str(&stdout).unwrap())
    }

    fn run(&self, more: &[&str]) -> (i32, String) {
        let paths = ["m.csv", "m.safetensors", "data"].map(|name| self.path(name));
        let [table, file, data] = &paths;
        let fixed = [
            "check",
            text(table),
            "--model",
            text(file),
            "--data",
            text(data),
        ];
        let output = command(&[&fixed[..], &["--quiet"], more].concat())
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        // What was done to the inputs comes first, for people.
        let rest = match stdout.split_once('\n') {
            Some((first, rest)) if first.starts_with("inputs: ") => rest.to_owned(),
            _ => stdout,
        };
        (output.status.code().unwrap(), rest)
    }
}

#[test]
fn a_true_table_holds() {
    let certified = Certified::new(&[9, 5], "f64");
    let (code, stdout) = certified.run(&["--sample", "12", "--seed", "3"]);
    assert_eq!(
        (code, &stdout[..]),
        (0, "checked 12 of 40 rows: all hold\n")
    );
    let (code, found) = certified.check(&["--sample", "100"]);
    assert_eq!(
        (code, &found["checked"], &found["undecided"]),
        (0, &40.into(), &0.into())
    );
    assert_eq!(found["failures"], Value::Array(Vec::new()));
}

/// Shifts of 1e16 there and back, of which double precision loses the number between: its class is another one than the network's, and
/// both may stand in a table.
#[test]
fn a_class_that_double_precision_finds_holds() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let tensor =
        |values: &[f64], shape: &[usize]| Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
    let mut network = NetworkBuilder::new(&[1]).unwrap();
    let mut parameters = HashMap::new();
    for (name, shift) in [("there", 1e16), ("back", -1e16)] {
        parameters.insert(format!("{name}.shift"), tensor(&[shift], &[1]));
    }
    parameters.insert("last.weight".into(), tensor(&[1.0, 0.0, 0.0], &[3, 1]));
    parameters.insert("last.bias".into(), tensor(&[0.0, 0.2, -1.0], &[3]));
    let vars = VarBuilder::from_tensors(parameters, DType::F64, &Device::Cpu);
    let mut below = 0;
    for name in ["there", "back"] {
        let shift = Translate::new(&[1], vars.pp(name)).unwrap();
        below = network.affine(name, shift, &[below]).unwrap();
    }
    let relu = network
        .piecewise_linear("relu", Activation::relu(), below)
        .unwrap();
    let last = Linear::new(1, 3, true, vars.pp("last")).unwrap();
    network.affine("last", last, &[relu]).unwrap();
    let model = Model {
        network: network.finish(DType::F64, &Device::Cpu).unwrap(),
        normalization: None,
    };
    fs::write(path("m.safetensors"), model.to_bytes().unwrap()).unwrap();
    fs::write(path("x.npy"), npy::encode(&[1, 1], &[0.4]).unwrap()).unwrap();
    let paths = ["m.safetensors", "x.npy", "m.csv"].map(path);
    let [model, data, table] = paths.each_ref().map(|path| text(path));
    json(&["certify", "--model", model, "--data", data, "--out", table]);
    let check = || {
        let output =
            command(&["check", table, "--model", model, "--data", data, "--quiet"]).output();
        let output = output.unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let written = fs::read_to_string(table).unwrap();
    let at = written
        .lines()
        .next()
        .unwrap()
        .split(',')
        .position(|name| name == "prediction");
    for (class, code) in [(None, 0), (Some("0"), 0), (Some("1"), 0), (Some("2"), 1)] {
        let line = |line: (usize, &str)| {
            let cells = line.1.split(',').enumerate();
            let cells = cells.map(|(cell, old)| match class {
                Some(class) if line.0 == 1 && Some(cell) == at => class,
                _ => old,
            });
            cells.collect::<Vec<_>>().join(",") + "\n"
        };
        let edited: String = written.lines().enumerate().map(line).collect();
        fs::write(table, edited).unwrap();
        let (found, stdout) = check();
        assert_eq!(found, Some(code), "{class:?}: {stdout}");
        assert_eq!(
            stdout.contains("prediction 2, the network's is 0"),
            code == 1,
            "{stdout}"
        );
    }
}

#[test]
fn a_radius_that_is_too_large_is_found_and_named() {
    let certified = Certified::new(&[9, 5], "f64");
    certified.scale(0, 1.0 - 1e-9);
    certified.scale(8, 1.001);
    let (code, found) = certified.check(&["--sample", "40"]);
    assert_eq!(code, 1);
    let failures = found["failures"].as_array().unwrap();
    let norms: Vec<&str> = failures
        .iter()
        .map(|f| f["norm"].as_str().unwrap())
        .collect();
    assert_eq!(norms, ["1", "2", "inf"]);
    for failure in failures {
        assert_eq!(
            (&failure["index"], &failure["line"]),
            (&7.into(), &9.into())
        );
        let [printed, truth] = ["printed", "truth"].map(|name| failure[name].as_f64().unwrap());
        assert!((printed / truth - 1.001).abs() < 1e-8, "{printed} {truth}");
        assert!(failure["layer"].as_str().unwrap().starts_with("layers."));
    }
    let (code, stdout) = certified.run(&["--sample", "40"]);
    assert_eq!(code, 1);
    assert!(stdout.contains("row 7 (line 9): eps_1 = "), "{stdout}");
    assert!(
        stdout.ends_with("checked 40 of 40 rows: 1 does not hold\n"),
        "{stdout}"
    );
}

#[test]
fn the_measured_way_finds_the_same() {
    // Too many gradients for exact arithmetic on all of them: 1200 neurons.
    let certified = Certified::new(&[600, 600], "f64");
    certified.scale(0, 1.0 - 1e-9);
    let (code, found) = certified.check(&["--sample", "3"]);
    assert_eq!((code, &found["undecided"]), (0, &0.into()), "{found}");
    certified.scale(0, 1.001);
    let (code, found) = certified.check(&["--sample", "3"]);
    assert_eq!(
        (code, found["failures"].as_array().unwrap().len()),
        (1, 9),
        "{found}"
    );
}

/// Every other number of a row is held against the network, too, by both ways: the score, the neuron that limits, upper bounds.
#[test]
fn scores_limiting_neurons_and_upper_bounds_are_held_against_the_network() {
    for hidden in [&[9, 5][..], &[600, 600]] {
        let certified = Certified::new(hidden, "f64");
        certified.certify(&["--upper"]);
        let header = fs::read_to_string(certified.path("m.csv")).unwrap();
        let columns: Vec<&str> = header.lines().next().unwrap().split(',').collect();
        let column = |name: &str| columns.iter().position(|column| *column == name).unwrap();
        let sample = ["--sample", "3"];
        assert_eq!(certified.check(&sample).0, 0);
        type Change = fn(&str) -> String;
        let changes: [(&str, Change, &str); 7] = [
            ("position", |_| "boundary".into(), "where radii are 0"),
            (
                "position",
                |_| "beside".into(),
                "expected one of inside, boundary, tie, undecided",
            ),
            (
                "score",
                |cell| (number(cell) + 1e-6).to_string(),
                "is not the network's output of that class",
            ),
            (
                "neuron",
                |cell| ((number(cell) as usize + 1) % 5).to_string(),
                "its boundary is further away",
            ),
            (
                "upper_inf",
                |cell| (number(cell) * 0.9).to_string(),
                "is smaller than the true radius",
            ),
            ("upper_2", |_| "NaN".into(), "upper_2: NaN is no radius"),
            ("place", |_| "unit 999".into(), "place `unit 999`, neuron "),
        ];
        for (name, change, cause) in changes {
            let before = fs::read(certified.path("m.csv")).unwrap();
            let wanted = column(name);
            certified.edit(|line, at, cell| match line > 0 && at == wanted {
                true => change(cell),
                false => cell.to_owned(),
            });
            let (code, found) = certified.check(&sample);
            let failures = found["failures"].as_array().unwrap();
            let is_cause = |failure: &&Value| failure["cause"].as_str().unwrap().contains(cause);
            let found_wrong = failures.iter().filter(is_cause).count();
            // What a row says of itself is seen in all of them.
            let of_itself = ["position", "upper_2"].contains(&name);
            let wrong = if of_itself { 40 } else { 3 };
            assert_eq!((code, found_wrong), (1, wrong), "{name}: {found}");
            // Another neuron is elsewhere, too.
            let all = if name == "neuron" { 2 * wrong } else { wrong };
            assert_eq!(failures.len(), all, "{name}: {found}");
            fs::write(certified.path("m.csv"), before).unwrap();
        }
    }
}

#[test]
fn an_input_inside_its_region_has_a_radius() {
    let certified = Certified::new(&[9, 5], "f64");
    let table = fs::read_to_string(certified.path("m.csv")).unwrap();
    let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let radii: Vec<usize> = (0..header.len())
        .filter(|at| header[*at].starts_with("eps_"))
        .collect();
    certified.edit(|line, at, cell| match line > 0 && radii.contains(&at) {
        true => "0".into(),
        false => cell.to_owned(),
    });
    let (code, found) = certified.check(&["--sample", "1"]);
    let failures = found["failures"].as_array().unwrap();
    let cause = |failure: &Value| failure["cause"].as_str().unwrap().to_owned();
    let wrong = failures.iter().map(cause);
    let wrong = wrong
        .filter(|cause| cause.contains("where radii are above 0"))
        .count();
    assert_eq!((code, wrong), (1, table.lines().count() - 1));
}

#[test]
fn a_radius_has_a_neuron_that_limits_it() {
    let certified = Certified::new(&[9, 5], "f64");
    let table = fs::read_to_string(certified.path("m.csv")).unwrap();
    let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|own| *own == name).unwrap();
    let [layer, neuron, place] = ["layer", "neuron", "place"].map(column);
    certified.edit(|line, at, cell| match (line, at) {
        (1, at) if [layer, neuron, place].contains(&at) => String::new(),
        (2, at) if [layer, neuron].contains(&at) => String::new(),
        (3, 3..=5) => "inf".into(),
        _ => cell.to_owned(),
    });
    let (code, stdout) = certified.run(&["--sample", "40"]);
    assert_eq!(code, 1);
    for needle in [
        "row 0 (line 2): eps_2 = ",
        "layer and neuron are empty",
        "row 1 (line 3): place `unit ",
        "of no neuron",
        "row 2 (line 4): eps_2 = inf, which neuron ",
        "3 do not hold",
    ] {
        assert!(stdout.contains(needle), "no {needle:?} in {stdout}");
    }
    certified.edit(|line, at, cell| match (line, at) {
        (5, at) if at == layer => String::new(),
        _ => cell.to_owned(),
    });
    let line = "check @m.csv --model @m.safetensors --data @data";
    refused(certified.dir.path(), line, 1, "line 6|column `layer`");
}

#[test]
fn names_of_classes_are_those_that_are_given_or_those_of_all_rows() {
    let certified = Certified::new(&[9, 5], "f64");
    let names: String = ('a'..='j').map(|name| format!("{name}\n")).collect();
    fs::write(certified.path("names.txt"), names).unwrap();
    let file = text(&certified.path("names.txt")).to_owned();
    let given = ["--classes", &file, "--sample", "40"];
    certified.certify(&["--classes", &file]);
    assert_eq!(certified.check(&given).0, 0);
    let own = fs::read(certified.path("m.csv")).unwrap();
    let wrong = ["row 39 (line 41)", "row 0 (line 2)"]
        .map(|row| format!("{row}: label_name `cat`, class 0 is called `a`"));
    // One row calls its label otherwise, or all rows of the class.
    for (only_one, more, said) in [
        (true, &given[..], Some(&wrong[0])),
        (true, &given[2..], Some(&wrong[0])),
        (false, &given[..], Some(&wrong[1])),
        (false, &given[2..], None),
    ] {
        certified.edit(|line, at, cell| match (line, at) {
            (40, 3) if only_one => "cat".into(),
            (1.., 3 | 4) if !only_one && cell == "a" => "cat".into(),
            _ => cell.to_owned(),
        });
        let (code, stdout) = certified.run(more);
        assert_eq!(code, i32::from(said.is_some()), "{stdout}");
        assert!(said.is_none_or(|said| stdout.contains(said)), "{stdout}");
        fs::write(certified.path("m.csv"), &own).unwrap();
    }
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

#[test]
fn another_model_and_other_data_do_not_hold() {
    let certified = Certified::new(&[9, 5], "f64");
    model(&certified.path("m.safetensors"), &[1, 6, 6], &[8, 5]);
    let (code, found) = certified.check(&[]);
    assert_eq!(code, 1);
    assert!(found["failures"].as_array().unwrap().len() >= 10, "{found}");

    let certified = Certified::new(&[9, 5], "f64");
    certified.scale(0, 1.0 - 1e-9);
    certified.edit(|line, at, cell| match (line, at) {
        (1, 0) => "40".into(),
        (2, 1) => "9".into(),
        (3, 2) => "7".into(),
        (4, 8) => "99".into(),
        (5, 5) => "1e9".into(),
        (6, 3) => "NaN".into(),
        _ => cell.into(),
    });
    let (code, stdout) = certified.run(&["--sample", "40"]);
    assert_eq!(code, 1);
    for needle in [
        "row 40 (line 2): ",
        "has 40 inputs",
        "row 1 (line 3): label 9, the data's is 1",
        "row 2 (line 4): prediction 7, the network's is ",
        "row 3 (line 5): the network has no neuron 99 of `",
        "is below eps_inf = 1000000000",
        "row 5 (line 7): eps_1: NaN is no radius",
        "6 do not hold",
    ] {
        assert!(stdout.contains(needle), "no {needle:?} in {stdout}");
    }
}

#[test]
fn estimates_claim_nothing() {
    let certified = Certified::new(&[9, 5], "f32");
    certified.scale(0, 1.001);
    let (code, stdout) = certified.run(&[]);
    assert_eq!(code, 0);
    let expected =
        "40 rows are estimates: they claim nothing\nchecked 0 of 40 rows: nothing is claimed\n";
    assert_eq!(stdout, expected);
}

#[test]
fn an_input_has_one_row() {
    let certified = Certified::new(&[4], "f64");
    let path = certified.path("m.csv");
    let good = fs::read_to_string(&path).unwrap();
    let again = good.lines().nth(3).unwrap();
    fs::write(&path, format!("{good}{again}\n")).unwrap();
    let (code, stdout) = certified.run(&[]);
    let said = "row 2 (line 42)";
    assert!(
        code == 1 && stdout.contains(said) && stdout.contains("a row already, in line 4"),
        "{stdout}"
    );
}

#[test]
fn tables_that_are_none_are_refused() {
    let certified = Certified::new(&[4], "f64");
    let good = fs::read_to_string(certified.path("m.csv")).unwrap();
    let write = |name: &str, content: &str| fs::write(certified.path(name), content).unwrap();
    write("empty.csv", "");
    write("header.csv", good.lines().next().unwrap());
    write("norm.csv", &good.replace("eps_2", "eps_0.5"));
    write("alone.csv", &good.replace(",score", ",upper_2"));
    write("word.csv", &good.replace("proved", "certified"));
    write("chance.csv", &good.replace("proved", "probable(2)"));
    write("cell.csv", &good.replacen("\n3,", "\nthree,", 1));
    write("short.csv", &(good.clone() + "40,1\n"));
    let cases = [
        ("missing.csv", 1, "missing.csv"),
        ("empty.csv", 1, "empty.csv|no column"),
        ("header.csv", 1, "header.csv|no rows"),
        ("norm.csv", 1, "norm.csv|`eps_0.5`"),
        (
            "alone.csv",
            1,
            "alone.csv|column `upper_2`: upper bounds stand beside radii",
        ),
        ("word.csv", 1, "word.csv|line 2|`guarantee`|`certified`"),
        (
            "chance.csv",
            1,
            "chance.csv|line 2|P from 0 to below 1|`probable(2)`",
        ),
        ("cell.csv", 1, "cell.csv|line 5|`index`|`three`"),
        (
            "short.csv",
            1,
            "short.csv|line 42: 2 columns, the header has 13",
        ),
        ("m.csv --sample 0", 2, "--sample 0"),
    ];
    let dir: &Path = certified.dir.path();
    for (arguments, code, needles) in cases {
        let arguments = format!("check @{arguments} --model @m.safetensors --data @data");
        refused(dir, &arguments, code, needles);
    }
}
