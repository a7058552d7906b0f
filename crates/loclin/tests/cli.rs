//! The command line as a user meets it: help, usage errors, exit codes, pure JSON.

use std::fs::File;
use std::process::{Command, Stdio};

use assert_cmd::assert::Assert;
use predicates::prelude::*;
use predicates::str::{contains, is_empty, starts_with};

/// Every command, as `--help` lists them.
const COMMANDS: [&str; 6] = ["demo", "train", "certify", "init", "fetch", "validate"];

/// The steps of `validate` in their order.
const STEPS: [&str; 7] = [
    "format",
    "directions",
    "forbidden",
    "clippy",
    "docs",
    "tests",
    "demo",
];

/// Runs the binary and hands over what it did.
fn xtask(arguments: &[&str]) -> Assert {
    command(arguments).assert()
}

fn command(arguments: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_loclin"));
    command.args(arguments).env_remove("ROLL_DATA");
    command
}

#[test]
fn help_lists_commands_examples_and_exit_codes() {
    let shown = xtask(&["--help"]).code(0).stderr(is_empty());
    let shown = shown.stdout(contains("Usage: loclin").and(contains("Exit codes:")));
    let mut shown = shown.stdout(
        contains("Examples:")
            .and(contains("--json"))
            .and(contains("--device")),
    );
    for name in COMMANDS {
        shown = shown.stdout(contains(format!("\n  {name} ")));
    }
}

#[test]
fn every_command_explains_itself_with_an_example() {
    for name in COMMANDS {
        let example = format!("loclin {name}");
        xtask(&[name, "--help"])
            .code(0)
            .stdout(contains("Example").and(contains(example)))
            .stderr(is_empty());
    }
}

#[test]
fn the_data_directory_comes_from_the_option_or_the_environment() {
    for name in ["train", "certify", "fetch"] {
        xtask(&[name, "--help"]).stdout(contains("ROLL_DATA").and(contains("default: data")));
    }
}

#[test]
fn wrong_usage_exits_with_2_and_names_the_cause_on_stderr_alone() {
    let cases: [(&[&str], &str); 12] = [
        (&[], "Usage:"),
        (&["certfy"], "certfy"),
        (&["validate", "--onyl", "docs"], "--only"),
        (&["validate", "--only", "nothing"], "directions"),
        (
            &["validate", "--only", "docs", "--skip", "docs"],
            "cannot be used with",
        ),
        (&["validate", "--list", "--seed", "-1"], "-1"),
        (
            &["validate", "--list", "--seed", "9223372036854775808"],
            "9223372036854775807",
        ),
        (&["validate", "--list", "--dtype", "f16"], "f32"),
        (
            &["validate", "--list", "--device", "tpu"],
            "expected `cpu` or `cuda:N`",
        ),
        (
            &["validate", "--list", "--quiet", "--verbose"],
            "cannot be used with",
        ),
        (&["fetch", "cifar"], "mnist"),
        (
            &["fetch", "mnist", "--mirror", "ftp://x"],
            "expected an http:// or https:// address",
        ),
    ];
    for (arguments, cause) in cases {
        for json in [false, true] {
            let mut arguments = arguments.to_vec();
            if json && !arguments.is_empty() {
                arguments.push("--json");
            }
            let shown = xtask(&arguments).code(2).stdout(is_empty());
            shown.stderr(contains(cause).and(contains("panicked").not()));
        }
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_in_a_build_without_one_says_how_to_build_with_it() {
    let shown = xtask(&["validate", "--list", "--device", "cuda:0"])
        .code(2)
        .stdout(is_empty());
    shown.stderr(contains("--features cuda"));
}

#[test]
fn skipping_everything_is_wrong_usage() {
    let arguments: Vec<&str> = ["validate"]
        .into_iter()
        .chain(STEPS.iter().flat_map(|s| ["--skip", *s]))
        .collect();
    xtask(&arguments)
        .code(2)
        .stdout(is_empty())
        .stderr(starts_with("error: --skip"));
}

#[test]
fn steps_are_listed_cheapest_first_with_what_they_do_and_can_be_left_out() {
    let listed = |arguments: &[&str]| {
        let output = xtask(arguments).code(0).get_output().stdout.clone();
        let lines = String::from_utf8(output).unwrap();
        let words = lines
            .lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect());
        words.collect::<Vec<Vec<String>>>()
    };
    let all = listed(&["validate", "--list"]);
    let names: Vec<_> = all.iter().map(|words| words[0].as_str()).collect();
    assert_eq!(names, STEPS);
    assert!(all.iter().all(|words| words.len() > 3), "{all:?}");
    let fewer = listed(&["validate", "--list", "--skip", "demo", "--skip", "tests"]);
    assert_eq!(fewer, all[..5]);
    assert_eq!(listed(&["validate", "--list", "--only", "docs"]), all[4..5]);
}

#[test]
fn json_is_one_object_and_nothing_else_on_stdout() {
    let output = xtask(&[
        "validate",
        "--only",
        "directions",
        "--only",
        "forbidden",
        "--json",
    ])
    .code(0);
    let stdout = &output.get_output().stdout;
    let json: serde_json::Value = serde_json::from_slice(stdout).unwrap();
    let steps: Vec<_> = json["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["directions", "forbidden"]);
    assert_eq!(stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
}

#[test]
fn quiet_says_nothing_and_the_log_is_on_stderr() {
    let only = ["validate", "--only", "directions"];
    xtask(&only)
        .code(0)
        .stderr(contains("directions passed"))
        .stdout(contains("directions"));
    xtask(&[&only[..], &["--quiet"]].concat())
        .code(0)
        .stderr(is_empty());
}

#[test]
fn outside_the_workspace_validation_fails_with_one_error_and_its_causes() {
    let elsewhere = tempfile::tempdir().unwrap();
    for extra in [&[][..], &["--json"]] {
        let mut command = command(&["validate", "--only", "directions", "--quiet"]);
        let shown = command
            .args(extra)
            .current_dir(elsewhere.path())
            .assert()
            .code(1)
            .stdout(is_empty());
        let shown = shown.stderr(
            starts_with("error: cannot find the workspace").and(contains("cannot find").count(1)),
        );
        shown.stderr(contains("\ncaused by: ").and(contains("backtrace").not()));
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_loclin"));
    let output = command
        .args(["validate", "--list"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_loclin"));
    let output = command
        .args(["validate", "--list"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: cannot write the result to standard output\ncaused by: "),
        "{stderr}"
    );
}
