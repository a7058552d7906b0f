//! The rows of a dataset: as numbers, and as smaller datasets, and what is done to them.

use crate::applied::{Applied, Stored};
use crate::dataset::Dataset;
use crate::error::Error;
use crate::fit::Order;
use crate::values::Values;

impl Dataset {
    /// The given rows in the given order, flattened: `rows.len() * features()` values, scaled in double precision and then
    /// rounded, in the order of [`Dataset::input_shape`]. Image files are decoded in parallel.
    ///
    /// # Errors
    /// A row that does not exist, a number that is too large for `f32`, or an image that can no longer be read.
    pub fn rows_f32(&self, rows: &[usize]) -> Result<Vec<f32>, Error> {
        self.numbers(rows, |value| value as f32, "f32")
    }

    /// The given rows in the given order, flattened and scaled, in double precision.
    ///
    /// # Errors
    /// A row that does not exist, a number that is too large when it is scaled, or an image that can no longer be read.
    pub fn rows_f64(&self, rows: &[usize]) -> Result<Vec<f64>, Error> {
        self.numbers(rows, |value| value, "f64")
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

    /// What is done to the stored numbers, in words and numbers; the network's own normalisation is not known here.
    pub fn applied(&self) -> Applied {
        let (what, resized, exif_orientation) = match &self.values {
            Values::Files(files) => (Stored::Pixels, files.resized(), files.is_turned()),
            Values::Bytes(_) => (Stored::Bytes, None, false),
            Values::Stored(rows) if rows.is_bytes() => (Stored::Bytes, None, false),
            Values::F32(_) | Values::F64(_) | Values::Stored(_) => (Stored::Numbers, None, false),
        };
        let moved = match self.order {
            Order::Moved(moved) => Some(moved.to),
            Order::AsStored => None,
        };
        Applied {
            what,
            resized,
            exif_orientation,
            scale: self.scale(),
            deep_scale: self.deep_scale(),
            moved,
            input_shape: Some(self.input_shape.clone()),
            stored_shape: Some(self.stored.0.clone()),
            ..Applied::default()
        }
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
            Values::Bytes(values) => Values::Bytes(self.stored(rows, values)?),
            Values::F32(values) => Values::F32(self.stored(rows, values)?),
            Values::F64(values) => Values::F64(self.stored(rows, values)?),
            Values::Files(files) => {
                self.check_rows(rows)?;
                Values::Files(files.subset(rows))
            }
            Values::Stored(stored) => {
                self.check_rows(rows)?;
                stored.read(rows)?
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
            class_names: self.class_names.clone(),
            unnumbered_folders: self.unnumbered_folders,
            moments: self.moments.clone(),
            scale: self.scale,
            pixels: self.pixels,
            layout: self.layout,
            order: self.order,
            stored: self.stored.clone(),
        })
    }

