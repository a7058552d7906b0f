//! Names of classes, from a file or from the data.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use loclin_report::printable;
use serde::{Deserialize, Serialize};

use crate::program::files;

/// How the classes are called; for commands that name classes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ClassOptions {
    /// Names of the classes, one a line, in the order of their numbers [default: the sub-folders of a folder of images, if
    /// they are as many as the model has classes]
    #[arg(long, value_name = "FILE.txt")]
    pub classes: Option<PathBuf>,
}

/// The names of a model's classes, in the order of their numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Classes {
    names: Vec<String>,
    /// What the data call them, where they do so.
    of_data: Option<Vec<String>>,
}

impl ClassOptions {
    /// The names for a model of so many outputs: those of the file, or else `of_data`, those of the data, if they are as many.
    ///
    /// # Errors
    /// Those of [`Classes::read`].
    pub fn names(
        &self,
        outputs: usize,
        of_data: Option<&[String]>,
    ) -> anyhow::Result<Option<Classes>> {
        let fits = of_data.filter(|names| names.len() == count(outputs));
        let of_data = fits.map(|names| names.iter().map(|name| printable(name, &[])).collect());
        Ok(match (&self.classes, of_data) {
            (Some(file), of_data) => Some(Classes {
                of_data,
                ..Classes::read(file, outputs)?
            }),
            (None, Some(names)) => Some(Classes {
                names,
                of_data: None,
            }),
            (None, None) => None,
        })
    }
}

impl Classes {
    /// The lines of a file, which are as many as the model has classes: one for each output, two for a single output. Empty
    /// lines at its end do not count, nor does a byte order mark in front.
    ///
    /// # Errors
    /// A file that cannot be read, or with another number of names, or an empty one.
    pub fn read(path: &Path, outputs: usize) -> anyhow::Result<Self> {
        let text = files::read_text(path)?;
        let lines = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let lines: Vec<&str> = lines.trim_end().lines().map(str::trim).collect();
        let (found, classes) = (lines.len(), count(outputs));
        let path = path.display();
        ensure!(
            found == classes,
            "--classes {path}: {found} names, one a line; the model has {classes} classes"
        );
        if let Some(empty) = lines.iter().position(|line| line.is_empty()) {
            anyhow::bail!("--classes {path}: line {}: no name", empty + 1);
        }
        Ok(Self {
            names: lines.iter().map(|line| printable(line, &[])).collect(),
            of_data: None,
        })
    }

    /// The name of a class.
    pub fn name(&self, class: u32) -> Option<String> {
        self.names.get(class as usize).cloned()
    }

    /// The first class that the data call otherwise than the file: its number and both names.
    pub fn called_otherwise(&self) -> Option<(usize, &str, &str)> {
        let pairs = self.names.iter().zip(self.of_data.iter().flatten());
        let mut pairs = pairs.enumerate();
        let found = pairs.find(|(_, (own, other))| !own.eq_ignore_ascii_case(other));
        found.map(|(class, (own, other))| (class, &own[..], &other[..]))
    }
}

/// A class by its number, and its name where it has one that says more.
///
/// ```
/// use loclin::program::classes::word;
/// assert_eq!(word(3, Some("cat")), "3 (cat)");
/// assert_eq!(word(3, Some("3")), "3");
/// ```
pub fn word(class: u32, name: Option<&str>) -> String {
    match name.filter(|name| *name != class.to_string()) {
        Some(name) => format!("{class} ({name})"),
        None => class.to_string(),
    }
}

/// How many classes a network of so many outputs tells apart; with one output it is two.
pub fn count(outputs: usize) -> usize {
    outputs.max(2)
}
