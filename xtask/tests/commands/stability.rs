//! `reproduce stability`: small networks, small images, and what is proved of them.

use std::fs;
use std::path::Path;

use crate::fixture::{command, json, names, small_data, text};
use crate::small::configuration;

const HEAD: &str = "title = \"Small\"\nseeds = [0]\ninputs = 12\nintegrated = 3\nbounded = 4\ntop = 5\nsamples = 50\n";

/// A plan for two kinds of training on small data, and their configurations.
fn plan(directory: &Path) {
    let data = small_data(directory);
    let mut plan = HEAD.to_owned();
    for change in [
        "kind = \"jpeg\"\nquality = 75",
        "kind = \"noise\"\nlevels = 0",
        "kind = \"noise\"\nlevels = 1",
        "kind = \"brightness\"\nlevels = 8",
        "kind = \"contrast\"\nfactor = 0.95",
    ] {
        plan += &format!("[[perturbations]]\n{change}\n");
    }
    for loss in ["vanilla", "roll"] {
        configuration(directory, &data, loss, 3);
        plan += &format!("[[rows]]\nname = \"{loss}\"\nconfig = \"{loss}.toml\"\n");
    }
    fs::write(directory.join("small.toml"), plan).unwrap();
}

/// The cells of the table of all numbers, its header apart.
fn table(file: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let text = fs::read_to_string(file).unwrap();
    let mut lines = text
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect());
    (lines.next().unwrap(), lines.collect())
}

#[test]
fn explanations_stay_where_it_is_proved() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    plan(dir.path());
    let (file, runs, out) = (at("small.toml"), at("runs"), at("out"));
    let mut arguments = vec!["reproduce", "stability", "--config", text(&file)];
    arguments.extend(["--runs", text(&runs), "--out", text(&out)]);
    json(&arguments);
    let files = [
        "README.md",
        "stability.csv",
        "stability.png",
        "stability.svg",
    ];
    assert_eq!(names(&out), files);
    let (header, rows) = table(&out.join("stability.csv"));
    assert_eq!(rows.len(), 2 * 5 * 12);
    let column = |name: &str| header.iter().position(|own| own == name).unwrap();
    let number = |row: &[String], name: &str| row[column(name)].parse::<f64>().unwrap();
    let mut inside = 0;
    for row in &rows {
        for (distance, radius, within) in [
            ("l2", "eps_2", "inside_eps_2"),
            ("linf", "eps_inf", "inside_eps_inf"),
        ] {
            // Five digits of the distance are shown.
            let (distance, radius) = (number(row, distance), number(row, radius));
            if (distance - radius).abs() > 1e-3 * radius {
                assert_eq!(number(row, within) == 1.0, distance < radius, "{row:?}");
            }
            if number(row, within) == 1.0 {
                inside += 1;
                assert!(number(row, "relative_change") <= 1e-9, "{row:?}");
            }
        }
        if row[column("perturbation")] == "noise 0" {
            assert_eq!(number(row, "l2"), 0.0);
            assert_eq!(number(row, "top_share"), 1.0);
        }
        if row[column("perturbation")] == "brightness +8" {
            assert!((number(row, "linf") - 8.0 / 255.0).abs() < 1e-6, "{row:?}");
        }
    }
    // Nothing was done to a fifth of the images.
    assert!(inside >= 2 * 2 * 12, "{inside}");

    // The radii are those of `certify`.
    let margins = at("margins.csv");
    let run = runs.join("roll-seed0");
    let mut certify = vec!["certify", "--model", text(&run), "--domain", "0,1"];
    certify.extend(["--dtype", "f64", "--out", text(&margins)]);
    json(&certify);
    let (names, certified) = table(&margins);
    let eps_2 = names.iter().position(|name| name == "eps_2").unwrap();
    for row in rows.iter().filter(|row| row[0] == "roll-seed0") {
        let image: usize = row[column("image")].parse().unwrap();
        let expected: f64 = certified[image][eps_2].parse().unwrap();
        let found = number(row, "eps_2");
        assert!(
            (found - expected).abs() <= 1e-9 * expected,
            "{row:?} {expected}"
        );
    }

    let page = fs::read_to_string(out.join("README.md")).unwrap();
    for needle in [
        "# Small",
        "## Answers",
        "## Rules",
        "the first 12 test images",
        "vanilla-seed0",
        "pooled",
        "of 4 |",
    ] {
        assert!(page.contains(needle), "{needle}: {page}");
    }
    let svg = fs::read_to_string(out.join("stability.svg")).unwrap();
    assert!(svg.contains("JPEG 75") && svg.contains("roll-seed0, median"));

    // Everything is there: the same again.
    let before = fs::read(out.join("stability.csv")).unwrap();
    json(&arguments);
    assert_eq!(fs::read(out.join("stability.csv")).unwrap(), before);
    assert_eq!(fs::read_to_string(out.join("README.md")).unwrap(), page);
}

#[test]
fn a_plan_that_asks_nothing_or_the_impossible_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("small.toml"), dir.path().join("out"));
    let row = "[[rows]]\nname = \"a\"\nconfig = \"demo\"\n";
    let jpeg = |quality: u8| format!("[[perturbations]]\nkind = \"jpeg\"\nquality = {quality}\n");
    for (written, needle) in [
        (format!("perturbations = []\n{row}"), "at least 1"),
        (format!("{}{row}", jpeg(0)), "quality 0"),
        (format!("{}{row}{row}", jpeg(5)), "one name"),
        (format!("[[perturbations]]\nkind = \"blur\"\n{row}"), "blur"),
    ] {
        fs::write(&file, format!("{HEAD}{written}")).unwrap();
        let mut arguments = vec!["reproduce", "stability", "--config", text(&file)];
        arguments.extend(["--out", text(&out)]);
        let output = command(&arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains(text(&file)) && stderr.contains(needle),
            "{needle}: {stderr}"
        );
    }
}
