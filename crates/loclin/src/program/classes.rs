//! Names of classes from a file.

use std::path::Path;

use anyhow::ensure;
use loclin_report::printable;

use crate::program::files;

/// The names of a model's classes, in the order of their numbers.
#[derive(Clone, Debug)]
pub struct Classes(Vec<String>);

impl Classes {
    /// The lines of a file, which are as many as the model has classes: one for each output, two for a single output. Empty
    /// lines at its end do not count.
    ///
    /// # Errors
    /// A file that cannot be read, or with another number of names, or an empty one.
    pub fn read(path: &Path, outputs: usize) -> anyhow::Result<Self> {
        let text = files::read_text(path)?;
        let lines: Vec<&str> = text.trim_end().lines().map(str::trim).collect();
        let (found, classes) = (lines.len(), outputs.max(2));
        let path = path.display();
        ensure!(
            found == classes,
            "--classes {path}: {found} names, one a line; the model has {classes} classes"
        );
        if let Some(empty) = lines.iter().position(|line| line.is_empty()) {
            anyhow::bail!("--classes {path}: line {}: no name", empty + 1);
        }
        Ok(Self(
            lines.iter().map(|line| printable(line, &[])).collect(),
        ))
    }

    /// The name of a class.
    pub fn name(&self, class: u32) -> Option<String> {
        self.0.get(class as usize).cloned()
    }
}
