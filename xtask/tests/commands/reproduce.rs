//! `reproduce`: tables and figures from files of one's own, over runs that may be there already.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::fixture::{command, demo_config, json, names, small_data, small_sequences, text, train};
use crate::small::configuration;

/// Configurations in `directory`: two kinds of training on small data.
fn configurations(directory: &Path) {
    let data = small_data(directory);
    for loss in ["vanilla", "roll"] {
        configuration(directory, &data, loss, 2);
    }
}

/// The certificate of a network in a table is what `certify` says of its run.
fn is_certified(network: &Value, runs: &Path) {
    assert_eq!(network["config"]["seed"], network["seed"]);
    assert_eq!(network["inputs"], 40);
    assert!(network["training_threads"].as_u64().unwrap() > 0);
    let certified = json(&[
        "certify",
        "--model",
        text(&runs.join(format!(
            "{}-seed{}",
            network["row"].as_str().unwrap(),
            network["seed"]
        ))),
        "--domain",
        "none",
        "--dtype",
        "f64",
    ]);
    for norm in ["eps_1", "eps_2", "eps_inf"] {
        assert_eq!(network["margins"][norm], certified[norm], "{norm}");
    }
    assert_eq!(network["clr"][1], certified["clr_upper"]);
}

#[test]
fn a_table_takes_the_runs_that_are_there_and_trains_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    configurations(dir.path());
    let row = |name: &str, loss: &str| {
        format!(
            "[[rows]]\nname = \"{name}\"\nconfig = \"{loss}.toml\"\n\
             published = {{ accuracy = 98, eps_1 = [1, 2, 3, 4], eps_2 = [5, 6, 7, 8] }}\n"
        )
    };
    let head = "title = \"Small\"\nunit = 1e-4\nscale = \"pixels\"\nchosen = \"Drawn by lot.\"\n\
                set = [\"folds=1\"]\nseeds = [0, 1]\n";
    let rows = [row("plain", "vanilla"), row("wide", "roll")].concat();
    fs::write(at("small.toml"), format!("{head}{rows}")).unwrap();
    let (file, runs, out) = (at("small.toml"), at("runs"), at("out"));
    let arguments = [
        "reproduce",
        "table1",
        "--config",
        text(&file),
        "--runs",
        text(&runs),
        "--out",
        text(&out),
    ];
    let early = command(&arguments).arg("--finished").output().unwrap();
    assert_eq!(early.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&early.stderr).contains("no run is finished"));

    // One by one, as `train` does it.
    let run = runs.join("plain-seed1");
    let data = format!("dataset={}", text(&at("data")));
    let set = [
        data.as_str(),
        "hidden=[7, 5]",
        "epochs=2",
        "loss=vanilla",
        "folds=1",
    ];
    train(&run, &set, &["--seed", "1"]);
    let before = fs::metadata(run.join("last.safetensors")).unwrap();
    json(&[&arguments[..], &["--finished"]].concat());
    let lines = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(lines("networks.csv").lines().count(), 2);

    let outcome = json(&arguments);
    assert_eq!(outcome["files"].as_array().unwrap().len(), 3);
    assert_eq!(names(&out), ["README.md", "networks.csv", "networks.json"]);
    let after = fs::metadata(run.join("last.safetensors")).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    let found: Value = serde_json::from_str(&lines("networks.json")).unwrap();
    let networks = found["networks"].as_array().unwrap();
    let names: Vec<(&str, u64)> = networks
        .iter()
        .map(|n| (n["row"].as_str().unwrap(), n["seed"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        names,
        [("plain", 0), ("plain", 1), ("wide", 0), ("wide", 1)]
    );
    networks
        .iter()
        .for_each(|network| is_certified(network, &runs));
    let page = lines("README.md");
    for needle in [
        "# Small",
        "of pixels. Drawn by lot.",
        "| wide",
        "published",
        "x plain",
        "training %",
        "`crates/loclin/presets/roll.toml`",
    ] {
        assert!(page.contains(needle), "{needle}: {page}");
    }

    // Everything is there: the same again.
    let csv = lines("networks.csv");
    json(&arguments);
    assert_eq!(lines("networks.csv"), csv);
    assert_eq!(lines("README.md"), page);
}

#[test]
fn figure_2_draws_a_curve_for_each_gamma() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    configurations(dir.path());
    let mut panels = "title = \"Small\"\n".to_owned();
    for (axis, values) in [("c", "[0.5, 1.0]"), ("lambda", "[0.5, 1.0]")] {
        let sweep = format!(
            "base = \"roll.toml\"\nsearch = \"grid\"\n[vary]\n{axis} = {values}\ngamma = [\"max\", 100.0]\n"
        );
        fs::write(at(&format!("{axis}.toml")), sweep).unwrap();
        panels += &format!("[[panels]]\nsweep = \"{axis}.toml\"\naxis = \"{axis}\"\n");
    }
    fs::write(at("small.toml"), panels).unwrap();
    let (file, runs, out) = (at("small.toml"), at("runs"), at("out"));
    json(&[
        "reproduce",
        "figure2",
        "--config",
        text(&file),
        "--runs",
        text(&runs),
        "--out",
        text(&out),
    ]);
    assert_eq!(
        names(&out),
        ["README.md", "figure2.csv", "figure2.png", "figure2.svg"]
    );
    let csv = fs::read_to_string(out.join("figure2.csv")).unwrap();
    assert_eq!(csv.lines().count(), 9);
    let svg = fs::read_to_string(out.join("figure2.svg")).unwrap();
    for needle in ["γ = max", "γ = 100", "test accuracy (%)", "C (no unit)"] {
        assert!(svg.contains(needle), "{needle}");
    }
    let png = fs::read(out.join("figure2.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
}

/// The l1 margin is the least of the margins along the signed axes (Prop. 5).
/// The least margin of any value of a sequence is the sequence's own margin in l1.
fn bands_are_margins(network: &str, run: &Path, out: &Path) {
    let rows = |path: &Path| -> Vec<Vec<String>> {
        let text = fs::read_to_string(path).unwrap();
        let cells = |line: &str| line.split(',').map(str::to_owned).collect();
        text.lines().skip(1).map(cells).collect()
    };
    let bands = rows(&out.join("bands.csv"));
    let margins = out.join("margins.csv");
    json(&[
        "certify",
        "--model",
        text(run),
        "--dtype",
        "f64",
        "--out",
        text(&margins),
        "--force",
    ]);
    let margins = rows(&margins);
    for percentile in ["50", "75"] {
        let own: Vec<_> = bands
            .iter()
            .filter(|row| row[0] == percentile && row[3] == network)
            .collect();
        let steps = own.iter().map(|row| row[5].parse::<usize>().unwrap()).max();
        assert_eq!(own.len(), 12 * steps.unwrap());
        let all = own.iter().flat_map(|row| &row[7..9]);
        let least = all
            .map(|margin| margin.parse::<f64>().unwrap())
            .fold(f64::INFINITY, f64::min);
        let index: usize = own[0][1].parse().unwrap();
        let eps_1: f64 = margins[index][3].parse().unwrap();
        // Two computations in float64: some thousand roundings.
        assert!((least - eps_1).abs() <= 1e-10 * eps_1, "{least} {eps_1}");
    }
}

#[test]
fn figure_3_has_the_margins_of_every_value() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let data = format!("dataset={}", text(&small_sequences(dir.path())));
    for loss in ["vanilla", "roll"] {
        let loss_is = format!("loss={loss}");
        let network = [
            "architecture=scornn",
            "hidden=[6]",
            "negative=3",
            "negative_slope=0.1",
        ];
        let rest = [data.as_str(), &loss_is, "epochs=1", "optimizer=amsgrad"];
        train(&at(loss), &[&network[..], &rest].concat(), &[]);
    }
    let (vanilla, roll, out) = (at("vanilla"), at("roll"), at("out"));
    let arguments = [
        "reproduce",
        "figure3",
        "--vanilla",
        text(&vanilla),
        "--roll",
        text(&roll),
        "--out",
        text(&out),
    ];
    let more = ["--channel", "3", "--channel", "12"];
    json(&[&arguments[..], &more].concat());
    let pictures = [3, 12].map(|n| {
        [
            format!("figure3-channel{n}.svg"),
            format!("figure3-channel{n}.png"),
        ]
    });
    for name in pictures.concat() {
        assert!(out.join(&name).exists(), "{name}");
    }
    let svg = fs::read_to_string(out.join("figure3-channel12.svg")).unwrap();
    for needle in [
        "P50, vanilla",
        "P75, ROLL",
        "time step",
        "channel 12 (cepstrum, no unit)",
    ] {
        assert!(svg.contains(needle), "{needle}");
    }

    for (network, run) in [("vanilla", &vanilla), ("ROLL", &roll)] {
        bands_are_margins(network, run, &out);
    }

    let refused = |more: &[&str], code: i32, needle: &str| {
        let output = command(&arguments).args(more).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(needle), "{needle}: {stderr}");
    };
    refused(&["--channel", "13"], 2, "--channel 13: expected 1 to 12");
    fs::remove_file(roll.join("model.safetensors")).unwrap();
    refused(&[], 1, "no trained network; `cargo xtask reproduce table3`");
}

