//! Other programs as the steps run them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use loclin::program::files;

/// Where this program is kept while steps run, below the workspace's root.
const PLACE: &str = "target/validate";

/// This program under a name of its own; returns its path.
///
/// A step that runs cargo may build the program again, and the file that it was started from is then gone.
pub(super) fn keep(root: &Path) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell the program")?;
    let place = root.join(PLACE);
    files::create_dir(&place)?;
    let kept = place.join("xtask");
    if kept != own {
        if kept.exists() {
            fs::remove_file(&kept).with_context(|| kept.display().to_string())?;
        }
        fs::copy(&own, &kept)
            .with_context(|| format!("{} to {}", own.display(), kept.display()))?;
    }
    Ok(kept)
}

/// Runs a program with all its output on stderr, because stdout is the result's; its failure is an error that calls it `shown`.
pub(super) fn succeed(command: &mut Command, shown: &str) -> anyhow::Result<()> {
    let command = command.stdin(Stdio::null()).stdout(io::stderr());
    let status = command
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    ensure!(status.success(), "{shown}: {status}");
    Ok(())
}
