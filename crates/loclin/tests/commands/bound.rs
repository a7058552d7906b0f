//! `bound`: what was found is not above what is proved, how far one may go, what is written, and what is refused.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::fixture::{
    command, json, model, model_with_outputs, small_data, small_sequences, text, train,
};
use crate::refusal::refused;

/// A network and data of 6 x 6 images, whose domain is [0, 1].
fn begin(directory: &Path) -> [String; 5] {
    let data = small_data(directory);
    let net = directory.join("net.safetensors");
    model(&net, &[1, 6, 6], &[12, 8]);
    let words = ["bound", "--model", text(&net), "--data", text(&data)];
    words.map(str::to_owned)
}

/// The command with more words, which are between spaces.
fn with(begin: &[String; 5], more: &str) -> Value {
    let words = begin.iter().map(String::as_str);
    json(&words.chain(more.split(' ')).collect::<Vec<_>>())
}

fn results(found: &Value) -> &[Value] {
    found["results"].as_array().unwrap()
}

fn number(value: &Value, pointer: &str) -> f64 {
    let found = value.pointer(pointer).and_then(Value::as_f64);
    assert!(found.is_some(), "{pointer} in {value}");
    found.unwrap()
}

#[test]
fn what_was_found_is_not_above_what_is_proved_whatever_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let begin = begin(dir.path());
    let questions = [
        "change",
        "change --gradient-norm inf --minus 1 --class 0 --norm 2",
        "change --norm 3 --domain none",
        "lipschitz --norm 1",
        "lipschitz --operator-norm 2",
        "sign",
        "top-k --top 3",
        "class --class label",
    ];
    for question in questions {
        let more =
            format!("--limit 3 --eps 0.3 --eps 3e-2 --eps 3e-3 --parts 300 --what {question}");
        let found = with(&begin, &more);
        assert_eq!(found["guarantee"], "proved", "{question}");
        assert_eq!(
            (found["inputs"].as_u64(), results(&found).len()),
            (Some(3), 3)
        );
        for row in results(&found) {
            let bounds = row["bounds"].as_array().unwrap();
            let eps: Vec<f64> = bounds.iter().map(|bound| number(bound, "/eps")).collect();
            assert_eq!(eps, [3e-3, 3e-2, 0.3], "{question}");
            let mut last = [f64::NEG_INFINITY; 2];
            for bound in bounds {
                let both = [number(bound, "/found"), number(bound, "/proved")];
                assert!(both[0] <= both[1], "{question}: {bound}");
                assert!(
                    both[0] >= last[0] && both[1] >= last[1],
                    "{question}: {row}"
                );
                last = both;
                let is_inside = number(bound, "/eps") <= number(row, "/margin");
                if is_inside && (question.starts_with("change") || question == "sign") {
                    assert_eq!(both, [0.0; 2], "{question}: {row}");
                }
                if question == "sign" {
                    let share = number(bound, "/signs_proved");
                    assert!((share - (1.0 - both[1] / 36.0)).abs() < 1e-12, "{bound}");
                }
            }
        }
        let medians = found["radii"].as_array().unwrap();
        assert_eq!(medians.len(), 3);
        assert!(number(&medians[2], "/found/p50") <= number(&medians[2], "/proved/p50"));
    }
}

#[test]
fn a_small_network_is_bounded_exactly_and_a_curve_begins_at_the_margin() {
    let dir = tempfile::tempdir().unwrap();
    let begin = begin(dir.path());
    let found = with(&begin, "--index 4 --eps 0.05 --curve 5");
    let row = &results(&found)[0];
    assert_eq!(row["index"], 4);
    let bounds = row["bounds"].as_array().unwrap();
    assert_eq!(bounds.len(), 5);
    assert_eq!(number(&bounds[0], "/eps"), number(row, "/margin"));
    assert_eq!(number(&bounds[0], "/proved"), 0.0);
    assert!(bounds.iter().all(|bound| bound["exact"] == true), "{row}");
    assert!(number(&bounds[4], "/found") > 0.0);
    assert_eq!(number(&found, "/radii/0/exact"), 1.0);
}

