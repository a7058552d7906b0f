//! The command line: its commands and the way to their modules.

use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory, Parser, Subcommand};

use crate::program::machine::VERSION;
use crate::program::options::Global;
use crate::program::outcome::print;
use crate::program::{
    bound, certify, check, completions, config_command, demo, distortion, explain, fetch, init,
    man, merge, metrics, next, serve, sweep, train,
};

/// The colours of help texts.
pub const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  loclin demo                  the main job, in one to two minutes
  loclin certify --model RUN   margins of a trained network
  loclin fetch mnist           download and verify MNIST
  loclin COMMAND --help        one command's options, with an example

Exit codes:
  0  done
  1  failed; the reason is on stderr
  2  wrong usage, such as an unknown option or a value out of range
  130, 143  stopped by an interrupt or SIGTERM; what was done is kept";

/// Train networks whose gradient is constant around every input, and certify how far
#[derive(Debug, Parser)]
#[command(name = "loclin", version = VERSION, styles = STYLES)]
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
    /// Show what a run measured while it trained, or write it for others
    Metrics(metrics::Args),
    /// Show the experiments that are in the program, or write one as a file
    Config(config_command::Args),
    /// Find how far the gradient stays constant around every input
    Certify(certify::Args),
    /// Find a sample of a table of margins again, in another way
    Check(check::Args),
    /// Prove how much can change in balls around inputs, and how far is safe
    Bound(bound::Args),
    /// Find how much the gradient changes when inputs move a little
    Distortion(distortion::Args),
    /// Put the parts of a job together: tables, distortions or sweeps
    Merge(merge::Args),
    /// Show one input, its gradient, and how far and how much that may change
    Explain(explain::Args),
    /// Explore a result in the browser, on this machine alone
    Serve(serve::Args),
    /// Make a network of a described architecture, with seeded parameters
    Init(init::Args),
    /// Download a full dataset and verify it
    Fetch(fetch::Args),
    /// Print what a shell needs to complete this command line
    Completions(completions::Args),
    /// Write the manual pages
    Man(man::Args),
}

/// Runs the command and prints what it returns.
///
/// # Errors
/// Those of the command, and a result that cannot be written.
pub fn dispatch(command: &Command, global: &Global) -> anyhow::Result<()> {
    let next = match command {
        Command::Demo(args) => {
            print(&demo::run(args, global)?, global.json)?;
            next::demo(args)
        }
        Command::Train(args) => {
            let outcome = train::run(args, global)?;
            print(&outcome, global.json)?;
            next::train(&outcome)
        }
        Command::Sweep(args) => {
            let outcome = sweep::run(args, global)?;
            print(&outcome, global.json)?;
            match &outcome {
                sweep::Answer::Results(outcome) => next::sweep(outcome),
                sweep::Answer::Preview(_) => next::previewed(),
            }
        }
        Command::Metrics(args) => {
            print(&metrics::run(args)?, global.json)?;
            next::metrics(args)
        }
        Command::Config(args) => {
            let outcome = config_command::run(args, global)?;
            print(&outcome, global.json)?;
            next::config(&outcome)
        }
        Command::Certify(args) => {
            print(&certify::run(args, global)?, global.json)?;
            next::certify(args)?
        }
        Command::Check(args) => {
            let outcome = check::run(args, global)?;
            print(&outcome, global.json)?;
            outcome.verdict()?;
            next::check()
        }
        Command::Bound(args) => {
            print(&bound::run(args, global)?, global.json)?;
            next::bound(args)?
        }
        Command::Distortion(args) => {
            let outcome = distortion::run(args, global)?;
            print(&outcome, global.json)?;
            next::distortion(args, &outcome)?
        }
        Command::Merge(args) => {
            let outcome = merge::run(args)?;
            print(&outcome, global.json)?;
            next::merge(args, &outcome)
        }
        Command::Explain(args) => {
            explain::run(args, global)?.print(global.json)?;
            next::explain(args)
        }
        // It ends by a signal alone.
        Command::Serve(args) => return serve::run(args, global),
        Command::Init(args) => {
            print(&init::run(args, global)?, global.json)?;
            next::init(args)
        }
        Command::Fetch(args) => {
            let outcome = fetch::run(args, global)?;
            print(&outcome, global.json)?;
            next::fetch(args, &outcome)
        }
        Command::Completions(args) => {
            print(&completions::run(args, Cli::command())?, global.json)?;
            next::completions()
        }
        Command::Man(args) => {
            print(&man::run(args, Cli::command())?, global.json)?;
            next::man(args)
        }
    };
    next::say(&next, global);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
                after.contains(&format!("loclin {name}")),
                "{name} shows no example"
            );
            // Longer ones are broken where nobody would.
            let examples = after.lines().filter(|line| line.contains("loclin "));
            for example in examples.filter(|line| line.starts_with("  ")) {
                assert!(example.len() <= 100, "{name}: {example}");
            }
        }
    }
}
