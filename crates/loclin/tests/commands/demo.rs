//! `demo`, as far as it is quick: what it refuses before it trains. `loclin validate` runs the whole.

use std::fs;

use crate::fixture::{command, text, train, tree};

#[test]
fn an_output_directory_that_cannot_serve_is_refused_at_once_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("file"), "mine").unwrap();
    fs::create_dir_all(path("report/index.html")).unwrap();
    fs::create_dir(path("page")).unwrap();
    fs::write(path("page/index.html"), "mine").unwrap();
    // A run that the demo did not begin.
    let set = ["hidden=[4]", "epochs=1", "batch_size=1000", "loss=vanilla"];
    train(&path("other/vanilla"), &set, &[]);
    let before = tree(dir.path());
    let cases = [
        ("file", 1, "file: cannot create the directory"),
        ("file/below", 1, "below: cannot create the directory"),
        ("report", 1, "index.html: cannot write the file"),
        ("page", 1, "index.html: cannot write the file"),
        (
            "other",
            2,
            "config.toml: the run begun here has another configuration",
        ),
    ];
    for (name, code, needle) in cases {
        let out = path(name);
        let output = command(&["demo", "--json", "--out", text(&out)]).output();
        let output = output.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{name}: {stderr}");
        assert!(stderr.contains(needle), "{name}: {stderr}");
        assert!(stderr.contains(text(&out)), "{name}: {stderr}");
        assert!(output.stdout.is_empty(), "{name}");
        assert!(tree(dir.path()) == before, "{name}: something was changed");
    }
}
