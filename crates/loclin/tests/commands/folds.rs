//! Cross-validation: parts inside the training data, their means, and rules over them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use loclin::program::options::Global;
use loclin::program::sweep::Plan;
use serde_json::Value;

use crate::fixture::{TRAIN, command, demo_config, json, small_data, text, train};

/// In 60 training rows out of 240, and a validation part of one in twelve otherwise.
const FOLDS: usize = 4;

const SWEEP: &str = r#"
base = "base.toml"
vanilla = "vanilla.toml"
search = "grid"
folds = 4
[set]
hidden = [7]
epochs = 1
[vary]
lambda = [0.5, 1.0]
seed = [3, 4]
[[select]]
name = "any"
points_less = 100
"#;

#[test]
fn every_part_validates_once_and_rules_see_the_means() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let data = small_data(dir.path());
    let demo: toml::Table = fs::read_to_string(demo_config()).unwrap().parse().unwrap();
    for (name, loss) in [("base", "roll"), ("vanilla", "vanilla")] {
        let mut table = demo.clone();
        let own = format!(
            "dataset = {:?}\nhidden = [7]\nepochs = 1\nloss = {loss:?}",
            text(&data)
        );
        table.extend(own.parse::<toml::Table>().unwrap());
        fs::write(at(&format!("{name}.toml")), table.to_string()).unwrap();
    }
    let (file, out) = (at("sweep.toml"), at("out"));
    fs::write(&file, SWEEP).unwrap();
    let sweep = |out: &str| {
        json(&[
            "sweep",
            "--config",
            text(&file),
            "--out",
            out,
            "--jobs",
            "2",
        ])
    };
    let dry = |args: &[&str]| {
        json(
            &[
                &[
                    "sweep",
                    "--config",
                    text(&file),
                    "--out",
                    text(&out),
                    "--dry-run",
                ],
                args,
            ]
            .concat(),
        )
    };
    let before = dry(&[]);
    assert_eq!(before["planned"].as_array().unwrap().len(), 3 * 2 * FOLDS);
    assert_eq!(before["planned"][0]["done"], false);
    assert!(!out.exists(), "a dry run made something");
    let outcome = sweep(text(&out));
    let after = dry(&["--shard", "1/2"]);
    assert!(
        after["planned"]
            .as_array()
            .unwrap()
            .iter()
            .all(|run| run["done"] == true)
    );
    assert_eq!(after["planned"].as_array().unwrap().len(), 3 * FOLDS);
    let rows = outcome["rows"].as_array().unwrap();
    // Vanilla and two lambdas, each with two seeds and four parts.
    assert_eq!(rows.len(), 3 * 2 * FOLDS);
    assert_eq!(rows[0]["run"], "vanilla,seed=3,fold=0");
    assert_eq!(rows[23]["run"], "lambda=1.0,seed=4,fold=3");
    let means = outcome["means"].as_array().unwrap();
    let names: Vec<&str> = means
        .iter()
        .map(|mean| mean["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["vanilla", "lambda=0.5", "lambda=1.0"]);
    for (mean, own) in means.iter().zip(rows.chunks(2 * FOLDS)) {
        for field in ["accuracy", "median_eps_2", "valid_loss"] {
            let values: Vec<f64> = own
                .iter()
                .map(|row| row["best"][field].as_f64().unwrap())
                .collect();
            let average = values.iter().sum::<f64>() / values.len() as f64;
            let squares: f64 = values.iter().map(|value| (value - average).powi(2)).sum();
            assert_eq!(mean["mean"][field], average, "{field}");
            let deviation = mean["deviation"][field].as_f64().unwrap();
            assert!(
                (deviation - (squares / 7.0).sqrt()).abs() <= 1e-12 * average,
                "{field}"
            );
        }
    }
    let selected = &outcome["selected"][0];
    let largest = means[1..].iter().max_by(|a, b| {
        let margin = |mean: &Value| mean["mean"]["median_eps_2"].as_f64().unwrap();
        margin(a).total_cmp(&margin(b))
    });
    assert_eq!(selected["runs"], largest.unwrap()["runs"]);
    let csv = fs::read_to_string(out.join("results.csv")).unwrap();
    assert!(
        csv.starts_with("run,fold,lambda,seed,status,epoch,"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 1 + rows.len() + 2 * means.len());
    assert!(csv.contains("\nlambda=0.5,,0.5,,mean,1,"), "{csv}");

    // A run is asked about its own part.
    let run = out.join("lambda=1.0,seed=4,fold=3");
    let csv = at("own.csv");
    let own = [
        "certify",
        "--model",
        text(&run),
        "--split",
        "valid",
        "--out",
        text(&csv),
    ];
    assert_eq!(json(&own)["inputs"], TRAIN / FOLDS);

    // The same as one training run of the configuration.
    let single = at("single");
    let dataset = format!("dataset={}", text(&data));
    let set = [
        dataset.as_str(),
        "hidden=[7]",
        "epochs=1",
        "loss=roll",
        "lambda=1.0",
        "seed=4",
        "folds=4",
        "fold=3",
    ];
    let alone = &train(&single, &set, &[])["best"];
    assert_eq!(alone["accuracy"], rows[23]["best"]["accuracy"]);

    // One part: everything trains.
    let set = [dataset.as_str(), "hidden=[7]", "epochs=1", "folds=1"];
    train(&at("all"), &set, &[]);
    let (all, of_all) = (at("all"), at("all.csv"));
    let own = [
        "certify",
        "--model",
        text(&all),
        "--split",
        "valid",
        "--out",
        text(&of_all),
    ];
    let output = command(&own).arg("--json").output().unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    assert!(found.contains(&format!("\"inputs\":{TRAIN}")), "{found}");
}

#[test]
fn vanilla_has_the_seeds_of_the_runs_that_it_is_compared_with() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sweep.toml");
    let runs = |rest: &str| {
        let fixed = "base = \"demo\"\nvanilla = \"demo-vanilla\"\nfolds = 2";
        fs::write(&file, format!("{fixed}\n{rest}")).unwrap();
        let plan = Plan::load(&file, Path::new(""), &Global::default()).unwrap();
        let runs = plan.runs.into_iter();
        runs.map(|run| (run.name, run.config.seed))
            .collect::<Vec<_>>()
    };
    let found = runs("search = \"grid\"\n[set]\nseed = 5\n[vary]\nlambda = [0.5]");
    let expected = [
        "vanilla,fold=0",
        "vanilla,fold=1",
        "lambda=0.5,fold=0",
        "lambda=0.5,fold=1",
    ];
    assert_eq!(found, expected.map(|name| (name.to_owned(), 5)));

    let found = runs(
        "search = \"random\"\ntrials = 3\nseed = 3\n[vary]\nlambda = [0.5, 1.0]\n\
         seed = { from = 0, to = 99, scale = \"linear\" }",
    );
    let (vanilla, trials): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|(name, _)| name.starts_with("vanilla"));
    let seeds = |runs: &[(String, u64)]| runs.iter().map(|run| run.1).collect::<BTreeSet<_>>();
    assert_eq!(seeds(&vanilla), seeds(&trials));
    for (name, seed) in &vanilla {
        assert!(
            name.starts_with(&format!("vanilla,seed={seed},fold=")),
            "{name}"
        );
    }
    assert_eq!(vanilla.len(), 2 * seeds(&trials).len());
}

#[test]
fn a_sweep_that_divides_the_data_twice_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sweep.toml");
    let cases = [
        (
            SWEEP.replace("folds = 4", "folds = 1"),
            "`folds`: expected a number from 2",
        ),
        (
            SWEEP.replace("seed = [3, 4]", "fold = [0, 1]"),
            "`vary.fold`: expected nothing",
        ),
        (
            SWEEP.replace("epochs = 1", "folds = 3"),
            "`set.folds`: expected nothing",
        ),
    ];
    for (sweep, needle) in cases {
        let sweep = sweep
            .replace("base.toml", "demo")
            .replace("vanilla.toml", "demo-vanilla");
        fs::write(&file, sweep).unwrap();
        let output = command(&["sweep", "--config", text(&file)])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(needle), "{needle}: {stderr}");
    }
    let set = ["folds=3", "fold=3"];
    let arguments = crate::fixture::training(&dir.path().join("run"), &set);
    let output = command(&[]).args(arguments).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("`fold` is 3") && stderr.contains("an integer below folds"),
        "{stderr}"
    );
}
