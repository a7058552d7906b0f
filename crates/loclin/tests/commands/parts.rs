//! Parts of jobs of other commands than `certify`, put together.

use std::fs;

use crate::fixture::{json, model, small_data, text};
use crate::refusal::refused;

#[test]
fn bounds_and_distortions_are_put_together_too() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let at = |name: &str| text(&dir.path().join(name)).to_owned();
    model(&dir.path().join("m.safetensors"), &[1, 6, 6], &[9, 6]);
    let (file, log) = (at("m.safetensors"), at("log.txt"));
    let ask = |words: &str, out: &str, more: &[&str]| {
        let own = [
            "--model",
            &file,
            "--data",
            text(&data),
            "--limit",
            "7",
            "--out",
            out,
        ];
        let words: Vec<&str> = words.split(' ').collect();
        json(&[&words[..], &own, more].concat())
    };
    // But for the clock in the last column.
    let table = |name: &str| {
        let text = fs::read_to_string(at(name)).unwrap();
        let line = |line: &str| line.rsplit_once(',').unwrap().0.to_owned();
        text.lines().map(line).collect::<Vec<_>>()
    };
    let bound = "bound --eps 0.05 --eps 0.1 --parts 50";
    let whole = ask(bound, &at("whole.csv"), &[]);
    for part in ["1", "2"] {
        ask(
            bound,
            &at(&format!("{part}.csv")),
            &["--shard", &format!("{part}/2"), "--log-file", &log],
        );
    }
    let merged = json(&["merge", &at("2.csv"), &at("1.csv"), "--out", &at("all.csv")]);
    assert_eq!(table("all.csv"), table("whole.csv"));
    assert_eq!(merged["radii"], whole["radii"]);
    // The end of the journal is lost, a line of it torn.
    let journal = fs::read_to_string(at("1.csv.job")).unwrap();
    fs::write(at("1.csv.job"), &journal[..journal.len() - 60]).unwrap();
    let before = table("1.csv");
    let again = ask(
        bound,
        &at("1.csv"),
        &["--shard", "1/2", "--resume", "--log-file", &log],
    );
    assert_eq!(
        (table("1.csv"), again["inputs"].as_u64()),
        (before, Some(4))
    );
    let log = fs::read_to_string(&log).unwrap();
    assert!(!log.contains('\u{1b}'), "{log}");
    // A log is not appended to what is none.
    let table = fs::read(at("1.csv")).unwrap();
    let line = "bound --model @m.safetensors --data @data --eps 0.05 --log-file @1.csv";
    refused(dir.path(), line, 2, "--log-file|something else than a log");
    assert_eq!(fs::read(at("1.csv")).unwrap(), table);
    let line = "bound --model @m.safetensors --data @data --eps 0.05 --out @b.csv --shard 1/2 --report @b.html";
    refused(dir.path(), line, 2, "--report|one process");

    let distortion = "distortion --samples 20 --population 12 --generations 3 --eps 0.5";
    let whole = ask(distortion, &at("whole"), &[]);
    for part in ["1", "2"] {
        ask(distortion, &at(part), &["--shard", &format!("{part}/2")]);
    }
    // A torn row goes.
    let rows = dir.path().join("1/distortion.csv");
    let table = fs::read_to_string(&rows).unwrap();
    let cut = table.len() - 9;
    fs::write(&rows, &table[..cut]).unwrap();
    ask(distortion, &at("1"), &["--shard", "1/2", "--resume"]);
    let merged = json(&["merge", &at("1"), &at("2"), "--out", &at("all")]);
    assert_eq!(merged["maximum"], whole["maximum"]);
    assert_eq!(merged["worst"], whole["worst"]);
    for name in ["distortion.csv", "worst.safetensors"] {
        let bytes = |out: &str| fs::read(dir.path().join(out).join(name)).unwrap();
        assert!(bytes("all") == bytes("whole"), "{name}");
    }
    refused(
        dir.path(),
        "merge @1 --out @n",
        1,
        "3 of 7 batches are missing: `1`",
    );
    refused(
        dir.path(),
        "merge @1 @all --out @n",
        1,
        "batch `0` is doubled",
    );
    // The whole takes no part's place, and replaces nothing that it does not do without.
    refused(
        dir.path(),
        "merge @1 @2 --out @1/ --force",
        2,
        "--out|as a part, too",
    );
    fs::remove_file(dir.path().join("1/worst.safetensors")).unwrap();
    fs::remove_file(dir.path().join("2/worst.safetensors")).unwrap();
    refused(
        dir.path(),
        "merge @1 @2 --out @all",
        1,
        "there is a result already; --force replaces it",
    );
    refused(
        dir.path(),
        "merge @1 @2 --out @all --force",
        1,
        "worst.safetensors|--resume",
    );
}
