//! The fuzz targets, which are no members of the workspace.

use std::path::Path;
use std::process::{Command, Stdio};

use super::cargo::cargo;

/// Checks that every target builds, where there is the C++ compiler that libFuzzer needs.
pub(super) fn check(root: &Path) -> anyhow::Result<()> {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let mut version = Command::new(&compiler);
    version.arg("--version").stdin(Stdio::null());
    if !version.output().is_ok_and(|output| output.status.success()) {
        let compiler = compiler.display();
        tracing::warn!("skipped: no C++ compiler ({compiler}), which libFuzzer is built with");
        return Ok(());
    }
    // In their own folder, whose settings ask for the instrumentation; built things lie beside the workspace's.
    let arguments = ["check", "--locked", "--target-dir", "../target/fuzz"];
    cargo(&root.join("fuzz"), &arguments)
}