#[test]
fn the_largest_radius_is_at_least_the_margin() {
    let dir = tempfile::tempdir().unwrap();
    let begin = begin(dir.path());
    for more in [
        "--change 25%",
        "--change 0.05 --norm 2",
        "--what lipschitz --change 10%",
        "--what sign --largest",
    ] {
        let found = with(&begin, &format!("--limit 3 {more} --parts 100"));
        for row in results(&found) {
            let largest = &row["largest"];
            let (margin, proved) = (number(row, "/margin"), number(largest, "/proved"));
            assert!(proved >= margin, "{more}: {row}");
            assert!((number(largest, "/times_margin") - proved / margin).abs() < 1e-9);
            let threshold = number(largest, "/threshold");
            // A radius that nothing refutes is `null`.
            if let Some(refuted) = largest["refuted"].as_f64() {
                assert!(refuted > proved, "{more}: {row}");
            }
            for bound in largest["curve"].as_array().unwrap() {
                let is_proved = number(bound, "/proved") <= threshold;
                assert!(
                    !is_proved || number(bound, "/eps") <= proved,
                    "{more}: {row}"
                );
            }
        }
    }
    let found = with(&begin, "--limit 2 --what class --largest --parts 100");
    assert!(number(&results(&found)[0], "/largest/proved") > 0.0);
}

#[test]
fn tables_witnesses_and_reports_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let begin = begin(dir.path());
    let at = |name: &str| text(&dir.path().join(name)).to_owned();
    let (csv, npy, html) = (at("b.csv"), at("w.npy"), at("b.html"));
    let files = format!("--out {csv} --witness {npy} --report {html}");
    let found = with(
        &begin,
        &format!("--limit 2 --eps 0.01 --eps 0.1 --what sign --largest {files}"),
    );
    let table = fs::read_to_string(&csv).unwrap();
    let mut lines = table.lines();
    let header = "index,label,prediction,class,at_input,margin,eps,found,proved,exact,signs_proved,units,parts,guarantee,seconds,threshold,radius_proved,radius_refuted,times_margin";
    assert_eq!(lines.next(), Some(header));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 4);
    for (row, eps) in rows.iter().zip(["0.01", "0.1", "0.01", "0.1"]) {
        assert_eq!((row.len(), row[6], row[13]), (19, eps, "proved"));
    }
    let page = fs::read_to_string(&html).unwrap();
    // The input, the one found, and the signs within two radii.
    assert_eq!(page.matches("<img ").count(), 8);
    assert_eq!(page.matches("curve net-0").count(), 4);
    assert!(page.contains("signs within 0.100") && !page.contains("NaN"));

    // The inputs found are in the ball, and the network says of them what was said.
    let witnesses = loclin_data::npy::read(npy.as_ref()).unwrap();
    assert_eq!(
        (witnesses.len(), witnesses.input_shape()),
        (2, &[1, 6, 6][..])
    );
    let values = witnesses.rows_f64(&[0]).unwrap();
    assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
    assert_eq!(found["witness"], npy);

    with(
        &begin,
        &format!("--limit 2 --change 10% --force --out {csv}"),
    );
    let table = fs::read_to_string(&csv).unwrap();
    assert_eq!(table.lines().count(), 3);
    with(
        &begin,
        &format!("--limit 2 --what class --eps 0.1 --force --out {csv}"),
    );
    let table = fs::read_to_string(&csv).unwrap();
    assert!(table.lines().next().unwrap().contains("exact,stays,units"));
}

#[test]
fn without_time_every_run_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let begin = begin(dir.path());
    let run = |more: &str| {
        let mut found = with(&begin, &format!("--limit 3 --eps 0.3 {more}"));
        for row in found["results"].as_array_mut().unwrap() {
            let bound = row["bounds"][0].as_object_mut().unwrap();
            bound.remove("seconds");
            row.as_object_mut().unwrap().remove("seconds");
        }
        found["results"].clone()
    };
    assert_eq!(run("--time 0"), run("--time 0"));
    assert_eq!(run("--time 0")[0]["bounds"][0]["parts"], 1);
    // As long as it takes.
    assert_eq!(run("--time 1e30 --parts 3"), run("--parts 3"));
    assert_eq!(run("--parts 40"), run("--parts 40"));
}

