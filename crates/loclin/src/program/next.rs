//! The command that comes next: what every command says on stderr when it ends, well or not.

use std::io::Write;
use std::path::Path;

use crate::program::jobs::JobError;
use crate::program::options::Global;
use crate::program::stop::Stopped;
use crate::program::{
    bound, certify, config_command, demo, distortion, explain, fetch, init, man, merge, metrics,
    process, sweep, train,
};

/// The options that say which model and which inputs, and how many words follow each at most.
const ABOUT: [(&str, usize); 17] = [
    ("--model", 1),
    ("--architecture", 1),
    ("--output", 1),
    ("--input-shape", 1),
    ("--data", 1),
    ("--split", 1),
    ("--data-dir", 1),
    ("--classes", 1),
    ("--scale", 1),
    ("--layout", 1),
    ("--mean", 1),
    ("--std", 1),
    ("--resize", 1),
    ("--exif-orientation", 0),
    ("--preprocessing", 1),
    ("--domain", 1),
    ("--box", 1),
];

/// Says what comes next, where somebody reads it.
pub(super) fn say(next: &str, global: &Global) {
    if !global.json && !global.quiet {
        // Where stderr is closed there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "next: {next}");
    }
}

/// After an error.
pub(super) fn failed(error: &anyhow::Error) -> String {
    let command = process::command().unwrap_or_default();
    let goes_on = [certify::COMMAND, bound::COMMAND, "train"].contains(&&command[..]);
    let is_stopped = error.chain().any(|cause| cause.is::<Stopped>());
    let is_there = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(JobError::Exists { .. }))
    };
    match () {
        () if is_stopped && goes_on => process::resumed(),
        () if is_stopped => process::command_line(),
        () if error.chain().any(is_there) => process::resumed(),
        () => format!("{} {command} --help", process::name()),
    }
}

/// After `certify`: the table is checked, or one is written.
pub(super) fn certify(args: &certify::Args) -> anyhow::Result<String> {
    Ok(match &args.out {
        Some(out) if !args.job.shard()?.is_whole() => merged(out),
        Some(out) => about("check", &[&word(out)]),
        None if args.report.is_some() => more(&format!("--out {}", free("margins.csv")), true),
        None => {
            let (out, report) = (free("margins.csv"), free("margins.html"));
            more(&format!("--out {out} --report {report}"), false)
        }
    })
}

/// After `check`: beyond the radii.
pub(super) fn check() -> String {
    about("bound", &["--limit 5", "--eps 1/255"])
}

/// After `bound`: proofs are checked, or written.
pub(super) fn bound(args: &bound::Args) -> anyhow::Result<String> {
    Ok(match (&args.out, &args.proof) {
        (Some(out), _) if !args.job.shard()?.is_whole() => merged(out),
        (_, Some(proof)) => about("check", &[&word(proof)]),
        (Some(_), None) => {
            let input = format!("--input {}", args.index.unwrap_or(0));
            let report = format!("--report {}", free("explanation.html"));
            about("explain", &[&input, &report])
        }
        (None, None) => {
            let has_files = args.report.is_some() || args.witness.is_some();
            more(&format!("--out {}", free("bounds.csv")), has_files)
        }
    })
}

/// After `distortion`: what was found is kept, or the worst input looked at.
pub(super) fn distortion(
    args: &distortion::Args,
    outcome: &distortion::Outcome,
) -> anyhow::Result<String> {
    Ok(match (&args.out, outcome.worst) {
        (Some(out), _) if !args.job.shard()?.is_whole() => {
            let name = process::name();
            format!("{name} merge {} OTHER_PARTS --out ALL", word(out))
        }
        (Some(_), Some(input)) => {
            let eps = args.search.eps;
            let own = [&*format!("--input {input}"), &format!("--eps {eps}")];
            let report = format!("--report {}", free("worst.html"));
            about("explain", &[&own[..], &[&report]].concat())
        }
        _ => more(&format!("--out {}", free("runs/distortion")), false),
    })
}

/// After `merge`: what is whole is looked at.
pub(super) fn merge(args: &merge::Args, outcome: &merge::Outcome) -> String {
    let (name, out) = (process::name(), word(&args.out));
    match outcome {
        merge::Outcome::Certify(of) => {
            format!("{name} check {out} --model {} --data DATA", word(&of.model))
        }
        merge::Outcome::Bound(_) => {
            format!("{name} explain --model MODEL --data DATA --input 0")
        }
        merge::Outcome::Distortion(of) => {
            format!(
                "{name} explain --model MODEL --data DATA --input {}",
                of.worst.unwrap_or(0)
            )
        }
        merge::Outcome::Sweep(of) => sweep(of),
    }
}

