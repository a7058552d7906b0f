//! Folders of images: one sub-folder per class, and Caltech-256.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::classes::FolderClasses;
use crate::file::expect_directory;
use crate::selection::{Rows, Selection};
use crate::{
    Classes, Dataset, Error, ImageFiles, ImageOptions, Layout, Moments, Split, Values, permutation,
    stratified,
};

/// Means of the channels of ImageNet's training images, pixels in [0, 1]: what published networks for photographs
/// normalise with.
pub const MEAN: [f64; 3] = [0.485, 0.456, 0.406];

/// Standard deviations of the channels of ImageNet's training images, pixels in [0, 1].
pub const STD: [f64; 3] = [0.229, 0.224, 0.225];

/// Images of each class of Caltech-256 that models are chosen by (Table 4).
pub const CALTECH256_VALID: usize = 5;

/// Images of each class of Caltech-256 that are held out (Table 4).
pub const CALTECH256_TEST: usize = 15;

/// Height and width that the paper resizes Caltech-256 to.
pub const CALTECH256_SIZE: [usize; 2] = [299, 299];

/// The folder of Caltech-256's archive that holds the classes.
const CALTECH256_FOLDER: &str = "256_ObjectCategories";

/// Loads a split of a folder with one sub-folder of JPEG and PNG files for each class.
///
/// Classes are the sub-folders sorted by name. A folder without sub-folders holds inputs without labels. Pictures of other types are
/// images that cannot be read. Files that are no pictures, hidden ones and folders within a class are passed over. Such a folder has no splits of its own:
/// [`Split::Test`] is all images in the order of their names; [`Split::Train`] and [`Split::Valid`] divide them
/// by seed and class, 11/12 and 1/12 ([`stratified`]).
///
/// Images are checked here and decoded when their rows are asked for ([`ImageFiles`]). The moments are [`MEAN`]
/// and [`STD`].
///
/// # Errors
/// A path that is no directory, no images, a class without images (all such classes are named), images beside sub-folders, and those
/// of [`ImageFiles::open`].
pub fn load(
    directory: &Path,
    split: Split,
    seed: u64,
    options: &ImageOptions,
) -> Result<Dataset, Error> {
    let rows = Rows::All;
    load_selected(directory, Selection { split, seed, rows }, options, None)
}

/// The same for some of the split's rows, with labels that are those of the model's classes; other files are not opened unless
/// images may be left out.
pub(crate) fn load_selected(
    directory: &Path,
    selection: Selection,
    options: &ImageOptions,
    of_model: Option<Classes<'_>>,
) -> Result<Dataset, Error> {
    let classes = classes(directory)?;
    let name = directory.display().to_string();
    if classes.is_empty() {
        let (paths, _) = entries(directory)?;
        return unlabelled(name, &paths, selection, options);
    }
    let Selection { split, seed, rows } = selection;
    let (paths, folders) = flatten(&classes);
    // By the folders, so that the parts are the same whatever the classes are called.
    let all = match split {
        Split::Test => (0..paths.len()).collect(),
        Split::Train => stratified(&folders, PARTS, seed).0,
        Split::Valid => stratified(&folders, PARTS, seed).1,
    };
    let names: Vec<String> = classes.into_iter().map(|(class, _)| class).collect();
    let classes = FolderClasses::new(&name, names, of_model)?;
    labelled(name, (&paths, &folders), &classes, (&all, rows), options)
}

/// Images without labels, in the order of `paths`.
pub(crate) fn unlabelled(
    name: String,
    paths: &[PathBuf],
    selection: Selection,
    options: &ImageOptions,
) -> Result<Dataset, Error> {
    if options.leaves_out() {
        // Rows count those that are left.
        let all = crate::mnist::divide(
            dataset(name, paths, None, options)?,
            selection.split,
            selection.seed,
        )?;
        return selection.rows.of_table(all);
    }
    let rows = selection.ranges(&name, paths.len())?.into_iter().flatten();
    let paths: Vec<PathBuf> = rows.map(|row| paths[row].clone()).collect();
    dataset(name, &paths, None, options)
}

