//! `train`: what a run directory holds, that it is reproducible, and how it goes on.

use std::fs;

use candle_core::{Device, Tensor};
use loclin_data::npy;
use serde_json::Value;

use crate::fixture::{
    assert_same, change_progress, checkpoint, command, demo_config, json, metrics, names,
    other_label, small_data, text, train, training, tree,
};
use crate::refusal::refused;

const FILES: [&str; 4] = [
    "config.toml",
    "last.safetensors",
    "metrics.jsonl",
    "model.safetensors",
];

#[test]
fn a_run_on_the_digits_leaves_the_documented_files_and_certifies() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("a/b/run");
    let set = ["hidden=[12,8]", "epochs=2", "batch_size=512", "loss=roll"];
    let outcome = train(&run, &set, &["--seed", "3"]);
    assert_eq!(names(&run), FILES);
    assert_eq!(outcome["run"], text(&run));
    assert_eq!(outcome["epochs"], 2);

    let config: toml::Table = fs::read_to_string(run.join("config.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let keys = loclin::program::config::KEYS.len();
    assert_eq!(config.len(), 1 + keys, "every key and the format: {config}");
    assert_eq!(config["seed"].as_integer(), Some(3));
    assert_eq!(config["loss"].as_str(), Some("roll"));

    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut documented = [
        "epoch",
        "seconds",
        "threads",
        "train_loss",
        "valid_loss",
        "task_loss",
        "regulariser",
        "accuracy",
        "median_eps_2",
        "p25_eps_2",
        "p75_eps_2",
        "step",
        "learning_rate",
        "gradient_norm",
        "date",
    ];
    documented.sort_unstable();
    let lambda = loclin::program::config::Config::load(&demo_config(), &[])
        .unwrap()
        .lambda;
    for (line, number) in lines.iter().zip(1..) {
        assert!(
            line.as_object().unwrap().keys().eq(documented.iter()),
            "{line}"
        );
        assert_eq!(line["epoch"], number);
        let regulariser = line["regulariser"].as_f64().unwrap();
        let loss = line["task_loss"].as_f64().unwrap() + lambda * regulariser;
        // One rounding in the sum and one in the product.
        assert!((line["valid_loss"].as_f64().unwrap() - loss).abs() <= 1e-14 * loss);
    }
    assert_eq!(lines.len(), 2);
    let best = lines.iter().min_by(|a, b| {
        let loss = |line: &Value| line["valid_loss"].as_f64().unwrap();
        loss(a).total_cmp(&loss(b))
    });
    assert_eq!(outcome["best"], *best.unwrap());

    // The configuration's seed makes the split, so the best epoch's accuracy is found again.
    let again = json(&["certify", "--model", text(&run), "--split", "valid"]);
    assert_eq!(again["accuracy"], outcome["best"]["accuracy"]);
    assert_eq!(again["data"], "digits");

    // It is read whatever other keys the program has by then; training does not go on with it.
    let file = run.join("config.toml");
    let old = fs::read_to_string(&file).unwrap();
    fs::write(&file, old.replace("validate_every = 1", "a_key_of_old = 2")).unwrap();
    let old = json(&["certify", "--model", text(&run), "--split", "valid"]);
    assert_eq!(old["accuracy"], again["accuracy"]);
    let arguments = training(&run, &["epochs=3"]);
    let output = command(&[]).args(arguments).arg("--resume").output();
    let output = output.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("unknown key `a_key_of_old`"), "{stderr}");
}

#[test]
fn what_can_train_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let output = command(&["train", "--preset", "demo", "--set", "dataset=mnits"])
        .arg("--out")
        .arg(dir.path().join("run"))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("did you mean \"mnist\"?"), "{stderr}");
    assert!(
        stderr.contains("or with one folder of images for each class"),
        "{stderr}"
    );
    assert!(stderr.contains("inputs.npy,labels=labels.npy"), "{stderr}");
    let inputs = dir.path().join("inputs.npy");
    fs::write(&inputs, npy::encode(&[20, 1], &[0.5; 20]).unwrap()).unwrap();
    let dataset = format!("dataset={}", text(&inputs));
    let arguments = training(&dir.path().join("run"), &[&dataset]);
    let output = command(&[]).args(arguments).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("inputs.npy: found no labels"), "{stderr}");
    assert!(stderr.contains("inputs.npy,labels=labels.npy"), "{stderr}");
}

