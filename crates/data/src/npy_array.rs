//! One `.npy` file whose header is known.

use std::path::{Path, PathBuf};

use crate::element::Element;
use crate::error::Error;
use crate::file::{Block, Source};
use crate::fit::Wanted;
use crate::npy_header;
use crate::values::{Values, element_count, shape_text};

/// A file whose header is known.
#[derive(Debug)]
pub(crate) struct Array {
    path: PathBuf,
    pub(crate) name: String,
    descr: String,
    element: Element,
    fortran_order: bool,
    pub(crate) rows: usize,
    /// The shape of an input.
    pub(crate) input: Vec<usize>,
    meaning: String,
}

impl Array {
    pub(crate) fn of(path: &Path, input: Option<Wanted<'_>>) -> Result<Self, Error> {
        let (source, header, element) = npy_header::open(path)?;
        let name = source.name().to_owned();
        let refuse = |expected: &str| {
            Err(Error::malformed(
                &name,
                "shape",
                shape_text(&header.shape),
                expected,
            ))
        };
        let dimensions = header
            .shape
            .iter()
            .map(|&dimension| usize::try_from(dimension));
        let Ok(mut shape) = dimensions.collect::<Result<Vec<usize>, _>>() else {
            return refuse("a product that an array can have");
        };
        if input.is_some_and(|input| input.is_one(&shape)) {
            shape.insert(0, 1);
        }
        if shape.len() < 2 || shape.contains(&0) {
            return refuse(
                "[rows, ...], two or more dimensions, each at least 1; one input is [1, ...]",
            );
        }
        if element_count(&shape[1..]).is_none() {
            return refuse("a product that an array can have");
        }
        Ok(Self {
            path: path.to_owned(),
            meaning: format!("{} of {}", shape_text(&header.shape), header.descr),
            descr: header.descr,
            element,
            fortran_order: header.fortran_order,
            rows: shape.remove(0),
            input: shape,
            name,
        })
    }

    /// Whether a row is one piece of the file.
    pub(crate) fn is_by_row(&self) -> bool {
        !self.fortran_order
    }

    /// What several files have in common.
    pub(crate) fn kind(&self) -> String {
        format!(
            "inputs of shape {} of {}",
            shape_text(&self.input),
            self.descr
        )
    }

    /// The rows of `ranges`, each in C order.
    pub(crate) fn read(&self, ranges: &[std::ops::Range<usize>]) -> Result<Values, Error> {
        let (mut source, ..) = npy_header::open(&self.path)?;
        let features = self.input.iter().product();
        let values = match self.fortran_order {
            false => {
                let block = Block {
                    rows: self.rows,
                    features,
                    meaning: &self.meaning,
                    to_end: true,
                };
                self.element.rows(&mut source, &block, ranges)?
            }
            true => self.columns(&mut source, features, ranges)?,
        };
        source.end(&format!("the values ({})", self.meaning))?;
        Ok(values)
    }

    /// The same of a file in Fortran order: a column for each feature, of which a stretch with all rows asked for is
    /// read.
    fn columns(
        &self,
        source: &mut Source<'_>,
        features: usize,
        ranges: &[std::ops::Range<usize>],
    ) -> Result<Values, Error> {
        let start = ranges.first().map_or(0, |range| range.start);
        let end = ranges.last().map_or(0, |range| range.end);
        let overflow = || {
            let expected = "a product that an array can have";
            Error::malformed(&self.name, "shape", &self.meaning, expected)
        };
        let count = self.rows.checked_mul(features).ok_or_else(overflow)?;
        let block = Block {
            rows: count,
            features: 1,
            meaning: &self.meaning,
            to_end: true,
        };
        source.expect(&block, self.element.bytes())?;
        let stretches: Vec<_> = match end - start == self.rows {
            true => std::iter::once(0..count).collect(),
            false => (0..features)
                .map(|feature| feature * self.rows + start..feature * self.rows + end)
                .collect(),
        };
        let columns = self.element.rows(source, &block, &stretches)?;
        let rows: Vec<usize> = ranges
            .iter()
            .cloned()
            .flatten()
            .map(|row| row - start)
            .collect();
        let places = places(&self.input);
        let (length, order) = (end - start, (&rows[..], &places[..]));
        Ok(match columns {
            Values::Bytes(values) => Values::Bytes(by_row(&values, length, order)),
            Values::F32(values) => Values::F32(by_row(&values, length, order)),
            Values::F64(values) => Values::F64(by_row(&values, length, order)),
            other => other,
        })
    }
}

/// For every value of an input, in C order, which column it stands in.
fn places(shape: &[usize]) -> Vec<usize> {
    let mut places = vec![0];
    let mut step = 1;
    let mut steps = Vec::new();
    for &size in shape {
        steps.push(step);
        step *= size;
    }
    for (&size, &step) in shape.iter().zip(&steps) {
        let one = |&place: &usize| (0..size).map(move |index| place + index * step);
        places = places.iter().flat_map(one).collect();
    }
    places
}

/// Columns of `length` values as rows.
fn by_row<T: Copy>(columns: &[T], length: usize, (rows, places): (&[usize], &[usize])) -> Vec<T> {
    let row = |&row: &usize| {
        places
            .iter()
            .map(move |place| columns[place * length + row])
    };
    rows.iter().flat_map(row).collect()
}
