//! The command line: the workspace's own commands beside the product's.

use clap::{CommandFactory, Parser, Subcommand};
use loclin::program::cli::STYLES;
use loclin::program::machine::VERSION;
use loclin::program::options::Global;
use loclin::program::outcome::print;

use crate::{bench, cluster, reproduce, validate};

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo                  the main job, in one to two minutes
  cargo xtask certify --model RUN   margins of a trained network
  cargo xtask fetch mnist           download and verify MNIST
  cargo xtask validate              everything a change must pass
  cargo xtask COMMAND --help        one command's options, with an example

Exit codes:
  0  done
  1  failed; the reason is on stderr
  2  wrong usage, such as an unknown option or a value out of range
  130, 143  stopped by an interrupt or SIGTERM; what was done is kept";

/// Train networks whose gradient is constant around every input, and certify how far
#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", version = VERSION, styles = STYLES)]
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
    Product(Box<loclin::program::cli::Command>),
    /// Measure steps and margins, beside PyTorch if it is there
    Bench(bench::Args),
    /// Run a certification in parts by a real engine, one part killed
    Cluster(cluster::Args),
    /// Make a table or a figure of the paper again
    Reproduce(reproduce::Args),
    /// Run every check that a change must pass, cheapest first
    Validate(validate::Args),
}

/// The command line, in whose help the product's examples are what one types here.
pub fn command() -> clap::Command {
    Cli::command().mut_subcommands(renamed)
}

/// A command whose examples, and those of the commands below it, name this program.
fn renamed(command: clap::Command) -> clap::Command {
    let command = match command.get_after_help() {
        // The examples stand in lines of their own, two spaces in.
        Some(help) => {
            let help = help.to_string().replace("  loclin ", "  cargo xtask ");
            command.after_help(help)
        }
        None => command,
    };
    command.mut_subcommands(renamed)
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
        Command::Cluster(args) => print(&cluster::run(args, global)?, global.json),
        Command::Reproduce(args) => print(&reproduce::run(args, global)?, global.json),
        Command::Validate(args) => print(&validate::run(args, global)?, global.json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_an_example_that_names_this_program() {
        command().debug_assert();
        for command in command().get_subcommands() {
            let name = command.get_name();
            let after = command.get_after_help().map(ToString::to_string);
            let after = after.unwrap_or_default();
            assert!(
                after.contains(&format!("  cargo xtask {name}")),
                "{name}: {after}"
            );
            assert!(!after.contains("  loclin "), "{name}: {after}");
        }
    }
}
