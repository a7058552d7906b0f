use std::collections::BTreeMap;

use crate::values::check_labels;
use crate::{Dataset, Error, Values};

/// A table of sequences of different lengths, one per row, with optional class labels.
///
/// A time step is `channels` numbers. Sequences of one length are a [`Dataset`] of inputs
/// `[length, channels]`, which is how they are used: [`Sequences::by_length`] says which rows go
/// together, [`Sequences::table`] puts them together.
///
/// Valid by construction: at least one row, every length at least 1, finite values, labels (if
/// any) one per row and below the number of classes (if known).
///
/// ```
/// use loclin_data::Sequences;
/// let set = Sequences::new("two voices", 2, &[1, 2], vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5])?
///     .with_labels(vec![0, 1], Some(2))?;
/// assert_eq!(set.by_length(&[0, 1]).into_iter().collect::<Vec<_>>(), [(1, vec![0]), (2, vec![1])]);
/// assert_eq!(set.table(&[1])?.input_shape(), [2, 2]);
/// # Ok::<(), loclin_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sequences {
    name: String,
    channels: usize,
    /// Where each row begins in `values`, and the end of the last.
    bounds: Vec<usize>,
    values: Vec<f64>,
    labels: Option<Vec<u32>>,
    classes: Option<usize>,
}

