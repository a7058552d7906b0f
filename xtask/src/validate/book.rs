//! The documentation as a book.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::cargo::cargo;

/// Where the program that makes books is installed when it is not on the path.
const TOOLS: &str = "target/tools";

/// Makes the book of `docs/`, whose links and examples it has to find, in `target/book`.
pub(super) fn check(root: &Path) -> anyhow::Result<()> {
    let program = program(root)?;
    let status = Command::new(&program)
        .args(["build", "docs"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(
        status.success(),
        "{} build docs: {status}",
        program.display()
    );
    Ok(())
}

/// mdbook: that of the path, or one installed once in the build folder.
fn program(root: &Path) -> anyhow::Result<PathBuf> {
    let runs = |program: &Path| {
        let mut command = Command::new(program);
        let output = command.arg("--version").stdin(Stdio::null()).output();
        output.is_ok_and(|output| output.status.success())
    };
    let own = root.join(TOOLS).join("bin/mdbook");
    for program in [PathBuf::from("mdbook"), own.clone()] {
        if runs(&program) {
            return Ok(program);
        }
    }
    let install = [
        "install",
        "mdbook",
        "--locked",
        "--no-default-features",
        "--debug",
    ];
    cargo(root, &[&install[..], &["--root", TOOLS]].concat()).context(
        "mdbook is neither on the path nor could it be installed, for which the network is needed; \
         install it (cargo install mdbook) or leave the step out (--skip book)",
    )?;
    Ok(own)
}
