//! CIFAR-10 in its public binary layout.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::file::{Block, Source, expect_directory};
use crate::selection::{Rows, Selection, cut};
use crate::{Dataset, Error, Layout, Moments, Split, Unusable, Values};

/// Number of classes.
pub const CLASSES: usize = 10;

/// Channels, height and width of an image.
pub const SHAPE: [usize; 3] = [3, 32, 32];

/// Means of the channels of the 50,000 training images, pixels in [0, 1].
pub const MEAN: [f64; 3] = [0.4914, 0.4822, 0.4465];

/// Standard deviations of the channels of the 50,000 training images, pixels in [0, 1].
pub const STD: [f64; 3] = [0.2470, 0.2435, 0.2616];

/// The files of the training images, in order.
pub const TRAIN_FILES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];

/// The file of the test images.
pub const TEST_FILE: &str = "test_batch.bin";

/// Loads a split of the directory's six files, or of its folder `cifar-10-batches-bin` where it has
/// one, as the public archive does.
///
/// [`Split::Test`] is `test_batch.bin`; [`Split::Train`] and [`Split::Valid`] divide the five
/// `data_batch_N.bin` by seed ([`train_valid`](crate::train_valid)). Training on those of the five that are
/// there must be asked for ([`Unusable::Skip`]), and the dataset's name then says which they are. A file may
/// hold any number of images: a byte for the label and 3 x 32 x 32 for the pixels, channel by channel.
///
/// The moments are [`MEAN`] and [`STD`] whatever the directory holds.
///
/// # Errors
/// A path that is no directory, files that are missing (all of them are named), a file that is no whole
/// number of images, a label above 9, and training files of a single image.
pub fn load_directory(
    directory: &Path,
    split: Split,
    seed: u64,
    missing: Unusable,
) -> Result<Dataset, Error> {
    let rows = Rows::All;
    load_selected(directory, Selection { split, seed, rows }, missing)
}

/// The same for some of the split's rows; others are not read.
pub(crate) fn load_selected(
    directory: &Path,
    selection: Selection,
    missing: Unusable,
) -> Result<Dataset, Error> {
    let split = selection.split;
    expect_directory(directory)?;
    let inner = directory.join("cifar-10-batches-bin");
    let directory = if inner.is_dir() { &inner } else { directory };
    let names: &[&str] = match split {
        Split::Train | Split::Valid => &TRAIN_FILES,
        Split::Test => &[TEST_FILE],
    };
    let (there, absent): (Vec<&str>, Vec<&str>) =
        names.iter().partition(|name| directory.join(name).exists());
    if there.is_empty() {
        return Err(Error::MissingFile {
            directory: directory.into(),
            what: format!("{split} images"),
            tried: names.join(", "),
        });
    }
    if !absent.is_empty() && missing == Unusable::Refuse {
        return Err(Error::Incomplete {
            directory: directory.into(),
            missing: absent.join(", "),
            present: there.len(),
        });
    }
    let paths: Vec<PathBuf> = there.iter().map(|name| directory.join(name)).collect();
    let counts: Vec<usize> = paths
        .iter()
        .map(|path| count(path))
        .collect::<Result<_, _>>()?;
    let name = match absent.is_empty() {
        true => directory.display().to_string(),
        false => format!("{} ({} alone)", directory.display(), there.join(", ")),
    };
    let ranges = selection.ranges(&name, counts.iter().sum())?;
    let (mut pixels, mut labels, mut before) = (Vec::new(), Vec::new(), 0);
    for (path, &count) in paths.iter().zip(&counts) {
        let ranges = cut(&ranges, before, count);
        before += count;
        read(path, count, &ranges, &mut pixels, &mut labels)?;
    }
    let moments = Moments {
        mean: MEAN.to_vec(),
        std: STD.to_vec(),
    };
    Dataset::new(name, &SHAPE, Values::Bytes(pixels))?
        .with_layout(Layout::ChannelsFirst)
        .with_labels(labels, Some(CLASSES))?
        .with_moments(moments)
}

/// Whether a directory holds a file of the layout.
pub(crate) fn is_there(directory: &Path) -> bool {
    let holds = |directory: &Path| {
        let mut names = TRAIN_FILES.iter().chain([&TEST_FILE]);
        names.any(|name| directory.join(name).exists())
    };
    holds(directory) || holds(&directory.join("cifar-10-batches-bin"))
}

/// Bytes of an image: its label and its pixels.
const RECORD: usize = 1 + SHAPE[0] * SHAPE[1] * SHAPE[2];

/// How many images a file holds.
fn count(path: &Path) -> Result<usize, Error> {
    let source = Source::open(path)?;
    let length = source.left().unwrap_or(0);
    let (count, more) = (length / RECORD as u64, length % RECORD as u64);
    let refuse = |part: String, found: String, expected: String| {
        Err(Error::malformed(source.name(), part, found, expected))
    };
    match usize::try_from(count) {
        _ if more > 0 => refuse(
            format!("image {count}"),
            format!("{more} bytes"),
            format!("{RECORD} (a label and 3 x 32 x 32 pixels)"),
        ),
        Ok(count @ 1..) => Ok(count),
        _ => refuse("images".into(), count.to_string(), "at least 1".into()),
    }
}

/// Appends the images and labels of the rows `ranges` of a file of `count` images.
fn read(
    path: &Path,
    count: usize,
    ranges: &[Range<usize>],
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> Result<(), Error> {
    let block = Block {
        rows: count,
        features: RECORD,
        meaning: &format!("{count} images"),
        to_end: true,
    };
    let mut source = Source::open(path)?;
    let records = source.rows(&block, ranges, |[byte]: [u8; 1]| byte)?;
    let rows = ranges.iter().cloned().flatten();
    for (record, row) in records.chunks(RECORD).zip(rows) {
        let Some((&label, image)) = record.split_first() else {
            continue;
        };
        if usize::from(label) >= CLASSES {
            return Err(Error::LabelRange {
                name: source.name().into(),
                row,
                label: label.into(),
                classes: CLASSES,
            });
        }
        pixels.extend_from_slice(image);
        labels.push(label.into());
    }
    Ok(())
}
