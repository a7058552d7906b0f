//! `sweep`, and the `merge` of its parts: what is run, what is kept, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fixture::{
    assert_same, command, demo_config, json, names, other_label, small_data, text, without_seconds,
};

/// A sweep file in `directory` over small data, with what it varies.
fn sweep(directory: &Path, data: &Path, rest: &str) -> PathBuf {
    let set = format!("dataset = {:?}\nhidden = [7, 5]", text(data));
    let epochs = match rest.contains("\nepochs = [") {
        true => "",
        false => "epochs = 2",
    };
    let demo = fs::read_to_string(demo_config()).unwrap();
    fs::write(directory.join("base.toml"), &demo).unwrap();
    let mut vanilla: toml::Table = demo.parse().unwrap();
    let own: toml::Table = format!("{set}\nepochs = 2\nloss = \"vanilla\"")
        .parse()
        .unwrap();
    vanilla.extend(own);
    fs::write(directory.join("vanilla.toml"), vanilla.to_string()).unwrap();
    let file = directory.join("sweep.toml");
    let written = format!("base = \"base.toml\"\n{rest}\n[set]\n{set}\n{epochs}\n");
    fs::write(&file, written).unwrap();
    file
}

const GRID: &str = r#"
vanilla = "vanilla.toml"
search = "grid"
[vary]
lambda = [0.5, 1.0]
seed = [3, 4]
[[select]]
name = "any"
points_less = 100
"#;

const RUNS: [&str; 6] = [
    "vanilla,seed=3",
    "vanilla,seed=4",
    "lambda=0.5,seed=3",
    "lambda=0.5,seed=4",
    "lambda=1.0,seed=3",
    "lambda=1.0,seed=4",
];

/// The results without what the clock says.
fn results(directory: &Path) -> Value {
    let text = fs::read_to_string(directory.join("results.json")).unwrap();
    let mut results: Value = serde_json::from_str(&text).unwrap();
    for row in results["rows"].as_array_mut().unwrap() {
        let row = row.as_object_mut().unwrap();
        row.remove("seconds");
        if let Some(best) = row.get_mut("best") {
            without_seconds(best);
        }
    }
    results
}

fn refused(arguments: &[&str], code: i32, needles: &[&str]) {
    let output = command(arguments).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    for needle in needles {
        assert!(stderr.contains(needle), "{needle}: {stderr}");
    }
}

#[test]
fn shards_put_together_are_the_whole_and_nothing_is_done_twice() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let file = sweep(dir.path(), &small_data(dir.path()), GRID);
    let run = |out: &Path, more: &[&str]| {
        let arguments = ["sweep", "--config", text(&file), "--out", text(out)];
        json(&[&arguments[..], more].concat())
    };
    let outcome = run(&at("whole"), &["--jobs", "2"]);
    let rows = outcome["rows"].as_array().unwrap();
    for row in rows {
        assert_eq!(row["preprocessing"]["what"], "bytes", "{row}");
    }
    let found: Vec<&str> = rows
        .iter()
        .map(|row| row["run"].as_str().unwrap())
        .collect();
    assert_eq!(found, RUNS);
    let best = &outcome["selected"][0];
    let chosen: Vec<&Value> = rows
        .iter()
        .filter(|row| best["runs"].as_array().unwrap().contains(&row["run"]))
        .collect();
    assert_eq!(chosen.len(), 2, "both seeds: {best}");
    for field in ["accuracy", "median_eps_2"] {
        let values = chosen
            .iter()
            .map(|row| row["best"][field].as_f64().unwrap());
        assert_eq!(best[field], values.sum::<f64>() / 2.0, "{field}");
    }
    let csv = fs::read_to_string(at("whole").join("results.csv")).unwrap();
    assert!(csv.starts_with("run,lambda,seed,status,epoch,"), "{csv}");
    assert_eq!(csv.lines().count(), 1 + RUNS.len());

    // Again: everything is there, and nothing is trained.
    let metrics = at("whole").join(RUNS[1]).join("metrics.jsonl");
    let before = fs::metadata(&metrics).unwrap().modified().unwrap();
    assert_eq!(run(&at("whole"), &[]), outcome);
    assert_eq!(fs::metadata(&metrics).unwrap().modified().unwrap(), before);

    for (shard, runs) in [("1/2", 3), ("2/2", 3)] {
        let outcome = run(
            &at(&shard.replace('/', "-")),
            &["--shard", shard, "--jobs", "1"],
        );
        assert_eq!(outcome["rows"].as_array().unwrap().len(), runs);
        assert_eq!(outcome["selected"], Value::Array(Vec::new()));
    }
    let (one, two, merged) = (at("1-2"), at("2-2"), at("merged"));
    fn merge<'a>(shards: &[&'a Path], out: &'a Path) -> Vec<&'a str> {
        let shards = shards.iter().map(|shard| text(shard));
        let command = ["merge"].into_iter().chain(shards);
        command.chain(["--out", text(out)]).collect()
    }
    let (missing, doubled) = ("3 of 6 runs are missing", "is doubled");
    refused(&merge(&[&one], &merged), 1, &[missing, RUNS[1]]);
    refused(
        &merge(&[&one, &two, &one], &merged),
        1,
        &[doubled, text(&one)],
    );
    assert!(!merged.exists());
    json(&merge(&[&two, &one], &merged));
    assert_eq!(results(&merged), results(&at("whole")));
    assert_eq!(names(&merged), ["results.csv", "results.json"]);

    // Another sweep: more values keep what was done, but shards of the two do not mix.
    let more = GRID.replace("[0.5, 1.0]", "[0.5, 1.0, 2.0]");
    sweep(dir.path(), &at("data"), &more);
    let before = fs::metadata(one.join(RUNS[2]).join("metrics.jsonl")).unwrap();
    let extended = run(&one, &["--shard", "1/2"]);
    assert_eq!(extended["planned"], 8);
    let after = fs::metadata(one.join(RUNS[2]).join("metrics.jsonl")).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    refused(
        &merge(&[&one, &two], &at("mixed")),
        1,
        &["of another job", "configurations or rules differ"],
    );
}

