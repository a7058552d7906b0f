//! Other programs as the steps run them.

use std::io;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// Runs a program with all its output on stderr, because stdout is the result's; its failure is an error that calls it `shown`.
pub(super) fn succeed(command: &mut Command, shown: &str) -> anyhow::Result<()> {
    let command = command.stdin(Stdio::null()).stdout(io::stderr());
    let status = command
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    ensure!(status.success(), "{shown}: {status}");
    Ok(())
}
