//! Cargo as the steps run it.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::program::succeed;

/// Cargo in the workspace's root, with all its output on stderr: stdout is the result's.
pub(super) fn command(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(io::stderr());
    command
}

/// Runs cargo, whose failure is an error.
pub(super) fn cargo(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    succeed(&mut command(root, arguments), &shown(arguments))
}

/// Runs cargo with variables of the environment set; its failure is an error.
pub(super) fn run(
    root: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> anyhow::Result<()> {
    let mut command = command(root, arguments);
    let command = command.envs(environment.iter().copied());
    succeed(command, &shown(arguments))
}

/// What messages call cargo with these arguments.
fn shown(arguments: &[&str]) -> String {
    format!("cargo {}", arguments.join(" "))
}
