//! Paths that lead to no regular file, and files that are larger than what they hold: refused before they are read.
#![cfg(unix)]

use std::fs::{self, File};
use std::os::unix::net::UnixListener;

use crate::fixture::{command, json, model, small_data, text};

/// Runs the command, which must end with code 1 and say each of `needles` on stderr.
fn says(arguments: &[&str], needles: &[&str]) {
    let output = command(arguments).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
    for needle in needles {
        assert!(
            stderr.contains(needle),
            "{arguments:?}: no {needle:?}: {stderr}"
        );
    }
}

#[test]
fn no_pipe_socket_device_or_directory_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let data = small_data(dir.path());
    let data = text(&data);
    model(&path("ok.safetensors"), &[1, 6, 6], &[9, 5]);
    let made = std::process::Command::new("mkfifo")
        .arg(path("pipe"))
        .status();
    assert!(made.unwrap().success());
    let _listener = UnixListener::bind(path("socket")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", path("device")).unwrap();
    let kinds = [
        ("pipe", "a pipe, socket or device, expected a file"),
        ("socket", "a pipe, socket or device, expected a file"),
        ("device", "a pipe, socket or device, expected a file"),
    ];
    for (kind, needle) in kinds {
        let link = |name: &str| {
            let link = path(name);
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(path(kind), &link).unwrap();
            text(&link).to_owned()
        };
        for extension in ["onnx", "safetensors"] {
            let given = link(&format!("m.{extension}"));
            says(
                &["certify", "--model", &given, "--data", data],
                &[needle, &given],
            );
        }
        let (state, ok) = (link("m.pth"), path("ok.safetensors"));
        let ok = text(&ok);
        let toml = link("m.toml");
        let certify = ["certify", "--data", data, "--model"];
        for (model, architecture) in [(&state[..], "digit-recognizer"), (ok, &toml)] {
            let given = [model, "--architecture", architecture];
            says(&[&certify[..], &given].concat(), &[needle]);
        }
        says(&["train", "--config", &toml, "--out", "none"], &[needle]);
        says(&["sweep", "--config", &toml, "--out", "none"], &[needle]);
        let image = link("m.png");
        let out = path("out.png");
        let explain = ["explain", "--model", ok, "--input", &image, "--out"];
        says(&[&explain[..], &[text(&out)]].concat(), &[needle]);
        fs::create_dir_all(path("run")).unwrap();
        link("run/config.toml");
        says(&["certify", "--model", text(&path("run"))], &[needle]);
        let npy = link("m.npy");
        let certify = ["certify", "--model", ok, "--data", &npy];
        says(&certify, &[needle]);
    }
    let folder = path("folder.toml");
    fs::create_dir(&folder).unwrap();
    let arguments = ["train", "--config", text(&folder), "--out", "none"];
    says(&arguments, &["a directory, expected a file"]);
}

#[test]
fn a_directory_in_use_is_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    fs::create_dir(&out).unwrap();
    let held = File::open(&out).unwrap();
    held.lock().unwrap();
    let arguments = ["train", "--preset", "demo", "--resume", "--out", text(&out)];
    says(&arguments, &[text(&out), "another process is at work"]);
    let arguments = ["sweep", "--config", "digits", "--out", text(&out)];
    says(&arguments, &[text(&out), "another process is at work"]);
}

#[test]
fn paths_that_are_not_utf8_are_shown_with_a_mark() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let odd = dir.path().join(std::ffi::OsStr::from_bytes(b"bad\xff"));
    fs::create_dir(&odd).unwrap();
    model(&odd.join("m.safetensors"), &[1, 6, 6], &[9, 5]);
    let output = command(&[
        "certify",
        "--json",
        "--quiet",
        "--data",
        text(&data),
        "--model",
    ])
    .arg(odd.join("m.safetensors"))
    .output()
    .unwrap();
    assert!(output.status.success(), "{output:?}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found["model"].as_str().unwrap().contains("bad\u{fffd}"));
}

#[test]
fn threads_that_cannot_be_had() {
    let output = command(&["config", "list"])
        .env("RAYON_NUM_THREADS", "10000")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("RAYON_NUM_THREADS=10000"), "{stderr}");
}

#[test]
fn a_sparse_file_is_refused_by_its_header() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let data = small_data(dir.path());
    model(&path("ok.safetensors"), &[1, 6, 6], &[9, 5]);
    let huge = 100 << 30;
    for name in ["sparse.safetensors", "sparse.pth", "sparse.onnx"] {
        File::create(path(name)).unwrap().set_len(huge).unwrap();
    }
    // A whole model and nothing behind it.
    let bytes = fs::read(path("ok.safetensors")).unwrap();
    fs::write(path("longer.safetensors"), bytes).unwrap();
    let longer = File::options().write(true).open(path("longer.safetensors"));
    longer.unwrap().set_len(huge).unwrap();
    for name in ["sparse.safetensors", "longer.safetensors", "sparse.onnx"] {
        let given = path(name);
        let arguments = ["certify", "--model", text(&given), "--data", text(&data)];
        says(&arguments, &[name]);
    }
    let (sparse, ok) = (path("sparse.pth"), path("ok.safetensors"));
    let arguments = ["certify", "--model", text(&sparse), "--data", text(&data)];
    says(
        &[&arguments[..], &["--architecture", "digit-recognizer"]].concat(),
        &["sparse.pth"],
    );
    for name in ["sparse.safetensors", "longer.safetensors"] {
        let given = path(name);
        let arguments = ["certify", "--model", text(&ok), "--data", text(&given)];
        says(&arguments, &[name, "safetensors header"]);
    }
}

#[test]
fn rows_of_a_sparse_array_are_read_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    model(&path("ok.safetensors"), &[1, 6, 6], &[9, 5]);
    let rows = (100u64 << 30) / 36;
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({rows}, 6, 6), }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    let end = bytes.len() as u64 + rows * 36;
    fs::write(path("sparse.npy"), bytes).unwrap();
    let file = File::options()
        .write(true)
        .open(path("sparse.npy"))
        .unwrap();
    file.set_len(end).unwrap();
    let (ok, sparse) = (path("ok.safetensors"), path("sparse.npy"));
    let certify = ["certify", "--model", text(&ok), "--data", text(&sparse)];
    let two = json(&[&certify[..], &["--limit", "2"]].concat());
    assert_eq!(two["inputs"], 2);
    let picture = path("out.png");
    let explain = ["explain", "--model", text(&ok), "--data", text(&sparse)];
    let last = (rows - 1).to_string();
    let given = ["--input", &last, "--out", text(&picture), "--label", "0"];
    json(&[&explain[..], &given, &["--evaluations", "10"]].concat());
    file.set_len(end - 1).unwrap();
    says(
        &[&certify[..], &["--limit", "2"]].concat(),
        &["sparse.npy", "found", "bytes"],
    );
}
