//! `loclin fetch` against servers of this process. What a stand-in dataset can show is tested
//! next to the code; here are the command's own exit codes, outputs and the hashes of the real files.

use std::fs;
use std::path::Path;

use predicates::prelude::*;
use predicates::str::{contains, is_empty, starts_with};

mod server;
use server::{Reply, nobody, serve};

/// The command without a proxy, which would stand between it and this process.
fn fetch(mirror: &str, data_dir: &Path) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_loclin"));
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        command.env_remove(name);
    }
    command
        .args(["fetch", "mnist", "--mirror", mirror])
        .env("LOCLIN_DATA", data_dir);
    command
}

#[test]
fn a_failed_download_names_file_address_and_cause_and_leaves_nothing() {
    let page = b"<html>log in to the wireless network</html>";
    let cases = [
        (nobody().unwrap(), "refused"),
        (serve(|_| Reply::status(404)).unwrap(), "404"),
        (serve(|_| Reply::half(page)).unwrap(), "broke off"),
        (serve(|_| Reply::ok(*page)).unwrap(), "expected 10008"),
    ];
    for (mirror, cause) in cases {
        let dir = tempfile::tempdir().unwrap();
        for extra in [&[][..], &["--json"]] {
            let shown = fetch(&mirror, dir.path())
                .args(extra)
                .assert()
                .code(1)
                .stdout(is_empty());
            let shown =
                shown.stderr(starts_with("error: cannot fetch mnist into ").and(contains(cause)));
            shown.stderr(
                contains("caused by: no mirror gave t10k-labels-idx1-ubyte").and(contains(&mirror)),
            );
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{cause}");
    }
}

#[test]
fn a_data_directory_that_is_a_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data");
    fs::write(&file, "").unwrap();
    let mirror = nobody().unwrap();
    fetch(&mirror, &file)
        .assert()
        .code(1)
        .stdout(is_empty())
        .stderr(contains(file.to_str().unwrap()));
}

#[test]
fn the_published_files_arrive_and_are_kept() {
    let Some(published) = loclin_test_files::shared("data/mnist") else {
        return;
    };
    let serving = move |path: &str| match fs::read(published.join(path.trim_start_matches('/'))) {
        Ok(bytes) => Reply::ok(bytes),
        Err(_) => Reply::status(404),
    };
    let mirror = serve(serving).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for status in ["fetched", "kept"] {
        let output = fetch(&mirror, dir.path())
            .arg("--json")
            .assert()
            .code(0)
            .get_output()
            .stdout
            .clone();
        let json: serde_json::Value = serde_json::from_slice(&output).unwrap();
        let files = json["files"].as_array().unwrap();
        assert_eq!(files.len(), 4);
        for file in files {
            assert_eq!(file["status"], status);
            assert!(Path::new(file["path"].as_str().unwrap()).is_file());
        }
    }
    let entries = fs::read_dir(dir.path().join("mnist")).unwrap();
    assert_eq!(entries.count(), 4, "nothing but the four files");
}
