//! The command line: the workspace's own commands beside the product's.

use clap::{Parser, Subcommand};
use loclin::program::cli::STYLES;
use loclin::program::options::Global;
use loclin::program::outcome::print;

use crate::{bench, reproduce, validate};

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

/// One variant a command.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    /// The product's commands.
    #[command(flatten)]
    Product(loclin::program::cli::Command),
    /// Measure steps and margins, beside PyTorch if it is there
    Bench(bench::Args),
    /// Make a table or a figure of the paper again
    Reproduce(reproduce::Args),
    /// Run every check that a change must pass, cheapest first
    Validate(validate::Args),
}

/// Runs the command and prints what it returns.
///
/// # Errors
/// Those of the command, and a result that cannot be written.
pub fn dispatch(cli: &Cli) -> anyhow::Result<()> {
    let global = &cli.global;
    match &cli.command {
        Command::Product(command) => loclin::program::cli::dispatch(command, global),
        Command::Bench(args) => print(&bench::run(args, global)?, global.json),
        Command::Reproduce(args) => print(&reproduce::run(args, global)?, global.json),
        Command::Validate(args) => print(&validate::run(args, global)?, global.json),
    }
}
