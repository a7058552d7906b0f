//! `cargo xtask validate`: everything a change must pass, the cheapest check first.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use serde::Serialize;

use loclin::program::errors::Usage;
use loclin::program::options::Global;

mod demo;
mod directions;
mod forbidden;

/// Options of `cargo xtask validate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask validate
  cargo xtask validate --only directions --only clippy
  cargo xtask validate --skip demo")]
pub struct Args {
    /// Run this step of `--list` alone; may be repeated
    #[arg(
        long,
        value_enum,
        value_name = "STEP",
        hide_possible_values = true,
        conflicts_with = "skip"
    )]
    pub only: Vec<Step>,
    /// Leave this step of `--list` out; may be repeated
    #[arg(long, value_enum, value_name = "STEP", hide_possible_values = true)]
    pub skip: Vec<Step>,
    /// Say which steps would run and what they look at, and run none
    #[arg(long)]
    pub list: bool,
}

/// The steps in the order in which they run. Their first lines are what `--list` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Formatting: `cargo fmt --all --check`
    Format,
    /// Which member may depend on which, and which crates only the runner may use
    Directions,
    /// What library sources must not contain: printing, the environment
    Forbidden,
    /// Lints: clippy over all targets, warnings denied
    Clippy,
    /// Documentation builds without a warning
    Docs,
    /// Every test: `cargo test --workspace`
    Tests,
    /// The demonstration runs, leaves a report, and shows what it promises
    Demo,
}

/// The steps and how long each took.
#[derive(Debug, Serialize)]
pub struct Validated {
    /// In the order in which they ran.
    pub steps: Vec<Timed>,
}

/// One step.
#[derive(Debug, Serialize)]
pub struct Timed {
    /// Which.
    pub step: Step,
    /// Seconds of wall clock; none when the steps were only listed.
    pub seconds: Option<f64>,
}

/// Runs the steps and stops at the first that fails, whose output then stands last on stderr.
///
/// # Errors
/// When a step fails, or the workspace cannot be found from the current directory; a [`Usage`]
/// error when every step is skipped.
pub fn run(args: &Args, _: &Global) -> anyhow::Result<Validated> {
    let wanted = |step: &Step| {
        (args.only.is_empty() || args.only.contains(step)) && !args.skip.contains(step)
    };
    let steps: Vec<Step> = Step::value_variants()
        .iter()
        .copied()
        .filter(wanted)
        .collect();
    if steps.is_empty() {
        return Err(Usage::new("--skip: expected at least one step to be left").into());
    }
    if args.list {
        let steps = steps
            .into_iter()
            .map(|step| Timed {
                step,
                seconds: None,
            })
            .collect();
        return Ok(Validated { steps });
    }
    let metadata = cargo_metadata::MetadataCommand::new()
        .no_deps()
        .exec()
        .context("cannot find the workspace; run this inside the repository")?;
    let root = metadata.workspace_root.as_std_path();
    let mut done = Vec::with_capacity(steps.len());
    for step in steps {
        tracing::info!("{step} ...");
        let start = Instant::now();
        let outcome = match step {
            Step::Format => cargo(root, &["fmt", "--all", "--check"]),
            Step::Directions => directions::check(&directions::graph(&metadata)),
            Step::Forbidden => forbidden::check(root),
            Step::Clippy => cargo(
                root,
                &[
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "-D",
                    "warnings",
                ],
            ),
            Step::Docs => docs(root),
            Step::Tests => cargo(root, &["test", "--workspace"]),
            Step::Demo => demo::check(root),
        };
        let seconds = start.elapsed().as_secs_f64();
        outcome.with_context(|| format!("validate: {step} failed after {seconds:.1} s"))?;
        tracing::info!("{step} passed in {seconds:.1} s");
        done.push(Timed {
            step,
            seconds: Some(seconds),
        });
    }
    Ok(Validated { steps: done })
}

/// Cargo in the workspace's root, with all its output on stderr: stdout is the result's.
fn command(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(io::stderr());
    command
}

fn cargo(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    succeed(&mut command(root, arguments), arguments)
}

fn docs(root: &Path) -> anyhow::Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps"];
    succeed(
        command(root, &arguments).env("RUSTDOCFLAGS", "-D warnings"),
        &arguments,
    )
}

fn succeed(command: &mut Command, arguments: &[&str]) -> anyhow::Result<()> {
    let shown = format!("cargo {}", arguments.join(" "));
    let status = command
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    ensure!(status.success(), "{shown}: {status}");
    Ok(())
}

impl Step {
    /// What the step looks at, in the words of its documentation.
    fn what(self) -> String {
        let value = self.to_possible_value();
        value
            .and_then(|value| value.get_help().map(ToString::to_string))
            .unwrap_or_default()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every step has a name; clap can only hide values, and none is hidden.
        f.write_str(
            self.to_possible_value()
                .as_ref()
                .map_or("", |value| value.get_name()),
        )
    }
}

impl fmt::Display for Validated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Timed { step, seconds } in &self.steps {
            match seconds {
                Some(seconds) => writeln!(f, "{:<12}{seconds:>8.1} s", step.to_string())?,
                None => writeln!(f, "{:<12}{}", step.to_string(), step.what())?,
            }
        }
        Ok(())
    }
}
