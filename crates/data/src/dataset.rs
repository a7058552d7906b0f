use crate::values::{check_labels, element_count, shape_text, unit};
use crate::{Error, LeftOut, Moments, Values};

/// A table of inputs of one shape, one per row, with optional class labels.
///
/// Valid by construction: at least one row, whole rows, finite values, labels (if any) one per
/// row and below the number of classes (if known).
///
/// ```
/// use loclin_data::{Dataset, Values};
/// let set = Dataset::new("two grey pixels", &[1], Values::Bytes(vec![0, 255]))?
///     .with_labels(vec![0, 1], Some(2))?;
/// assert_eq!(set.rows_f64(&[1, 0])?, [1.0, 0.0]);
/// # Ok::<(), loclin_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    name: String,
    input_shape: Vec<usize>,
    rows: usize,
    values: Values,
    labels: Option<Vec<u32>>,
    classes: Option<usize>,
    moments: Option<Moments>,
}

impl Dataset {
    /// Rows of shape `input_shape` without labels; `name` (a file where there is one) appears in
    /// errors.
    ///
    /// # Errors
    /// An input shape with a zero or with more than `usize::MAX` elements, no rows, values that
    /// are no whole number of rows, and values that are not finite (with row and column).
    pub fn new(
        name: impl Into<String>,
        input_shape: &[usize],
        values: Values,
    ) -> Result<Self, Error> {
        let name = name.into();
        let features = element_count(input_shape)
            .filter(|&count| count > 0)
            .ok_or_else(|| {
                let expected = "every dimension at least 1, and a product that an array can have";
                Error::malformed(
                    &name,
                    "shape of an input",
                    shape_text(input_shape),
                    expected,
                )
            })?;
        let count = values.len();
        if count == 0 || !count.is_multiple_of(features) {
            let expected = format!(
                "one or more rows of {features} ({})",
                shape_text(input_shape)
            );
            return Err(Error::malformed(
                &name,
                "values",
                format!("{count} of them"),
                expected,
            ));
        }
        if let Some((position, value)) = values.first_not_finite() {
            let (row, column) = (position / features, position % features);
            return Err(Error::NotFinite {
                name,
                row,
                column,
                value,
                dtype: "number",
            });
        }
        let input_shape = input_shape.to_vec();
        Ok(Self {
            name,
            input_shape,
            rows: count / features,
            values,
            labels: None,
            classes: None,
            moments: None,
        })
    }

    /// Adds one label per row; `classes` is the number of classes where it is known.
    ///
    /// # Errors
    /// Another number of labels than rows, or a label that is not below `classes`.
    pub fn with_labels(mut self, labels: Vec<u32>, classes: Option<usize>) -> Result<Self, Error> {
        let source = format!("the labels of {}", self.name);
        check_labels(&self.name, self.rows, &source, &labels, classes)?;
        self.labels = Some(labels);
        self.classes = classes;
        Ok(self)
    }

    /// Adds the moments that a network for this data should normalise with.
    ///
    /// # Errors
    /// A number of entries that is neither 1 nor the number of channels, a mean that is not
    /// finite, or a standard deviation that is not finite and positive.
    pub fn with_moments(mut self, moments: Moments) -> Result<Self, Error> {
        let channels = self.input_shape.first().copied().unwrap_or(1);
        for (part, entries) in [
            ("mean", &moments.mean),
            ("standard deviation", &moments.std),
        ] {
            if entries.len() != 1 && entries.len() != channels
                || moments.mean.len() != moments.std.len()
            {
                let found = format!("{} entries", entries.len());
                let expected =
                    format!("1, or one for each of {channels} channels, alike for both moments");
                return Err(Error::malformed(&self.name, part, found, expected));
            }
        }
        if let Some(mean) = moments.mean.iter().find(|mean| !mean.is_finite()) {
            return Err(Error::malformed(
                &self.name,
                "mean",
                mean.to_string(),
                "a finite number",
            ));
        }
        if let Some(std) = moments
            .std
            .iter()
            .find(|std| !(std.is_finite() && **std > 0.0))
        {
            return Err(Error::malformed(
                &self.name,
                "standard deviation",
                std.to_string(),
                "a positive number",
            ));
        }
        self.moments = Some(moments);
        Ok(self)
    }

    /// The same rows under another input shape of equally many elements, for a network that wants
    /// its inputs flat or as images.
    ///
    /// # Errors
    /// A shape with another number of elements, or one whose channels the moments do not fit.
    pub fn with_input_shape(mut self, input_shape: &[usize]) -> Result<Self, Error> {
        if element_count(input_shape) != Some(self.features()) {
            let found = format!(
                "{} elements ({})",
                self.features(),
                shape_text(&self.input_shape)
            );
            return Err(Error::malformed(
                &self.name,
                "shape of an input",
                found,
                shape_text(input_shape),
            ));
        }
        self.input_shape = input_shape.to_vec();
        match self.moments.take() {
            Some(moments) => self.with_moments(moments),
            None => Ok(self),
        }
    }

    /// The name: a dataset's, or the path of a file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape of one input, for example `[1, 28, 28]`.
    pub fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    /// Number of values of one input.
    pub fn features(&self) -> usize {
        self.values.len() / self.rows
    }

