//! The Python package, which is no member of the workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use loclin::program::files;

use super::cargo::run as run_cargo;
use super::program::succeed;

/// Where the package is.
const PACKAGE: &str = "crates/python";

/// The virtual environment that it is installed into, once.
const PLACE: &str = "target/python";

/// The largest wheel, in bytes.
const LARGEST: u64 = 15_000_000;

/// Builds the wheel, installs it into a virtual environment and runs its tests, where there is Python with the network or the
/// tools installed. Tests of PyTorch are skipped, and counted, where it is not.
pub(super) fn check(root: &Path) -> anyhow::Result<()> {
    let Some(python) = python() else {
        tracing::warn!("skipped: no Python from 3.9 on (python3)");
        return Ok(());
    };
    let package = root.join(PACKAGE);
    let target = root.join("target").display().to_string();
    let beside = [("CARGO_TARGET_DIR", &target[..])];
    run_cargo(&package, &["fmt", "--check"], &beside)?;
    // As the wheel is built, so that macros and build scripts are built once.
    let lint = ["clippy", "--release", "--locked", "--", "-D", "warnings"];
    run_cargo(&package, &lint, &beside)?;
    let place = root.join(PLACE);
    let bin = place.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let own = bin.join("python");
    if !own.exists() {
        // PyTorch, where it is installed, is too large to be installed once more.
        let shown = place.display().to_string();
        run(
            (root, root),
            &python,
            &["-m", "venv", "--system-site-packages", &shown],
        )?;
    }
    let tools = [
        "maturin>=1.9.4,<2",
        "numpy",
        "pytest",
        "mypy",
        "matplotlib",
        "pandas",
        "tqdm",
    ];
    let install = ["-m", "pip", "install", "--quiet"];
    let tools = run((root, root), &own, &[&install[..], &tools].concat());
    if let Err(cause) = tools {
        tracing::warn!("skipped: what tests the package cannot be installed ({cause:#})");
        return Ok(());
    }
    let wheels = place.join("wheels");
    files::create_dir(&wheels)?;
    for old in built(&wheels)? {
        fs::remove_file(&old).with_context(|| old.display().to_string())?;
    }
    let out = wheels.display().to_string();
    let wheel = ["-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir"];
    let shown = format!("./{PACKAGE}");
    run((root, root), &own, &[&wheel[..], &[&out, &shown]].concat())?;
    let wheel = built(&wheels)?.pop().context("no wheel was built")?;
    let size = fs::metadata(&wheel)?.len();
    let shown = wheel.display().to_string();
    ensure!(
        size <= LARGEST,
        "{shown}: {size} bytes; at most {LARGEST} are allowed"
    );
    tracing::info!("{shown}: {size} bytes");
    let again = ["--no-deps", "--force-reinstall", &shown];
    run((root, root), &own, &[&install[..], &again].concat())?;
    run((root, &package), &own, &["-m", "pytest", "-rs"])
}

/// The Python of the path, if it is new enough.
fn python() -> Option<PathBuf> {
    let is_new = |name: &&str| {
        let code = "import sys, venv; sys.exit(sys.version_info < (3, 9))";
        let mut command = Command::new(name);
        command.args(["-c", code]).stdin(Stdio::null());
        command.output().is_ok_and(|output| output.status.success())
    };
    ["python3", "python"]
        .into_iter()
        .find(is_new)
        .map(PathBuf::from)
}

/// The wheels of a folder.
fn built(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let paths: Vec<PathBuf> = paths.collect::<anyhow::Result<_>>()?;
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|end| end == "whl");
    Ok(paths.into_iter().filter(is_wheel).collect())
}

/// Runs Python in a folder of the repository, whose output goes to stderr; what is built lies beside the workspace's.
fn run((root, folder): (&Path, &Path), python: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let shown = format!("{} {}", python.display(), arguments.join(" "));
    let mut command = Command::new(python);
    command
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", root.join("target"));
    succeed(&mut command, &shown)
}