/// Points of the plane of three classes, by the angle: in two arrays, and in one file of tensors.
#[test]
fn a_table_of_ones_own_is_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let write = |part: &str, rows: usize| {
        let angle = |row: usize| (row * 7 % rows) as f64 / rows as f64 * std::f64::consts::TAU;
        let inputs: Vec<f64> = (0..rows)
            .flat_map(|row| [angle(row).cos(), angle(row).sin()])
            .collect();
        let labels: Vec<f64> = (0..rows)
            .map(|row| (angle(row) / std::f64::consts::TAU * 3.0).floor())
            .collect();
        let array = |name: &str, shape: &[usize], values: &[f64]| {
            let bytes = npy::encode(shape, values).unwrap();
            fs::write(path(&format!("{part}-{name}.npy")), bytes).unwrap();
        };
        array("x", &[rows, 2], &inputs);
        array("y", &[rows], &labels);
        let tensor = |values: Vec<f64>, shape: &[usize]| {
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        let tensors = [
            ("inputs", tensor(inputs, &[rows, 2])),
            ("labels", tensor(labels, &[rows])),
        ];
        let file = path(&format!("{part}.safetensors"));
        candle_core::safetensors::save(&tensors.into(), file).unwrap();
    };
    write("train", 600);
    write("test", 200);
    let data = |part: &str| {
        let arrays = format!(
            "{},labels={part}-y.npy",
            text(&path(&format!("{part}-x.npy")))
        );
        [
            arrays,
            text(&path(&format!("{part}.safetensors"))).to_owned(),
        ]
    };
    let mut found = Vec::new();
    for (kind, (train_data, test_data)) in data("train").iter().zip(data("test")).enumerate() {
        let run = path(&format!("run{kind}"));
        let dataset = format!("dataset={train_data}");
        let set = ["hidden=[16]", "epochs=20", "batch_size=20", &dataset];
        train(&run, &set, &[]);
        let certified = json(&["certify", "--model", text(&run), "--data", &test_data]);
        assert!(
            certified["accuracy"].as_f64().unwrap() > 0.95,
            "{certified}"
        );
        // A run knows its own data.
        let own = json(&["certify", "--model", text(&run), "--split", "valid"]);
        assert_eq!(own["inputs"], 50, "{own}");
        // All of it is no test.
        let output = command(&["certify", "--model", text(&run)]).output();
        let stderr = String::from_utf8(output.unwrap().stderr).unwrap();
        assert!(stderr.contains("no rows that are held out"), "{stderr}");
        found.push((certified["accuracy"].clone(), certified["eps_2"].clone()));
        // What is no class of the model is refused.
        let labels: Vec<f64> = (0..200).map(|row| f64::from(row % 4)).collect();
        fs::write(path("wrong.npy"), npy::encode(&[200], &labels).unwrap()).unwrap();
        let wrong = format!("{},labels=wrong.npy", text(&path("test-x.npy")));
        let output = command(&["certify", "--model", text(&run), "--data", &wrong]).output();
        let stderr = String::from_utf8(output.unwrap().stderr).unwrap();
        assert!(stderr.contains("the label of input 3 is 3"), "{stderr}");
    }
    assert_eq!(found[0], found[1]);
    // A label beyond all rows is no class.
    let labels: Vec<f64> = (0..600).map(|row| f64::from(row) * 1e6).collect();
    fs::write(path("large.npy"), npy::encode(&[600], &labels).unwrap()).unwrap();
    let large = format!("dataset={},labels=large.npy", text(&path("train-x.npy")));
    let arguments = training(&path("run"), &[&large]);
    let output = command(&[]).args(arguments).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("found the label 599000000 among 600 rows"),
        "{stderr}"
    );
}

