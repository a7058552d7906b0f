//! Sequences of different lengths: trained on, certified, refused where they do not fit.

use std::fs;

use loclin_data::npy;

use crate::fixture::{command, json, small_sequences, text, train, training};

const NETWORK: [&str; 5] = [
    "architecture=scornn",
    "hidden=[8]",
    "negative=4",
    "negative_slope=0.1",
    "optimizer=amsgrad",
];

#[test]
fn a_recurrent_run_is_certified_on_sequences_of_all_lengths() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("dataset={}", text(&small_sequences(dir.path())));
    let run = dir.path().join("run");
    let more = [
        "loss=roll",
        "epochs=2",
        "learning_rate=0.01",
        "nesterov=false",
    ];
    let trained = train(&run, &[&[data.as_str()], &NETWORK[..], &more].concat(), &[]);
    assert_eq!(trained["epochs"], 2);
    let (one, all) = (dir.path().join("one.csv"), dir.path().join("all.csv"));
    let certified = |limit: &[&str], out| {
        let options = [
            "certify",
            "--model",
            text(&run),
            "--dtype",
            "f64",
            "--out",
            out,
        ];
        json(&[&options[..], limit].concat())
    };
    let whole = certified(&[], text(&all));
    // 45 sequences, the longest of 4 steps.
    assert_eq!(
        (&whole["inputs"], &whole["neurons"]),
        (&45.into(), &32.into())
    );
    assert!(whole["clr_upper"].as_u64().unwrap() <= 45);
    certified(&["--limit", "3"], text(&one));
    let rows = |path| {
        fs::read_to_string(path)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (one, all) = (rows(&one), rows(&all));
    assert_eq!(
        all[0],
        "index,label,prediction,eps_1,eps_2,eps_inf,guarantee,layer,neuron,position,score,place"
    );
    // In the order of the file, whatever the lengths; the neuron is a unit at a time step. In a smaller batch, sums are rounded in another order.
    for (one, all) in one.iter().zip(&all[..4]) {
        for (one, all) in one.split(',').zip(all.split(',')) {
            match (one.parse::<f64>(), all.parse::<f64>()) {
                (Ok(one), Ok(all)) => assert!((one - all).abs() <= 1e-12 * all.abs()),
                _ => assert_eq!(one, all),
            }
        }
    }
    for (index, row) in all[1..].iter().enumerate() {
        let fields: Vec<&str> = row.split(',').collect();
        assert_eq!(
            (fields[0], fields[1]),
            (&*index.to_string(), &*(index / 5).to_string())
        );
        let step: usize = fields[7].strip_prefix("state.").unwrap().parse().unwrap();
        let (steps, unit) = (2 + index % 5 % 3, fields[8].parse::<usize>().unwrap());
        assert!(step < steps && unit < 8, "{row}");
        assert!(fields[4].parse::<f64>().unwrap() > 0.0);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("dataset={}", text(&small_sequences(dir.path())));
    let refused = |set: &[&str], code: i32, words: &[&str]| {
        let run = dir.path().join("run");
        let output = command(&[]).args(training(&run, set)).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{stderr}");
        assert!(!run.exists());
    };
    refused(&[&data], 1, &["different lengths", "scornn"]);
    refused(
        &["architecture=scornn", "hidden=[4]"],
        1,
        &["[1, 28, 28]", "[steps, channels]"],
    );
    refused(&["architecture=scornn"], 2, &["hidden", "one width"]);
    refused(
        &["architecture=scornn", "hidden=[4]", "negative=5"],
        2,
        &["negative", "at most 4"],
    );
    let sampled = ["loss=axes", "axes=25", "learning_rate=0.01"];
    refused(
        &[&[data.as_str()], &NETWORK[..], &sampled].concat(),
        1,
        &["at most 24"],
    );
}

#[test]
fn single_sequences_are_asked_about_like_other_inputs() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| text(&dir.path().join(name)).to_owned();
    let data = format!("dataset={}", text(&small_sequences(dir.path())));
    let run = dir.path().join("run");
    train(
        &run,
        &[&[data.as_str()], &NETWORK[..], &["epochs=1"]].concat(),
        &[],
    );
    let run = text(&run);
    let witness = at("w.npy");
    let bound = ["bound", "--model", run, "--index", "0", "--eps", "0.01"];
    json(&[&bound[..], &["--witness", &witness]].concat());
    let found = npy::read(witness.as_ref()).unwrap();
    assert_eq!((found.len(), found.input_shape()), (1, &[2, 12][..]));
    // Numbers of speech have no range.
    let picture = at("e.png");
    json(&["explain", "--model", run, "--input", "0", "--out", &picture]);

    // Sequences of one length as an array: [steps, channels], whatever the other layout would be of images.
    let values: Vec<f64> = (0..288).map(|at| f64::from(at).sin()).collect();
    let array = at("square.npy");
    fs::write(&array, npy::encode(&[2, 12, 12], &values).unwrap()).unwrap();
    let certify = ["certify", "--model", run, "--data", &array];
    let of = |layout: &[&str]| {
        let found = json(&[&certify[..], layout].concat());
        assert_eq!(found["inputs"], 2);
        found["eps_2"].clone()
    };
    assert!(of(&[]).is_object());
    assert_eq!(of(&["--layout", "channels-last"]), of(&[]));
    let mut first = command(&[&certify[..], &["--layout", "channels-first"]].concat());
    let output = first.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("the model takes sequences, [steps, channels]"),
        "{stderr}"
    );
}
