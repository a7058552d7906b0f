//! `cargo xtask validate`: everything a change must pass, the cheapest check first.

mod book;
mod browser;
mod cargo;
mod cluster;
mod cycles;
mod demo;
mod directions;
mod forbidden;
mod fuzz;
mod guide;
mod msrv;
mod outcome;
mod package;
mod program;
mod python;
mod served;
mod step;
mod suite;

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use cargo_metadata::Metadata;
use clap::ValueEnum;
use loclin::program::errors::Usage;
use loclin::program::options::Global;

use self::cargo::{cargo, run as run_cargo};

pub use self::outcome::{Timed, Validated};
pub use self::step::Step;

/// Options of `cargo xtask validate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask validate
  cargo xtask validate --only directions --only clippy
  cargo xtask validate --skip demo
  cargo xtask validate --only tests --long")]
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
    /// Look for longer: random tests without a fixed seed and with many more cases, packages built; hours on a small machine
    #[arg(long)]
    pub long: bool,
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
        return Ok(Validated {
            steps,
            skipped_tests: None,
        });
    }
    let metadata = cargo_metadata::MetadataCommand::new()
        .no_deps()
        .exec()
        .context("cannot find the workspace; run this inside the repository")?;
    let root = metadata.workspace_root.as_std_path();
    let mut done = Validated {
        steps: Vec::with_capacity(steps.len()),
        skipped_tests: None,
    };
    let program = program::keep(root)?;
    for step in steps {
        tracing::info!("{step} ...");
        let start = Instant::now();
        let outcome = execute(step, root, &program, &metadata, args.long);
        let seconds = start.elapsed().as_secs_f64();
        let skipped =
            outcome.with_context(|| format!("validate: {step} failed after {seconds:.1} s"))?;
        tracing::info!("{step} passed in {seconds:.1} s");
        done.skipped_tests = skipped.or(done.skipped_tests);
        done.steps.push(Timed {
            step,
            seconds: Some(seconds),
        });
    }
    Ok(done)
}

/// Runs a step; of the tests, says how many were skipped.
fn execute(
    step: Step,
    root: &Path,
    program: &Path,
    metadata: &Metadata,
    long: bool,
) -> anyhow::Result<Option<usize>> {
    let outcome = match step {
        Step::Format => cargo(root, &["fmt", "--all", "--check"]),
        Step::Directions => directions::check(&directions::graph(metadata)),
        Step::Cycles => cycles::check(metadata),
        Step::Forbidden => forbidden::check(root),
        Step::Clippy => {
            let what = ["clippy", "--workspace", "--all-targets"];
            cargo(root, &[&what[..], &["--", "-D", "warnings"]].concat())
        }
        Step::Docs => {
            let what = ["doc", "--workspace", "--no-deps"];
            run_cargo(root, &what, &[("RUSTDOCFLAGS", "-D warnings")])
        }
        Step::Book => book::check(root),
        Step::Package => package::check(root, metadata, long),
        Step::Msrv => msrv::check(root, metadata),
        Step::Fuzz => fuzz::check(root),
        Step::Python => python::check(root),
        Step::Tests => return suite::check(root, long).map(Some),
        Step::Cluster => cluster::check(program),
        Step::Demo => demo::check(root),
        Step::Guide => guide::run(root, program).map(|_| ()),
        Step::Browser => browser::check(root, program),
    };
    outcome.map(|()| None)
}