#[test]
fn the_seed_decides_every_bit() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("dataset={}", text(&small_data(dir.path())));
    let run = |name: &str, seed: &str| {
        let out = dir.path().join(name);
        train(
            &out,
            &[&data, "hidden=[7,5]", "epochs=2"],
            &["--seed", seed],
        );
        out
    };
    let (a, b, other) = (run("a", "5"), run("b", "5"), run("other", "6"));
    assert_same(&a, &b);
    assert_ne!(checkpoint(&a).0, checkpoint(&other).0);
    assert_ne!(metrics(&a), metrics(&other));
}

#[test]
fn a_run_goes_on_only_when_told_and_ends_as_if_it_had_never_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("dataset={}", text(&small_data(dir.path())));
    let (run, whole) = (dir.path().join("run"), dir.path().join("whole"));
    let set = |epochs| [data.as_str(), "hidden=[7,5]", "batch_size=16", epochs];
    train(&run, &set("epochs=2"), &[]);
    let before = tree(&run);

    let refused = |set: &[&str], more: &[&str], needles: &[&str]| {
        let output = command(&[]).args(training(&run, set)).args(more).output();
        let output = output.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(output.stdout.is_empty());
        for needle in needles {
            assert!(stderr.contains(needle), "{needle}: {stderr}");
        }
        assert_eq!(tree(&run), before);
    };
    refused(&set("epochs=3"), &[], &[text(&run), "--resume"]);
    let file = run.join("config.toml");
    let another = [text(&file), "another configuration"];
    refused(&set("epochs=1"), &["--resume"], &another);
    refused(&set("epochs=3"), &["--resume", "--seed", "9"], &another);
    refused(&set("lambda=1"), &["--resume"], &another);
    // What the learning rate was depended on how many epochs there would be.
    refused(&set("schedule=cosine"), &["--resume"], &another);

    // Nothing is left to do, and nothing changes, but that a file that was torn is whole again.
    let metrics = run.join("metrics.jsonl");
    let lines = fs::read(&metrics).unwrap();
    fs::write(&metrics, &lines[..lines.len() - 9]).unwrap();
    let outcome = train(&run, &set("epochs=2"), &["--resume"]);
    assert_eq!(outcome["epochs"], 2);
    assert_eq!(tree(&run), before);

    // Also where the first version of the program began it, which had fewer keys and another name for one.
    let written: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
    let old = "dataset hidden loss lambda c gamma axes optimizer learning_rate momentum nesterov weight_decay \
               batch_size epochs seed dtype checkpoint_seconds";
    let mut old: toml::Table = old
        .split_whitespace()
        .map(|key| (key.to_owned(), written[key].clone()))
        .collect();
    old.insert("leak".into(), written["negative_slope"].clone());
    fs::write(&file, old.to_string()).unwrap();
    let certified = json(&["certify", "--model", text(&run), "--limit", "3"]);
    assert_eq!(certified["inputs"], 3);

    train(&run, &set("epochs=4"), &["--resume"]);
    train(&whole, &set("epochs=4"), &["--resume"]);
    assert_same(&run, &whole);
    let config = |name| fs::read(dir.path().join(name).join("config.toml")).unwrap();
    assert_eq!(config("run"), config("whole"));
}

