//! Data by the name or path that a person gives.

use std::path::{Path, PathBuf, is_separator};
use std::{fs, io};

use crate::fit;
use crate::options::{self, Options};
use crate::pattern;
use crate::preprocessing::{Preprocessing, Resize};
use crate::selection::{Rows, Selection};
use crate::values::shape_text;
use crate::{
    Classes, Data, Error, Fold, ImageOptions, Split, cifar10, digits, folder_labels, folders,
    japanese_vowels, mnist, npy, tensors,
};

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
/// * a `.npy` or `.safetensors` file ([`npy::read`], [`tensors::read_safetensors`]), an image, or several `.npy` files or
///   images by a pattern such as `inputs/*.npy`, sorted by name. These have no splits of their own: [`Split::Test`] is all
///   of their rows in order; [`Split::Train`] and [`Split::Valid`] divide them by seed
///   ([`train_valid`](crate::train_valid)), so training and test data are two files.
///
/// Some take options behind the name, as in `cifar10,missing=skip` or `photos,broken=skip`:
///
/// | option | of | meaning |
/// |---|---|---|
/// | `missing=skip` | CIFAR-10 | train on the batch files that are there; `refuse` is the default |
/// | `broken=skip` | images in folders | leave images out that cannot be read; `refuse` is the default |
/// | `grey=refuse`, `grey=skip` | images in folders | take no images of one channel; `repeat` is the default |
/// | `labels=FILE.npy` | `.npy` files | a whole number from 0 on for each row, `[rows]` or `[rows, 1]`, in a file that is named as from the folder of the inputs |
///
/// A path of an existing file or folder, or a pattern of existing files, is a name as a whole, whatever commas it has.
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
    let request = Request {
        data_dir,
        seed,
        ..Request::of(split)
    };
    open_with(name_or_path, &request)
}

/// What names from anywhere the data that `name_or_path` names in `folder`; `None` for a dataset by its name, and where the folder
/// has no such files.
///
/// ```
/// use loclin_data::source;
/// let folder = tempfile::tempdir()?;
/// for name in ["digits", "photos"] {
///     std::fs::create_dir(folder.path().join(name))?;
/// }
/// let below = |given| source::below(folder.path(), given);
/// let photos = folder.path().join("photos").display().to_string();
/// assert_eq!(below("photos,broken=skip"), Some(format!("{photos},broken=skip")));
/// assert_eq!((below("digits"), below("pictures")), (None, None));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn below(folder: &Path, name_or_path: &str) -> Option<String> {
    let name = Options::below(folder, name_or_path).name();
    let path = folder.join(name);
    if NAMES.contains(&name) || !options::is_there(&path) {
        return None;
    }
    let options = name_or_path.strip_prefix(name)?;
    Some(format!("{}{options}", path.to_str()?))
}

/// What is wanted of data: which rows, prepared how, for which model.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Which part.
    pub split: Split,
    /// Where named datasets are.
    pub data_dir: Option<&'a Path>,
    /// What training and validation data are divided by.
    pub seed: u64,
    /// The part of a cross-validation that says which rows train and validate, in place of the dataset's own division.
    pub fold: Option<Fold>,
    /// Which rows of the split.
    pub rows: Rows,
    /// What is done to them. The normalisation is left to the network.
    pub preprocessing: &'a Preprocessing,
    /// The shape of a model's inputs, which data get where they fit.
    pub input_shape: Option<&'a [usize]>,
    /// The classes of a model, by which images in folders have labels. Without them the sub-folders of a folder of images are the
    /// classes, and images that are named one by one, by their paths or by a pattern, have no labels.
    pub classes: Option<Classes<'a>>,
}

impl Request<'_> {
    /// All rows of a split as they are, by seed 0.
    pub fn of(split: Split) -> Self {
        Self {
            split,
            data_dir: None,
            seed: 0,
            fold: None,
            rows: Rows::All,
            preprocessing: &AS_IT_IS,
            input_shape: None,
            classes: None,
        }
    }
}

static AS_IT_IS: Preprocessing = Preprocessing {
    mean: Vec::new(),
    std: Vec::new(),
    scale: None,
    layout: None,
    resize: None,
    exif_orientation: false,
};

