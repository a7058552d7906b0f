//! Data by the name or path that a person gives.

use std::path::Path;

use crate::{Dataset, Error, Split, digits, mnist, npy, tensors};

/// The names that [`open`] knows.
pub const NAMES: [&str; 2] = ["digits", "mnist"];

/// Opens a dataset by name or path.
///
/// * `digits`: the embedded digits ([`digits::load`]).
/// * `mnist`: MNIST's files in `data_dir/mnist`, or in `data_dir` itself
///   ([`mnist::load_directory`]).
/// * a directory in MNIST's layout.
/// * a `.npy` or `.safetensors` file ([`npy::read`], [`tensors::read_safetensors`]). Such a file
///   has no splits of its own: [`Split::Test`] is all of its rows in order; [`Split::Train`] and
///   [`Split::Valid`] divide them by seed ([`train_valid`](crate::train_valid)), so training and
///   test data are two files.
///
/// A known name means the dataset even where a file of that name exists; `./digits` means the file.
///
/// # Errors
/// A name that is neither known nor an existing path (the message lists the known names and the
/// nearest one), `mnist` without `data_dir`, a file of another kind, and whatever is wrong with
/// the data.
///
/// ```
/// use roll_data::{Split, source};
/// assert_eq!(source::open("digits", Split::Test, None, 0)?.len(), 2000);
/// let error = source::open("digit", Split::Test, None, 0).unwrap_err().to_string();
/// assert!(error.ends_with("did you mean \"digits\"?"), "{error}");
/// # Ok::<(), roll_data::Error>(())
/// ```
pub fn open(
    name_or_path: &str,
    split: Split,
    data_dir: Option<&Path>,
    seed: u64,
) -> Result<Dataset, Error> {
    match name_or_path {
        "digits" => return digits::load(split, seed),
        "mnist" => {
            let directory = data_dir.ok_or_else(|| Error::NoDataDirectory {
                name: name_or_path.into(),
            })?;
            let own = directory.join("mnist");
            return mnist::load_directory(if own.is_dir() { &own } else { directory }, split, seed);
        }
        _ => {}
    }
    let path = Path::new(name_or_path);
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        _ if path.is_dir() => mnist::load_directory(path, split, seed),
        Some("npy") => mnist::divide(npy::read(path)?, split, seed),
        Some("safetensors") => mnist::divide(tensors::read_safetensors(path)?, split, seed),
        _ if path.exists() => {
            let expected = "a directory in MNIST's layout, or a .npy or .safetensors file";
            Err(Error::PathKind {
                path: path.into(),
                found: "a file of another kind",
                expected,
            })
        }
        _ => Err(Error::UnknownDataset {
            given: name_or_path.into(),
            known: NAMES.join(", "),
            nearest: nearest(name_or_path).map(str::to_owned),
        }),
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