#[test]
fn parts_on_other_data_are_not_put_together_and_no_result_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| text(&dir.path().join(name)).to_owned();
    let data = small_data(dir.path());
    let file = sweep(
        dir.path(),
        &data,
        "search = \"grid\"\n[vary]\nseed = [3, 4]",
    );
    let run = |part: &str, out: &str| {
        let (part, out) = (format!("{part}/2"), at(out));
        let own = ["--shard", &part, "--out", &out];
        json(&[&["sweep", "--config", text(&file)][..], &own].concat())
    };
    run("1", "one");
    other_label(&data);
    run("2", "other");
    let (one, two, other, all) = (at("one"), at("two"), at("other"), at("all"));
    let needles = ["of another job", "SHA-256 of the data", text(&data)];
    refused(&["merge", &one, &other, "--out", &all], 1, &needles);
    other_label(&data);
    run("2", "two");
    fs::create_dir(&all).unwrap();
    let csv = dir.path().join("all/results.csv");
    fs::write(&csv, "my own").unwrap();
    let merge = ["merge", &one, &two, "--out", &all];
    refused(&merge, 1, &["results.csv", "--force replaces it"]);
    assert_eq!(fs::read(&csv).unwrap(), b"my own");
    json(&[&merge[..], &["--force"]].concat());
    assert_eq!(fs::read_to_string(&csv).unwrap().lines().count(), 3);
    assert_eq!(
        results(Path::new(&all))["data"],
        results(Path::new(&one))["data"]
    );
}

#[test]
fn runs_that_are_finished_are_those_of_the_data_that_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let out = dir.path().join("out");
    let file = sweep(
        dir.path(),
        &data,
        "search = \"grid\"\n[vary]\nseed = [3, 4]",
    );
    let arguments = ["sweep", "--config", text(&file), "--out", text(&out)];
    json(&arguments);
    other_label(&data);
    let needles = ["last.safetensors", "other data", "--out"];
    refused(&arguments, 1, &needles);
    refused(&[&arguments[..], &["--dry-run"]].concat(), 1, &needles);
    other_label(&data);
    assert_eq!(json(&arguments)["rows"].as_array().unwrap().len(), 2);
}

#[test]
fn results_stay_until_there_are_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let out = dir.path().join("out");
    let rest = "search = \"grid\"\n[vary]\nseed = [3, 4, 5]";
    let file = sweep(dir.path(), &data, rest);
    let arguments = ["sweep", "--config", text(&file), "--out", text(&out)];
    json(&arguments);
    let all = ["results.json", "results.csv"].map(|name| fs::read(out.join(name)).unwrap());
    let stays = || {
        let now = ["results.json", "results.csv"].map(|name| fs::read(out.join(name)).unwrap());
        assert!(now == all, "results were changed");
    };
    // Other configurations of the runs that are there.
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, config.replace("hidden = [7, 5]", "hidden = [6]")).unwrap();
    refused(&arguments, 2, &["run `seed=3`", "another configuration"]);
    stays();
    fs::write(&file, &config).unwrap();
    // A network that is gone.
    let model = out.join("seed=4/model.safetensors");
    let bytes = fs::read(&model).unwrap();
    fs::remove_file(&model).unwrap();
    refused(
        &[&arguments[..], &["--jobs", "1"]].concat(),
        1,
        &["best network is gone"],
    );
    assert_eq!(results(&out)["rows"].as_array().unwrap().len(), 3);
    fs::write(&model, bytes).unwrap();
    json(&arguments);
    stays();
}

