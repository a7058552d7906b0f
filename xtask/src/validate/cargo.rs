//! Cargo as the steps run it.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

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
    succeed(&mut command(root, arguments), arguments)
}

/// Builds the documentation, warnings denied.
pub(super) fn docs(root: &Path) -> anyhow::Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps"];
    succeed(
        command(root, &arguments).env("RUSTDOCFLAGS", "-D warnings"),
        &arguments,
    )
}

fn succeed(command: &mut Command, arguments: &[&str]) -> anyhow::Result<()> {
    let shown = format!("cargo {}", arguments.join(" "));
    let status = command
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    ensure!(status.success(), "{shown}: {status}");
    Ok(())
}
