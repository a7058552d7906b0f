//! Table 2: the time of a training step, beside the published procedure's.
//!
//! The measurement is that of `bench step`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::markdown;
use super::results::{PAGE, Results};
use crate::bench::{self, Times};
use loclin::program::options::{DataDir, Global};

/// Options of `reproduce table2`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The labelled dataset to train on: a name or a directory
    #[arg(long, value_name = "NAME_OR_PATH", default_value = "mnist")]
    pub data: String,
    /// Measurements of each kind; their median counts
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub runs: usize,
    /// Measure the published procedure too, in PyTorch with this Python
    #[arg(long, value_name = "PYTHON")]
    pub peer: Option<PathBuf>,
    /// The program that measures PyTorch [default: that of `bench step`]
    #[arg(long, value_name = "FILE.py", requires = "peer")]
    pub peer_script: Option<PathBuf>,
    /// Directory of the results [default: docs/results/table2]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where the datasets are.
    #[command(flatten)]
    pub place: DataDir,
}

/// What `bench step --json` says, as far as it is used here.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    processor: Option<String>,
    threads: usize,
    commit: Option<String>,
    #[serde(flatten)]
    initial: Times,
    trained: Times,
    epoch_seconds: f64,
    peer_step_seconds: Option<BTreeMap<String, f64>>,
}

/// What is compared: our time of a step, and the peer's name for what stands beside it.
type Kind = (&'static str, fn(&Times) -> f64, &'static str);

const KINDS: [Kind; 5] = [
    ("vanilla", |times| times.vanilla_seconds, "vanilla"),
    (
        "exact ROLL; PyTorch as published (perturbation)",
        |times| times.exact_seconds,
        "published",
    ),
    (
        "exact ROLL; PyTorch by Gram matrices",
        |times| times.exact_seconds,
        "gram",
    ),
    (
        "approximate ROLL, 3 axes (Eq. 10)",
        |times| times.axes_seconds,
        "axes3",
    ),
    (
        "approximate ROLL, a direction for each input; PyTorch 3 axes",
        |times| times.approximate_seconds,
        "axes3",
    ),
];

pub(super) fn run(args: &Args, global: &Global) -> anyhow::Result<Results> {
    let outcome = bench::run(
        &bench::Args {
            work: Some(bench::Work::Step),
            data: args.data.clone(),
            model: None,
            limit: None,
            runs: args.runs,
            peer: args.peer.clone(),
            peer_script: args.peer_script.clone(),
            place: args.place.clone(),
        },
        global,
    )?;
    let measured: Measured = serde_json::from_value(serde_json::to_value(outcome)?)?;
    let text = tables(&measured);
    let unknown = || "unknown".to_owned();
    let peer = match args.peer {
        Some(_) => " --peer PYTHON --peer-script FILE.py",
        None => "",
    };
    let page = format!(
        "# Table 2: time of a training step\n\nMade by `cargo xtask reproduce table2 --data {} --runs {}{peer}`, commit \
         {}, on {}, {} threads on both sides.\n\n{text}",
        args.data,
        args.runs,
        measured.commit.clone().unwrap_or_else(unknown),
        measured.processor.clone().unwrap_or_else(unknown),
        measured.threads,
    );
    let mut json = serde_json::to_vec_pretty(&measured)?;
    json.push(b'\n');
    Ok(Results {
        files: vec![
            (PAGE.into(), page.into_bytes()),
            ("times.json".into(), json),
        ],
        text,
    })
}

fn tables(measured: &Measured) -> String {
    let own = [&measured.initial, &measured.trained];
    format!(
        "A step is forward, backward and update on 64 inputs, hidden layers 300-300-300-300: median milliseconds, at \
         initialisation ({:.0}% of the units active) and after an epoch of exact ROLL ({:.0}%). PyTorch runs the \
         published procedure on random inputs at initialisation: what it does depends on no pattern.\n\n{}\n\
         The ratios that the paper states, for its GPU. There, exact ROLL by back-propagation for each neuron took 12 \
         times as long as by perturbation; nothing here does that.\n\n{}\n\
         The epoch of exact ROLL took {:.1} s.\n",
        100.0 * own[0].active_share,
        100.0 * own[1].active_share,
        markdown::table(
            &[
                "step",
                "here, initially",
                "here, after an epoch",
                "PyTorch",
                "times faster, initially",
                "after an epoch",
            ],
            &times(measured),
        ),
        markdown::table(
            &[
                "ratio",
                "here, initially",
                "here, after an epoch",
                "PyTorch",
                "paper, about"
            ],
            &ratios(measured),
        ),
        measured.epoch_seconds,
    )
}