#[test]
fn parts_from_other_first_weights_or_of_other_sizes_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| text(&dir.path().join(name)).to_owned();
    let data = small_data(dir.path());
    let weights = dir.path().join("w.safetensors");
    crate::fixture::model(&weights, &[1, 6, 6], &[7, 5]);
    let rest = format!(
        "search = \"grid\"\n[vary]\nseed = [3, 4]\ninit = [{:?}]",
        text(&weights)
    );
    let file = sweep(dir.path(), &data, &rest);
    let part = |part: &str, out: &str| {
        let part = format!("{part}/2");
        json(&[
            "sweep",
            "--config",
            text(&file),
            "--shard",
            &part,
            "--out",
            out,
        ]);
    };
    let (one, two, all) = (at("one"), at("two"), at("all"));
    part("1", &one);
    crate::fixture::model(&weights, &[1, 6, 6], &[7, 5]);
    let mut bytes = fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&weights, bytes).unwrap();
    part("2", &two);
    refused(
        &["merge", &one, &two, "--out", &all],
        1,
        &["SHA-256 of the data", "w.safetensors"],
    );
    let again = [
        "sweep",
        "--config",
        text(&file),
        "--shard",
        "1/2",
        "--out",
        &one,
    ];
    refused(&again, 1, &["began from other weights"]);
}