/// After `explain`: how much can change around the same input.
pub(super) fn explain(args: &explain::Args) -> String {
    if args.report.is_none() {
        return more(&format!("--report {}", free("explanation.html")), true);
    }
    let first = args.inputs.first().map_or("0", String::as_str);
    match first.parse::<usize>() {
        Ok(_) => about("bound", &[&format!("--index {first}"), "--change 10%"]),
        Err(_) => {
            let data = format!("--data {}", word(Path::new(first)));
            about("bound", &[&data, "--change 10%"])
        }
    }
}

/// After `train`: how far the gradient of the network stays constant.
pub(super) fn train(outcome: &train::Outcome) -> String {
    about("certify", &[&format!("--model {}", word(&outcome.run))])
}

/// After `sweep`: the first run that was chosen is certified, or the parts are put together.
pub(super) fn sweep(outcome: &sweep::Outcome) -> String {
    let (name, out) = (process::name(), word(&outcome.out));
    let chosen = outcome.selected.iter().flat_map(|rule| &rule.runs);
    let all = outcome.rows.iter().map(|row| &row.run);
    match (
        chosen.chain(all).next(),
        outcome.rows.len() < outcome.planned,
    ) {
        (_, true) => format!("{name} merge {out} OTHER_PARTS --out ALL"),
        (Some(run), _) => format!("{name} certify --model {}", word(&outcome.directory(run))),
        (None, _) => format!("{name} config list"),
    }
}

/// After `sweep --dry-run`: the runs themselves.
pub(super) fn previewed() -> String {
    process::command_line().replace(" --dry-run", "")
}

/// After `metrics`: files for other programs, or how far the gradient of the network stays constant.
pub(super) fn metrics(args: &metrics::Args) -> String {
    match args.csv.is_some() || args.tensorboard.is_some() {
        true => about("certify", &[&format!("--model {}", word(&args.run))]),
        false => more(&format!("--csv {}", free("metrics.csv")), false),
    }
}

/// After `demo`: one digit.
pub(super) fn demo(args: &demo::Args) -> String {
    let (name, run) = (process::name(), word(&args.out.join("roll")));
    let report = free("explanation.html");
    format!("{name} explain --model {run} --input 0 --report {report}")
}

/// After `config`: what there is is shown, written, and used.
pub(super) fn config(outcome: &config_command::Outcome) -> String {
    let name = process::name();
    match outcome {
        config_command::Outcome::List { .. } => format!("{name} config show NAME"),
        config_command::Outcome::Show { name: own, .. } => format!("{name} config init {own}"),
        config_command::Outcome::Init { next, .. } => next.clone(),
    }
}

/// After `init`.
pub(super) fn init(args: &init::Args) -> String {
    let (name, out) = (process::name(), word(&args.out));
    format!("{name} certify --model {out} --data DATA")
}

/// After `fetch`: training on it.
pub(super) fn fetch(args: &fetch::Args, outcome: &fetch::Fetched) -> String {
    let preset = match &outcome.dataset[..] {
        "mnist" => "mnist-roll-1",
        _ => "cifar10-roll",
    };
    let (name, directory) = (process::name(), word(&args.data_dir.data_dir));
    format!("{name} train --preset {preset} --data-dir {directory}")
}

/// After `completions`.
pub(super) fn completions() -> String {
    format!("{} man --out ~/.local/share/man/man1", process::name())
}

/// After `man`.
pub(super) fn man(args: &man::Args) -> String {
    format!("man {}", word(&args.out.join("loclin.1")))
}

/// The name of a file, or the first numbered one that is not there yet: a suggestion should not be refused.
fn free(name: &str) -> String {
    let path = Path::new(name);
    let extension = path.extension().and_then(|end| end.to_str());
    let numbered = |number: usize| match extension {
        Some(end) => path.with_extension(format!("{number}.{end}")),
        None => format!("{name}-{number}").into(),
    };
    let mut names = std::iter::once(path.to_owned()).chain((2..).map(numbered));
    let first = names.find(|name| !name.exists());
    word(&first.unwrap_or_else(|| path.to_owned()))
}

/// The same command with more options, where it wrote files with leave to replace them.
fn more(options: &str, has_files: bool) -> String {
    let again = process::command_line();
    match has_files && !again.contains(" --force") {
        true => format!("{again} {options} --force"),
        false => format!("{again} {options}"),
    }
}

/// Another command about the same model and inputs.
fn about(command: &str, own: &[&str]) -> String {
    let kept = process::kept(&ABOUT);
    let words = [process::name(), command]
        .into_iter()
        .chain(own.iter().copied());
    let words = words.chain(kept.iter().map(String::as_str));
    words.collect::<Vec<_>>().join(" ")
}

/// The parts of a table put together.
fn merged(part: &Path) -> String {
    format!(
        "{} merge {} OTHER_PARTS --out ALL.csv",
        process::name(),
        word(part)
    )
}

/// A path as a shell takes it.
fn word(path: &Path) -> String {
    process::quoted(&path.to_string_lossy())
}
