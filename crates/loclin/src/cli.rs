//! The command line: its commands, the options they share, and the way to their modules.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::compute::{Device, Dtype};
use crate::{
    bench, certify, demo, distortion, explain, fetch, init, reproduce, sweep, train, validate,
};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo                  the main job, in a few minutes
  cargo xtask certify --model RUN   margins of a trained network
  cargo xtask fetch mnist           download and verify MNIST
  cargo xtask validate              everything a change must pass
  cargo xtask COMMAND --help        one command's options, with an example

Exit codes:
  0  done
  1  failed; the reason is on stderr
  2  wrong usage, such as an unknown option or a value out of range";

/// Train networks whose gradient is constant around every input, and certify how far
#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", version, styles = STYLES)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
#[command(max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The options of every command.
    #[command(flatten)]
    pub global: Global,
}

/// One variant a command, in the order in which a newcomer meets them.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    /// Train, certify and show: the main job on digits that are in the program
    Demo(demo::Args),
    /// Train one network as a configuration file says
    Train(train::Args),
    /// Train many networks, side by side, and choose the best
    Sweep(sweep::Args),
    /// Find how far the gradient stays constant around every input
    Certify(certify::Args),
    /// Find how much the gradient changes when inputs move a little
    Distortion(distortion::Args),
    /// Show one input, its gradient, and how far and how much that may change
    Explain(explain::Args),
    /// Measure steps and margins, beside PyTorch if it is there
    Bench(bench::Args),
    /// Make a table or a figure of the paper again
    Reproduce(reproduce::Args),
    /// Make a network of a described architecture, with seeded parameters
    Init(init::Args),
    /// Download a full dataset and verify it
    Fetch(fetch::Args),
    /// Run every check that a change must pass, cheapest first
    Validate(validate::Args),
}

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Print one JSON object on stdout; logs and progress stay on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Where to compute: `cpu`, or `cuda:N` for the N-th GPU
    #[arg(long, global = true, value_name = "DEVICE", default_value_t)]
    pub device: Device,
    /// Floating-point type: f32, or f64 for exact margins [default: the configuration's, else f32]
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "DTYPE",
        hide_possible_values = true
    )]
    pub dtype: Option<Dtype>,
    /// Seed of every random number [default: the configuration's, else 0]
    // TOML integers end at 2^63 - 1, and a run's configuration records its seed.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    /// Say more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// Where the datasets are; for commands that read or fetch them.
#[derive(Clone, Debug, Args)]
pub struct DataDir {
    /// Directory that holds one folder per dataset, such as `mnist`
    #[arg(long, value_name = "DIR", env = "ROLL_DATA", default_value = "data")]
    pub data_dir: PathBuf,
}

/// Runs the command and prints what it returns.
///
/// # Errors
/// Those of the command, and a result that cannot be written.
pub fn dispatch(cli: &Cli) -> anyhow::Result<()> {
    let global = &cli.global;
    match &cli.command {
        Command::Demo(args) => print(&demo::run(args, global)?, global.json),
        Command::Train(args) => print(&train::run(args, global)?, global.json),
        Command::Sweep(args) => print(&sweep::run(args, global)?, global.json),
        Command::Certify(args) => print(&certify::run(args, global)?, global.json),
        Command::Distortion(args) => print(&distortion::run(args, global)?, global.json),
        Command::Explain(args) => print(&explain::run(args, global)?, global.json),
        Command::Bench(args) => print(&bench::run(args, global)?, global.json),
        Command::Reproduce(args) => print(&reproduce::run(args, global)?, global.json),
        Command::Init(args) => print(&init::run(args, global)?, global.json),
        Command::Fetch(args) => print(&fetch::run(args, global)?, global.json),
        Command::Validate(args) => print(&validate::run(args, global)?, global.json),
    }
}

/// The outcome as one JSON object or as text, on stdout.
fn print(outcome: &(impl Serialize + Display), json: bool) -> anyhow::Result<()> {
    let mut text = if json {
        serde_json::to_string(outcome)?
    } else {
        outcome.to_string()
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        // The reader has seen enough, as in `cargo xtask validate --list | head -1`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write the result to standard output"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_one_line_of_description_and_an_example() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let about = command
                .get_about()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!((1..=72).contains(&about.len()), "{name}: {about:?}");
            let after = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                after.contains(&format!("cargo xtask {name}")),
                "{name} shows no example"
            );
        }
    }
}
