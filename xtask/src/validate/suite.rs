//! Every test, and how many of them tested nothing.

use std::path::Path;

use anyhow::Context;
use loclin::program::files;

use super::cargo::run;

/// How many random cases each property has in a long run.
const CASES: &str = "10000";
/// How many networks of each kind a long run holds against exact arithmetic.
const NETWORKS: &str = "100000";

/// Runs the tests: with the same random cases every time, or `long`, with many others.
/// Returns how many were skipped because a file from outside was not there.
///
/// # Errors
/// A test that fails.
pub(super) fn check(root: &Path, long: bool) -> anyhow::Result<usize> {
    let directory = tempfile::tempdir().context("cannot create a temporary directory")?;
    let skipped = directory.path().join("skipped");
    let Some(list) = skipped.to_str() else {
        anyhow::bail!("{}: the path is not UTF-8", skipped.display());
    };
    let how_many = match long {
        true => ("PROPTEST_CASES", CASES),
        false => ("PROPTEST_RNG_SEED", "1"),
    };
    run(
        root,
        &["test", "--workspace"],
        &[("LOCLIN_SKIPPED", list), how_many],
    )?;
    if long {
        let exact = ["test", "--workspace", "--test", "properties"];
        let options = ["--", "--ignored", "--nocapture"];
        let arguments = [&exact[..], &options].concat();
        run(root, &arguments, &[("LOCLIN_EXACT", NETWORKS)])?;
    }
    if !skipped.exists() {
        return Ok(0);
    }
    let lines = files::read_text(&skipped)?;
    tracing::warn!("skipped:\n{}", lines.trim_end());
    Ok(lines.lines().count())
}
