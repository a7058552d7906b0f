//! Labels of images that are named one by one: the folders that they lie in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Classes, Dataset, Error, Values, folders};

/// The same images with the labels of their folders, if all of them lie in folders of classes; else as they are.
///
/// Where the classes have names, these are folders of the same names. Else they are side by side, as many as the classes, hold an
/// image each, as [`folders::load`] asks of them, and are numbered in the order of their names.
pub(crate) fn labelled(images: Dataset, classes: Classes<'_>) -> Result<Dataset, Error> {
    let Values::Files(files) = images.values() else {
        return Ok(images);
    };
    let found = match classes {
        Classes::Count(count) => by_place(files.paths(), count),
        Classes::Names(names) => by_name(files.paths(), names).map(|found| (found, names.to_vec())),
    };
    let Some((labels, names)) = found else {
        return Ok(images);
    };
    let images = images.with_labels(labels, Some(names.len()))?;
    Ok(images.with_class_names(names.into()))
}

/// The number of the class that each image's folder is called.
fn by_name(images: &[PathBuf], names: &[String]) -> Option<Vec<u32>> {
    let number = |image: &PathBuf| {
        let folder = folder_of(image)?;
        Classes::number_of(names, folder.file_name()?.to_str()?)
    };
    images.iter().map(number).collect()
}

/// The number of each image's folder, and what the folders are called.
fn by_place(images: &[PathBuf], classes: usize) -> Option<(Vec<u32>, Vec<String>)> {
    let own: Vec<PathBuf> = images
        .iter()
        .map(|image| folder_of(image))
        .collect::<Option<_>>()?;
    let root = own.first()?.parent()?;
    let all = folders::folders(root).ok()?;
    if all.len() != classes || !all.iter().all(|folder| holds_an_image(folder)) {
        return None;
    }
    let label = |folder: &PathBuf| all.iter().position(|other| other == folder);
    let labels = own.iter().map(|folder| Some(label(folder)? as u32));
    let name = |folder: &PathBuf| {
        let name = folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    Some((
        labels.collect::<Option<_>>()?,
        all.iter().map(name).collect(),
    ))
}

/// The folder that a file lies in, wherever a path to it begins. One that is a link stays among the folders beside the link.
fn folder_of(file: &Path) -> Option<PathBuf> {
    let folder = directory_of(file)?;
    match folder.file_name() {
        Some(name) => Some(fs::canonicalize(directory_of(folder)?).ok()?.join(name)),
        None => fs::canonicalize(folder).ok(),
    }
}

/// The directory of a path, `.` where it does not say one.
fn directory_of(path: &Path) -> Option<&Path> {
    let parent = path.parent()?;
    let is_here = parent.as_os_str().is_empty();
    Some(if is_here { Path::new(".") } else { parent })
}

fn holds_an_image(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .any(|path| folders::is_image(&path))
}