    /// These rows, and those of another part of the same dataset after them.
    ///
    /// # Errors
    /// Inputs of another shape or kind, or rows that can no longer be read.
    pub(crate) fn joined(mut self, other: Self) -> Result<Self, Error> {
        if let Values::Stored(_) = self.values {
            self = self.subset(&(0..self.rows).collect::<Vec<_>>())?;
        }
        let other = match other.values {
            Values::Stored(_) => other.subset(&(0..other.rows).collect::<Vec<_>>())?,
            _ => other,
        };
        let alike = self.input_shape == other.input_shape;
        match (&mut self.values, other.values) {
            (Values::Bytes(all), Values::Bytes(more)) if alike => all.extend(more),
            (Values::F32(all), Values::F32(more)) if alike => all.extend(more),
            (Values::F64(all), Values::F64(more)) if alike => all.extend(more),
            (Values::Files(all), Values::Files(more)) if alike => all.extend(more),
            _ => {
                let found = "inputs of two shapes or kinds";
                return Err(Error::malformed(&self.name, "parts", found, "one"));
            }
        }
        self.labels = self.labels.zip(other.labels).map(|(mut all, more)| {
            all.extend(more);
            all
        });
        self.rows += other.rows;
        Ok(self)
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
                Values::Stored(stored) => stored.truncate(n),
            }
            if let Some(labels) = &mut self.labels {
                labels.truncate(n);
            }
            self.rows = n;
        }
        Ok(self)
    }

    /// The numbers of the given rows, scaled in double precision and then rounded to a type, all of them finite there.
    fn numbers<U: Copy + Default + Into<f64> + Send>(
        &self,
        rows: &[usize],
        round: impl Fn(f64) -> U + Copy + Sync,
        dtype: &'static str,
    ) -> Result<Vec<U>, Error> {
        let scale = self.scale();
        let scale = |value: f64| round(scale.apply(value));
        let values = match &self.values {
            Values::Bytes(bytes) => self.gather(rows, bytes, |byte| scale(byte.into()))?,
            Values::F32(values) => self.gather(rows, values, |value| scale(value.into()))?,
            Values::F64(values) => self.gather(rows, values, scale)?,
            Values::Files(files) => {
                self.check_rows(rows)?;
                self.ordered(files.read(rows, self.scale, round)?)
            }
            Values::Stored(_) => {
                let here: Vec<usize> = (0..rows.len()).collect();
                let found = self.subset(rows)?.numbers(&here, round, dtype);
                return found.map_err(|error| in_whole(error, rows));
            }
        };
        match values.iter().position(|value| !(*value).into().is_finite()) {
            None => Ok(values),
            Some(at) => Err(self.not_finite(rows, at, dtype)),
        }
    }

    /// The numbers of the given rows as they are stored.
    fn stored<T: Copy>(&self, rows: &[usize], values: &[T]) -> Result<Vec<T>, Error> {
        self.check_rows(rows)?;
        let features = self.features();
        let mut out = Vec::with_capacity(rows.len() * features);
        for &row in rows {
            out.extend_from_slice(&values[row * features..(row + 1) * features]);
        }
        Ok(out)
    }

    /// The numbers of the given rows, each as `read` makes it, in the order of the input's shape.
    fn gather<T: Copy, U: Copy>(
        &self,
        rows: &[usize],
        values: &[T],
        read: impl Fn(T) -> U,
    ) -> Result<Vec<U>, Error> {
        self.check_rows(rows)?;
        let features = self.features();
        let mut out = Vec::with_capacity(rows.len() * features);
        for &row in rows {
            let row = &values[row * features..(row + 1) * features];
            out.extend(row.iter().map(|&value| read(value)));
        }
        Ok(self.ordered(out))
    }

    /// Whole rows in the order of the input's shape.
    fn ordered<T: Copy>(&self, values: Vec<T>) -> Vec<T> {
        let Order::Moved(moved) = self.order else {
            return values;
        };
        let mut out = Vec::with_capacity(values.len());
        for row in values.chunks(self.features()) {
            moved.apply(row, &mut out);
        }
        out
    }

    fn not_finite(&self, rows: &[usize], at: usize, dtype: &'static str) -> Error {
        let features = self.features();
        let (row, column) = (rows[at / features], at % features);
        let alone = self.at(row, column);
        Error::NotFinite {
            name: self.name.clone(),
            row,
            column,
            value: alone,
            dtype,
        }
    }

    /// A number of a row, scaled.
    fn at(&self, row: usize, column: usize) -> f64 {
        let features = self.features();
        let place = match self.order {
            Order::AsStored => column,
            Order::Moved(moved) => {
                let mut places = Vec::with_capacity(features);
                moved.apply(&(0..features).collect::<Vec<_>>(), &mut places);
                places[column]
            }
        };
        let at = row * features + place;
        let value = match &self.values {
            Values::Bytes(values) => f64::from(values[at]),
            Values::F32(values) => f64::from(values[at]),
            Values::F64(values) => values[at],
            Values::Files(_) | Values::Stored(_) => f64::NAN,
        };
        self.scale().apply(value)
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

/// The same error, where it names one of some rows, with that row's own number.
fn in_whole(mut error: Error, rows: &[usize]) -> Error {
    if let Error::NotFinite { row, .. } = &mut error
        && let Some(whole) = rows.get(*row)
    {
        *row = *whole;
    }
    error
}