/// Loads a split of Caltech-256: a directory that holds `256_ObjectCategories`, or that folder itself, with
/// sub-folders `001.name`, `002.name`, ..., whose number less 1 is the label.
///
/// Each class gives 5 random images to [`Split::Valid`], 15 to [`Split::Test`] and the rest to [`Split::Train`], by
/// seed, as in the paper (Table 4). Where the options give no size, it is 299 x 299. Any number of classes will do.
///
/// # Errors
/// As [`load`]; a sub-folder of another name, a number that is missing or used twice, and a class of fewer than 21
/// images.
pub fn load_caltech256(
    directory: &Path,
    split: Split,
    seed: u64,
    options: &ImageOptions,
) -> Result<Dataset, Error> {
    let rows = Rows::All;
    load_caltech256_selected(directory, Selection { split, seed, rows }, options)
}

/// The same for some of the split's rows; other files are not opened unless images may be left out.
pub(crate) fn load_caltech256_selected(
    directory: &Path,
    Selection {
        split,
        seed,
        rows: wanted,
    }: Selection,
    options: &ImageOptions,
) -> Result<Dataset, Error> {
    let inner = directory.join(CALTECH256_FOLDER);
    let directory = if inner.is_dir() { &inner } else { directory };
    let classes = classes(directory)?;
    let name = directory.display().to_string();
    if classes.is_empty() {
        let expected = "folders such as 001.ak47, one for each class";
        return Err(Error::malformed(&name, "classes", "none", expected));
    }
    let least = CALTECH256_VALID + CALTECH256_TEST + 1;
    let (paths, folders) = flatten(&classes);
    let (mut rows, mut start) = (Vec::new(), 0);
    for (label, (class, images)) in classes.iter().enumerate() {
        // Sorted by name, so by number where all have three digits.
        if number(class) != Some(label + 1) {
            let expected = format!(
                "{:03}.name, for numbers without a gap from 001 on",
                label + 1
            );
            return Err(Error::malformed(
                &name,
                "folder of a class",
                class,
                expected,
            ));
        }
        if images.len() < least {
            let expected =
                format!("at least {least}: 5 to choose by, 15 to test with, and one to train on");
            let found = format!("{} images", images.len());
            return Err(Error::malformed(&name, class, found, expected));
        }
        let mut order = permutation(images.len(), seed, SPLIT_STREAM - label as u64);
        let mut test = order.split_off(CALTECH256_VALID);
        let train = test.split_off(CALTECH256_TEST);
        let chosen = match split {
            Split::Valid => order,
            Split::Test => test,
            Split::Train => train,
        };
        rows.extend(chosen.iter().map(|row| start + row));
        start += images.len();
    }
    rows.sort_unstable();
    let options = ImageOptions {
        size: options.size.or(Some(CALTECH256_SIZE)),
        ..*options
    };
    let names = classes.into_iter().map(|(class, _)| class).collect();
    let classes = FolderClasses::new(&name, names, None)?;
    labelled(
        name,
        (&paths, &folders),
        &classes,
        (&rows, wanted),
        &options,
    )
}

/// Whether a directory is laid out as Caltech-256 is.
pub(crate) fn is_caltech256(directory: &Path) -> bool {
    let named = directory
        .file_name()
        .is_some_and(|name| name == CALTECH256_FOLDER);
    named || directory.join(CALTECH256_FOLDER).is_dir()
}

/// Whether a directory holds images, or folders that do.
pub(crate) fn has_images(directory: &Path) -> bool {
    entries(directory).is_ok_and(|(images, folders)| {
        let holds = |folder: &PathBuf| entries(folder).is_ok_and(|(images, _)| !images.is_empty());
        !images.is_empty() || folders.iter().any(holds)
    })
}

/// One part in so many of a class goes to validation, as in [`train_valid`](crate::train_valid).
const PARTS: usize = 12;

/// The stream of the first class's split; those of the others count down from it.
const SPLIT_STREAM: u64 = u64::MAX - 1;

/// The number in front of the dot of `001.name`.
fn number(class: &str) -> Option<usize> {
    let (digits, name) = class.split_once('.')?;
    let valid =
        digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty();
    digits.parse().ok().filter(|_| valid)
}