/// Files that are read are not replaced, whatever names them, nor with --force.
#[test]
fn what_a_command_reads_it_does_not_replace() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let values: Vec<f64> = (0..48).map(f64::from).collect();
    let labels: Vec<f64> = (0..24).map(|row| f64::from(row % 2)).collect();
    fs::write(path("x.npy"), npy::encode(&[24, 2], &values).unwrap()).unwrap();
    fs::write(path("y.npy"), npy::encode(&[24], &labels).unwrap()).unwrap();
    let ends = npy::encode(&[2, 2], &[-9.0, -9.0, 99.0, 99.0]).unwrap();
    fs::write(path("box.npy"), ends).unwrap();
    fs::write(path("p.toml"), "scale = \"1\"\n").unwrap();
    let data = format!("{},labels=y.npy", text(&path("x.npy")));
    train(
        &path("run"),
        &["hidden=[4]", "epochs=1", &format!("dataset={data}")],
        &[],
    );
    let before = tree(dir.path());
    for (out, more, option) in [
        ("x.npy", "--data @x.npy,labels=y.npy", "--data"),
        ("y.npy", "--data @x.npy,labels=y.npy", "--data"),
        ("x.npy", "--data @*.npy", "--data"),
        ("x.npy", "", "the data of --model"),
        ("y.npy", "", "the data of --model"),
        ("run/model.safetensors", "", "--model"),
        ("run/config.toml", "", "--model"),
        ("box.npy", "--domain @box.npy", "--domain"),
        ("p.toml", "--preprocessing @p.toml", "--preprocessing"),
    ] {
        for written in ["--out", "--report"] {
            let more = if more.is_empty() {
                String::new()
            } else {
                format!("{more} ")
            };
            let line = format!("certify --model @run {more}{written} @{out} --force");
            let needle = format!("{written}|is read as {option}, too");
            refused(dir.path(), &line, 2, &needle);
            assert_eq!(tree(dir.path()), before, "{line}");
        }
    }
}

/// A run finds its data again from another folder than that it was trained in.
#[test]
fn data_beside_a_run_are_found_from_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("x.npy"), npy::encode(&[24, 2], &[0.5; 48]).unwrap()).unwrap();
    fs::write(path("y.npy"), npy::encode(&[24], &[1.0; 24]).unwrap()).unwrap();
    let set = ["hidden=[4]", "epochs=1", "dataset=x.npy,labels=y.npy"];
    let arguments = training(&path("runs/run"), &set);
    let output = command(&[])
        .args(arguments)
        .current_dir(dir.path())
        .output();
    assert!(output.unwrap().status.success());
    fs::create_dir(path("other")).unwrap();
    for folder in ["", "runs", "other"] {
        let run = path("runs/run");
        let mut command = command(&[
            "certify",
            "--model",
            text(&run),
            "--split",
            "valid",
            "--json",
        ]);
        let output = command.current_dir(path(folder)).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{folder}: {stderr}");
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["inputs"], 2);
    }
}

/// What is drawn has a seed; which rows of a run's own data validate is the run's, however they are named.
#[test]
fn the_seed_of_a_command_divides_no_data() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let set = [
        "hidden=[8]",
        "epochs=1",
        "batch_size=500",
        "folds=3",
        "fold=1",
    ];
    train(&run, &set, &["--seed", "3"]);
    let found = |more: &[&str]| {
        let fixed = [
            "certify",
            "--model",
            text(&run),
            "--split",
            "valid",
            "--norm",
            "2",
        ];
        let found = json(&[&fixed[..], more].concat());
        [
            found["inputs"].clone(),
            found["accuracy"].clone(),
            found["eps_2"].clone(),
        ]
    };
    let own = found(&[]);
    for more in [
        &["--seed", "1"][..],
        &["--data", "digits"],
        &["--data", "digits", "--seed", "4"],
    ] {
        assert_eq!(found(more), own, "{more:?}");
    }
    let table = dir.path().join("t.csv");
    found(&["--out", text(&table)]);
    let check = [
        "check",
        text(&table),
        "--model",
        text(&run),
        "--split",
        "valid",
        "--sample",
        "5",
    ];
    for seed in ["0", "1", "7"] {
        let checked = json(&[&check[..], &["--seed", seed]].concat());
        assert_eq!(checked["failures"], Value::Array(Vec::new()));
    }
}

