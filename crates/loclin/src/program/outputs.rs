//! The files that a command writes are neither one another nor what it reads.

use std::path::{Path, PathBuf};

use crate::program::errors::Usage;
use crate::program::model::ModelPath;
use crate::program::options::InputOptions;

/// Files by the options that name them.
#[derive(Debug, Default)]
pub struct Named<'a> {
    files: Vec<(&'static str, PathBuf, &'a Path)>,
}

impl<'a> Named<'a> {
    /// With what an option names, which may be nothing.
    #[must_use]
    pub fn with(
        mut self,
        option: &'static str,
        files: impl IntoIterator<Item = &'a (impl AsRef<Path> + ?Sized + 'a)>,
    ) -> Self {
        let files = files.into_iter().map(AsRef::as_ref);
        let placed = files.map(|file| (option, place(file), file));
        self.files.extend(placed);
        self
    }
}

/// The files that a command reads that asks a model about inputs.
pub fn inputs<'a>(source: &'a ModelPath, inputs: &'a InputOptions) -> Named<'a> {
    Named::default()
        .with("--model", [&source.model])
        .with("--architecture", &source.architecture)
        .with("--data", &inputs.data)
        .with("--classes", &inputs.classes.classes)
}

/// Refuses two of the files `written` that are one, and those that are among the files `read`, whether files may be replaced or not:
/// of two results one would be lost, and nobody means to replace a model by what is said about it.
///
/// # Errors
/// Both options and the file.
pub fn check(written: &Named<'_>, read: &Named<'_>) -> Result<(), Usage> {
    for (at, (option, place, file)) in written.files.iter().enumerate() {
        let others = written.files[..at]
            .iter()
            .map(|other| (other, "is written"));
        let read = read.files.iter().map(|other| (other, "is read"));
        let same = others.chain(read).find(|((_, own, _), _)| own == place);
        if let Some(((other, ..), what)) = same {
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
