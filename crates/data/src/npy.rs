//! `.npy` files of NumPy, versions 1 to 3: arrays of numbers.

use std::path::{Path, PathBuf};

use crate::dataset::Dataset;
use crate::element::Element;
use crate::error::Error;
use crate::file::{Block, Source};
use crate::fit;
use crate::npy_header::header;
use crate::selection::{Selection, cut, in_file};
use crate::values::{Values, element_count, shape_text};

/// Reads an array whose first dimension is the rows of a dataset.
///
/// Elements are floats of 2, 4 or 8 bytes, integers of 1 to 8 bytes with or without a sign, and booleans, in either byte
/// order, as they are; the array may be in C or in Fortran order.
///
/// # Errors
/// A file that cannot be opened or is no file, another format or version, another element type, fewer than two
/// dimensions (one input has shape `[1, ...]`), a dimension of 0, missing or trailing bytes, values that are not finite,
/// and integers that no `f64` is equal to.
///
/// ```no_run
/// let inputs = loclin_data::npy::read("inputs.npy".as_ref())?;
/// # Ok::<(), loclin_data::Error>(())
/// ```
pub fn read(path: &Path) -> Result<Dataset, Error> {
    read_selected(path, Selection::WHOLE, None)
}

/// The bytes of a file of numbers of 8 bytes, in C order.
///
/// # Errors
/// Values that do not fill the shape, and a shape too long for a header.
///
/// ```
/// let bytes = loclin_data::npy::encode(&[1, 2], &[0.5, 1.5])?;
/// assert!(bytes.starts_with(b"\x93NUMPY\x01\x00") && bytes.len() % 64 == 16);
/// # Ok::<(), loclin_data::Error>(())
/// ```
pub fn encode(shape: &[usize], values: &[f64]) -> Result<Vec<u8>, Error> {
    let refuse = |expected: &str| {
        let name = "npy file to be written";
        Error::malformed(name, "shape", shape_text(shape), expected)
    };
    if element_count(shape) != Some(values.len()) {
        return Err(refuse(&format!("a product of {} values", values.len())));
    }
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let header = format!(
        "{{'descr': '<f8', 'fortran_order': False, 'shape': ({}), }}",
        sizes.trim_end()
    );
    // Magic number, version and length are 10 bytes, and the values begin at a multiple of 64.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let short = u16::try_from(length).map_err(|_| refuse("fewer dimensions"))?;
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend(short.to_le_bytes());
    out.extend(format!("{header:<width$}\n", width = length - 1).into_bytes());
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    Ok(out)
}

/// The same for some of the rows; the values of others are not read. An array of the shape `input` is one input.
pub(crate) fn read_selected(
    path: &Path,
    selection: Selection,
    input: Option<&[usize]>,
) -> Result<Dataset, Error> {
    read_all(
        path.display().to_string(),
        &[path.to_owned()],
        selection,
        input,
    )
}

/// Some of the rows of several files, one after the other; they are of one shape and element type.
pub(crate) fn read_all(
    name: String,
    paths: &[PathBuf],
    selection: Selection,
    input: Option<&[usize]>,
) -> Result<Dataset, Error> {
    let arrays: Vec<Array> = paths
        .iter()
        .map(|path| Array::of(path, input))
        .collect::<Result<_, _>>()?;
    let Some(first) = arrays.first() else {
        return Err(Error::EmptySelection { name });
    };
    for array in &arrays {
        let (one, other) = (first.kind(), array.kind());
        if one != other {
            let expected = format!("{one}, as {} has", first.name);
            return Err(Error::malformed(&array.name, "inputs", other, expected));
        }
    }
    let total = arrays.iter().map(|array| array.rows).sum();
    let ranges = selection.ranges(&name, total)?;
    let (mut values, mut before) = (None, 0);
    for array in &arrays {
        let here = cut(&ranges, before, array.rows);
        before += array.rows;
        if here.is_empty() {
            continue;
        }
        let found = array.read(&here)?;
        // Checked for itself: an error names the file and its row.
        let found = Dataset::new(&array.name, &array.input, found);
        let found = found.map_err(|error| in_file(error, &here))?.values;
        values = Some(match values {
            None => found,
            Some(before) => joined(before, found),
        });
    }
    let values = values.ok_or_else(|| Error::EmptySelection { name: name.clone() })?;
    Ok(Dataset::new(name, &first.input, values)?.of_array())
}

/// Values of one kind, one after the other.
fn joined(before: Values, mut more: Values) -> Values {
    let mut before = before;
    match (&mut before, &mut more) {
        (Values::Bytes(all), Values::Bytes(more)) => all.append(more),
        (Values::F32(all), Values::F32(more)) => all.append(more),
        (Values::F64(all), Values::F64(more)) => all.append(more),
        // Of one element type, so of one kind.
        _ => {}
    }
    before
}

/// A file whose header is known.
struct Array {
    path: PathBuf,
    name: String,
    descr: String,
    element: Element,
    fortran_order: bool,
    rows: usize,
    /// The shape of an input.
    input: Vec<usize>,
    meaning: String,
}

impl Array {
    fn of(path: &Path, input: Option<&[usize]>) -> Result<Self, Error> {
        let mut source = Source::open(path)?;
        let name = source.name().to_owned();
        let header = header(&mut source, &name)?;
        let element = Element::of_npy(&header.descr).ok_or_else(|| {
            let found = format!("{:?}", header.descr);
            Error::malformed(&name, "descr", found, Element::NPY)
        })?;
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
        if input.is_some_and(|input| fit::same(&shape, input)) {
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

    /// What several files have in common.
    fn kind(&self) -> String {
        format!(
            "inputs of shape {} of {}",
            shape_text(&self.input),
            self.descr
        )
    }

    /// The rows of `ranges`, each in C order.
    fn read(&self, ranges: &[std::ops::Range<usize>]) -> Result<Values, Error> {
        let mut source = Source::open(&self.path)?;
        header(&mut source, &self.name)?;
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
            files @ Values::Files(_) => files,
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
