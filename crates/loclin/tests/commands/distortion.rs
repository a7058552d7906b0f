//! `distortion`: what it says, what it keeps, and how it goes on.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use serde_json::Value;

use crate::fixture::{command, json, model, model_with_outputs, names, small_data, text};
use crate::refusal::refused;

const SMALL: [&str; 8] = [
    "--samples",
    "20",
    "--population",
    "12",
    "--generations",
    "3",
    "--eps",
    "0.5",
];

/// The worst input in `file` is in the ball, and its gradient differs by `most`.
fn shows_its_distortion(file: &Path, most: f64) {
    let worst = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    let numbers = |name: &str| -> Vec<f64> {
        let tensor = worst[name].flatten_all().unwrap();
        tensor
            .to_dtype(candle_core::DType::F64)
            .unwrap()
            .to_vec1()
            .unwrap()
    };
    let sum: f64 = numbers("gradient")
        .iter()
        .zip(numbers("worst_gradient"))
        .map(|(a, b)| (a - b).abs())
        .sum();
    // Gradients in single precision, summed in another order.
    assert!((sum - most).abs() <= 1e-5 * most, "{sum} {most}");
    let moved = numbers("input").into_iter().zip(numbers("worst_input"));
    // In single precision, 0.5 and a rounding.
    assert!(
        moved
            .into_iter()
            .all(|(a, b)| (a - b).abs() < 0.5001 && (0.0..=1.0).contains(&b))
    );
}

#[test]
fn a_worst_input_of_nobody_stays() {
    let dir = tempfile::tempdir().unwrap();
    small_data(dir.path());
    model(&dir.path().join("m.safetensors"), &[1, 6, 6], &[7]);
    let worst = dir.path().join("d/worst.safetensors");
    fs::create_dir(dir.path().join("d")).unwrap();
    fs::write(&worst, "precious").unwrap();
    let small = SMALL.join(" ");
    let line = |data: &str, more: &str| {
        format!("distortion --model @m.safetensors --data @{data} --limit 1 {small} --out @d{more}")
    };
    for more in ["", " --resume"] {
        refused(
            dir.path(),
            &line("data", more),
            1,
            "worst.safetensors|no journal|--force",
        );
    }
    let read = line("d/worst.safetensors", " --force");
    refused(dir.path(), &read, 2, "--out|is read as --data, too");
    let root = format!("{}/", text(dir.path()));
    let forced = line("data", " --force").replace('@', &root);
    json(&forced.split(' ').collect::<Vec<_>>());
    assert_ne!(fs::read(&worst).unwrap(), b"precious");
}

#[test]
fn measurements_are_kept_and_go_on_with_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let net = dir.path().join("net.safetensors");
    model(&net, &[1, 6, 6], &[12, 8]);
    let measure = |out: &str, limit: &str| {
        let out = dir.path().join(out);
        let own = [
            "distortion",
            "--model",
            text(&net),
            "--data",
            text(&data),
            "--limit",
            limit,
            "--resume",
            "--out",
            text(&out),
        ];
        json(&[&own[..], &SMALL].concat())
    };
    measure("parts", "3");
    let found = measure("parts", "5");
    measure("whole", "5");
    let bytes = |out: &str, name: &str| fs::read(dir.path().join(out).join(name)).unwrap();
    let kept = ["distortion.csv", "distortion.csv.job", "worst.safetensors"];
    assert_eq!(names(&dir.path().join("parts")), kept);
    for name in [kept[0], kept[2]] {
        assert!(bytes("parts", name) == bytes("whole", name), "{name}");
    }
    // Fewer inputs are those that are there, and the worst of all stays.
    assert_eq!(measure("parts", "2")["inputs"], 2);
    for name in [kept[0], kept[2]] {
        assert!(bytes("parts", name) == bytes("whole", name), "{name}");
    }

    assert_eq!(found["inputs"], 5);
    let number = |path: &str| found.pointer(path).and_then(Value::as_f64).unwrap();
    // 12 in the first generation, 9 new ones in each of three.
    assert_eq!(number("/costs/genetic"), 39.0);
    assert!(number("/costs/ascent") <= 81.0);
    for percentile in ["p25", "p50", "p75", "p100"] {
        let of = |name: &str| number(&format!("/{name}/{percentile}"));
        let most = of("genetic").max(of("ascent"));
        assert!(of("maximum") >= most && of("expected") >= 0.0);
    }
    // Every input has a proved bound, which no search exceeds.
    assert_eq!(found["proved_inputs"], 5);
    assert!(found["not_proved"].is_null());
    let table = String::from_utf8(bytes("parts", "distortion.csv")).unwrap();
    assert!(table.starts_with(
        "index,label,prediction,gradient,expected,standard_error,genetic,ascent,proved\n"
    ));
    for row in table.lines().skip(1) {
        let numbers: Vec<f64> = row.split(',').map(|word| word.parse().unwrap()).collect();
        // Both are rounded.
        assert!(
            numbers[6].max(numbers[7]) <= numbers[8] * (1.0 + 1e-12),
            "{row}"
        );
    }
    let file = dir.path().join("parts/worst.safetensors");
    shows_its_distortion(&file, number("/maximum/p100"));
}