/// The last epoch is validated because it is the last; a longer run does not look there, and may save another network.
#[test]
fn a_run_that_looked_at_its_last_epoch_does_not_go_on_to_more() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("dataset={}", text(&small_data(dir.path())));
    let at = |name: &str| dir.path().join(name);
    let set = |epochs| [data.as_str(), "hidden=[7]", "validate_every=2", epochs];
    train(&at("odd"), &set("epochs=3"), &[]);
    let config = text(&demo_config()).to_owned();
    let line = format!(
        "train --config {config} --out @odd --set {data} --set hidden=[7] --set validate_every=2 --set epochs=5 --resume"
    );
    let needles = "last.safetensors|its last epoch, 3, was validated because it is the last|validate_every = 2|--out";
    refused(dir.path(), &line, 2, needles);
    train(&at("even"), &set("epochs=2"), &[]);
    train(&at("even"), &set("epochs=5"), &["--resume"]);
    train(&at("whole"), &set("epochs=5"), &[]);
    assert_same(&at("even"), &at("whole"));
}

#[test]
fn other_threads_than_those_that_began_a_run_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("dataset={}", text(&small_data(dir.path())));
    let run = dir.path().join("run");
    let words = |epochs, threads| {
        let arguments = training(&run, &[&data, "hidden=[7]", epochs]);
        let mut command = command(&[]);
        let output = command
            .args(arguments)
            .arg("--resume")
            .env("RAYON_NUM_THREADS", threads)
            .output();
        let output = output.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        stderr
    };
    assert!(!words("epochs=1", "1").contains("threads"));
    assert!(!words("epochs=2", "1").contains("threads"));
    let said = words("epochs=3", "2");
    assert!(
        said.contains("by 1 threads so far, goes on with 2"),
        "{said}"
    );
}

#[test]
fn a_run_goes_on_with_its_own_data_alone() {
    let dir = tempfile::tempdir().unwrap();
    let folder = small_data(dir.path());
    let data = format!("dataset={}", text(&folder));
    let run = dir.path().join("run");
    let set = |epochs| [data.as_str(), "hidden=[7]", epochs];
    train(&run, &set("epochs=1"), &[]);
    other_label(&folder);
    let config = text(&demo_config()).to_owned();
    for epochs in [1, 2] {
        let set = format!("--set {data} --set hidden=[7] --set epochs={epochs}");
        let line = format!("train --config {config} --out @run {set} --resume");
        let needles = "last.safetensors|other data|SHA-256|bring those data back|--out";
        refused(dir.path(), &line, 1, needles);
    }
    // What tests takes no part.
    other_label(&folder);
    fs::remove_file(folder.join("t10k-labels-idx1-ubyte")).unwrap();
    train(&run, &set("epochs=2"), &["--resume"]);
    // Of a run that an earlier version began nobody knows; from then on it is known.
    change_progress(&run, |progress| {
        assert_eq!(progress["data"].as_str().unwrap().len(), 64);
        progress.remove("data");
    });
    other_label(&folder);
    assert_eq!(train(&run, &set("epochs=2"), &["--resume"])["epochs"], 2);
    train(&run, &set("epochs=3"), &["--resume"]);
    assert!(checkpoint(&run).1["data"].is_string());
}

#[test]
fn files_that_are_there_stay() {
    let dir = tempfile::tempdir().unwrap();
    small_data(dir.path());
    let demo = text(&demo_config()).to_owned();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("mine")).unwrap();
    let own = format!("# My notes.\n{}", fs::read_to_string(&demo).unwrap());
    fs::write(at("mine/config.toml"), own).unwrap();
    for (arguments, needles) in [
        (
            "--config @mine/config.toml --out @mine",
            "--out|is read as --config, too",
        ),
        (
            "--config @mine/config.toml --out @mine --resume",
            "is read as --config, too",
        ),
        (
            "--preset demo --out @mine",
            "mine/config.toml|--resume|--out names another",
        ),
    ] {
        refused(dir.path(), &format!("train {arguments}"), 2, needles);
    }

    // A finished run that lost its checkpoint, and one that lost its network.
    let train = |hidden: &str| {
        let set = format!("--set dataset=@data --set epochs=1 --set hidden={hidden}");
        format!("train --config {demo} --out @run {set}")
    };
    let data = format!("dataset={}", text(&at("data")));
    crate::fixture::train(&at("run"), &[&data, "epochs=1", "hidden=[7]"], &[]);
    let last = at("run/last.safetensors");
    fs::rename(&last, at("last")).unwrap();
    refused(dir.path(), &train("[3]"), 2, "a run was begun here|--out");
    let resumed = format!("{} --resume", train("[3]"));
    refused(dir.path(), &resumed, 2, "another configuration|--out");
    fs::rename(at("last"), &last).unwrap();
    fs::remove_file(at("run/model.safetensors")).unwrap();
    let resumed = format!("{} --resume", train("[7]"));
    refused(
        dir.path(),
        &resumed,
        1,
        "model.safetensors|best network is gone|remove the run's directory",
    );
}

