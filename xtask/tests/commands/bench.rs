//! `bench`: what it says, not how fast it is.

use std::fs;

use crate::fixture::{command, json, model, text};
use crate::refusal::refused;

/// Every number of the object at `pointer` to each name is a positive number of seconds.
fn positive(object: &serde_json::Value, names: &[&str]) {
    for name in names {
        let seconds = object[name].as_f64();
        assert!(seconds.is_some_and(|s| s > 0.0), "{name}: {object}");
    }
}

#[test]
fn the_margins_of_a_network_are_measured_in_every_norm() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("model.safetensors");
    model(&file, &[1, 28, 28], &[6, 5]);
    let measured = json(&[
        "bench",
        "certify",
        "--runs",
        "1",
        "--limit",
        "20",
        "--model",
        text(&file),
    ]);
    let norms = ["l1", "l2", "linf"].map(|norm| format!("{norm}_seconds_per_input"));
    positive(&measured, &norms.each_ref().map(String::as_str));
}

/// A program in PyTorch's place: what it prints is what is compared.
#[cfg(unix)]
#[test]
fn the_seconds_of_the_other_program_stand_beside_ours() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    model(&path("model.safetensors"), &[1, 28, 28], &[6, 5]);
    fs::write(path("program.py"), "").unwrap();
    let interpreter = |says: &str| {
        let file = path("python");
        fs::write(&file, format!("#!/bin/sh\n{says}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let (python, program, model) = (
        path("python"),
        path("program.py"),
        path("model.safetensors"),
    );
    let arguments: Vec<&str> = ["bench", "certify", "--runs", "1", "--limit", "20"]
        .into_iter()
        .chain(["--peer", text(&python), "--peer-script", text(&program)])
        .chain(["--model", text(&model)])
        .collect();

    interpreter("echo measuring; echo '{\"published\": 64.0, \"jacobian\": 6.4}'");
    let measured = json(&arguments);
    // Of 640 inputs.
    assert_eq!(
        measured["peer_seconds_per_input"]["published"], 0.1,
        "{measured}"
    );

    for (says, needle) in [
        (
            "echo 'no module named torch' >&2; exit 3",
            "failed with exit status: 3",
        ),
        ("echo nonsense", "no JSON object of seconds: nonsense"),
    ] {
        interpreter(says);
        let output = command(&arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(needle), "{stderr}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |arguments: &str, code, needles: &str| {
        refused(dir.path(), arguments, code, needles);
    };
    refused("bench step --runs 0", 2, "--runs 0|at least 1");
    refused("bench certify --limit 0", 2, "--limit 0|at least 1");
    refused("bench certify --model @absent", 1, "absent");
    refused("bench step --peer-script @x.py", 2, "--peer");
    refused(
        "bench step --peer python3 --peer-script @x.py",
        2,
        "x.py|no such file",
    );
    refused("bench everything", 2, "step|certify|scaling");
}