#[test]
fn the_text_explains_itself_and_claims_nothing_of_estimates() {
    let dir = tempfile::tempdir().unwrap();
    let begin = begin(dir.path());
    let said = |more: &str| {
        let output = command(&[])
            .args(&begin)
            .args(more.split(' '))
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let proved = said("--limit 3 --eps 0.02 --change 10%");
    for needle in [
        "question   by how much the gradient changes in the linf ball",
        "domain     balls inside [0, 1]",
        "median of all inputs",
        "(proved)",
    ] {
        assert!(proved.contains(needle), "{needle} in {proved}");
    }
    assert!(proved.contains("guarantee  proved"));
    let estimate = said("--limit 3 --eps 0.02 --dtype f32 --change 10%");
    assert!(
        !estimate.replace("nothing is proved", "").contains("proved"),
        "{estimate}"
    );
}

#[test]
fn sequences_are_bounded_length_by_length() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_sequences(dir.path());
    let run = dir.path().join("run");
    let data = format!("dataset={}", text(&data));
    let set = [
        data.as_str(),
        "architecture=scornn",
        "hidden=[6]",
        "negative=3",
        "negative_slope=0.1",
        "optimizer=amsgrad",
        "nesterov=false",
        "learning_rate=0.01",
        "epochs=1",
    ];
    train(&run, &set, &[]);
    let found = json(&[
        "bound",
        "--model",
        text(&run),
        "--limit",
        "4",
        "--eps",
        "0.01",
        "--parts",
        "50",
    ]);
    let indices: Vec<u64> = results(&found)
        .iter()
        .map(|row| row["index"].as_u64().unwrap())
        .collect();
    assert_eq!(indices, [0, 1, 2, 3]);
}

/// Of inputs of the class that is taken away nothing is asked, and of all others as without them.
#[test]
fn inputs_of_the_class_taken_away_have_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let begin = begin(dir.path());
    let asked = "--eps 0.01 --time 0 --limit 12 --change 25%";
    let taken = with(&begin, asked)["results"][0]["prediction"].clone();
    let out = dir.path().join("b.csv");
    let arguments = format!("{asked} --minus {taken} --out {}", text(&out));
    let found = with(&begin, &arguments);
    assert_eq!(results(&found).len(), 12);
    for row in results(&found) {
        let (answer, is_taken) = (&row["bounds"][0], row["prediction"] == taken);
        assert_eq!(answer["found"].is_null(), is_taken, "{row}");
        assert_eq!(answer["refused"].is_string(), is_taken, "{row}");
        assert_eq!(row["largest"].is_null(), is_taken, "{row}");
        assert_eq!(row["at_input"].is_null(), is_taken, "{row}");
    }
    assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 13);
    let again = with(&begin, &format!("{arguments} --resume"));
    assert_eq!(again["radii"], found["radii"]);
    // A proof of nothing is none.
    let file = dir.path().join("p.json");
    let of_one = format!(
        "--eps 0.01 --parts 2 --limit 1 --minus {taken} --proof {}",
        text(&file)
    );
    with(&begin, &of_one);
    let check = "check @p.json --model @net.safetensors --data @data";
    refused(dir.path(), check, 1, "p.json|no statements");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    begin(dir.path());
    model_with_outputs(&dir.path().join("one.safetensors"), &[1, 6, 6], &[4], 1);
    let usage = |more: &str, needles: &str| {
        let arguments = format!("bound --data @data --model @net.safetensors {more}");
        refused(dir.path(), &arguments, 2, needles);
    };
    usage("--limit 1", "--eps");
    usage("--eps 0", "--eps|8/256");
    usage("--eps 0.1 --limit 0", "--limit 0|at least 1");
    usage("--eps 0.1 --index 40", "--index 40|40 inputs");
    usage("--eps 0.1 --norm 0.5", "--norm|0.5");
    usage("--eps 0.1 --what gradient", "--what|lipschitz");
    usage("--eps 0.1 --class ten", "--class|prediction, label");
    usage("--eps 0.1 --class 10", "--class 10|10 outputs");
    usage("--eps 0.1 --class 3 --minus 3", "--minus 3|--class itself");
    usage("--eps 0.1 --minus 10", "--minus 10|10 outputs");
    usage("--eps 0.1 --what class --minus 1", "--minus|class");
    usage(
        "--eps 0.1 --what sign --gradient-norm 1",
        "--gradient-norm|sign",
    );
    usage("--eps 0.1 --operator-norm 2", "--operator-norm|change");
    usage("--eps 0.1 --top 3", "--top|not for --what change");
    usage(
        "--eps 0.1 --what lipschitz --operator-norm 2 --class 1",
        "--class|all outputs",
    );
    usage(
        "--eps 0.1 --what lipschitz --operator-norm 3",
        "--operator-norm 3|1, 2 or inf",
    );
    usage("--eps 0.1 --what top-k --top 0", "--top 0|at least 1");
    usage("--eps 0.1 --what top-k --top 36", "--top 36|36 numbers");
    usage("--eps 0.1 --curve 1", "--curve 1|2 to 1000");
    usage("--change 10% --curve 3", "--eps");
    usage("--change ten", "--change|10%");
    usage("--change 10% --what sign", "--change|--largest");
    usage("--largest", "--largest|--change");
    usage("--eps 0.1 --up-to 1", "--up-to|--change");
    usage("--eps 0.1 --time -1", "-1");
    usage("--eps 0.1 --time=-1", "--time -1|at least 0");
    usage("--eps 0.1 --time nan", "--time NaN|at least 0");
    usage("--eps 0.1 --parts 0", "--parts 0|at least 1");
    usage("--eps 0.1 --index 1 --limit 2", "--index|--limit");
    // The first two are labelled 0 and 1, which are the classes of one output.
    let one = "bound --data @data --model @one.safetensors --eps 0.1 --limit 2 --what class";
    refused(dir.path(), one, 2, "one output");
    let outside = "bound --data @data --model @net.safetensors --eps 0.1 --domain 0.5,1";
    refused(dir.path(), outside, 1, "input 0|outside");
    let nowhere = "bound --data @data --model @net.safetensors --eps 0.1 --out @none/b.csv";
    refused(dir.path(), nowhere, 1, "none/b.csv");
}

