//! The embedded digits: a balanced part of MNIST that needs no file and no network.
//!
//! 8,000 of the training images and 2,000 of the test images, as many of each digit, unchanged.
//! Origin, licence and the command that makes them stand in `digits/README.md` of this crate.

use std::path::Path;

use crate::file::Source;
use crate::mnist::{self, CLASSES, Files};
use crate::selection::Selection;
use crate::{Dataset, Error, Split, idx, permutation};

/// Embedded training images of each digit.
pub const TRAIN_PER_CLASS: usize = 800;

/// Embedded test images of each digit.
pub const TEST_PER_CLASS: usize = 200;

/// Loads a split of the embedded digits.
///
/// [`Split::Test`] is the 2,000 test digits. [`Split::Train`] and [`Split::Valid`] divide the
/// 8,000 training digits by seed into 7,333 and 667 ([`train_valid`](crate::train_valid)). Input
/// shape `[1, 28, 28]`, 10 classes, MNIST's moments.
///
/// # Errors
/// None, unless the embedded file is damaged.
///
/// ```
/// use loclin_data::{Split, digits};
/// let test = digits::load(Split::Test, 0)?;
/// assert_eq!((test.len(), test.classes()), (2000, Some(10)));
/// # Ok::<(), loclin_data::Error>(())
/// ```
pub fn load(split: Split, seed: u64) -> Result<Dataset, Error> {
    let [train, test] = unpack()?;
    let files = if split == Split::Test { test } else { train };
    mnist::divide(mnist::dataset("digits".into(), files)?, split, seed)
}

/// Builds the content of the embedded file, before compression, from a directory of MNIST's four
/// files: the IDX files of the chosen training images and labels and test images and labels, one
/// after the other. A pure function of the directory's content.
///
/// The images of a digit are drawn at random, because MNIST's files are not in random order: the
/// first half of its test images is the easier one. They stay in the order of their file.
///
/// # Errors
/// As [`mnist::load_directory`], and a directory with too few images of a digit.
pub fn archive(mnist_directory: &Path) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    for (split, per_class) in [
        (Split::Train, TRAIN_PER_CLASS),
        (Split::Test, TEST_PER_CLASS),
    ] {
        let Files { images, labels } = mnist::read_files(mnist_directory, split, Selection::WHOLE)?;
        let rows = balanced(&labels.bytes, per_class).map_err(|(digit, count)| {
            let (name, part) = (
                mnist_directory.display().to_string(),
                format!("{split} images of digit {digit}"),
            );
            Error::malformed(
                &name,
                part,
                count.to_string(),
                format!("at least {per_class}"),
            )
        })?;
        let pixels = images.dims[1] * images.dims[2];
        let chosen: Vec<u8> = rows
            .iter()
            .flat_map(|&row| &images.bytes[row * pixels..(row + 1) * pixels])
            .copied()
            .collect();
        let digits: Vec<u8> = rows.iter().map(|&row| labels.bytes[row]).collect();
        out.extend(idx::encode(
            &[rows.len(), images.dims[1], images.dims[2]],
            &chosen,
        )?);
        out.extend(idx::encode(&[rows.len()], &digits)?);
    }
    Ok(out)
}

static EMBEDDED: &[u8] = include_bytes!("../digits/digits.idx.gz");

fn unpack() -> Result<[Files; 2], Error> {
    let mut source = Source::unpacked("embedded digits", EMBEDDED);
    let mut next = || {
        Ok::<_, Error>(Files {
            images: idx::read_part(&mut source, 3, Selection::WHOLE)?.0,
            labels: idx::read_part(&mut source, 1, Selection::WHOLE)?.0,
        })
    };
    let files = [next()?, next()?];
    source.end("two sets of images and labels")?;
    Ok(files)
}

/// Ascending rows, `per_class` of each class; else the class that has too few, and how many.
fn balanced(labels: &[u8], per_class: usize) -> Result<Vec<usize>, (usize, usize)> {
    let order = permutation(labels.len(), 0, 0);
    let mut rows = Vec::with_capacity(CLASSES * per_class);
    for class in 0..CLASSES {
        let of_class = order
            .iter()
            .copied()
            .filter(|&row| usize::from(labels[row]) == class);
        let before = rows.len();
        rows.extend(of_class.take(per_class));
        if rows.len() - before < per_class {
            return Err((class, rows.len() - before));
        }
    }
    rows.sort_unstable();
    Ok(rows)
}
