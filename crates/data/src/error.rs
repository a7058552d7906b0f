use std::io;
use std::path::PathBuf;

/// What can go wrong while data is read or asked for.
///
/// Every message names the file (or dataset) and what was found and expected. Rows and columns
/// count from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A directory in place of a file, or the reverse.
    #[error("{path}: found {found}, expected {expected}", path = path.display())]
    PathKind {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A directory lacks a file of its layout.
    #[error("{directory}: no {what}; looked for {tried}", directory = directory.display())]
    MissingFile {
        /// The directory.
        directory: PathBuf,
        /// What the file holds.
        what: String,
        /// The names that were looked for.
        tried: String,
    },
    /// A directory lacks some of the files of its layout.
    #[error(
        "{directory}: {missing} missing; \",missing=skip\" behind the dataset's name takes the {present} that are there",
        directory = directory.display()
    )]
    Incomplete {
        /// The directory.
        directory: PathBuf,
        /// The names of the files that are missing.
        missing: String,
        /// How many are there.
        present: usize,
    },
    /// Images that cannot be used.
    #[error(
        "{name}: {count} of {total} images cannot be used: {listed}; \",{option}=skip\" behind the dataset's name leaves \
         them out"
    )]
    Images {
        /// The dataset.
        name: String,
        /// How many.
        count: usize,
        /// Of how many.
        total: usize,
        /// The first of them, each with the cause.
        listed: String,
        /// What kind they are, and the option that decides about them: `broken` or `grey`.
        option: &'static str,
    },
    /// An image that cannot be read.
    #[error("{path}: {cause}", path = path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// A dataset's option that does not exist, or not for this dataset, or has another range.
    #[error("dataset {given:?}: found {found:?} behind the name, expected {expected}")]
    DatasetOption {
        /// The dataset as given.
        given: String,
        /// The option as given.
        found: String,
        /// The options that there are.
        expected: String,
    },
    /// A file's content breaks its format.
    #[error("{file}: {part}: found {found}, expected {expected}")]
    Malformed {
        /// The file, or the dataset where no file is involved.
        file: String,
        /// The field, tensor or section.
        part: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// Inputs and labels of different length.
    #[error(
        "{inputs} holds {input_rows} rows, but {labels} holds {label_rows}: expected one label per row"
    )]
    RowsDisagree {
        /// Where the inputs come from.
        inputs: String,
        /// Number of inputs.
        input_rows: usize,
        /// Where the labels come from.
        labels: String,
        /// Number of labels.
        label_rows: usize,
    },
    /// A value that is NaN, infinite, or too large for the type asked for.
    #[error("{name}: row {row}, column {column}: found {value}, expected a finite {dtype}")]
    NotFinite {
        /// The file or dataset.
        name: String,
        /// The row.
        row: usize,
        /// The position in the flattened row.
        column: usize,
        /// The offending value.
        value: f64,
        /// The type that cannot hold it.
        dtype: &'static str,
    },
    /// More values than memory can be had for.
    #[error("{name}: no memory for {values} values; fewer rows take less")]
    Memory {
        /// The file.
        name: String,
        /// How many values were asked for.
        values: usize,
    },
    /// A label that is no class.
    #[error("{name}: row {row}: found label {label}, expected one of 0 to {}", classes.saturating_sub(1))]
    LabelRange {
        /// The file or dataset.
        name: String,
        /// The row.
        row: usize,
        /// The label.
        label: u32,
        /// Number of classes.
        classes: usize,
    },
    /// A row that does not exist.
    #[error("{name}: found row index {row}, expected one below {rows}")]
    RowRange {
        /// The dataset.
        name: String,
        /// The row asked for.
        row: usize,
        /// Number of rows.
        rows: usize,
    },
    /// Inputs of a shape that a model does not take.
    #[error("{name}: inputs of shape {found}; the model takes {wanted}: {remedy}")]
    Shape {
        /// The dataset.
        name: String,
        /// The shape of an input.
        found: String,
        /// The shape of the model's inputs.
        wanted: String,
        /// What to do.
        remedy: String,
    },
    /// A selection of no rows at all.
    #[error("{name}: found a selection of 0 rows, expected at least 1")]
    EmptySelection {
        /// The dataset.
        name: String,
    },
    /// Labels were asked of a dataset that has none.
    #[error("{name}: found no labels, expected one per row")]
    Unlabelled {
        /// The dataset.
        name: String,
    },
    /// A dataset that lives in files, and no directory to find them in.
    #[error("dataset {name:?}: no data directory is given, expected one that holds its files")]
    NoDataDirectory {
        /// The dataset.
        name: String,
    },
    /// Neither a known name nor an existing path.
    #[error(
        "dataset {given:?}: found no such name or path, expected one of {known}, a directory in the layout of one \
         of them or with one folder of images for each class, a .npy or .safetensors file, or an image{}", hint(nearest.as_deref())
    )]
    UnknownDataset {
        /// The name as given.
        given: String,
        /// The known names.
        known: String,
        /// The known name most like it, if any is near.
        nearest: Option<String>,
    },
    /// A word that is no [`Split`](crate::Split).
    #[error("split {given:?}: expected train, valid or test")]
    UnknownSplit {
        /// The word as given.
        given: String,
    },
    /// A parameter outside its range.
    #[error("{name}: found {found}, expected {expected}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Its value.
        found: String,
        /// The range.
        expected: &'static str,
    },
}

impl Error {
    pub(crate) fn malformed(
        file: &str,
        part: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Malformed {
            file: file.into(),
            part: part.into(),
            found: found.into(),
            expected: expected.into(),
        }
    }
}

fn hint(nearest: Option<&str>) -> String {
    nearest
        .map(|name| format!("; did you mean {name:?}?"))
        .unwrap_or_default()
}