/// Weights that decay to 0 leave neurons that nothing moves.
#[test]
fn runs_whose_margins_are_infinite_are_shown_and_go_on_and_are_put_together() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| text(&dir.path().join(name)).to_owned();
    let data = small_data(dir.path());
    let rest = "search = \"grid\"\n[vary]\nepochs = [12]\nbatch_size = [8]\nloss = [\"vanilla\"]\n\
                optimizer = [\"sgd\"]\nlearning_rate = [0.1]\nmomentum = [0.0]\nnesterov = [false]\nweight_decay = [0.0, 5.0]";
    let file = sweep(dir.path(), &data, rest);
    let arguments = ["sweep", "--config", text(&file), "--out", &at("out")];
    let outcome = json(&arguments);
    assert!(
        outcome["rows"][1]["best"]["median_eps_2"].is_null(),
        "{outcome}"
    );
    let run = dir
        .path()
        .join("out")
        .join(outcome["rows"][1]["run"].as_str().unwrap());
    let output = command(&["metrics", text(&run), "--csv", &at("m.csv")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let table = fs::read_to_string(at("m.csv")).unwrap();
    assert!(
        table.lines().last().unwrap().contains(",inf,inf,inf,"),
        "{table}"
    );
    assert_eq!(json(&arguments), outcome);
    let merged = json(&["merge", &at("out"), "--out", &at("all")]);
    assert_eq!(merged["rows"], outcome["rows"]);
    let config = at(&format!(
        "out/{}/config.toml",
        outcome["rows"][1]["run"].as_str().unwrap()
    ));
    let more = [
        "train",
        "--config",
        &config,
        "--out",
        text(&run),
        "--set",
        "epochs=13",
        "--resume",
    ];
    assert_eq!(json(&more)["epochs"], 13);
}

#[test]
fn a_sweep_that_is_killed_goes_on_and_ends_with_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let often = "batch_size = [8]\ncheckpoint_seconds = [0.0]\nepochs = [3]";
    let rest = format!("search = \"grid\"\n[vary]\nseed = [3, 4, 5]\n{often}");
    let file = sweep(dir.path(), &data, &rest);
    let (killed, whole) = (dir.path().join("killed"), dir.path().join("whole"));
    let arguments = |out| ["sweep", "--config", text(&file), "--out", out];
    let run = |seed: u64| format!("batch_size=8,checkpoint_seconds=0.0,epochs=3,seed={seed}");
    for seed in [3, 5] {
        let mut child = command(&arguments(text(&killed)))
            .args(["--jobs", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !killed.join(run(seed)).join("last.safetensors").exists() {
            assert!(child.try_wait().unwrap().is_none(), "ended before the kill");
            assert!(start.elapsed() < Duration::from_secs(60), "no checkpoint");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    json(&[&arguments(text(&killed))[..], &["--jobs", "2"]].concat());
    json(&[&arguments(text(&whole))[..], &["--jobs", "1"]].concat());
    assert_eq!(results(&killed), results(&whole));
    for seed in [3, 4, 5] {
        assert_same(&killed.join(run(seed)), &whole.join(run(seed)));
    }
    assert_eq!(names(&killed), names(&whole), "temporary files are left");
}

#[test]
fn a_random_search_keeps_its_trials_and_a_run_that_diverges_is_a_result() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let out = dir.path().join("out");
    let run = |trials: usize, rate: &str| {
        let rest = format!(
            "vanilla = \"vanilla.toml\"\nsearch = \"random\"\ntrials = {trials}\nseed = 1\n[vary]\n\
             lambda = {{ from = 0.1, to = 10.0, scale = \"log\" }}\n\
             batch_size = {{ from = 4, to = 40, scale = \"linear\" }}\n\
             learning_rate = {rate}\n[[select]]\nname = \"any\"\npoints_less = 100"
        );
        let file = sweep(dir.path(), &data, &rest);
        json(&["sweep", "--config", text(&file), "--out", text(&out)])
    };
    let first = run(2, "[0.01, 0.02]");
    let second = run(3, "[0.01, 0.02]");
    for index in 1..3 {
        assert_eq!(first["rows"][index], second["rows"][index]);
        let varied = &first["rows"][index]["varied"];
        let lambda = varied["lambda"].as_f64().unwrap();
        assert!((0.1..=10.0).contains(&lambda), "{varied}");
        let batch_size = varied["batch_size"].as_i64().unwrap();
        assert!((4..=40).contains(&batch_size), "{varied}");
    }
    assert_ne!(second["rows"][2]["varied"], second["rows"][3]["varied"]);

    fs::remove_dir_all(&out).unwrap();
    let diverged = run(1, "[1e30]");
    let row = &diverged["rows"][1];
    assert_eq!(row["status"], "diverged");
    assert!(row["reason"].as_str().unwrap().contains("not finite"));
    assert_eq!(diverged["selected"][0]["runs"], Value::Array(Vec::new()));
}

#[test]
fn a_directory_stays_that_of_its_part_and_its_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let out = dir.path().join("out");
    let grid = |values: &str| format!("search = \"grid\"\n[vary]\nlambda = {values}");
    let file = sweep(dir.path(), &data, &grid("[0.5, 1.0]"));
    let run = ["sweep", "--config", text(&file), "--out", text(&out)];
    let part = |part: &'static str| [&run[..], &["--shard", part]].concat();
    let runs = |outcome: Value| {
        let rows = outcome["rows"].as_array().unwrap().clone();
        let names = rows
            .iter()
            .map(|row| row["run"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(runs(json(&part("1/2"))), ["lambda=0.5"]);
    let before = results(&out);
    let needles = ["results.json", "part 1/2", "part 2/2", "--out", "--force"];
    refused(&part("2/2"), 1, &needles);
    refused(&run, 1, &["part 1/2", "part 1/1"]);
    sweep(dir.path(), &data, &grid("[9.0]"));
    refused(
        &part("1/2"),
        1,
        &["another sweep", "`lambda=0.5`", "--force"],
    );
    assert_eq!(results(&out), before);
    // More values keep what was done, in whatever place they come.
    sweep(dir.path(), &data, &grid("[0.5, 0.7, 1.0]"));
    assert_eq!(runs(json(&part("1/2"))), ["lambda=0.5", "lambda=1.0"]);
    assert_eq!(
        runs(json(&[&part("2/2")[..], &["--force"]].concat())),
        ["lambda=0.7"]
    );
    // A table that is nobody's.
    fs::remove_file(out.join("results.json")).unwrap();
    refused(
        &part("2/2"),
        1,
        &["results.csv", "no results of a sweep", "--force"],
    );
    fs::write(out.join("results.json"), "{}").unwrap();
    refused(&part("2/2"), 1, &["results.json", "no results of a sweep"]);
}

#[test]
fn the_command_line_has_the_last_word_in_every_run() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let out = dir.path().join("out");
    let rest = "vanilla = \"vanilla.toml\"\nsearch = \"grid\"\n[vary]\nlambda = [1.0]";
    let file = sweep(dir.path(), &data, rest);
    let written = fs::read_to_string(&file).unwrap();
    fs::write(&file, written + "seed = 5\ndtype = \"f64\"\n").unwrap();
    let arguments = ["sweep", "--config", text(&file), "--out", text(&out)];
    json(&[&arguments[..], &["--seed", "4", "--dtype", "f32"]].concat());
    for run in ["vanilla", "lambda=1.0"] {
        let config = fs::read_to_string(out.join(run).join("config.toml")).unwrap();
        let config: toml::Table = config.parse().unwrap();
        assert_eq!(config["seed"].as_integer(), Some(4), "{run}");
        assert_eq!(config["dtype"].as_str(), Some("f32"), "{run}");
    }
}

#[test]
fn a_sweep_that_makes_no_sense_is_refused_before_anything_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let out = dir.path().join("out");
    let grid = |rest: &str| format!("search = \"grid\"\n{rest}");
    let random = |rest: &str| format!("search = \"random\"\nseed = 1\n{rest}");
    let lambda = "[vary]\nlambda = [1.0]";
    let cases = [
        (
            grid("[vary]\nlamda = [1.0]"),
            "the nearest known key is `lambda`",
        ),
        (grid("[vary]\nlambda = [-1.0]"), "run `lambda=-1.0`"),
        (
            grid("[vary]\nlambda = 1.0"),
            "`vary.lambda`: expected a list of values",
        ),
        (
            grid("[vary]\nlambda = [1.0, 1.0]"),
            "`vary.lambda`: expected different values, found 1.0 twice",
        ),
        (
            grid("[vary]\nlambda = [1.0]\nhidden = [[3], [4]]"),
            "`set.hidden`: expected nothing, because `vary.hidden`",
        ),
        (
            grid(&format!("trials = 3\n{lambda}")),
            "`trials`: expected nothing",
        ),
        (random(lambda), "`trials`: expected a number"),
        (
            random("trials = 2\n[vary]\nlambda = { from = 0.0, to = 1.0, scale = \"log\" }"),
            "`vary.lambda`: expected numbers from < to",
        ),
        (format!("search = \"guess\"\n{lambda}"), "guess"),
        (
            grid("[vary]\nlambda = [0.5, 1, 1.0]"),
            "`vary.lambda`: expected different values, found 1.0 twice",
        ),
        (
            format!(
                "vanilla = \"vanilla.toml\"\n{}",
                grid(&format!(
                    "{lambda}\n[[select]]\nname = \"same\"\npoints_less = 0.5"
                ))
            ),
            "`points_less`: expected a whole number, or rounded = false",
        ),
        (grid(&format!("varies = 1\n{lambda}")), "varies"),
        (
            grid(&format!(
                "{lambda}\n[[select]]\nname = \"same\"\npoints_less = 0"
            )),
            "`vanilla`: expected a configuration, because the rule `same`",
        ),
    ];
    for (rest, needle) in &cases {
        let file = sweep(dir.path(), &data, rest);
        let arguments = ["sweep", "--config", text(&file), "--out", text(&out)];
        refused(&arguments, 1, &[text(&file), needle]);
        assert!(!out.exists(), "{rest}");
    }
    let file = sweep(dir.path(), &data, GRID);
    let arguments = ["sweep", "--config", text(&file), "--out", text(&out)];
    let with = |more: &[&'static str]| [&arguments[..], more].concat();
    let varies = ["--seed", "varies `seed` itself"];
    refused(&with(&["--seed", "1"]), 2, &varies);
    refused(&with(&["--shard", "3/2"]), 2, &["3/2", "1 <= I <= N"]);
    refused(&with(&["--jobs", "0"]), 2, &["--jobs 0"]);
    refused(&with(&["--jobs", "0", "--dry-run"]), 2, &["--jobs 0"]);
    refused(&with(&["--threads", "0"]), 2, &["--threads 0"]);
    refused(&["sweep"], 2, &["--config"]);
    let merge = ["merge", text(dir.path()), "--out", text(&out)];
    refused(&merge, 1, &["results.json"]);
}

/// What varies may be longer than the name of a directory.
#[test]
fn long_values_have_short_names() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let long = |last: usize| format!("[{}{last}]", "12, ".repeat(63));
    let vary = format!(
        "search = \"grid\"\n[vary]\nhidden = [{}, {}]",
        long(12),
        long(13)
    );
    let file = sweep(dir.path(), &data, &vary);
    let written = fs::read_to_string(&file).unwrap();
    fs::write(&file, written.replace("hidden = [7, 5]\n", "")).unwrap();
    let out = dir.path().join("out");
    let outcome = json(&["sweep", "--config", text(&file), "--out", text(&out)]);
    assert_eq!(outcome["planned"], 2, "{outcome}");
    let rows = results(&out)["rows"].as_array().unwrap().clone();
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row["run"].as_str().unwrap())
        .collect();
    assert!(
        names[0] != names[1] && names.iter().all(|name| name.len() < 200),
        "{names:?}"
    );
    assert!(
        names
            .iter()
            .all(|name| out.join(name).join("model.safetensors").exists())
    );
}
