//! Names of classes, from a file or from the data.

use std::path::PathBuf;

use anyhow::{bail, ensure};
use loclin_report::printable;
use serde::{Deserialize, Serialize};

use crate::program::files;

/// How the classes are called.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ClassOptions {
    /// Names of the model's classes, one a line, in the order of their numbers. Sub-folders of images are the classes of these
    /// names [default: the sub-folders of a folder of images, sorted by name, if they are as many as the model has classes]
    #[arg(long, value_name = "FILE.txt")]
    pub classes: Option<PathBuf>,
}

impl ClassOptions {
    /// The lines of the file, which are as many as the model has classes: one for each output, two for a single output. Empty
    /// lines at its end do not count, nor does a byte order mark in front.
    ///
    /// # Errors
    /// A file that cannot be read, or with another number of names, or an empty one.
    pub fn read(&self, outputs: usize) -> anyhow::Result<Option<Vec<String>>> {
        let Some(path) = &self.classes else {
            return Ok(None);
        };
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
            bail!("--classes {path}: line {}: no name", empty + 1);
        }
        Ok(Some(lines.into_iter().map(str::to_owned).collect()))
    }
}

/// The names of a model's classes, in the order of their numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Classes {
    names: Vec<String>,
}

impl Classes {
    /// Classes of these names, as they are printed.
    pub fn new(names: &[String]) -> Self {
        let names = names.iter().map(|name| printable(name, &[]));
        Self {
            names: names.collect(),
        }
    }

    /// The name of a class.
    pub fn name(&self, class: u32) -> Option<String> {
        self.names.get(class as usize).cloned()
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

/// Refuses labels that a model of so many outputs has no class for; `first` is the number of the first labelled input.
///
/// # Errors
/// The first such label and its input.
pub fn check_labels(
    name: &str,
    labels: &[u32],
    first: usize,
    outputs: usize,
) -> anyhow::Result<()> {
    let classes = count(outputs);
    let mut all = labels.iter().enumerate();
    let Some((at, label)) = all.find(|(_, label)| **label as usize >= classes) else {
        return Ok(());
    };
    bail!(
        "{name}: the label of input {} is {label}; the model has {outputs} outputs, and labels of its {classes} classes are 0 to {}, in \
         the order of the outputs",
        first + at,
        classes - 1
    )
}
