//! Labels of images that are named one by one: the folders that they lie in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Dataset, Error, Values, folders};

/// The same images with the labels of their folders, if all of them lie in folders of classes that are side by side and are
/// `classes` many; else as they are.
///
/// Folders of classes hold an image each, as [`folders::load`] asks of them, and are numbered in the order of their names.
pub(crate) fn labelled(images: Dataset, classes: usize) -> Result<Dataset, Error> {
    let Values::Files(files) = images.values() else {
        return Ok(images);
    };
    let Some((labels, names)) = labels(files.paths(), classes) else {
        return Ok(images);
    };
    let images = images.with_labels(labels, Some(classes))?;
    Ok(images.with_class_names(names.into()))
}

/// The number of each image's folder, and what the folders are called.
fn labels(images: &[PathBuf], classes: usize) -> Option<(Vec<u32>, Vec<String>)> {
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
