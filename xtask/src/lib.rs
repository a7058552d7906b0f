//! The workspace's own commands behind `cargo xtask`: checks, benchmarks and the paper's experiments. Every other word is
//! one of the product's, and is passed on to it in the same process.

pub mod bench;
pub mod cli;
pub mod cluster;
pub mod reproduce;
pub mod validate;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

/// Parses `arguments` (the program's name first), runs the command and prints its outcome.
///
/// The exit code is 0 when the command did its work, 1 when it failed, 2 when it was asked wrongly.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    loclin::program::run_as(
        arguments,
        cli::command(),
        |cli: &cli::Cli| &cli.global,
        cli::dispatch,
    )
}
