//! Data by the name or path that a person gives.

use std::path::Path;

use crate::{Data, Error, Split, digits, japanese_vowels, mnist, npy, tensors};

/// The names that [`open`] knows.
pub const NAMES: [&str; 3] = ["digits", "japanese-vowels", "mnist"];

/// Opens a dataset by name or path.
///
/// * `digits`: the embedded digits ([`digits::load`]).
/// * `mnist`: MNIST's files in `data_dir/mnist`, or in `data_dir` itself
///   ([`mnist::load_directory`]).
/// * `japanese-vowels`: the files of Japanese Vowels in `data_dir/japanese-vowels`, or in `data_dir`
///   itself ([`japanese_vowels::load_directory`]).
/// * a directory in the layout of either.
/// * a `.npy` or `.safetensors` file ([`npy::read`], [`tensors::read_safetensors`]). Such a file
///   has no splits of its own: [`Split::Test`] is all of its rows in order; [`Split::Train`] and
///   [`Split::Valid`] divide them by seed ([`train_valid`](crate::train_valid)), so training and
///   test data are two files.
///
/// A known name means the dataset even where a file of that name exists; `./digits` means the file.
///
/// # Errors
/// A name that is neither known nor an existing path (the message lists the known names and the
/// nearest one), a dataset in files without `data_dir`, a file of another kind, and whatever is wrong with
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
) -> Result<Data, Error> {
    let own = |name: &str| {
        let directory = data_dir.ok_or_else(|| Error::NoDataDirectory { name: name.into() })?;
        let own = directory.join(name);
        Ok::<_, Error>(match own.is_dir() {
            true => own,
            false => directory.to_owned(),
        })
    };
    match name_or_path {
        "digits" => return Ok(digits::load(split, seed)?.into()),
        "mnist" => return Ok(mnist::load_directory(&own("mnist")?, split, seed)?.into()),
        "japanese-vowels" => {
            let directory = own("japanese-vowels")?;
            return Ok(japanese_vowels::load_directory(&directory, split, seed)?.into());
        }
        _ => {}
    }
    let path = Path::new(name_or_path);
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        _ if path.join("ae.train").exists() || path.join("ae.test").exists() => {
            Ok(japanese_vowels::load_directory(path, split, seed)?.into())
        }
        _ if path.is_dir() => Ok(mnist::load_directory(path, split, seed)?.into()),
        Some("npy") => Ok(mnist::divide(npy::read(path)?, split, seed)?.into()),
        Some("safetensors") => {
            Ok(mnist::divide(tensors::read_safetensors(path)?, split, seed)?.into())
        }
        _ if path.exists() => {
            let expected = "a directory in the layout of MNIST or Japanese Vowels, or a .npy or .safetensors file";
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
