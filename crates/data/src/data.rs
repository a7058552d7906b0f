use crate::{Applied, Dataset, Error, LeftOut, Moments, Sequences, Values};
use std::path::{Path, PathBuf};

/// What a name or path holds: inputs of one shape, or sequences of different lengths.
///
/// ```
/// use loclin_data::{Split, source};
/// let data = source::open("digits", Split::Test, None, 0)?;
/// let parts = data.tables(&[4, 2])?;
/// assert_eq!((parts.len(), parts[0].positions.as_slice()), (1, &[0, 1][..]));
/// assert_eq!(parts[0].inputs.labels(), Some(&data.row_labels(&[4, 2])?[..]));
/// # Ok::<(), loclin_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a program has one or two of them"
)]
pub enum Data {
    /// Inputs of one shape.
    Table(Dataset),
    /// Sequences of different lengths.
    Sequences(Sequences),
}

/// Rows of one shape among those asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Which of the rows asked for they are, ascending.
    pub positions: Vec<usize>,
    /// The rows.
    pub inputs: Dataset,
}

impl Data {
    /// The name: a dataset's, or the path of a file or directory.
    pub fn name(&self) -> &str {
        match self {
            Self::Table(table) => table.name(),
            Self::Sequences(sequences) => sequences.name(),
        }
    }

    /// Number of rows, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "data is never empty")]
    pub fn len(&self) -> usize {
        match self {
            Self::Table(table) => table.len(),
            Self::Sequences(sequences) => sequences.len(),
        }
    }

    /// One label per row, if the data is labelled.
    pub fn labels(&self) -> Option<&[u32]> {
        match self {
            Self::Table(table) => table.labels(),
            Self::Sequences(sequences) => sequences.labels(),
        }
    }

    /// The file of a row, where rows are image files; `None` for a row that there is not.
    pub fn path(&self, row: usize) -> Option<&Path> {
        match self {
            Self::Table(table) => match table.values() {
                Values::Files(files) => files.paths().get(row).map(PathBuf::as_path),
                _ => None,
            },
            Self::Sequences(_) => None,
        }
    }

    /// Number of classes, where it is known.
    pub fn classes(&self) -> Option<usize> {
        match self {
            Self::Table(table) => table.classes(),
            Self::Sequences(sequences) => sequences.classes(),
        }
    }

    /// The name of each class, where the data say it.
    pub fn class_names(&self) -> Option<&[String]> {
        match self {
            Self::Table(table) => table.class_names(),
            Self::Sequences(_) => None,
        }
    }

    /// Sub-folders that are not known to be classes ([`Dataset::unnumbered_folders`]).
    pub fn unnumbered_folders(&self) -> Option<usize> {
        match self {
            Self::Table(table) => table.unnumbered_folders(),
            Self::Sequences(_) => None,
        }
    }

    /// The moments to normalise with, where they are known; sequences are taken as they are.
    pub fn moments(&self) -> Option<&Moments> {
        match self {
            Self::Table(table) => table.moments(),
            Self::Sequences(_) => None,
        }
    }

    /// The images that were left out because they are broken or grey; none where rows are no image files.
    pub fn left_out(&self) -> &[LeftOut] {
        match self {
            Self::Table(table) => table.left_out(),
            Self::Sequences(_) => &[],
        }
    }

    /// The interval that every number of an input lies in by what it is ([`Dataset::domain`]).
    pub fn domain(&self) -> Option<[f64; 2]> {
        match self {
            Self::Table(table) => table.domain(),
            Self::Sequences(_) => None,
        }
    }

    /// What is done to the stored numbers; the network's own normalisation is not known here.
    pub fn applied(&self) -> Applied {
        match self {
            Self::Table(table) => table.applied(),
            Self::Sequences(_) => Applied::default(),
        }
    }

    /// The least number of values of an input.
    pub fn least_features(&self) -> usize {
        match self {
            Self::Table(table) => table.features(),
            Self::Sequences(sequences) => {
                sequences.lengths().min().unwrap_or(0) * sequences.channels()
            }
        }
    }

    /// The given rows, those of one shape together: one part, or one for each length.
    ///
    /// # Errors
    /// No rows, or a row that does not exist.
    pub fn tables(&self, rows: &[usize]) -> Result<Vec<Part>, Error> {
        match self {
            Self::Table(table) => Ok(vec![Part {
                positions: (0..rows.len()).collect(),
                inputs: table.subset(rows)?,
            }]),
            Self::Sequences(sequences) => {
                // Rows that do not exist belong to no length.
                sequences.subset(rows)?;
                let parts = sequences.by_length(rows).into_values();
                parts
                    .map(|positions| {
                        let rows: Vec<usize> = positions.iter().map(|&at| rows[at]).collect();
                        let inputs = sequences.table(&rows)?;
                        Ok(Part { positions, inputs })
                    })
                    .collect()
            }
        }
    }

    /// The labels of the given rows in the given order.
    ///
    /// # Errors
    /// A row that does not exist, or data without labels.
    pub fn row_labels(&self, rows: &[usize]) -> Result<Vec<u32>, Error> {
        let name = || self.name().to_owned();
        let labels = self
            .labels()
            .ok_or_else(|| Error::Unlabelled { name: name() })?;
        let label = |&row: &usize| {
            labels.get(row).copied().ok_or_else(|| Error::RowRange {
                name: name(),
                row,
                rows: self.len(),
            })
        };
        rows.iter().map(label).collect()
    }

    /// The given rows in the given order.
    ///
    /// # Errors
    /// No rows, or a row that does not exist.
    pub fn subset(&self, rows: &[usize]) -> Result<Self, Error> {
        Ok(match self {
            Self::Table(table) => Self::Table(table.subset(rows)?),
            Self::Sequences(sequences) => Self::Sequences(sequences.subset(rows)?),
        })
    }

    /// These rows, and those of another part of the same dataset after them.
    pub(crate) fn joined(self, other: Self) -> Result<Self, Error> {
        match (self, other) {
            (Self::Table(one), Self::Table(other)) => one.joined(other).map(Self::Table),
            (Self::Sequences(one), Self::Sequences(other)) => {
                one.joined(other).map(Self::Sequences)
            }
            (one, _) => {
                let found = "inputs of one shape and sequences";
                Err(Error::malformed(one.name(), "parts", found, "one of them"))
            }
        }
    }

    /// The first `n` rows, all of them where there are fewer.
    ///
    /// # Errors
    /// `n` of 0.
    pub fn take(self, n: usize) -> Result<Self, Error> {
        if n >= self.len() {
            return Ok(self);
        }
        match self {
            Self::Table(table) => table.take(n).map(Self::Table),
            Self::Sequences(sequences) => sequences
                .subset(&(0..n).collect::<Vec<_>>())
                .map(Self::Sequences),
        }
    }

    /// The inputs of one shape, for those who need one.
    ///
    /// # Errors
    /// Sequences of different lengths.
    pub fn into_table(self) -> Result<Dataset, Error> {
        match self {
            Self::Table(table) => Ok(table),
            Self::Sequences(sequences) => Err(Error::malformed(
                sequences.name(),
                "inputs",
                "sequences of different lengths",
                "inputs of one shape",
            )),
        }
    }
}

impl From<Dataset> for Data {
    fn from(table: Dataset) -> Self {
        Self::Table(table)
    }
}

impl From<Sequences> for Data {
    fn from(sequences: Sequences) -> Self {
        Self::Sequences(sequences)
    }
}