impl Sequences {
    /// Sequences of the given lengths, their time steps one after another in `values`; `name` (a
    /// file where there is one) appears in errors.
    ///
    /// # Errors
    /// No channels, no rows, a length of 0, another number of values than the lengths say, and
    /// values that are not finite (with row and column).
    pub fn new(
        name: impl Into<String>,
        channels: usize,
        lengths: &[usize],
        values: Vec<f64>,
    ) -> Result<Self, Error> {
        let name = name.into();
        if channels == 0 {
            return Err(Error::malformed(&name, "channels", "0", "at least 1"));
        }
        if lengths.is_empty() {
            return Err(Error::malformed(&name, "sequences", "0", "at least 1"));
        }
        if let Some(row) = lengths.iter().position(|&length| length == 0) {
            let part = format!("sequence {row}");
            return Err(Error::malformed(&name, part, "0 time steps", "at least 1"));
        }
        let mut bounds = Vec::with_capacity(lengths.len() + 1);
        let mut end = Some(0usize);
        bounds.push(0);
        for &length in lengths {
            end = length
                .checked_mul(channels)
                .and_then(|size| end?.checked_add(size));
            bounds.push(end.unwrap_or(usize::MAX));
        }
        if end != Some(values.len()) {
            let found = format!("{} of them", values.len());
            let expected = format!(
                "{channels} for each time step of {} sequences",
                lengths.len()
            );
            return Err(Error::malformed(&name, "values", found, expected));
        }
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            let row = bounds.partition_point(|&start| start <= position) - 1;
            return Err(Error::NotFinite {
                name,
                row,
                column: position - bounds[row],
                value: values[position],
                dtype: "number",
            });
        }
        Ok(Self {
            name,
            channels,
            bounds,
            values,
            labels: None,
            classes: None,
        })
    }

    /// Adds one label per row; `classes` is the number of classes where it is known.
    ///
    /// # Errors
    /// Another number of labels than rows, or a label that is not below `classes`.
    pub fn with_labels(mut self, labels: Vec<u32>, classes: Option<usize>) -> Result<Self, Error> {
        let source = format!("the labels of {}", self.name);
        check_labels(&self.name, self.len(), &source, &labels, classes)?;
        self.labels = Some(labels);
        self.classes = classes;
        Ok(self)
    }

    /// The name: a dataset's, or the path of a file or directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Numbers in a time step.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Number of sequences, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a table is never empty")]
    pub fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// The number of time steps of each sequence.
    pub fn lengths(&self) -> impl ExactSizeIterator<Item = usize> {
        self.bounds
            .windows(2)
            .map(|bounds| (bounds[1] - bounds[0]) / self.channels)
    }

    /// All values, sequence after sequence.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    /// One label per row, if the data is labelled.
    pub fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    /// Number of classes, where it is known.
    pub fn classes(&self) -> Option<usize> {
        self.classes
    }

    /// For each length among `rows`, which of them (positions in `rows`, ascending) have it.
    /// Rows that do not exist are left out.
    pub fn by_length(&self, rows: &[usize]) -> BTreeMap<usize, Vec<usize>> {
        let mut groups = BTreeMap::<usize, Vec<usize>>::new();
        for (position, &row) in rows.iter().enumerate() {
            if let Some(values) = self.values_of(row) {
                let length = values.len() / self.channels;
                groups.entry(length).or_default().push(position);
            }
        }
        groups
    }

    /// Rows of one length, in the given order, as inputs `[length, channels]`.
    ///
    /// # Errors
    /// No rows, a row that does not exist, or rows of different lengths.
    pub fn table(&self, rows: &[usize]) -> Result<Dataset, Error> {
        let (first, values) = self.gather(rows)?;
        let length = first / self.channels;
        if let Some(&row) = rows
            .iter()
            .find(|&&row| self.values_of(row).is_some_and(|v| v.len() != first))
        {
            let found = self.values_of(row).map_or(0, <[f64]>::len) / self.channels;
            return Err(Error::malformed(
                &self.name,
                format!("sequence {row}"),
                format!("{found} time steps"),
                format!("{length}, as the sequences beside it have"),
            ));
        }
        let shape = [length, self.channels];
        let table = Dataset::new(self.name.clone(), &shape, Values::F64(values))?;
        match &self.labels {
            Some(labels) => {
                table.with_labels(rows.iter().map(|&row| labels[row]).collect(), self.classes)
            }
            None => Ok(table),
        }
    }

    /// The given rows in the given order.
    ///
    /// # Errors
    /// No rows, or a row that does not exist.
    pub fn subset(&self, rows: &[usize]) -> Result<Self, Error> {
        let (_, values) = self.gather(rows)?;
        let mut bounds = vec![0];
        for &row in rows {
            let last = bounds[bounds.len() - 1];
            bounds.push(last + self.bounds[row + 1] - self.bounds[row]);
        }
        let labels = self.labels.as_ref();
        Ok(Self {
            name: self.name.clone(),
            channels: self.channels,
            bounds,
            values,
            labels: labels.map(|labels| rows.iter().map(|&row| labels[row]).collect()),
            classes: self.classes,
        })
    }

    /// These rows, and those of another part of the same dataset after them.
    pub(crate) fn joined(mut self, other: Self) -> Result<Self, Error> {
        if self.channels != other.channels {
            let found = format!("{} and {} channels", self.channels, other.channels);
            return Err(Error::malformed(&self.name, "parts", found, "one number"));
        }
        let end = self.values.len();
        self.bounds
            .extend(other.bounds[1..].iter().map(|bound| end + bound));
        self.values.extend(other.values);
        self.labels = self.labels.zip(other.labels).map(|(mut all, more)| {
            all.extend(more);
            all
        });
        Ok(self)
    }

    /// The values of a row, if it exists.
    fn values_of(&self, row: usize) -> Option<&[f64]> {
        let (start, end) = (self.bounds.get(row)?, self.bounds.get(row.checked_add(1)?)?);
        self.values.get(*start..*end)
    }

    /// The number of values of the first row, and the values of all.
    fn gather(&self, rows: &[usize]) -> Result<(usize, Vec<f64>), Error> {
        let mut values = Vec::new();
        let mut first = None;
        for &row in rows {
            let one = self.values_of(row).ok_or_else(|| Error::RowRange {
                name: self.name.clone(),
                row,
                rows: self.len(),
            })?;
            first = first.or(Some(one.len()));
            values.extend_from_slice(one);
        }
        match first {
            Some(first) => Ok((first, values)),
            None => Err(Error::EmptySelection {
                name: self.name.clone(),
            }),
        }
    }
}
