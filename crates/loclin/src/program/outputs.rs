//! The files that a command writes are neither one another nor what it reads.

use std::path::{Path, PathBuf};

use loclin_data::source;

use crate::program::domain::{DomainChoice, DomainOptions};
use crate::program::errors::Usage;
use crate::program::model::ModelPath;
use crate::program::options::InputOptions;
use crate::program::run_directory::{Trained, files_of};

/// Files by the options that name them.
#[derive(Debug, Default)]
pub struct Named {
    /// The option, the place of the file, and how it is called.
    files: Vec<(&'static str, PathBuf, PathBuf)>,
    /// What names data, the name, and where the datasets are: their files are looked for when they are compared.
    data: Option<(&'static str, String, PathBuf)>,
}

impl Named {
    /// With what an option names, which may be nothing.
    #[must_use]
    pub fn with(
        mut self,
        option: &'static str,
        files: impl IntoIterator<Item = impl AsRef<Path>>,
    ) -> Self {
        let named = files.into_iter().map(|file| file.as_ref().to_owned());
        let placed = named.map(|file| (option, place(&file), file));
        self.files.extend(placed);
        self
    }

    /// The option that names a file in its place.
    fn names(&self, place: &Path) -> Option<&'static str> {
        let mut files = self.files.iter();
        if let Some((option, ..)) = files.find(|(_, own, _)| own == place) {
            return Some(option);
        }
        let (option, name, data_dir) = self.data.as_ref()?;
        source::reads(name, Some(data_dir), place).then_some(option)
    }
}

/// The files that a command reads that asks a model about inputs: those of a run directory, too, and those of the data.
///
/// # Errors
/// A run directory that cannot be read.
pub fn inputs(
    model: &ModelPath,
    inputs: &InputOptions,
    domain: &DomainOptions,
) -> anyhow::Result<Named> {
    let run = Trained::of(&model.model)?;
    let of_run = run.as_ref().map(|_| files_of(&model.model));
    let given = inputs.data.clone().map(|name| ("--data", name));
    let data = given.or(run.map(|run| ("the data of --model", run.dataset)));
    let box_of = match &domain.domain {
        Some(DomainChoice::File(file)) => Some(file),
        _ => None,
    };
    let named = Named {
        data: data.map(|(option, name)| (option, name, inputs.place.data_dir.clone())),
        ..Named::default()
    };
    Ok(named
        .with("--model", [&model.model])
        .with("--model", of_run.iter().flatten())
        .with("--architecture", &model.architecture)
        .with("--classes", &inputs.classes.classes)
        .with("--preprocessing", &inputs.preprocessing.preprocessing)
        .with("--domain", box_of))
}

/// Refuses two of the files `written` that are one, and those that are among the files `read`, whether files may be replaced or not:
/// of two results one would be lost, and nobody means to replace a model by what is said about it.
///
/// # Errors
/// Both options and the file.
pub fn check(written: &Named, read: &Named) -> Result<(), Usage> {
    for (at, (option, place, file)) in written.files.iter().enumerate() {
        let others = &mut written.files[..at].iter();
        let written = others.find(|(_, own, _)| own == place);
        let written = written.map(|(other, ..)| (*other, "is written"));
        let same = written.or_else(|| read.names(place).map(|other| (other, "is read")));
        if let Some((other, what)) = same {
            return Err(Usage::new(format!(
                "{option} {}: the file {what} as {other}, too; name another",
                file.display()
            )));
        }
    }
    Ok(())
}

/// One path for each file, whether it is there or not.
fn place(file: &Path) -> PathBuf {
    if let Ok(place) = file.canonicalize() {
        return place;
    }
    let parent = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    match (parent.canonicalize(), file.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(written: &[&str], read: &[&str]) -> String {
        let written = Named::default().with("--out", written);
        let read = Named::default().with("--model", read);
        check(&written, &read)
            .err()
            .map_or(String::new(), |error| error.to_string())
    }

    #[test]
    fn files_are_the_same_however_they_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        let (plain, other) = (file.display().to_string(), dir.path().join("./../"));
        let name = dir.path().file_name().unwrap().to_str().unwrap();
        let other = format!("{}{name}/a", other.display());
        // A file that is not there yet, and one that is.
        for _ in 0..2 {
            assert!(said(&[&plain, &other], &[]).contains("is written as --out, too"));
            assert!(said(&[&plain], &[&other]).contains("is read as --model, too"));
            assert_eq!(said(&[&plain, &format!("{plain}.job")], &["x"]), "");
            std::fs::write(&file, "x").unwrap();
        }
    }
}
