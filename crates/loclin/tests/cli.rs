//! The command line as a user meets it: help, usage errors, exit codes, pure JSON.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use assert_cmd::assert::Assert;
use clap::CommandFactory;
use predicates::prelude::*;
use predicates::str::{contains, is_empty, starts_with};

/// Every command of the program.
fn commands() -> Vec<String> {
    let program = loclin::program::cli::Cli::command();
    let names = program.get_subcommands().map(|command| command.get_name());
    names.map(str::to_owned).collect()
}

/// Runs the binary and hands over what it did.
fn loclin(arguments: &[&str]) -> Assert {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_loclin"));
    command.args(arguments).env_remove("LOCLIN_DATA").assert()
}

#[test]
fn help_lists_commands_examples_and_exit_codes() {
    let shown = loclin(&["--help"]).code(0).stderr(is_empty());
    let shown = shown.stdout(contains("Usage: loclin").and(contains("Exit codes:")));
    let mut shown = shown.stdout(
        contains("Examples:")
            .and(contains("--json"))
            .and(contains("--device")),
    );
    for name in commands() {
        shown = shown.stdout(contains(format!("\n  {name} ")));
    }
}

#[test]
fn every_command_explains_itself_with_an_example() {
    for name in commands() {
        let example = format!("loclin {name}");
        loclin(&[&name, "--help"])
            .code(0)
            .stdout(contains("Example").and(contains(example)))
            .stderr(is_empty());
    }
}

#[test]
fn the_data_directory_comes_from_the_option_or_the_environment() {
    for name in ["train", "certify", "fetch"] {
        loclin(&[name, "--help"]).stdout(contains("LOCLIN_DATA").and(contains("default: data")));
    }
}

#[test]
fn the_version_names_commit_and_features() {
    let version = concat!("loclin ", env!("CARGO_PKG_VERSION"), " (commit ");
    let shown = loclin(&["--version"]).code(0).stderr(is_empty());
    shown.stdout(starts_with(version).and(contains("features: ")));
}

#[test]
fn wrong_usage_exits_with_2_and_names_the_cause_on_stderr_alone() {
    let cases: [(&[&str], &str); 10] = [
        (&[], "Usage:"),
        (&["certfy"], "certfy"),
        (&["init", "--onyl", "docs"], "--onyl"),
        (&["completions", "bash", "--seed", "-1"], "-1"),
        (
            &["completions", "bash", "--seed", "9223372036854775808"],
            "9223372036854775807",
        ),
        (&["completions", "bash", "--dtype", "f16"], "f32"),
        (
            &["completions", "bash", "--device", "tpu"],
            "expected `cpu` or `cuda:N`",
        ),
        (
            &["completions", "bash", "--quiet", "--verbose"],
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
            let shown = loclin(&arguments).code(2).stdout(is_empty());
            shown.stderr(contains(cause).and(contains("panicked").not()));
        }
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_in_a_build_without_one_says_how_to_build_with_it() {
    let shown = loclin(&["completions", "bash", "--device", "cuda:0"])
        .code(2)
        .stdout(is_empty());
    shown.stderr(contains("--features cuda"));
}

#[test]
fn json_is_one_object_and_nothing_else_on_stdout() {
    let output = loclin(&["completions", "fish", "--json"])
        .code(0)
        .stderr(is_empty());
    let stdout = &output.get_output().stdout;
    let json: serde_json::Value = serde_json::from_slice(stdout).unwrap();
    assert_eq!(json["shell"], "fish");
    assert!(json["script"].as_str().unwrap().contains("certify"));
    assert_eq!(stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let shown = loclin(&["completions", shell]).code(0);
        shown.stdout(contains("loclin").and(contains("certify")));
    }
    loclin(&["completions", "csh"])
        .code(2)
        .stderr(contains("fish"));
}

#[test]
fn every_command_has_a_page_in_the_manual() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("man1");
    loclin(&["man", "--out", out.to_str().unwrap()]).code(0);
    assert!(out.join("loclin.1").exists());
    for name in commands() {
        let page = fs::read_to_string(out.join(format!("loclin-{name}.1"))).unwrap();
        assert!(page.contains(".SH OPTIONS"), "{name}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_loclin"));
    let output = command
        .args(["completions", "bash"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("error: "), "{stderr}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_loclin"));
    let output = command
        .args(["completions", "bash"])
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

/// Every command says on stderr what comes next, whatever its end, but to programs.
#[test]
fn the_next_command_is_said_on_stderr() {
    loclin(&["config", "list"])
        .code(0)
        .stderr(contains("next: loclin config show NAME"));
    loclin(&["config", "list", "--quiet"])
        .code(0)
        .stderr(is_empty());
    loclin(&["certify", "--model", "none.onnx", "--data", "digits"])
        .code(1)
        .stderr(contains("next: loclin certify --help"));
    loclin(&["certify", "--model", "none.onnx", "--limit", "0"])
        .code(2)
        .stderr(contains("next: loclin certify --help"));
}

/// A dataset that is not there says how it is had, and a result that is there stays.
#[test]
fn missing_data_are_fetched_and_results_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("net.safetensors");
    let out = out.to_str().unwrap();
    let init = ["init", "--architecture", "convnet", "--out", out];
    loclin(&init)
        .code(0)
        .stderr(contains("next: loclin certify --model"));
    let before = fs::read(out).unwrap();
    loclin(&[&init[..], &["--seed", "3"]].concat())
        .code(1)
        .stderr(contains("--force replaces it"));
    assert_eq!(fs::read(out).unwrap(), before);
    loclin(&[&init[..], &["--seed", "3", "--force"]].concat()).code(0);
    assert_ne!(fs::read(out).unwrap(), before);
    let data = dir.path().to_str().unwrap();
    let certify = ["certify", "--model", out, "--data-dir", data, "--data"];
    let fetch = format!("`loclin fetch mnist --data-dir {data}` downloads it");
    loclin(&[&certify[..], &["mnist"]].concat())
        .code(1)
        .stderr(contains(fetch));
}
