//! The packages that are published.

use std::path::Path;

use cargo_metadata::Metadata;

use super::cargo::cargo;

/// Makes the packages of all members that may be published. In a `long` run each is also built from its own files, which
/// compiles every dependency once more: 7 minutes on two busy cores.
pub(super) fn check(root: &Path, metadata: &Metadata, long: bool) -> anyhow::Result<()> {
    let all = ["package", "--workspace", "--offline", "--allow-dirty"];
    let mut arguments: Vec<&str> = all.to_vec();
    if !long {
        arguments.push("--no-verify");
    }
    for package in metadata.workspace_packages() {
        // An empty list of registries is what `publish = false` means.
        if package.publish.as_ref().is_some_and(Vec::is_empty) {
            arguments.extend(["--exclude", package.name.as_str()]);
        }
    }
    cargo(root, &arguments)
}