/// The same as the request says.
///
/// Of `.npy`, `.safetensors`, CIFAR-10 and plain IDX files the values of other rows are not read, and memory is taken for
/// the rows asked for alone; such files must be as long as their headers say all the same. Packed IDX files and Japanese
/// Vowels are read up to the last row asked for. Other images of a folder are not opened unless some may be left out. What
/// is wrong with values that are not read is not found.
///
/// Arrays said to have their channels last get them first. But where the request has the shape of a model's inputs, data
/// get that ([`Dataset::fit`](crate::Dataset::fit)), and a `.npy` file of that very shape, laid out as said, is one input.
///
/// # Errors
/// As [`open`]; a selection of no rows or of one that does not exist; preprocessing that the data do not have or whose
/// numbers are none; inputs that the model does not take.
///
/// ```
/// use loclin_data::{Rows, Split, source};
/// let request = source::Request { rows: Rows::One(17), ..source::Request::of(Split::Test) };
/// let row = source::open_with("digits", &request)?;
/// let all = source::open("digits", Split::Test, None, 0)?;
/// assert_eq!(row, all.subset(&[17])?);
/// # Ok::<(), loclin_data::Error>(())
/// ```
pub fn open_with(name_or_path: &str, request: &Request<'_>) -> Result<Data, Error> {
    request.preprocessing.check()?;
    let data = match (request.fold, request.split) {
        (Some(fold), split @ (Split::Train | Split::Valid)) => {
            let rows = Rows::All;
            let whole = |split| {
                stored(
                    name_or_path,
                    &Request {
                        split,
                        rows,
                        ..*request
                    },
                )
            };
            // Of few rows none may validate by themselves.
            let all = match whole(Split::Valid) {
                Ok(valid) => whole(Split::Train)?.joined(valid)?,
                Err(Error::EmptySelection { .. }) => whole(Split::Train)?,
                Err(error) => return Err(error),
            };
            fold.select(&all, split, request.seed, request.rows)?
        }
        _ => stored(name_or_path, request)?,
    };
    let Preprocessing { scale, layout, .. } = *request.preprocessing;
    match data {
        Data::Table(table) => {
            let table = match scale {
                Some(scale) => table.with_scale(scale),
                None => table,
            };
            let table = match layout {
                Some(layout) => table.laid_out(layout)?,
                None => table,
            };
            let table = match (request.input_shape, layout) {
                (Some(shape), _) => table.fit(shape)?,
                (None, Some(layout @ crate::Layout::ChannelsLast)) => {
                    let shape = fit::moved(table.input_shape(), layout);
                    table.fit(&shape)?
                }
                (None, _) => table,
            };
            Ok(table.into())
        }
        Data::Sequences(sequences) if scale.is_some() || layout.is_some() => {
            let (file, part) = (sequences.name(), "preprocessing");
            let found = "a scale or layout for sequences of different lengths";
            Err(Error::malformed(
                file,
                part,
                found,
                "none: they are taken as they are",
            ))
        }
        sequences => Ok(sequences),
    }
}

/// Whether the test data of what [`open`] opens are rows that neither train nor validate. Else they are all rows: tables and images of one's
/// own have no splits.
///
/// # Errors
/// A name that is neither known nor an existing path.
///
/// ```
/// assert!(loclin_data::source::holds_out("digits", None)?);
/// # Ok::<(), loclin_data::Error>(())
/// ```
pub fn holds_out(name_or_path: &str, data_dir: Option<&Path>) -> Result<bool, Error> {
    let (layout, _) = locate(Options::behind(name_or_path).name(), data_dir)?;
    Ok(layout.holds_out())
}

/// Whether [`open`] may read a file that is there for the data of that name: one of its own files, or an image in its folder. What
/// cannot be opened reads nothing.
///
/// ```
/// use loclin_data::source;
/// let folder = tempfile::tempdir()?;
/// let path = |name: &str| folder.path().join(name);
/// for name in ["x.npy", "y.npy", "z.npy"] {
///     std::fs::write(path(name), "")?;
/// }
/// let data = format!("{},labels=y.npy", path("x.npy").display());
/// let reads = |name| source::reads(&data, None, &path(name));
/// assert_eq!([reads("x.npy"), reads("y.npy"), reads("z.npy")], [true, true, false]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn reads(name_or_path: &str, data_dir: Option<&Path>, file: &Path) -> bool {
    let mut options = Options::behind(name_or_path);
    let Ok((layout, path)) = locate(options.name(), data_dir) else {
        return false;
    };
    let Ok(file) = file.canonicalize() else {
        return false;
    };
    let is = |own: &Path| own.canonicalize().is_ok_and(|own| own == file);
    let is_in = |own: &Path| own.canonicalize().is_ok_and(|own| file.starts_with(own));
    match layout {
        Layout::Digits => false,
        Layout::Npy(files) => {
            let labels = options.labels(&path).ok().flatten();
            files.iter().chain(&labels).any(|own| is(own))
        }
        Layout::Images(files) => files.iter().any(|own| is(own)),
        Layout::Safetensors => is(&path),
        Layout::Folder | Layout::Caltech256 => folders::is_image(&file) && is_in(&path),
        Layout::Mnist | Layout::JapaneseVowels | Layout::Cifar10 => is_in(&path),
    }
}

