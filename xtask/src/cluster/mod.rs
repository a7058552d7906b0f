//! `cargo xtask cluster`: a certification in parts by a real engine on this machine, one part killed and queued again.

mod engine;
mod hyperqueue;
mod outcome;
mod slurm;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use loclin::program::files;
use loclin::program::options::Global;

use crate::workspace;
pub use engine::Engine;
use engine::Queue;
pub use outcome::Outcome;

/// Options of `cargo xtask cluster`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask cluster --engine hyperqueue
  cargo xtask cluster --engine slurm --inputs 2000")]
pub struct Args {
    /// What queues the parts: hyperqueue, from PyPI, or slurm, from Debian's slurm-wlm and as root
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub engine: Engine,
    /// Digits to be certified
    #[arg(long, value_name = "N", default_value_t = 1600)]
    pub inputs: usize,
    /// Inputs of a batch
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub batch: usize,
}

/// A network that takes some milliseconds for a digit.
const NETWORK: &str = r#"
[architecture]
kind = "convnet"
input_shape = [1, 28, 28]
channels = [4, 8]
kernel = 3
pooling = "average"
outputs = 10
negative_slope = 0.0
"#;

/// Parts of the job.
const PARTS: usize = 8;

/// Batches of a part, at least.
const BATCHES: usize = 4;

/// The part that is killed.
const KILLED: usize = 3;

/// Runs the certification in one process and in parts, and compares the tables.
///
/// # Errors
/// An engine that cannot be used here, and tables that differ.
pub fn run(args: &Args, _: &Global) -> anyhow::Result<Outcome> {
    let program = std::env::current_exe().context("cannot tell the program")?;
    run_with(&program, args)
}

/// As [`run`], with a copy of this program that nothing replaces meanwhile.
///
/// # Errors
/// As of [`run`].
pub(crate) fn run_with(program: &Path, args: &Args) -> anyhow::Result<Outcome> {
    let least = BATCHES * PARTS * args.batch;
    ensure!(
        args.batch > 0 && args.inputs >= least,
        "--inputs {}: at least {least}, {BATCHES} batches of --batch {} for each of {PARTS} parts; one is killed between two of them",
        args.inputs,
        args.batch
    );
    let root = workspace::root()?;
    let directory = tempfile::tempdir().context("cannot create a temporary directory")?;
    let here = directory.path();
    let (network, whole) = (here.join("network.safetensors"), here.join("whole.csv"));
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let described = here.join("network.toml");
    files::write_atomic(&described, NETWORK.as_bytes())?;
    let [described, made] = [&described, &network].map(|file| file.display().to_string());
    let init = words(&[
        "init",
        "--seed",
        "1",
        "--architecture",
        &described,
        "--out",
        &made,
    ]);
    succeed(program, &init)?;
    let mut certify = words(&["certify", "--data", "digits", "--model"]);
    certify.push(network.display().to_string());
    certify.extend([
        "--limit".into(),
        args.inputs.to_string(),
        "--batch".into(),
        args.batch.to_string(),
    ]);
    let start = Instant::now();
    let out = ["--out".to_owned(), whole.display().to_string()];
    succeed(program, &[&certify[..], &out].concat())?;
    let one_process = start.elapsed().as_secs_f64();

    let queue = Queue {
        root: &root,
        directory: here,
        program,
        arguments: &certify,
        parts: PARTS,
        killed: KILLED,
    };
    let start = Instant::now();
    let killed = match args.engine {
        Engine::Hyperqueue => hyperqueue::run(&queue)?,
        Engine::Slurm => slurm::run(&queue)?,
    };
    let in_parts = start.elapsed().as_secs_f64();
    let tables = (1..=PARTS).map(|part| queue.table(part).display().to_string());
    let merged = here.join("merged.csv");
    let mut merge = words(&["merge"]);
    merge.extend(tables.chain(["--out".into(), merged.display().to_string()]));
    succeed(program, &merge)?;
    let is_equal = files::read(&whole)? == files::read(&merged)?;
    ensure!(
        is_equal,
        "the table of {PARTS} parts is another than that of one process"
    );
    Ok(Outcome {
        engine: args.engine,
        inputs: args.inputs,
        parts: PARTS,
        killed: KILLED,
        batches_before_the_kill: killed,
        seconds_of_one_process: one_process,
        seconds_in_parts: in_parts,
        is_equal,
    })
}

fn succeed(program: &Path, arguments: &[String]) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    let status = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status();
    let shown = || {
        format!(
            "{} {}",
            PathBuf::from(program).display(),
            arguments.join(" ")
        )
    };
    let status = status.with_context(shown)?;
    ensure!(status.success(), "{}: {status}", shown());
    Ok(())
}