/// PyTorch's seconds of that name, if it was measured.
fn peer(measured: &Measured, name: &str) -> Option<f64> {
    measured.peer_step_seconds.as_ref()?.get(name).copied()
}

fn or_missing(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// A row for each kind of step.
fn times(measured: &Measured) -> Vec<Vec<String>> {
    let peer = |name: &str| peer(measured, name);
    let milliseconds = |seconds: f64| format!("{:.2}", 1e3 * seconds);
    let own = [&measured.initial, &measured.trained];
    let times = KINDS.map(|(name, seconds, other)| {
        let faster =
            |times: &Times| or_missing(peer(other).map(|s| format!("{:.1}", s / seconds(times))));
        vec![
            name.to_owned(),
            milliseconds(seconds(own[0])),
            milliseconds(seconds(own[1])),
            or_missing(peer(other).map(milliseconds)),
            faster(own[0]),
            faster(own[1]),
        ]
    });
    times.to_vec()
}

/// A row for each ratio that the paper states.
fn ratios(measured: &Measured) -> Vec<Vec<String>> {
    let peer = |name: &str| peer(measured, name);
    let own = [&measured.initial, &measured.trained];
    let ratio = |name: &str, over: fn(&Times) -> f64, of: [&str; 2], published: &str| {
        let theirs = peer(of[0])
            .zip(peer(of[1]))
            .map(|(a, b)| format!("{:.1}", a / b));
        vec![
            name.to_owned(),
            format!("{:.1}", over(own[0])),
            format!("{:.1}", over(own[1])),
            or_missing(theirs),
            published.to_owned(),
        ]
    };
    let ratios = [
        ratio(
            "exact / vanilla",
            |times| times.exact_seconds / times.vanilla_seconds,
            ["published", "vanilla"],
            "-",
        ),
        ratio(
            "exact / approximate, 3 axes",
            |times| times.exact_seconds / times.axes_seconds,
            ["published", "axes3"],
            "9",
        ),
        ratio(
            "approximate, 3 axes / vanilla",
            |times| times.axes_seconds / times.vanilla_seconds,
            ["axes3", "vanilla"],
            "2",
        ),
        ratio(
            "approximate, a direction for each input / vanilla",
            |times| times.approximate_seconds / times.vanilla_seconds,
            ["axes3", "vanilla"],
            "2",
        ),
    ];
    ratios.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_stands_beside_the_peer_and_a_missing_peer_is_a_dash() {
        let times = r#""vanilla_seconds": 0.002, "exact_seconds": 0.02, "approximate_seconds": 0.004,
            "axes_seconds": 0.005, "active_share": 0.5"#;
        let json = |peer: &str| {
            let text = format!(
                r#"{{"processor": null, "threads": 2, "commit": null, {times}, "trained": {{{times}}},
                "epoch_seconds": 20.0, "estimates": [], "peer_step_seconds": {peer}}}"#
            );
            serde_json::from_str::<Measured>(&text).unwrap()
        };
        let alone = tables(&json("null"));
        assert!(alone.contains("| vanilla ") && alone.contains(" - |"));
        let both = tables(&json(
            r#"{"vanilla": 0.003, "published": 2.0, "axes3": 0.006}"#,
        ));
        let line = |start: &str| {
            let line = both.lines().find(|line| line.starts_with(start)).unwrap();
            let cells = line.split('|').map(|cell| cell.trim().to_owned());
            cells.skip(2).collect::<Vec<_>>()
        };
        assert_eq!(
            line("| exact ROLL; PyTorch as")[..5],
            ["20.00", "20.00", "2000.00", "100.0", "100.0"]
        );
        assert_eq!(
            line("| exact / approximate")[..4],
            ["4.0", "4.0", "333.3", "9"]
        );
    }
}
