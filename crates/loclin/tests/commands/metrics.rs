//! What a run measured: recorded while it trains, and written for other programs.

use std::fs;

use serde_json::Value;

use crate::fixture::{TRAIN, command, json, metrics, small_data, text, train};
use crate::refusal::refused;

#[test]
fn steps_rates_gradients_and_margins_are_recorded_and_exported() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let data = format!("dataset={}", text(&small_data(dir.path())));
    let run = at("run");
    let set = [
        data.as_str(),
        "hidden=[7]",
        "epochs=3",
        "schedule=cosine",
        "learning_rate=0.01",
    ];
    train(&run, &set, &[]);
    // 55/60 of the rows train, 64 in a step.
    let steps = (TRAIN - TRAIN / 12).div_ceil(64);
    for (epoch, line) in metrics(&run).iter().enumerate() {
        let number = |field: &str| line[field].as_f64().unwrap();
        assert_eq!(line["step"], (epoch + 1) * steps);
        let position = (epoch as f64 + (steps - 1) as f64 / steps as f64) / 3.0;
        let rate = 0.005 * (1.0 + (std::f64::consts::PI * position).cos());
        assert!((number("learning_rate") - rate).abs() < 1e-15);
        assert!(number("gradient_norm") > 0.0);
        let [low, median, high] = ["p25_eps_2", "median_eps_2", "p75_eps_2"].map(number);
        assert!(low <= median && median <= high);
    }
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert_eq!(lines.matches("\"date\":\"2").count(), 3, "{lines}");

    let (csv, logs) = (at("run.csv"), at("logs"));
    let arguments = [
        "metrics",
        text(&run),
        "--csv",
        text(&csv),
        "--tensorboard",
        text(&logs),
    ];
    let outcome = json(&arguments);
    assert_eq!(outcome["epochs"].as_array().unwrap().len(), 3);
    let table = fs::read_to_string(&csv).unwrap();
    assert!(table.starts_with("epoch,step,date,train_loss,"), "{table}");
    assert!(
        table.lines().next().unwrap().ends_with(",seconds,threads"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 4);
    // Again: the same file, and no second one.
    json(&[&arguments[..], &["--force"]].concat());
    let files = fs::read_dir(&logs)
        .unwrap()
        .map(|file| file.unwrap().path());
    let files: Vec<_> = files.collect();
    assert_eq!(files.len(), 1);
    let events = fs::read(&files[0]).unwrap();
    // Records by their lengths: the version, and one for each epoch.
    let (mut at, mut records) = (0, 0);
    while at < events.len() {
        let length = u64::from_le_bytes(events[at..at + 8].try_into().unwrap());
        at += 16 + length as usize;
        records += 1;
    }
    assert_eq!((at, records), (events.len(), 4));
    assert!(
        events
            .windows(19)
            .any(|bytes| bytes == b"margin/median_eps_2")
    );

    // Another run that was validated in the same second has a file of its own.
    let mut twin: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    twin[0]["train_loss"] = 7.into();
    let twin: String = twin.iter().map(|line| format!("{line}\n")).collect();
    fs::create_dir(dir.path().join("twin")).unwrap();
    let own = dir.path().join("twin");
    fs::write(own.join("metrics.jsonl"), twin).unwrap();
    json(&["metrics", text(&own), "--tensorboard", text(&logs)]);
    assert_eq!(fs::read_dir(&logs).unwrap().count(), 2);
    assert!(fs::read(&files[0]).unwrap() == events);

    let output = command(&["metrics", text(&run)]).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(shown.lines().count(), 4, "{shown}");
    let widths: Vec<usize> = shown.lines().map(str::len).collect();
    assert!(widths.iter().all(|width| *width == widths[0]), "{shown}");
    // No table is replaced without leave, and no file of the run at all.
    for (csv, code, needles) in [
        ("@run.csv", 1, "run.csv|--force replaces it"),
        ("@run/metrics.jsonl", 2, "--csv|is read as RUN, too"),
        (
            "@run/last.safetensors --force",
            2,
            "--csv|is read as RUN, too",
        ),
    ] {
        let line = format!("metrics @run --csv {csv}");
        refused(dir.path(), &line, code, needles);
    }
    let output = command(&["metrics", text(dir.path())]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("metrics.jsonl")
    );
}
