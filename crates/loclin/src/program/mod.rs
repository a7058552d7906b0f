//! The `loclin` program: its commands, and what they share.

pub mod bound;
pub mod certify;
pub mod chance;
pub mod check;
mod choice;
pub mod classes;
pub mod cli;
pub mod clock;
pub mod completions;
pub mod compute;
pub mod config;
pub mod config_command;
pub mod demo;
pub mod distortion;
pub mod domain;
pub mod errors;
pub mod explain;
pub mod fetch;
pub mod files;
pub mod init;
pub mod jobs;
pub mod machine;
pub mod man;
pub mod merge;
pub mod metrics;
pub mod model;
mod next;
pub mod objective;
pub mod opened;
pub mod options;
pub mod outcome;
pub mod outputs;
pub mod preprocessing;
pub mod process;
pub mod progress;
pub mod proofs;
pub mod run_directory;
pub mod serve;
pub mod shipped;
pub mod stop;
pub mod sweep;
pub mod tensors;
pub mod toy;
pub mod train;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

/// Parses `arguments` (the program's name first), runs the command and prints its outcome.
///
/// The exit code is 0 when the command did its work, 1 when it failed, 2 when it was asked wrongly, 143 or 130 when SIGTERM or
/// an interrupt stopped a job that can go on.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::from(code(arguments))
}

/// [`run`] with the exit code as a number, for a process that goes on.
pub fn code(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    code_of(
        arguments,
        cli::Cli::command(),
        |cli: &cli::Cli| &cli.global,
        |cli| cli::dispatch(&cli.command, &cli.global),
    )
}

/// [`run`] for a program with commands of its own beside the product's; `command` is the command line of `C`.
pub fn run_as<C: Parser>(
    arguments: impl IntoIterator<Item = OsString>,
    command: clap::Command,
    options: impl Fn(&C) -> &options::Global,
    dispatch: impl FnOnce(&C) -> anyhow::Result<()>,
) -> ExitCode {
    ExitCode::from(code_of(arguments, command, options, dispatch))
}

fn code_of<C: Parser>(
    arguments: impl IntoIterator<Item = OsString>,
    mut command: clap::Command,
    options: impl Fn(&C) -> &options::Global,
    dispatch: impl FnOnce(&C) -> anyhow::Result<()>,
) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    process::note(arguments.get(1..).unwrap_or_default());
    let parsed = command.try_get_matches_from_mut(arguments);
    process::note_command(
        parsed
            .as_ref()
            .ok()
            .and_then(clap::ArgMatches::subcommand_name),
    );
    let parsed = parsed.and_then(|matches| C::from_arg_matches(&matches));
    let cli = match parsed.map_err(|error| error.format(&mut command)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version arrive here too, with code 0. A closed pipe is no reason to complain.
            let _ = error.print();
            return if error.use_stderr() {
                errors::USAGE
            } else {
                errors::DONE
            };
        }
    };
    let started = progress::start(options(&cli)).and_then(|()| process::start_threads());
    match started
        .map_err(anyhow::Error::from)
        .and_then(|()| dispatch(&cli))
    {
        Ok(()) => errors::DONE,
        Err(error) => {
            errors::report(&error);
            next::say(&next::failed(&error), options(&cli));
            tracing::error!(target: "loclin::outcome", "{}", errors::describe(&error));
            errors::exit_code(&error)
        }
    }
}