#[test]
fn a_network_that_is_not_the_runs_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let data = format!("dataset={}", text(&small_data(dir.path())));
    let set = |seed| [data.as_str(), "hidden=[7]", "epochs=1", seed];
    train(&at("run"), &set("seed=1"), &[]);
    train(&at("other"), &set("seed=2"), &[]);
    let model = at("run/model.safetensors");
    let own = fs::read(&model).unwrap();
    let config = text(&demo_config()).to_owned();
    let sets = "--set dataset=@data --set hidden=[7] --set epochs=1 --set seed=1";
    let line = format!("train --config {config} --out @run {sets} --resume");
    let other = fs::read(at("other/model.safetensors")).unwrap();
    for bytes in [&other[..], b""] {
        fs::write(&model, bytes).unwrap();
        let needles = "run/model.safetensors|not the run's best network any more|SHA-256";
        refused(dir.path(), &line, 1, needles);
        assert_eq!(fs::read(&model).unwrap(), bytes);
    }
    fs::write(&model, own).unwrap();
    train(&at("run"), &set("seed=1"), &["--resume"]);
}

#[test]
fn a_run_goes_on_from_its_own_first_weights_alone() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let data = format!("dataset={}", text(&small_data(dir.path())));
    let weights = at("w.safetensors");
    let init = format!("init={}", text(&weights));
    let set = |own: &[&str]| {
        let all = [&[data.as_str(), "hidden=[7]", "epochs=1"], own].concat();
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |out: &str, own: &[&str], more: &[&str]| {
        let set = set(own);
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        train(&at(out), &set, more)
    };
    run("one", &["seed=1"], &[]);
    run("two", &["seed=2"], &[]);
    let first = |name: &str| {
        fs::copy(at(name).join("model.safetensors"), &weights).unwrap();
    };
    first("one");
    run("run", &[&init], &[]);
    first("two");
    let config = text(&demo_config()).to_owned();
    for epochs in [1, 2] {
        let sets = format!(
            "--set dataset=@data --set hidden=[7] --set init=@w.safetensors --set epochs={epochs}"
        );
        let line = format!("train --config {config} --out @run {sets} --resume");
        refused(
            dir.path(),
            &line,
            1,
            "last.safetensors|other weights|SHA-256|w.safetensors",
        );
    }
    // It needs them no more.
    fs::remove_file(&weights).unwrap();
    run("run", &[&init], &["--resume"]);
    first("one");
    run("run", &[&init], &["--resume"]);
}

#[test]
fn a_configuration_of_ones_own_stays_when_a_run_is_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    small_data(dir.path());
    let own = dir.path().join("mine/config.toml");
    fs::create_dir(dir.path().join("mine")).unwrap();
    let demo = fs::read_to_string(demo_config()).unwrap();
    for (text, needle) in [
        ("[app]\nname = \"mine\"\n", "not that of a run"),
        (&demo[..], "another configuration"),
    ] {
        fs::write(&own, text).unwrap();
        let line = "train --preset demo --set dataset=@data --set hidden=[7] --set epochs=1 --out @mine --resume";
        let output = command(&[])
            .args(
                line.replace('@', &format!("{}/", dir.path().display()))
                    .split(' '),
            )
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && stderr.contains(needle),
            "{stderr}"
        );
        assert_eq!(fs::read_to_string(&own).unwrap(), text);
    }
}

