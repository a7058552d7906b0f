//! Data by the name or path that a person gives.

use std::path::{Path, PathBuf};

use crate::options::Options;
use crate::selection::{Rows, Selection};
use crate::{Data, Error, Split, cifar10, digits, folders, japanese_vowels, mnist, npy, tensors};

/// The names that [`open`] knows.
pub const NAMES: [&str; 5] = [
    "caltech256",
    "cifar10",
    "digits",
    "japanese-vowels",
    "mnist",
];

/// Opens a dataset by name or path.
///
/// * `digits`: the embedded digits ([`digits::load`]).
/// * `caltech256`, `cifar10`, `japanese-vowels`, `mnist`: the dataset's files in the folder of that name in
///   `data_dir`, or in `data_dir` itself ([`folders::load_caltech256`], [`cifar10::load_directory`],
///   [`japanese_vowels::load_directory`], [`mnist::load_directory`]).
/// * a directory in the layout of one of them, or with images in it or in one sub-folder for each class
///   ([`folders::load`]).
/// * a `.npy` or `.safetensors` file ([`npy::read`], [`tensors::read_safetensors`]). Such a file
///   has no splits of its own: [`Split::Test`] is all of its rows in order; [`Split::Train`] and
///   [`Split::Valid`] divide them by seed ([`train_valid`](crate::train_valid)), so training and
///   test data are two files.
///
/// Some take options behind the name, as in `cifar10,missing=skip` or `photos,size=224,broken=skip`:
///
/// | option | of | meaning |
/// |---|---|---|
/// | `missing=skip` | CIFAR-10 | train on the batch files that are there; `refuse` is the default |
/// | `size=N`, `size=HxW` | images in folders | resize every image to that height and width |
/// | `broken=skip` | images in folders | leave images out that cannot be read; `refuse` is the default |
/// | `grey=refuse`, `grey=skip` | images in folders | take no images of one channel; `repeat` is the default |
///
/// A known name means the dataset even where a file of that name exists; `./digits` means the file.
///
/// # Errors
/// A name that is neither known nor an existing path (the message lists the known names and the
/// nearest one), a dataset in files without `data_dir`, a file of another kind, an option that the dataset does not
/// have, and whatever is wrong with the data.
///
/// ```
/// use loclin_data::{Split, source};
/// assert_eq!(source::open("digits", Split::Test, None, 0)?.len(), 2000);
/// let error = source::open("digit", Split::Test, None, 0).unwrap_err().to_string();
/// assert!(error.ends_with("did you mean \"digits\"?"), "{error}");
/// # Ok::<(), loclin_data::Error>(())
/// ```
pub fn open(
    name_or_path: &str,
    split: Split,
    data_dir: Option<&Path>,
    seed: u64,
) -> Result<Data, Error> {
    open_rows(name_or_path, split, data_dir, seed, Rows::All)
}

/// The same for some rows of the split.
///
/// Of `.npy`, `.safetensors` and plain IDX files the values of other rows are not read, and memory is taken for the rows
/// asked for alone; such files must be as long as their headers say all the same. What is wrong with values that are
/// not read is not found.
///
/// # Errors
/// As [`open`], and a selection of no rows or of one that does not exist.
///
/// ```
/// use loclin_data::{Rows, Split, source};
/// let row = source::open_rows("digits", Split::Test, None, 0, Rows::One(17))?;
/// let all = source::open("digits", Split::Test, None, 0)?;
/// assert_eq!(row, all.subset(&[17])?);
/// # Ok::<(), loclin_data::Error>(())
/// ```
pub fn open_rows(
    name_or_path: &str,
    split: Split,
    data_dir: Option<&Path>,
    seed: u64,
    rows: Rows,
) -> Result<Data, Error> {
    let selection = Selection { split, seed, rows };
    let mut options = Options::behind(name_or_path);
    let (layout, path) = locate(options.name(), data_dir)?;
    let data = match layout {
        Layout::Digits => {
            options.finish()?;
            rows.of(digits::load(split, seed)?.into())?
        }
        Layout::Mnist => {
            options.finish()?;
            mnist::load_selected(&path, selection)?.into()
        }
        Layout::JapaneseVowels => {
            options.finish()?;
            rows.of(japanese_vowels::load_directory(&path, split, seed)?.into())?
        }
        Layout::Npy => {
            options.finish()?;
            npy::read_selected(&path, selection)?.into()
        }
        Layout::Safetensors => {
            options.finish()?;
            tensors::read_selected(&path, selection)?.into()
        }
        Layout::Cifar10 => {
            let missing = options.missing()?;
            options.finish()?;
            rows.of(cifar10::load_directory(&path, split, seed, missing)?.into())?
        }
        Layout::Caltech256 => {
            let images = options.images()?;
            options.finish()?;
            rows.of(folders::load_caltech256(&path, split, seed, &images)?.into())?
        }
        Layout::Folder => {
            let images = options.images()?;
            options.finish()?;
            rows.of(folders::load(&path, split, seed, &images)?.into())?
        }
    };
    Ok(data)
}

/// How data lies on the disk.
enum Layout {
    Digits,
    Mnist,
    JapaneseVowels,
    Cifar10,
    Caltech256,
    Folder,
    Npy,
    Safetensors,
}

/// What a name or path means, and where it is.
fn locate(name: &str, data_dir: Option<&Path>) -> Result<(Layout, PathBuf), Error> {
    let known = match name {
        "digits" => return Ok((Layout::Digits, PathBuf::new())),
        "caltech256" => Some(Layout::Caltech256),
        "cifar10" => Some(Layout::Cifar10),
        "japanese-vowels" => Some(Layout::JapaneseVowels),
        "mnist" => Some(Layout::Mnist),
        _ => None,
    };
    if let Some(layout) = known {
        let directory = data_dir.ok_or_else(|| Error::NoDataDirectory { name: name.into() })?;
        let own = directory.join(name);
        return Ok(match own.is_dir() {
            true => (layout, own),
            false => (layout, directory.to_owned()),
        });
    }
    let path = Path::new(name);
    let extension = path.extension().and_then(|extension| extension.to_str());
    let layout = match extension.map(str::to_ascii_lowercase).as_deref() {
        _ if path.is_dir() => directory(path),
        Some("npy") => Layout::Npy,
        Some("safetensors") => Layout::Safetensors,
        _ if path.exists() => {
            return Err(Error::PathKind {
                path: path.into(),
                found: "a file of another kind",
                expected: "a directory in the layout of a known dataset or of images, or a .npy or .safetensors file",
            });
        }
        _ => {
            return Err(Error::UnknownDataset {
                given: name.into(),
                known: NAMES.join(", "),
                nearest: nearest(name).map(str::to_owned),
            });
        }
    };
    Ok((layout, path.to_owned()))
}

/// The layout of a directory, by the first file or folder of one that is there.
fn directory(path: &Path) -> Layout {
    if path.join("ae.train").exists() || path.join("ae.test").exists() {
        Layout::JapaneseVowels
    } else if cifar10::is_there(path) {
        Layout::Cifar10
    } else if folders::is_caltech256(path) {
        Layout::Caltech256
    } else if folders::has_images(path) {
        Layout::Folder
    } else {
        // Its errors say which files were looked for.
        Layout::Mnist
    }
}

/// The known name within three edits of the word, nearest first.
fn nearest(word: &str) -> Option<&'static str> {
    let distances = NAMES.map(|name| (strsim::damerau_levenshtein(word, name), name));
    distances
        .into_iter()
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, name)| name)
}
