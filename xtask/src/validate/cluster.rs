//! A job in parts, by an engine that others made.

use std::path::Path;
use std::process::Command;

use crate::cluster::{Args, Engine, run_with};

/// Runs a certification in parts by HyperQueue, where there is a Python that can install it.
pub(super) fn check(program: &Path) -> anyhow::Result<()> {
    let python = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .output();
    if !python.is_ok_and(|output| output.status.success()) {
        tracing::warn!(
            "no Python 3 with venv: the engine cannot be installed, and nothing was run"
        );
        return Ok(());
    }
    let args = Args {
        engine: Engine::Hyperqueue,
        inputs: 800,
        batch: 10,
    };
    let outcome = run_with(program, &args)?;
    for line in outcome.to_string().lines() {
        tracing::info!("{line}");
    }
    Ok(())
}