/// Nothing is begun that cannot be trained.
#[test]
fn what_cannot_be_trained_leaves_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("x.npy"), npy::encode(&[24, 2], &[0.5; 48]).unwrap()).unwrap();
    for (name, label) in [("zeros.npy", 0.0), ("ones.npy", 1.0)] {
        fs::write(at(name), npy::encode(&[24], &[label; 24]).unwrap()).unwrap();
    }
    for (labels, set, needle) in [
        ("zeros", "", "found one class, expected two or more"),
        (
            "ones",
            "--set flip=true",
            "flip and crop_padding take images",
        ),
        (
            "ones",
            "--set crop_padding=2",
            "flip and crop_padding take images",
        ),
    ] {
        let line = format!(
            "train --preset demo --set hidden=[4] --set epochs=1 --set dataset=@x.npy,labels=@{labels}.npy {set} --out @run"
        );
        let line = line.replace('@', &format!("{}/", dir.path().display()));
        let output = command(&[]).args(line.split_whitespace()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && stderr.contains(needle),
            "{stderr}"
        );
        assert!(!at("run").exists(), "{needle}");
    }
}

#[cfg(unix)]
#[test]
fn a_run_whose_directory_was_moved_writes_nothing_into_another() {
    use std::time::{Duration, Instant};
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let data = format!("dataset={}", text(&small_data(dir.path())));
    let set = [
        &data[..],
        "hidden=[7]",
        "epochs=100000",
        "checkpoint_seconds=0",
    ];
    let child = command(&[])
        .args(training(&at("run"), &set))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !at("run/last.safetensors").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "no checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
    fs::rename(at("run"), at("old")).unwrap();
    train(&at("run"), &[&data, "hidden=[5]", "epochs=1"], &[]);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{stderr}");
    assert!(stderr.contains("moved or removed"), "{stderr}");
    train(
        &at("run"),
        &[&data, "hidden=[5]", "epochs=1"],
        &["--resume"],
    );
}

#[test]
fn of_two_tables_of_a_runs_name_none_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("other")).unwrap();
    for (folder, rows) in [("", 24), ("other", 12)] {
        let [x, y] = ["x.npy", "y.npy"].map(|name| at(folder).join(name));
        fs::write(x, npy::encode(&[rows, 2], &vec![0.5; 2 * rows]).unwrap()).unwrap();
        fs::write(y, npy::encode(&[rows], &vec![1.0; rows]).unwrap()).unwrap();
    }
    let set = ["hidden=[4]", "epochs=1", "dataset=x.npy,labels=y.npy"];
    let trained = command(&[])
        .args(training(&at("run"), &set))
        .current_dir(dir.path())
        .output();
    assert!(trained.unwrap().status.success());
    let certify = |more: &[&str]| {
        let run = at("run");
        let line = ["certify", "--json", "--model", text(&run)];
        command(&[&line[..], more].concat())
            .current_dir(at("other"))
            .output()
            .unwrap()
    };
    let unsaid = certify(&[]);
    let stderr = String::from_utf8(unsaid.stderr).unwrap();
    assert_eq!(unsaid.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("x.npy,labels=y.npy") && stderr.contains("--data says which"),
        "{stderr}"
    );
    for (data, inputs) in [("x.npy,labels=y.npy", 12), ("../x.npy,labels=y.npy", 24)] {
        let said = certify(&["--data", data]);
        let found: Value = serde_json::from_slice(&said.stdout).unwrap();
        assert_eq!(found["inputs"], inputs, "{data}");
    }
}