#[test]
fn files_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let file = dir.path().join("small.toml");
    let cases = [
        ("table1", "title = 1", "title"),
        ("table1", "titel = \"Small\"", "titel"),
        ("table3", "title = \"Small\"", "unit"),
        (
            "figure2",
            "title = \"Small\"\n[[panels]]\nsweep = \"a.toml\"\naxis = \"gamma\"",
            "gamma",
        ),
    ];
    for (experiment, written, needle) in cases {
        fs::write(&file, written).unwrap();
        let arguments = [
            "reproduce",
            experiment,
            "--config",
            text(&file),
            "--out",
            text(&out),
        ];
        let output = command(&arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains(text(&file)) && stderr.contains(needle),
            "{stderr}"
        );
    }
}

/// Table 4 and Figures 4 to 6 on small images: the table's networks are those of the figures.
#[test]
fn residual_networks_are_trained_measured_and_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let data = small_data(dir.path());
    for name in ["vanilla", "roll"] {
        let file = demo_config().with_file_name(format!("cifar10-{name}.toml"));
        let mut config: toml::Table = fs::read_to_string(file).unwrap().parse().unwrap();
        let small = "hidden = [2]\nblocks = [1, 1]\nepochs = 1\ncrop_padding = 1";
        config.extend(small.parse::<toml::Table>().unwrap());
        fs::write(at(&format!("{name}.toml")), config.to_string()).unwrap();
    }
    let row = |name: &str| {
        format!(
            "[[rows]]\nname = \"{name}\"\nconfig = \"{name}.toml\"\n\
             published = {{ accuracy = 80, expected = [1, 2, 3, 4], maximum = [5, 6, 7, 8] }}\n"
        )
    };
    let head = format!(
        "title = \"Small\"\ndataset = {:?}\nseeds = [3, 4]\ninputs = 6\neps = \"1/16\"\nsamples = 10\npopulation = 8\n\
         generations = 2\nprove = true\nshorter = {{ samples = 5, population = 4, generations = 1 }}\n",
        text(&data)
    );
    let plan = [head, row("vanilla"), row("roll")].concat();
    fs::write(at("small.toml"), plan).unwrap();
    let reproduce = |experiment: &str, out: &str| {
        let (config, runs, out) = (at("small.toml"), at("runs"), at(out));
        json(&[
            "reproduce",
            experiment,
            "--config",
            text(&config),
            "--runs",
            text(&runs),
            "--out",
            text(&out),
        ]);
        names(&out)
    };
    let files = [
        "README.md",
        "networks.json",
        "roll-seed3.csv",
        "roll-seed4.csv",
        "vanilla-seed3.csv",
        "vanilla-seed4.csv",
    ];
    assert_eq!(reproduce("table4", "table"), files);
    let page = fs::read_to_string(at("table/README.md")).unwrap();
    assert!(page.contains("## Exact l2 margins"), "{page}");
    let table = fs::read_to_string(at("table/roll-seed3.csv")).unwrap();
    assert_eq!(table.lines().count(), 7);
    assert!(page.contains("## Shorter searches"), "{page}");
    // No search finds more than what is proved.
    assert!(page.contains("proved for all 24 images"), "{page}");
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    for row in rows.deserialize::<BTreeMap<String, f64>>() {
        let row = row.unwrap();
        let found = row["genetic"].max(row["ascent"]);
        assert!(
            found > 0.0 && found <= row["proved"] * (1.0 + 1e-5),
            "{row:?}"
        );
    }
    let pictures = ["README.md", "p100.png", "p25.png", "p50.png", "p75.png"];
    assert_eq!(reproduce("figure5", "figure"), pictures);
}