    /// Number of rows, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a dataset is never empty")]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// All values as they are stored.
    pub fn values(&self) -> &Values {
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

    /// The moments to normalise with, where they are known.
    pub fn moments(&self) -> Option<&Moments> {
        self.moments.as_ref()
    }

    /// The images that were left out because they are broken or grey; none where rows are no image files.
    pub fn left_out(&self) -> &[LeftOut] {
        match &self.values {
            Values::Files(files) => files.left_out(),
            Values::Bytes(_) | Values::F32(_) | Values::F64(_) => &[],
        }
    }

    /// The given rows in the given order, flattened: `rows.len() * features()` values.
    ///
    /// Bytes are divided by 255 in double precision and then rounded. Image files are decoded in parallel.
    ///
    /// # Errors
    /// A row that does not exist, a double that is too large for `f32`, or an image that can no longer be read.
    pub fn rows_f32(&self, rows: &[usize]) -> Result<Vec<f32>, Error> {
        match &self.values {
            Values::Bytes(bytes) => self.gather(rows, bytes, |byte| unit(byte) as f32),
            Values::F32(values) => self.gather(rows, values, |value| value),
            Values::Files(files) => {
                self.check_rows(rows)?;
                files.read(rows, |level| level as f32)
            }
            Values::F64(values) => {
                let narrow = self.gather(rows, values, |value| value as f32)?;
                match narrow.iter().position(|value| !value.is_finite()) {
                    None => Ok(narrow),
                    Some(position) => {
                        let (row, column) =
                            (rows[position / self.features()], position % self.features());
                        let value = values[row * self.features() + column];
                        Err(Error::NotFinite {
                            name: self.name.clone(),
                            row,
                            column,
                            value,
                            dtype: "f32",
                        })
                    }
                }
            }
        }
    }

    /// The given rows in the given order, flattened, in double precision.
    ///
    /// # Errors
    /// A row that does not exist, or an image that can no longer be read.
    pub fn rows_f64(&self, rows: &[usize]) -> Result<Vec<f64>, Error> {
        match &self.values {
            Values::Bytes(bytes) => self.gather(rows, bytes, unit),
            Values::F32(values) => self.gather(rows, values, f64::from),
            Values::F64(values) => self.gather(rows, values, |value| value),
            Values::Files(files) => {
                self.check_rows(rows)?;
                files.read(rows, |level| level)
            }
        }
    }

    /// The labels of the given rows in the given order.
    ///
    /// # Errors
    /// A row that does not exist, or data without labels.
    pub fn row_labels(&self, rows: &[usize]) -> Result<Vec<u32>, Error> {
        self.check_rows(rows)?;
        let labels = self.labels.as_ref().ok_or_else(|| Error::Unlabelled {
            name: self.name.clone(),
        })?;
        Ok(rows.iter().map(|&row| labels[row]).collect())
    }

    /// A dataset of the given rows in the given order.
    ///
    /// # Errors
    /// No rows, or a row that does not exist.
    pub fn subset(&self, rows: &[usize]) -> Result<Self, Error> {
        if rows.is_empty() {
            return Err(Error::EmptySelection {
                name: self.name.clone(),
            });
        }
        let values = match &self.values {
            Values::Bytes(values) => Values::Bytes(self.gather(rows, values, |value| value)?),
            Values::F32(values) => Values::F32(self.gather(rows, values, |value| value)?),
            Values::F64(values) => Values::F64(self.gather(rows, values, |value| value)?),
            Values::Files(files) => {
                self.check_rows(rows)?;
                Values::Files(files.subset(rows))
            }
        };
        Ok(Self {
            name: self.name.clone(),
            input_shape: self.input_shape.clone(),
            rows: rows.len(),
            values,
            labels: self
                .labels
                .as_ref()
                .map(|labels| rows.iter().map(|&row| labels[row]).collect()),
            classes: self.classes,
            moments: self.moments.clone(),
        })
    }

    /// The first `n` rows, or all of them where there are fewer.
    ///
    /// # Errors
    /// `n` is 0.
    pub fn take(mut self, n: usize) -> Result<Self, Error> {
        if n == 0 {
            return Err(Error::EmptySelection { name: self.name });
        }
        if n < self.rows {
            let count = n * self.features();
            match &mut self.values {
                Values::Bytes(values) => values.truncate(count),
                Values::F32(values) => values.truncate(count),
                Values::F64(values) => values.truncate(count),
                Values::Files(files) => files.truncate(n),
            }
            if let Some(labels) = &mut self.labels {
                labels.truncate(n);
            }
            self.rows = n;
        }
        Ok(self)
    }

    fn gather<T: Copy, U>(
        &self,
        rows: &[usize],
        values: &[T],
        read: impl Fn(T) -> U,
    ) -> Result<Vec<U>, Error> {
        self.check_rows(rows)?;
        let features = self.features();
        let mut out = Vec::with_capacity(rows.len() * features);
        for &row in rows {
            out.extend(
                values[row * features..(row + 1) * features]
                    .iter()
                    .map(|&value| read(value)),
            );
        }
        Ok(out)
    }

    fn check_rows(&self, rows: &[usize]) -> Result<(), Error> {
        match rows.iter().find(|&&row| row >= self.rows) {
            None => Ok(()),
            Some(&row) => Err(Error::RowRange {
                name: self.name.clone(),
                row,
                rows: self.rows,
            }),
        }
    }
}