#[test]
fn rarer_validations_find_the_same_weights_and_choose_among_fewer() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("dataset={}", text(&small_data(dir.path())));
    let (each, some) = (dir.path().join("each"), dir.path().join("some"));
    let set = [data.as_str(), "hidden=[7,5]", "batch_size=16", "epochs=5"];
    train(&each, &set, &[]);
    let outcome = train(&some, &[&set[..], &["validate_every=2"]].concat(), &[]);
    assert_eq!(outcome["epochs"], 5);
    assert_eq!(checkpoint(&each).0, checkpoint(&some).0);
    let of = |epochs: &[Value], at: usize, field: &str| epochs[at][field].clone();
    let (all, few) = (metrics(&each), metrics(&some));
    for (few_at, all_at) in [(0, 1), (1, 3), (2, 4)] {
        for field in ["epoch", "valid_loss", "accuracy", "median_eps_2"] {
            assert_eq!(of(&few, few_at, field), of(&all, all_at, field), "{field}");
        }
    }
    assert_eq!(few.len(), 3);
    // A training loss is that of all steps since the last validation.
    let loss = |epochs: &[Value], at| of(epochs, at, "train_loss").as_f64().unwrap();
    let mean = 0.5 * (loss(&all, 0) + loss(&all, 1));
    assert!((loss(&few, 0) - mean).abs() < 1e-12 * mean);
}

#[test]
fn every_objective_and_optimiser_trains() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("dataset={}", text(&small_data(dir.path())));
    let cases: [(&str, &[&str]); 19] = [
        ("vanilla", &[]),
        ("distance", &[]),
        ("relaxed", &["optimizer=adam"]),
        ("roll", &["gamma=20"]),
        ("roll", &["gamma=max"]),
        ("roll", &["negative_slope=0.1", "dtype=f64"]),
        ("sampled", &[]),
        ("sampled", &["optimizer=amsgrad", "weight_decay=0.01"]),
        ("axes", &["axes=36"]),
        ("jump-weighted", &[]),
        ("jump-weighted-sampled", &["optimizer=adam"]),
        ("gradient-norm", &[]),
        ("mmr-1", &["gamma=20"]),
        ("mmr-2", &["gamma=max", "boundary_margin=0.5"]),
        ("mmr-inf", &["decision_margin=0.5"]),
        ("cure", &["radius=1.5"]),
        ("grad-align", &["radius=0.2"]),
        ("grad-cert", &["radius=0.2"]),
        ("elle", &["radius=0.2"]),
    ];
    for (number, (loss, more)) in cases.iter().enumerate() {
        let out = dir.path().join(number.to_string());
        let loss_is = format!("loss={loss}");
        let set = [
            &[data.as_str(), "hidden=[7,5]", "epochs=1", &loss_is],
            *more,
        ]
        .concat();
        let best = &train(&out, &set, &[])["best"];
        let numbers = best.as_object().unwrap().iter();
        for field in numbers.filter(|(name, _)| *name != "date") {
            assert!(field.1.as_f64().unwrap().is_finite(), "{set:?}: {best}");
        }
        assert_eq!(best["regulariser"] == 0.0, *loss == "vanilla", "{best}");
        assert!(best["median_eps_2"].as_f64().unwrap() > 0.0, "{best}");
    }
}

#[test]
fn a_loss_that_is_no_longer_finite_ends_the_run_and_names_the_step() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("dataset={}", text(&small_data(dir.path())));
    // The mean over all neurons is not finite; of a share of them there is none, because NaN has no place in an order.
    for gamma in ["gamma=100", "gamma=50", "gamma=max"] {
        let out = dir.path().join(gamma);
        let set = [&data, "hidden=[7,5]", "learning_rate=1e30", "loss=roll"];
        let arguments = training(&out, &[&set[..], &[gamma]].concat());
        let output = command(&[]).args(arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(output.stdout.is_empty());
        for needle in ["epoch 1, step ", "not finite", "learning_rate"] {
            assert!(stderr.contains(needle), "{stderr}");
        }
        assert_eq!(names(&out), ["config.toml"]);
    }
}

#[test]
fn progress_is_on_stderr_and_the_summary_names_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("dataset={}", text(&small_data(dir.path())));
    let out = dir.path().join("run");
    let set = [data.as_str(), "hidden=[7]", "epochs=1"];
    let output = command(&["-v"])
        .args(training(&out, &set))
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{stderr}");
    assert!(
        stdout.contains(text(&out.join("model.safetensors"))),
        "{stdout}"
    );
    assert!(stderr.contains("epoch 1: train loss"), "{stderr}");
}
