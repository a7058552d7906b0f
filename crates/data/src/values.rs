use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::images::ImageFiles;

/// Input values, row after row, each row in C order.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Bytes: without another scale a byte `b` stands for `b / 255`, in [0, 1].
    Bytes(Vec<u8>),
    /// Single precision, as they are.
    F32(Vec<f32>),
    /// Double precision, as they are.
    F64(Vec<f64>),
    /// Image files, which are decoded when their rows are asked for.
    Files(ImageFiles),
    /// Rows of large array files, which are read when they are asked for.
    Stored(StoredRows),
}

/// Rows that stay in their file until they are asked for.
#[derive(Debug, Clone)]
pub struct StoredRows {
    rows: usize,
    features: usize,
    is_bytes: bool,
    file: Arc<dyn ReadRows>,
}

/// What reads rows from where they are.
pub(crate) trait ReadRows: fmt::Debug + Send + Sync {
    /// The given rows in the given order, in memory.
    fn read(&self, rows: &[usize]) -> Result<Values, Error>;
}

impl PartialEq for StoredRows {
    /// Whether they are the same rows of the same opened file.
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows && Arc::ptr_eq(&self.file, &other.file)
    }
}

impl StoredRows {
    /// So many rows of so many values, which were all found to be finite.
    pub(crate) fn new(
        file: Arc<dyn ReadRows>,
        (rows, features): (usize, usize),
        is_bytes: bool,
    ) -> Self {
        Self {
            rows,
            features,
            is_bytes,
            file,
        }
    }

    /// Whether they are bytes.
    pub(crate) fn is_bytes(&self) -> bool {
        self.is_bytes
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The given rows in the given order, in memory.
    pub(crate) fn read(&self, rows: &[usize]) -> Result<Values, Error> {
        self.file.read(rows)
    }

    /// Forgets all but the first rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
    }
}

/// Mean and standard deviation to normalise inputs with, in the units of the values.
///
/// One entry for all values, or one per channel (the first dimension of the input shape). The
/// rows of a [`Dataset`](crate::Dataset) are *not* normalised: a network carries its own normalisation, so that
/// margins are radii in the space of the values.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Subtracted from a value.
    pub mean: Vec<f64>,
    /// Divides the difference.
    pub std: Vec<f64>,
}

impl Values {
    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::Files(files) => files.values(),
            Self::Stored(stored) => stored.rows * stored.features,
        }
    }

    /// Position and value of the first NaN or infinity.
    pub(crate) fn first_not_finite(&self) -> Option<(usize, f64)> {
        match self {
            Self::Bytes(_) | Self::Files(_) | Self::Stored(_) => None,
            Self::F32(values) => {
                let position = values.iter().position(|value| !value.is_finite())?;
                Some((position, f64::from(values[position])))
            }
            Self::F64(values) => {
                let position = values.iter().position(|value| !value.is_finite())?;
                Some((position, values[position]))
            }
        }
    }
}

/// Number of elements of a shape, unless it overflows.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1usize, |count, &dimension| count.checked_mul(dimension))
}

/// A shape as people write it: `1 x 28 x 28`.
pub(crate) fn shape_text<D: fmt::Display>(shape: &[D]) -> String {
    if shape.is_empty() {
        return "no dimensions".into();
    }
    shape
        .iter()
        .map(D::to_string)
        .collect::<Vec<_>>()
        .join(" x ")
}

/// Checks that there are as many labels as inputs; both names are those of files where there are files.
pub(crate) fn check_label_count(
    inputs: &str,
    input_rows: usize,
    source: &str,
    label_rows: usize,
) -> Result<(), Error> {
    if label_rows == input_rows {
        return Ok(());
    }
    let (inputs, labels) = (inputs.into(), source.into());
    Err(Error::RowsDisagree {
        inputs,
        input_rows,
        labels,
        label_rows,
    })
}

/// Checks that every label is below the number of classes, where that is known.
pub(crate) fn check_label_range(
    source: &str,
    labels: &[u32],
    classes: Option<usize>,
) -> Result<(), Error> {
    let Some(classes) = classes else {
        return Ok(());
    };
    match labels.iter().position(|&label| label as usize >= classes) {
        None => Ok(()),
        Some(row) => Err(Error::LabelRange {
            name: source.into(),
            row,
            label: labels[row],
            classes,
        }),
    }
}

/// Checks labels against their inputs.
pub(crate) fn check_labels(
    inputs: &str,
    input_rows: usize,
    source: &str,
    labels: &[u32],
    classes: Option<usize>,
) -> Result<(), Error> {
    check_label_count(inputs, input_rows, source, labels.len())?;
    check_label_range(source, labels, classes)
}
