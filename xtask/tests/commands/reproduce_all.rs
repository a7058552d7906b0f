//! `reproduce table5` from files of one's own, and `reproduce all --check` over the pages of this repository.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::fixture::{command, json, names, small_data, text};
use crate::small::configuration;

#[test]
fn table_5_chooses_on_validation_images_and_compares_on_others() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let data = small_data(dir.path());
    for loss in ["vanilla", "sampled"] {
        configuration(dir.path(), &data, loss, 2);
    }
    for (name, loss) in [("near", "sampled"), ("far", "jump-weighted-sampled")] {
        let sweep = format!(
            "base = \"sampled.toml\"\nsearch = \"grid\"\n[set]\nloss = \"{loss}\"\n[vary]\nlambda = [0.1, 1.0]\nseed = [0]\n"
        );
        fs::write(at(&format!("{name}.toml")), sweep).unwrap();
    }
    let plan = "title = \"Small\"\nvanilla = \"vanilla.toml\"\nseeds = [1, 2]\ncompare = [\"far\", \"near\"]\nunit = 1e-4\ncertified = 3\n\
                [measured]\ninputs = 5\ndomain = [0.0, 1.0]\nchange = 0.25\nball = 0.01\nclass = [0.01]\n\
                [[rules]]\nname = \"whatever it costs\"\npoints_less = 100\n\
                [[objectives]]\nname = \"near\"\nsweep = \"near.toml\"\n\
                [[objectives]]\nname = \"far\"\nsweep = \"far.toml\"\n";
    fs::write(at("small.toml"), plan).unwrap();
    let (file, runs, out) = (at("small.toml"), at("runs"), at("out"));
    let arguments = [
        "reproduce",
        "table5",
        "--config",
        text(&file),
        "--runs",
        text(&runs),
        "--out",
        text(&out),
    ];
    json(&arguments);
    assert_eq!(names(&out), ["README.md", "networks.csv", "networks.json"]);
    let numbers: Value =
        serde_json::from_str(&fs::read_to_string(out.join("networks.json")).unwrap()).unwrap();
    let all = |name: &str| numbers[name].as_array().unwrap().clone();
    assert_eq!((all("candidates").len(), all("networks").len()), (4, 6));
    for objective in ["near", "far"] {
        let own = |list: &str| {
            let mut list = all(list);
            list.retain(|entry| entry["objective"] == objective);
            list
        };
        let candidates = own("candidates");
        let radius = |entry: &&Value| entry["radius"].as_f64().unwrap();
        let best = candidates
            .iter()
            .max_by(|a, b| radius(a).total_cmp(&radius(b)))
            .unwrap();
        for network in own("networks") {
            assert_eq!(network["config"]["lambda"], best["varied"]["lambda"]);
            assert_eq!(network["certificate"]["inputs"], 3);
            // Of each image, what is proved holds against what was found.
            for image in network["radii"]["images"].as_array().unwrap() {
                let number = |value: &Value| value.as_f64().unwrap_or(f64::INFINITY);
                assert!(number(&image["radius"]) <= number(&image["refuted"]));
                let ball = &image["ball"];
                assert!(number(&ball["found"]) <= number(&ball["proved"]));
            }
        }
    }
    let page = fs::read_to_string(out.join("README.md")).unwrap();
    assert!(
        page.contains("Seed by seed, the median radius of far is"),
        "{page}"
    );
    // All is there: the same again, from what was kept.
    json(&arguments);
    assert_eq!(fs::read_to_string(out.join("README.md")).unwrap(), page);
}

/// The pages and rows of the results in this repository are what the numbers beside them say, and an edit is found.
#[test]
fn pages_follow_from_their_numbers() {
    let check = ["reproduce", "all", "--check", "--pages"];
    json(&check);
    let dir = tempfile::tempdir().unwrap();
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/results");
    for table in ["table1", "table3", "table4"] {
        fs::create_dir(dir.path().join(table)).unwrap();
        for name in names(&results.join(table)) {
            let to = dir.path().join(table).join(&name);
            fs::copy(results.join(table).join(name), to).unwrap();
        }
    }
    let page = dir.path().join("table3/README.md");
    let text = fs::read_to_string(&page).unwrap();
    // The accuracy of its first row.
    let after = text.split_once("here |").unwrap().1;
    let cell = after.split('|').next().unwrap().trim();
    fs::write(&page, text.replace(cell, "12.34")).unwrap();
    let refused = command(&check)
        .arg("--out")
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("table3") && said.contains(cell), "{said}");
}