/// The sub-folders of a directory and their images, both sorted by name; all hold at least one, and none lies beside them.
fn classes(directory: &Path) -> Result<Vec<(String, Vec<PathBuf>)>, Error> {
    expect_directory(directory)?;
    let (beside, folders) = entries(directory)?;
    if let ([first, ..], [folder, ..]) = (&beside[..], &folders[..]) {
        let name = |path: &Path| path.file_name().unwrap_or_default().display().to_string();
        let found = format!(
            "{}, such as `{}`, beside sub-folders, such as `{}`",
            beside.len(),
            name(first),
            name(folder)
        );
        let expected = format!(
            "images in sub-folders alone, one for each class, or no sub-folders: move one or the other, or name the images by a \
             pattern such as '{}/*.png'",
            directory.display()
        );
        let directory = directory.display().to_string();
        return Err(Error::malformed(&directory, "images", found, expected));
    }
    let mut classes = Vec::with_capacity(folders.len());
    let mut empty = Vec::new();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let (images, _) = entries(&folder)?;
        if images.is_empty() {
            empty.push(name.clone());
        }
        classes.push((name, images));
    }
    match empty.is_empty() {
        true => Ok(classes),
        false => Err(Error::malformed(
            &directory.display().to_string(),
            "folders of classes",
            format!("no image in {}", empty.join(", ")),
            "at least one image in each",
        )),
    }
}

/// The folders in a directory, sorted by name; hidden ones are passed over.
pub(crate) fn folders(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    entries(directory).map(|(_, folders)| folders)
}

/// Extensions of pictures: those that are read, and others whose files are refused when they are opened, so that a folder's pictures
/// are never a part of them without a word.
const PICTURES: [&str; 20] = [
    "avif", "bmp", "dib", "gif", "heic", "heif", "jfif", "jp2", "jpe", "jpeg", "jpg", "jxl", "pbm",
    "pgm", "png", "ppm", "tga", "tif", "tiff", "webp",
];

/// Whether a file's name is that of an image.
pub(crate) fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|own| PICTURES.iter().any(|known| own.eq_ignore_ascii_case(known)))
}

/// Images and folders in a directory, both sorted by name.
fn entries(directory: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Error> {
    let io = |source| Error::Io {
        path: directory.into(),
        source,
    };
    let (mut images, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(directory).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.is_dir() {
            if !hidden {
                folders.push(path);
            }
        } else if is_image(&path) && !hidden {
            images.push(path);
        }
    }
    images.sort_unstable();
    folders.sort_unstable();
    Ok((images, folders))
}

/// All images and the index of each one's folder.
fn flatten(classes: &[(String, Vec<PathBuf>)]) -> (Vec<PathBuf>, Vec<u32>) {
    let one = |(label, (_, images)): (usize, &(String, Vec<PathBuf>))| {
        let labelled = |path: &PathBuf| (path.clone(), label as u32);
        images.iter().map(labelled).collect::<Vec<_>>()
    };
    classes.iter().enumerate().flat_map(one).unzip()
}

fn labelled(
    name: String,
    (paths, folders): (&[PathBuf], &[u32]),
    classes: &FolderClasses,
    (rows, wanted): (&[usize], Rows),
    options: &ImageOptions,
) -> Result<Dataset, Error> {
    let leaves_out = options.leaves_out();
    // Where images are left out, rows count those that are left.
    let chosen = if leaves_out { Rows::All } else { wanted };
    let rows = chosen.among(&name, rows)?;
    let paths: Vec<PathBuf> = rows.iter().map(|&row| paths[row].clone()).collect();
    let set = match classes {
        FolderClasses::Known { numbers, names } => {
            let label = |&row: &usize| numbers[folders[row] as usize];
            let labels: Vec<u32> = rows.iter().map(label).collect();
            let set = dataset(name, &paths, Some((&labels, names.len())), options)?;
            set.with_class_names(Arc::clone(names))
        }
        FolderClasses::Unknown { folders } => {
            dataset(name, &paths, None, options)?.with_unnumbered_folders(*folders)
        }
    };
    match leaves_out {
        true => wanted.of_table(set),
        false => Ok(set),
    }
}

fn dataset(
    name: String,
    paths: &[PathBuf],
    labels: Option<(&[u32], usize)>,
    options: &ImageOptions,
) -> Result<Dataset, Error> {
    let (files, rows) = ImageFiles::open(&name, paths, options)?;
    let set = Dataset::new(name, &files.shape(), Values::Files(files))?;
    let set = set.with_layout(Layout::ChannelsFirst);
    let set = match labels {
        Some((labels, classes)) => {
            set.with_labels(rows.iter().map(|&row| labels[row]).collect(), Some(classes))?
        }
        None => set,
    };
    set.with_moments(Moments {
        mean: MEAN.to_vec(),
        std: STD.to_vec(),
    })
}
