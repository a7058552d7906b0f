//! The workspace's own command line as a user meets it: the product's words, and `validate`.

use std::process::{Command, Stdio};

use assert_cmd::assert::Assert;
use predicates::prelude::*;
use predicates::str::{contains, is_empty, starts_with};

/// Words of the product and of the workspace.
fn commands() -> Vec<String> {
    let program = xtask::cli::command();
    let names = program.get_subcommands().map(|command| command.get_name());
    names.map(str::to_owned).collect()
}

/// The steps of `validate` in their order.
const STEPS: [&str; 16] = [
    "format",
    "directions",
    "cycles",
    "forbidden",
    "clippy",
    "docs",
    "book",
    "tests",
    "package",
    "msrv",
    "fuzz",
    "cluster",
    "python",
    "demo",
    "guide",
    "browser",
];

/// Runs the binary and hands over what it did.
fn xtask(arguments: &[&str]) -> Assert {
    command(arguments).assert()
}

fn command(arguments: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).env_remove("LOCLIN_DATA");
    command
}

#[test]
fn help_lists_the_products_commands_beside_the_workspaces() {
    let shown = xtask(&["--help"]).code(0).stderr(is_empty());
    let mut shown = shown.stdout(contains("Usage: cargo xtask").and(contains("Exit codes:")));
    for name in commands() {
        shown = shown.stdout(contains(format!("\n  {name} ")));
    }
}

#[test]
fn examples_are_what_one_types_here() {
    for name in commands() {
        let example = format!("  cargo xtask {name}");
        xtask(&[&name, "--help"])
            .code(0)
            .stdout(contains(example).and(contains("  loclin ").not()))
            .stderr(is_empty());
    }
}

#[test]
fn wrong_usage_exits_with_2_and_names_the_cause_on_stderr_alone() {
    let cases: [(&[&str], &str); 5] = [
        (&[], "Usage:"),
        (&["certfy"], "certfy"),
        (&["validate", "--onyl", "docs"], "--only"),
        (&["validate", "--only", "nothing"], "directions"),
        (
            &["validate", "--only", "docs", "--skip", "docs"],
            "cannot be used with",
        ),
    ];
    for (arguments, cause) in cases {
        let shown = xtask(arguments).code(2).stdout(is_empty());
        shown.stderr(contains(cause).and(contains("panicked").not()));
    }
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
    let kept = |words: &&Vec<String>| !["demo", "tests"].contains(&words[0].as_str());
    assert_eq!(fewer, all.iter().filter(kept).cloned().collect::<Vec<_>>());
    assert_eq!(listed(&["validate", "--list", "--only", "docs"]), all[5..6]);
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
fn an_experiment_outside_the_repository_asks_for_its_file() {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = command(&["reproduce", "table1", "--finished"]);
    let shown = command.current_dir(elsewhere.path()).assert().code(1);
    shown.stderr(contains("--config").and(contains("not inside the repository")));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = command
        .args(["validate", "--list"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}