/// Gives `sink` the stored content ([`Data::content`]) of all rows that train or validate, by whatever seed and in whatever part of
/// a cross-validation: runs that divide the same data in different ways have the same.
///
/// Seed, split, part and rows of the request do not matter. Of Caltech-256 every row is one of them, since the seed says which test.
///
/// # Errors
/// As [`open_with`], but for those of scale and layout, which are no part of the content.
///
/// ```
/// use loclin_data::{Split, source};
/// let length = |seed| {
///     let (mut length, request) = (0, source::Request { seed, ..source::Request::of(Split::Train) });
///     source::training_content("digits", &request, &mut |bytes| length += bytes.len()).map(|()| length)
/// };
/// assert!(length(0)? > 8000 * 784);
/// assert_eq!(length(0)?, length(1)?);
/// # Ok::<(), loclin_data::Error>(())
/// ```
pub fn training_content(
    name_or_path: &str,
    request: &Request<'_>,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), Error> {
    let (layout, _) = locate(Options::behind(name_or_path).name(), request.data_dir)?;
    let splits: &[Split] = match layout {
        // All rows in order.
        layout if !layout.holds_out() => &[Split::Test],
        Layout::Caltech256 => &[Split::Train, Split::Valid, Split::Test],
        _ => &[Split::Train, Split::Valid],
    };
    for &split in splits {
        let request = Request {
            split,
            seed: 0,
            fold: None,
            rows: Rows::All,
            ..*request
        };
        stored(name_or_path, &request)?.content(sink)?;
    }
    Ok(())
}

/// The rows of a request as they are stored.
fn stored(name_or_path: &str, request: &Request<'_>) -> Result<Data, Error> {
    let Request {
        split, seed, rows, ..
    } = *request;
    let selection = Selection { split, seed, rows };
    let mut options = Options::behind(name_or_path);
    let (layout, path) = locate(options.name(), request.data_dir)?;
    let Preprocessing {
        resize,
        exif_orientation,
        ..
    } = *request.preprocessing;
    let of_images = matches!(
        layout,
        Layout::Caltech256 | Layout::Folder | Layout::Images(_)
    );
    if !of_images && (resize.is_some() || exif_orientation) {
        return Err(Error::Parameter {
            name: "resize, exif-orientation",
            found: format!("one of them for {name_or_path}"),
            expected: "image files",
        });
    }
    let images = |options: &mut Options<'_>| {
        let size = resize
            .map(|resize| size(resize, request.input_shape))
            .transpose()?;
        let images = ImageOptions {
            size,
            exif_orientation,
            ..options.images()?
        };
        options.finish().map(|()| images)
    };
    Ok(match layout {
        Layout::Cifar10 => {
            let missing = options.missing()?;
            options.finish()?;
            cifar10::load_selected(&path, selection, missing)?.into()
        }
        Layout::Caltech256 => {
            let images = images(&mut options)?;
            folders::load_caltech256_selected(&path, selection, &images)?.into()
        }
        Layout::Folder => {
            let images = images(&mut options)?;
            folders::load_selected(&path, selection, &images, request.classes)?.into()
        }
        Layout::Images(paths) => {
            let images = images(&mut options)?;
            let name = path.display().to_string();
            let images = folders::unlabelled(name, &paths, selection, &images)?;
            match request.classes {
                Some(classes) => folder_labels::labelled(images, classes)?.into(),
                None => images.into(),
            }
        }
        Layout::Npy(paths) => {
            let labels = options.labels(&path)?;
            options.finish()?;
            let name = path.display().to_string();
            let input = request.input_shape.map(|shape| fit::Wanted {
                shape,
                layout: request.preprocessing.layout,
            });
            match labels {
                Some(labels) => npy::read_labelled(name, &paths, &labels, selection, input)?.into(),
                None => npy::read_all(name, &paths, selection, input)?.into(),
            }
        }
        // The others have no options.
        layout => {
            options.finish()?;
            without_options(layout, &path, selection)?
        }
    })
}

fn without_options(layout: Layout, path: &Path, selection: Selection) -> Result<Data, Error> {
    let Selection { split, seed, rows } = selection;
    match layout {
        Layout::Digits => Ok(rows.of_table(digits::load(split, seed)?)?.into()),
        Layout::JapaneseVowels => Ok(japanese_vowels::load_selected(path, selection)?.into()),
        Layout::Safetensors => Ok(tensors::read_selected(path, selection)?.into()),
        _ => Ok(mnist::load_selected(path, selection)?.into()),
    }
}

