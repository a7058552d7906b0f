//! The runner behind `cargo xtask`: it trains, certifies, shows and checks.
//!
//! Only this package reads configuration, prints, draws, or writes files.
//! Every command is one module with `pub struct Args` (its options) and
//! `pub fn run(&Args, &cli::Global) -> anyhow::Result<Outcome>`, where the outcome is
//! both [`serde::Serialize`] (what `--json` prints) and [`std::fmt::Display`] (what people read).
//! Commands never print their result themselves, so stdout holds exactly one of the two
//! and stays empty when a command fails.

pub mod bench;
pub mod certify;
pub mod cli;
pub mod compute;
pub mod config;
pub mod demo;
pub mod distortion;
pub mod errors;
pub mod explain;
pub mod fetch;
pub mod files;
pub mod init;
pub mod machine;
mod model;
mod opened;
pub mod progress;
mod report;
pub mod reproduce;
pub mod stats;
pub mod sweep;
mod tensors;
mod toy;
pub mod train;
pub mod validate;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

/// Parses `arguments` (the program's name first), runs the command and prints its outcome.
///
/// The exit code is 0 when the command did its work, 1 when it failed, 2 when it was asked wrongly.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version arrive here too, with code 0. A closed pipe is no reason to complain.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                errors::USAGE
            } else {
                errors::DONE
            });
        }
    };
    progress::start(&cli.global);
    match cli::dispatch(&cli) {
        Ok(()) => ExitCode::from(errors::DONE),
        Err(error) => {
            errors::report(&error);
            ExitCode::from(errors::exit_code(&error))
        }
    }
}
