//! What an experiment found, and its way into a directory.

use std::fmt;
use std::path::{Path, PathBuf};

use loclin::program::files;
use serde::Serialize;

/// What an experiment found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// The files that were written.
    pub files: Vec<PathBuf>,
    #[serde(skip)]
    text: String,
}

/// The results of an experiment.
pub(super) struct Results {
    /// Names and contents.
    pub(super) files: Vec<(String, Vec<u8>)>,
    /// What people see on the terminal.
    pub(super) text: String,
}

/// The page of an experiment in its directory of results.
pub(super) const PAGE: &str = "README.md";

/// Writes what `experiment` finds into the directory `out`.
pub(super) fn write(
    out: &Path,
    experiment: impl FnOnce() -> anyhow::Result<Results>,
) -> anyhow::Result<Outcome> {
    files::create_dir(out)?;
    // Days of training should not end with a directory that cannot be written.
    files::check_writable(&out.join(PAGE))?;
    let results = experiment()?;
    let mut written = Vec::new();
    for (name, bytes) in &results.files {
        let path = out.join(name);
        files::write_atomic(&path, bytes)?;
        written.push(path);
    }
    Ok(Outcome {
        files: written,
        text: results.text,
    })
}

impl Outcome {
    /// Files that were written, and what to say of them.
    pub(super) fn new(files: Vec<PathBuf>, text: String) -> Self {
        Self { files, text }
    }

    /// What another experiment found, too.
    pub(super) fn add(&mut self, other: Self) {
        self.files.extend(other.files);
        self.text.push_str(&other.text);
        self.text.push('\n');
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text.trim_end())?;
        self.files
            .iter()
            .try_for_each(|path| write!(f, "\n{}", path.display()))
    }
}