/// The height and width that images are resized to.
fn size(resize: Resize, input_shape: Option<&[usize]>) -> Result<[usize; 2], Error> {
    let size = match resize {
        Resize::To(size) => Some(size),
        Resize::Model => input_shape.and_then(fit::image_size),
    };
    size.ok_or_else(|| Error::Parameter {
        name: "resize",
        found: match input_shape {
            Some(shape) => format!("the size of a model of inputs {}", shape_text(shape)),
            None => "the size of a model that there is not yet".into(),
        },
        expected: "a size as HxW, where a model's shape does not say it",
    })
}

/// How data lies on the disk.
enum Layout {
    Digits,
    Mnist,
    JapaneseVowels,
    Cifar10,
    Caltech256,
    Folder,
    /// One image, or several by a pattern.
    Images(Vec<PathBuf>),
    /// One file, or several by a pattern.
    Npy(Vec<PathBuf>),
    Safetensors,
}

impl Layout {
    /// Whether the test data are rows that neither train nor validate; else they are all rows.
    fn holds_out(&self) -> bool {
        !matches!(
            self,
            Self::Folder | Self::Images(_) | Self::Npy(_) | Self::Safetensors
        )
    }
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
        _ if path.is_dir() => directory(path)?,
        _ if let Some(files) = pattern::expand(path)? => {
            let is_npy = |file: &PathBuf| {
                file.extension()
                    .is_some_and(|e| e.eq_ignore_ascii_case("npy"))
            };
            if files.iter().all(is_npy) {
                Layout::Npy(files)
            } else if files.iter().all(|file| folders::is_image(file)) {
                Layout::Images(files)
            } else {
                return Err(Error::PathKind {
                    path: path.into(),
                    found: "files of several or other kinds",
                    expected: "a pattern of .npy files alone, or of images alone",
                });
            }
        }
        Some("npy") => Layout::Npy(vec![path.to_owned()]),
        Some("safetensors") => Layout::Safetensors,
        _ if folders::is_image(path) && path.exists() => Layout::Images(vec![path.to_owned()]),
        Some("csv" | "tsv" | "txt") if path.exists() => {
            return Err(Error::PathKind {
                path: path.into(),
                found: "a text file",
                expected: "an array: numpy.save(\"inputs.npy\", numpy.loadtxt(..., delimiter=\",\")) makes one",
            });
        }
        _ if path.exists() => {
            return Err(Error::PathKind {
                path: path.into(),
                found: "a file of another kind",
                expected: "a directory in the layout of a known dataset or of images, a .npy or .safetensors file, or an image",
            });
        }
        // A name of a dataset has neither.
        _ if path.extension().is_some() || name.contains(is_separator) => {
            return Err(Error::Io {
                path: path.into(),
                source: io::Error::new(io::ErrorKind::NotFound, "no such file or directory"),
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
fn directory(path: &Path) -> Result<Layout, Error> {
    Ok(
        if path.join("ae.train").exists() || path.join("ae.test").exists() {
            Layout::JapaneseVowels
        } else if cifar10::is_there(path) {
            Layout::Cifar10
        } else if folders::is_caltech256(path) {
            Layout::Caltech256
        } else if folders::has_images(path) {
            Layout::Folder
        } else if let Some(arrays) = arrays(path) {
            let directory = path.display().to_string();
            return Err(Error::malformed(
                &directory,
                "the folder",
                format!("arrays ({arrays} .npy) and neither a dataset nor images"),
                format!("a pattern in quotes that names them: '{directory}/*.npy'"),
            ));
        } else if is_empty(path) {
            return Err(Error::PathKind {
                path: path.into(),
                found: "an empty folder",
                expected: "images (JPEG, PNG), or the files of a dataset",
            });
        } else {
            // Its errors say which files were looked for.
            Layout::Mnist
        },
    )
}

/// Whether a directory that can be read has nothing in it.
fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut files| files.next().is_none())
}

/// How many arrays are in a directory that has no file of MNIST; `None` without any.
fn arrays(directory: &Path) -> Option<usize> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let names: Vec<PathBuf> = files.map(|file| file.file_name().into()).collect();
    let is_mnist = |name: &PathBuf| name.to_string_lossy().contains("ubyte");
    let is_array = |name: &&PathBuf| {
        name.extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("npy"))
    };
    let count = names.iter().filter(is_array).count();
    (count > 0 && !names.iter().any(is_mnist)).then_some(count)
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
