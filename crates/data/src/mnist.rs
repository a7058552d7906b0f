//! A directory in MNIST's public layout.

use std::path::{Path, PathBuf};

use crate::file::expect_directory;
use crate::idx::{self, Idx};
use crate::selection::{Rows, Selection, in_file};
use crate::values::{check_label_count, check_label_range};
use crate::{Dataset, Error, Layout, Moments, Split, Values, train_valid};

/// Mean of MNIST's training pixels in [0, 1], as the paper normalises (Table 1).
pub const MEAN: f64 = 0.1307;

/// Standard deviation of MNIST's training pixels in [0, 1], as the paper normalises (Table 1).
pub const STD: f64 = 0.3081;

/// Number of classes.
pub const CLASSES: usize = 10;

/// Loads a split of the directory's four files.
///
/// The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`
/// and `t10k-labels-idx1-ubyte` (or `.idx3-ubyte`, `.idx1-ubyte`), plain or with `.gz`; only those
/// of the split are opened. [`Split::Test`] is the `t10k` files; [`Split::Train`] and
/// [`Split::Valid`] divide the `train` files by seed, 55,000/5,000 for MNIST itself
/// ([`train_valid`]), and keep the order of the files.
///
/// The moments are those of MNIST ([`MEAN`], [`STD`]) whatever the directory holds.
///
/// # Errors
/// A path that is no directory, a missing file, a file that breaks the format ([`idx::read`]),
/// images and labels of different length, a label above 9, and training files of a single image.
pub fn load_directory(directory: &Path, split: Split, seed: u64) -> Result<Dataset, Error> {
    let rows = Rows::All;
    load_selected(directory, Selection { split, seed, rows })
}

/// The same for some of the split's rows; the values of others are not read from plain files, and packed files are
/// unpacked up to the last of them.
pub(crate) fn load_selected(directory: &Path, selection: Selection) -> Result<Dataset, Error> {
    let files = read_files(directory, selection.split, selection)?;
    dataset(directory.display().to_string(), files)
}

/// Images of one kind of file and their labels, checked against each other.
pub(crate) struct Files {
    pub(crate) images: Idx,
    pub(crate) labels: Idx,
}

/// Reads the two files that hold a split, the rows of `selection` among their rows, and checks them.
pub(crate) fn read_files(
    directory: &Path,
    split: Split,
    selection: Selection,
) -> Result<Files, Error> {
    expect_directory(directory)?;
    let part = match split {
        Split::Train | Split::Valid => "train",
        Split::Test => "t10k",
    };
    let images_path = find(directory, part, "images", 3)?;
    let labels_path = find(directory, part, "labels", 1)?;
    let (images, rows) = idx::read_selected(&images_path, 3, selection)?;
    // Of a split asked for as a whole, the labels of the others are checked, too: they are in the same file.
    let read = match selection.rows {
        Rows::All => Selection::WHOLE,
        Rows::First(_) | Rows::One(_) => selection,
    };
    let (mut labels, label_rows) = idx::read_selected(&labels_path, 1, read)?;
    let (images_name, labels_name) = (
        images_path.display().to_string(),
        labels_path.display().to_string(),
    );
    check_label_count(&images_name, rows, &labels_name, label_rows)?;
    let words: Vec<u32> = labels.bytes.iter().copied().map(u32::from).collect();
    if let Err(error) = check_label_range(&labels_name, &words, Some(CLASSES)) {
        return Err(in_file(error, &read.ranges(&labels_name, rows)?));
    }
    if read.split != selection.split {
        let rows = selection.ranges(&labels_name, rows)?.into_iter().flatten();
        labels.bytes = rows.map(|row| labels.bytes[row]).collect();
        labels.dims = vec![labels.bytes.len()];
    }
    Ok(Files { images, labels })
}

/// Files as a dataset.
pub(crate) fn dataset(name: String, files: Files) -> Result<Dataset, Error> {
    let Files { images, labels } = files;
    let input_shape = [&[1], &images.dims[1..]].concat();
    let labels = labels.bytes.into_iter().map(u32::from).collect();
    Dataset::new(name, &input_shape, Values::Bytes(images.bytes))?
        .with_layout(Layout::ChannelsFirst)
        .with_labels(labels, Some(CLASSES))?
        .with_moments(Moments {
            mean: vec![MEAN],
            std: vec![STD],
        })
}

/// The training or validation part of training rows, or all of the test rows.
pub(crate) fn divide(all: Dataset, split: Split, seed: u64) -> Result<Dataset, Error> {
    let (train, valid) = match split {
        Split::Test => return Ok(all),
        Split::Train | Split::Valid => train_valid(all.len(), seed),
    };
    all.subset(if split == Split::Train {
        &train
    } else {
        &valid
    })
}

fn find(directory: &Path, part: &str, what: &str, dims: u8) -> Result<PathBuf, Error> {
    let stems = ["-", "."].map(|separator| format!("{part}-{what}{separator}idx{dims}-ubyte"));
    let names: Vec<String> = stems
        .iter()
        .flat_map(|stem| [stem.clone(), format!("{stem}.gz")])
        .collect();
    names
        .iter()
        .map(|name| directory.join(name))
        .find(|path| path.exists())
        .ok_or_else(|| Error::MissingFile {
            directory: directory.into(),
            what: format!("{part} {what}"),
            tried: names.join(", "),
        })
}