/// What is there is neither overwritten nor taken for what it is not.
#[test]
fn measurements_go_on_as_the_same_only() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let net = dir.path().join("net.safetensors");
    model(&net, &[1, 6, 6], &[12, 8]);
    let own = format!(
        "distortion --model @net.safetensors --data @{} --limit 2 --out @out",
        data.file_name().unwrap().to_str().unwrap()
    );
    let small = format!("{own} {}", SMALL.join(" "));
    let out = dir.path().join("out");
    let run = |more: &[&str]| {
        let words = small.replace('@', &format!("{}/", text(dir.path())));
        let words: Vec<&str> = words.split(' ').collect();
        json(&[&words[..], more].concat())
    };
    run(&[]);
    let bytes = |name: &str| fs::read(out.join(name)).unwrap();
    let before = bytes("distortion.csv");
    let refuse = |line: &str, needles: &str| refused(dir.path(), line, 1, needles);
    refuse(&small, "there is a result already|--resume|--force");
    refuse(&format!("{own} --resume --eps 0.25"), "another `eps`");
    refuse(
        &format!("{small} --resume --scale 0.5"),
        "begun with another|distortion.csv.job",
    );
    refuse(
        &format!("{small} --resume --shard 1/2"),
        "another `shard`: 1/1 there, 1/2 here",
    );
    // The journal says of each input what it was.
    let journal = String::from_utf8(bytes("distortion.csv.job")).unwrap();
    let at = journal.rfind("\"input\":\"").unwrap() + 9;
    let other = format!("{}0000{}", &journal[..at], &journal[at + 4..]);
    fs::write(out.join("distortion.csv.job"), other).unwrap();
    refuse(&format!("{small} --resume"), "another `input 1`: 0000");
    assert!(bytes("distortion.csv") == before);
    // A directory of a version without journals.
    fs::remove_file(out.join("distortion.csv.job")).unwrap();
    fs::write(out.join("settings.json"), "{}").unwrap();
    refuse(
        &format!("{small} --resume"),
        "an earlier version|no journal|--force",
    );
    run(&["--force"]);
    assert!(bytes("distortion.csv") == before);
    assert_eq!(
        names(&out),
        ["distortion.csv", "distortion.csv.job", "worst.safetensors"]
    );
}

/// A signal stops a search behind its step, and the search goes on from there.
#[cfg(unix)]
#[test]
fn sigterm_keeps_the_search() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let net = dir.path().join("net.safetensors");
    model(&net, &[1, 6, 6], &[12, 8]);
    let words = |out: &Path| {
        let own = "distortion --samples 9 --population 2000 --generations 60 --parts 1 --resume";
        let mut words: Vec<String> = own.split(' ').map(str::to_owned).collect();
        let paths = ["--model", text(&net), "--data", text(&data)].map(str::to_owned);
        words.extend(paths);
        words.extend(["--limit", "2", "--out", text(out)].map(str::to_owned));
        words
    };
    let [whole, stopped] = ["whole", "stopped"].map(|out| dir.path().join(out));
    let run = |out: &Path| json(&words(out).iter().map(String::as_str).collect::<Vec<_>>());
    run(&whole);
    let mut child = command(&[])
        .args(words(&stopped))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The job has begun; before the signal is watched it would end the process without a state.
    let start = Instant::now();
    while !stopped.join("distortion.csv").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "no table");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(20));
    let sent = std::process::Command::new("kill")
        .arg(child.id().to_string())
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(stopped.join("state.safetensors").exists());
    run(&stopped);
    for name in ["distortion.csv", "worst.safetensors"] {
        let bytes = |out: &Path| fs::read(out.join(name)).unwrap();
        assert!(bytes(&stopped) == bytes(&whole), "{name}");
    }
    assert_eq!(names(&stopped), names(&whole));
}

