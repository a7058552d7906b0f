//! No circle of files: inside one crate, a file that imports from another is not imported from by it, over however many
//! files in between.
//!
//! An import is a path into the crate (`crate::`, `self::`, `super::`, or by the name of a module in scope), in a `use` or
//! in code. It counts towards the file that *defines* what the path names, wherever that is re-exported. A declaration
//! `mod x;` is no import, and what is compiled for tests alone is not looked at.

mod graph;
mod modules;
mod references;
mod resolve;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::ensure;
use cargo_metadata::Metadata;

use self::graph::{Imports, circles};
use self::modules::Crate;
use self::resolve::target;

/// Refuses circles in the sources of every member.
pub(super) fn check(metadata: &Metadata) -> anyhow::Result<()> {
    let root = metadata.workspace_root.as_std_path();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        for target in &package.targets {
            // Tests, examples and benches are single programs that nothing stands on.
            if target.is_lib() || target.is_bin() {
                let circles = circles_of(target.src_path.as_std_path())?;
                wrong.extend(circles.iter().map(|circle| shown(circle, root)));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n           "));
    Ok(())
}

/// The circles of the crate whose root is `file`.
fn circles_of(file: &Path) -> anyhow::Result<Vec<Vec<graph::Step>>> {
    let sources = Crate::read(file)?;
    let mut imports = Imports::default();
    for (module, reference) in sources.references() {
        let from = &sources.modules[module].file;
        if let Some(to) = target(&sources, module, &reference.path) {
            imports.add(from, to, &reference.path.join("::"));
        }
    }
    Ok(circles(imports))
}

/// The circle in words: each file, and what it takes from the next.
fn shown(circle: &[graph::Step], root: &Path) -> String {
    let short = |path: &Path| {
        path.strip_prefix(root)
            .unwrap_or(path)
            .display()
            .to_string()
    };
    let steps = circle.iter().map(|step| {
        format!(
            "{} imports `{}` from {}",
            short(&step.from),
            step.path,
            short(&step.to)
        )
    });
    format!(
        "a circle of files: {}",
        steps.collect::<Vec<_>>().join("; ")
    )
}
