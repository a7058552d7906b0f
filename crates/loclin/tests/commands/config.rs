//! `config`, and shipped names in place of files.

use std::fs;

use crate::fixture::{command, json, names, text};
use crate::refusal::refused;

#[test]
fn what_is_listed_is_shown_and_written_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let listed = json(&["config", "list"]);
    let listed = listed["files"].as_array().unwrap();
    assert!(listed.len() > 20);
    for file in listed {
        let (kind, name) = (&file["kind"], file["name"].as_str().unwrap());
        assert!(!file["about"].as_str().unwrap().is_empty());
        let shown = json(&["config", "show", name]);
        assert_eq!(shown["kind"], *kind);
        let out = dir.path().join(format!("{name}.toml"));
        json(&["config", "init", name, "--out", text(&out)]);
        assert_eq!(fs::read_to_string(&out).unwrap(), shown["text"]);
        if kind == "preset" {
            let load = loclin::program::config::Config::load;
            let preset = loclin::program::config::Config::preset(name, &[]).unwrap();
            assert_eq!(load(&out, &[]).unwrap(), preset);
        }
    }
    assert_eq!(names(dir.path()).len(), listed.len());
    let before = fs::read(dir.path().join("demo.toml")).unwrap();
    refused(
        dir.path(),
        "config init digits --out @demo.toml",
        1,
        "demo.toml|exists",
    );
    assert_eq!(fs::read(dir.path().join("demo.toml")).unwrap(), before);
    let set = ["config", "show", "demo", "--set", "epochs=3"];
    assert!(
        json(&set)["text"]
            .as_str()
            .unwrap()
            .contains("\nepochs = 3\n")
    );
    let options = ["config", "show", "demo", "--seed", "9", "--dtype", "f64"];
    let shown = json(&options)["text"].as_str().unwrap().to_owned();
    assert!(
        shown.contains("\nseed = 9\n") && shown.contains("\ndtype = \"f64\"\n"),
        "{shown}"
    );
}

#[test]
fn a_preset_trains_in_a_directory_of_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let small = ["hidden=[4]", "epochs=1", "batch_size=1024", "loss=vanilla"];
    let mut train = command(&["train", "--preset", "demo", "--quiet", "--seed", "4"]);
    for pair in small {
        train.args(["--set", pair]);
    }
    assert!(train.current_dir(dir.path()).status().unwrap().success());
    let run = dir.path().join("runs/demo-seed4");
    assert!(run.join("model.safetensors").exists());
}

#[test]
fn names_that_there_are_not() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, code, needles) in [
        ("train --preset dmo --out @run", 2, "--preset dmo|`demo`"),
        ("train --out @run", 2, "--preset|--config"),
        (
            "train --preset demo --config @a.toml --out @run",
            2,
            "cannot be used with",
        ),
        (
            "train --preset demo --set epoch=3 --out @run",
            2,
            "`epochs`",
        ),
        ("config show convnt", 2, "`convnet`"),
        (
            "config show convnet --set epochs=3",
            2,
            "not a preset: architecture",
        ),
        (
            "config show digits --seed 3",
            2,
            "--seed 3|not a preset: sweep",
        ),
        (
            "config init convnet --dtype f64 --out @c.toml",
            2,
            "--dtype|not a preset: architecture",
        ),
        ("sweep --config digts --out @run", 2, "`digits`|no file"),
        (
            "init --architecture resnet --out @m.safetensors",
            2,
            "`resnet18`|no file",
        ),
    ] {
        refused(dir.path(), arguments, code, needles);
    }
}
