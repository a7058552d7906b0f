//! Where the repository is, found when the program runs: nothing of the machine that built it counts.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// A folder that this repository has and others do not.
const MARK: &str = "xtask/reproduce";

/// The repository that the current directory is in.
///
/// # Errors
/// Outside the repository.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("cannot tell the current directory")?;
    let found = find(&here).map(Path::to_owned);
    found.with_context(|| {
        format!(
            "{}: not inside the repository, which has the folder {MARK}",
            here.display()
        )
    })
}

fn find(here: &Path) -> Option<&Path> {
    here.ancestors().find(|folder| folder.join(MARK).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_found_from_anywhere_inside() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("crates/one/src");
        std::fs::create_dir_all(&deep).unwrap();
        assert_eq!(find(&deep), None);
        std::fs::create_dir_all(root.path().join(MARK)).unwrap();
        assert_eq!(find(&deep), Some(root.path()));
    }
}
