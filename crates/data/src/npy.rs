//! `.npy` files of NumPy, versions 1 to 3: arrays of numbers.

use std::path::{Path, PathBuf};

use crate::dataset::Dataset;
use crate::error::Error;
use crate::fit::Wanted;
use crate::labels;
use crate::npy_array::Array;
use crate::npy_rows;
use crate::selection::{Selection, cut, in_file};
use crate::values::{element_count, shape_text};

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

/// The same for some of the rows; the values of others are not read. An array that is one of the inputs wanted is one row.
pub(crate) fn read_selected(
    path: &Path,
    selection: Selection,
    input: Option<Wanted<'_>>,
) -> Result<Dataset, Error> {
    read_all(
        path.display().to_string(),
        &[path.to_owned()],
        selection,
        input,
    )
}

/// Some of the rows of several files, one after the other; they are of one shape and element type. Where they are many values they
/// stay in their files.
pub(crate) fn read_all(
    name: String,
    paths: &[PathBuf],
    selection: Selection,
    input: Option<Wanted<'_>>,
) -> Result<Dataset, Error> {
    read_piecewise(name, paths, selection, input, npy_rows::AT_ONCE)
}

/// The same with the labels that another file holds for all the rows.
pub(crate) fn read_labelled(
    name: String,
    paths: &[PathBuf],
    labels: &Path,
    selection: Selection,
    input: Option<Wanted<'_>>,
) -> Result<Dataset, Error> {
    let arrays = paths.iter().map(|path| Array::of(path, input));
    let rows = total(&arrays.collect::<Result<Vec<_>, _>>()?)?;
    let set = read_all(name, paths, selection, input)?;
    let inputs = (set.name(), rows);
    let labels = labels::read_npy(labels, selection, inputs)?;
    set.with_labels(labels, None)
}

/// How many rows several arrays have together.
fn total(arrays: &[Array]) -> Result<usize, Error> {
    let mut rows = arrays.iter().map(|array| array.rows);
    let sum = rows.try_fold(0_usize, usize::checked_add);
    sum.ok_or_else(|| {
        let name = arrays.last().map_or("", |array| &array.name);
        let expected = "fewer rows than a machine can count, together with the other files";
        Error::malformed(name, "rows", "more", expected)
    })
}

/// The same with so many values in memory at most.
fn read_piecewise(
    name: String,
    paths: &[PathBuf],
    selection: Selection,
    input: Option<Wanted<'_>>,
    at_once: usize,
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
    let total = total(&arrays)?;
    let ranges = selection.ranges(&name, total)?;
    let input = first.input.clone();
    let features: usize = input.iter().product();
    let is_large = npy_rows::is_large(&ranges, features, at_once);
    if is_large && arrays.iter().all(Array::is_by_row) {
        let values = npy_rows::checked(arrays, &ranges, at_once)?;
        return Ok(Dataset::new(name, &input, values)?.of_array());
    }
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
            Some(before) => npy_rows::joined(before, found),
        });
    }
    let values = values.ok_or_else(|| Error::EmptySelection { name: name.clone() })?;
    Ok(Dataset::new(name, &input, values)?.of_array())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Data, Rows, Split};

    #[test]
    fn rows_that_stay_in_their_files_are_those_in_memory() -> Result<(), Box<dyn std::error::Error>>
    {
        let dir = tempfile::tempdir()?;
        let paths: Vec<PathBuf> = (0..3)
            .map(|i| dir.path().join(format!("{i}.npy")))
            .collect();
        for (file, path) in paths.iter().enumerate() {
            let values: Vec<f64> = (0..20)
                .map(|i| f64::from(i * 7 % 11) + file as f64 * 0.5)
                .collect();
            std::fs::write(path, encode(&[5, 2, 2], &values)?)?;
        }
        for rows in [Rows::All, Rows::First(7), Rows::One(11)] {
            let selection = Selection {
                split: Split::Test,
                seed: 0,
                rows,
            };
            let read = |at_once| read_piecewise("set".into(), &paths, selection, None, at_once);
            let (whole, pieces) = (read(1000)?, read(3)?);
            assert!(matches!(pieces.values(), crate::Values::Stored(_)));
            assert!(matches!(whole.values(), crate::Values::F64(_)));
            let all: Vec<usize> = (0..whole.len()).collect();
            let mut order: Vec<usize> = all.iter().rev().copied().collect();
            order.extend(all.iter().copied().chain([0]));
            assert_eq!(pieces.rows_f64(&order)?, whole.rows_f64(&order)?);
            assert_eq!(pieces.rows_f32(&order)?, whole.rows_f32(&order)?);
            assert_eq!(pieces.subset(&order)?, whole.subset(&order)?);
            let content = |set: Dataset| {
                let mut bytes: Vec<u8> = Vec::new();
                Data::from(set)
                    .content(&mut |piece| bytes.extend(piece))
                    .map(|()| bytes)
            };
            let few = |set: &Dataset| set.clone().take(2).and_then(content);
            assert_eq!(few(&pieces)?, few(&whole)?);
            assert_eq!(pieces.applied(), whole.applied());
            assert!(pieces.rows_f64(&[whole.len()]).is_err());
            assert_eq!(content(pieces)?, content(whole)?);
        }
        let mut values = vec![0.0; 20];
        values[13] = f64::NAN;
        std::fs::write(&paths[1], encode(&[5, 2, 2], &values)?)?;
        let error = read_piecewise("set".into(), &paths, Selection::WHOLE, None, 3).unwrap_err();
        assert!(
            matches!(&error, Error::NotFinite { row: 3, column: 1, name, .. } if name.ends_with("1.npy"))
        );
        Ok(())
    }
}