/// Work of hours on one input.
#[test]
fn a_signal_ends_what_takes_long() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let net = dir.path().join("net.safetensors");
    model(&net, &[1, 6, 6], &[40, 40, 40]);
    // The settings are written just before a job begins.
    for asked in [
        "distortion --samples 2000000000",
        "bound --eps 0.4 --domain none --time 100000",
    ] {
        let begun = dir.path().join("begun.json");
        let out = dir.path().join("out");
        let (out_name, begun_name) = (text(&out), text(&begun));
        let paths = [
            "--model",
            text(&net),
            "--data",
            text(&data),
            "--out",
            out_name,
        ];
        let more = ["--limit", "1", "--settings", begun_name];
        let mut child = command(&[])
            .args(asked.split(' ').chain(paths).chain(more))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !begun.exists() {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "{asked}: not begun"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(500));
        assert!(
            child.try_wait().unwrap().is_none(),
            "{asked}: ended by itself"
        );
        let mut kill = std::process::Command::new("kill");
        let sent = kill.arg(child.id().to_string());
        assert!(sent.status().unwrap().success());
        let start = Instant::now();
        let code = loop {
            if let Some(ended) = child.try_wait().unwrap() {
                break ended.code();
            }
            if start.elapsed() > Duration::from_secs(60) {
                child.kill().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(code, Some(143), "{asked}");
        if out.is_dir() {
            fs::remove_dir_all(&out).unwrap();
        }
        assert!(!out.exists(), "{asked}: a row of what was not done");
        fs::remove_file(begun).unwrap();
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    small_data(dir.path());
    let net = dir.path().join("net.safetensors");
    model(&net, &[1, 6, 6], &[4]);
    let few = dir.path().join("few.safetensors");
    model_with_outputs(&few, &[1, 6, 6], &[4], 2);
    let refuse = |more: &str, code, needles: &str| {
        let arguments = format!("distortion --data @data --model @{more}");
        refused(dir.path(), &arguments, code, needles);
    };
    let usage = |more: &str, needles: &str| refuse(&format!("net.safetensors {more}"), 2, needles);
    usage("--eps 0", "--eps|8/256");
    usage("--eps 1/0", "--eps|8/256");
    usage("--domain 1,0", "--domain|the smaller first");
    usage("--samples 0", "--samples 0|at least 1");
    usage("--population 1", "--population 1|at least 2");
    usage("--limit 0", "--limit 0|at least 1");
    usage("--parts 0", "--parts 0|at least 1");
    // Pixels from 0 to 1 are not in [0.5, 1].
    let outside = "net.safetensors --limit 1 --samples 5 --domain 0.5,1";
    refuse(outside, 1, "input 0|outside the domain");
    // What is taken for the domain of an array is said where an input is outside of it.
    let x = Tensor::full(-0.5, (1, 1, 6, 6), &Device::Cpu).unwrap();
    x.write_npy(dir.path().join("x.npy")).unwrap();
    let labels = Tensor::new(&[0i64], &Device::Cpu).unwrap();
    labels.write_npy(dir.path().join("y.npy")).unwrap();
    for asked in [
        "distortion --data @x.npy,labels=y.npy --samples 5",
        "explain --data @x.npy --input 0 --out @e.png",
    ] {
        let arguments = format!("{asked} --model @net.safetensors");
        let needles = "input 0|without --domain|outside the domain [0, 1]";
        refused(dir.path(), &arguments, 1, needles);
    }
    refuse("few.safetensors", 1, "the label of input 2 is 2|2 outputs");
}
