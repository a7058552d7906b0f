//! The oldest toolchain that the members promise to build with.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use cargo_metadata::Metadata;

/// Builds the libraries and the program with the toolchain of `rust-version`, if there is one and it is not the one in use.
pub(super) fn check(root: &Path, metadata: &Metadata) -> anyhow::Result<()> {
    let mut versions = metadata.workspace_packages().into_iter();
    let version = versions.find_map(|package| package.rust_version.clone());
    let version = version
        .context("no member says its rust-version")?
        .to_string();
    if said_by(Command::new("rustc").arg("--version")).is_some_and(|own| names(&own, &version)) {
        tracing::info!(
            "rust-version {version} is the toolchain in use: the other steps have built with it"
        );
        return Ok(());
    }
    let installed = said_by(Command::new("rustup").args(["toolchain", "list"]));
    let installed = installed.unwrap_or_default();
    let Some(toolchain) = installed
        .split_whitespace()
        .find(|name| name.starts_with(&version))
    else {
        tracing::warn!(
            "skipped: rust-version {version} is not installed (rustup toolchain install {version})"
        );
        return Ok(());
    };
    // A folder of its own: two toolchains in one would build everything again at each turn.
    let status = Command::new("rustup")
        .args(["run", toolchain, "cargo", "check", "--package", "loclin"])
        .args(["--target-dir", "target/msrv"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot run cargo of {toolchain}"))?;
    ensure!(
        status.success(),
        "loclin does not build with {toolchain}: {status}"
    );
    Ok(())
}

/// What a command prints; `None` if it cannot be run or fails.
fn said_by(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether `rustc --version` names this version: `rustc 1.95.0 (...)` is 1.95 and 1.95.0.
fn names(said: &str, version: &str) -> bool {
    let own = said.split_whitespace().nth(1).unwrap_or_default();
    let short = version
        .strip_suffix(".0")
        .filter(|short| short.contains('.'));
    [Some(version), short].into_iter().flatten().any(|version| {
        let rest = own.strip_prefix(version);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn versions_are_told_apart() {
        let said = "rustc 1.95.0 (59807616e 2026-04-14)";
        assert!(names(said, "1.95") && names(said, "1.95.0"));
        assert!(!names(said, "1.9") && !names(said, "1.94.0") && !names(said, "1.95.1"));
    }
}