/// Inside the margin and outside of it.
#[test]
fn a_proof_that_is_kept_changes_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let begin = begin(dir.path());
    let file = dir.path().join("proofs.json");
    let asked = "--limit 3 --eps 1e-9 --eps 3e-2 --curve 3 --parts 50 --norm 2";
    let bounds = |more: &str| {
        let found = with(&begin, &format!("{asked}{more}"));
        let rows = results(&found).iter();
        let mut all = rows.flat_map(|row| row["bounds"].as_array().unwrap().clone());
        all.by_ref()
            .map(|answer| (answer["found"].clone(), answer["proved"].clone()))
            .collect::<Vec<_>>()
    };
    let alone = bounds("");
    assert!(alone.iter().any(|(_, proved)| *proved == 0.0));
    assert_eq!(bounds(&format!(" --proof {}", text(&file))), alone);
    let check = format!("check {}", text(&file));
    let words = check
        .split(' ')
        .chain(["--model", &begin[2], "--data", &begin[4]]);
    assert!(
        command(&words.collect::<Vec<_>>())
            .status()
            .unwrap()
            .success()
    );
    // What is an estimate is proved by nothing.
    let estimate =
        "bound --data @data --model @net.safetensors --eps 0.1 --dtype f32 --proof @p.json";
    refused(dir.path(), estimate, 2, "--proof|float32");
}

#[test]
fn a_proof_is_checked_part_by_part() {
    let dir = tempfile::tempdir().unwrap();
    let begin = begin(dir.path());
    let file = dir.path().join("proofs.json");
    for question in [
        "change",
        "lipschitz --operator-norm 1",
        "top-k --top 3",
        "class",
    ] {
        let more = format!(
            "--limit 3 --eps 0.3 --eps 3e-2 --parts 300 --force --proof {} --what {question}",
            text(&file)
        );
        with(&begin, &more);
        let check = |file: &Path| {
            let words = [
                "check",
                text(file),
                "--model",
                &begin[2],
                "--data",
                &begin[4],
            ];
            command(&words).output().unwrap()
        };
        let holds = check(&file);
        let said = String::from_utf8(holds.stdout).unwrap();
        assert!(holds.status.success(), "{question}: {said}");
        assert!(said.contains("checked 6 of 6 rows: all hold"), "{said}");
        // Half of what is proved is not.
        let mut proofs: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let proved = number(&proofs, "/statements/0/proved");
        proofs["statements"][0]["proved"] = (proved - 0.5 * proved.abs().max(1.0)).into();
        let wrong = dir.path().join("wrong.json");
        fs::write(&wrong, proofs.to_string()).unwrap();
        let refuted = check(&wrong);
        assert_eq!(refuted.status.code(), Some(1), "{question}");
        // A part less.
        let steps = proofs["statements"][1]["steps"].as_array_mut().unwrap();
        steps.pop();
        fs::write(&wrong, proofs.to_string()).unwrap();
        let said = String::from_utf8(check(&wrong).stdout).unwrap();
        assert!(said.contains("2 do not hold"), "{question}: {said}");
    }
}
