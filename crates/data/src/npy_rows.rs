//! Rows of large `.npy` files, which stay there until they are asked for.

use std::ops::Range;
use std::sync::Arc;

use crate::dataset::Dataset;
use crate::error::Error;
use crate::npy_array::Array;
use crate::selection::{cut, in_file};
use crate::values::{ReadRows, StoredRows, Values};

/// Values that are taken into memory at once; arrays with more stay in their files.
pub(crate) const AT_ONCE: usize = 1 << 23;

/// Rows of several arrays, one array after the other.
#[derive(Debug)]
struct NpyRows {
    name: String,
    arrays: Vec<Array>,
    /// Which rows of all arrays they are.
    ranges: Vec<Range<usize>>,
    /// How many there are before each range.
    before: Vec<usize>,
}

/// Whether so many rows are more values than are taken into memory at once.
pub(crate) fn is_large(ranges: &[Range<usize>], features: usize, at_once: usize) -> bool {
    let rows: usize = ranges.iter().map(Range::len).sum();
    rows.saturating_mul(features) > at_once
}

/// The rows of `ranges`, every value of which has been looked at, some at a time.
///
/// # Errors
/// Values that are not finite, or files that are not as long as their headers say.
pub(crate) fn checked(
    arrays: Vec<Array>,
    ranges: &[Range<usize>],
    at_once: usize,
) -> Result<Values, Error> {
    let empty = || Error::EmptySelection {
        name: String::new(),
    };
    let first = arrays.first().ok_or_else(empty)?;
    let (features, mut is_bytes) = (first.input.iter().product::<usize>(), false);
    let (rows_at_once, mut before) = ((at_once / features.max(1)).max(1), 0);
    for array in &arrays {
        for range in cut(ranges, before, array.rows) {
            for start in range.clone().step_by(rows_at_once) {
                let piece = start..(start + rows_at_once).min(range.end);
                let piece = std::slice::from_ref(&piece);
                let found = array.read(piece)?;
                is_bytes = matches!(found, Values::Bytes(_));
                Dataset::new(&array.name, &array.input, found)
                    .map_err(|error| in_file(error, piece))?;
            }
        }
        before += array.rows;
    }
    let sum = |before: &mut usize, range: &Range<usize>| {
        *before += range.len();
        Some(*before - range.len())
    };
    let rows = NpyRows {
        name: first.name.clone(),
        before: ranges.iter().scan(0, sum).collect(),
        ranges: ranges.to_vec(),
        arrays,
    };
    let count = ranges.iter().map(Range::len).sum();
    Ok(Values::Stored(StoredRows::new(
        Arc::new(rows),
        (count, features),
        is_bytes,
    )))
}

impl NpyRows {
    /// Which row of all arrays a row is.
    fn place(&self, row: usize) -> Result<usize, Error> {
        let at = self.before.partition_point(|before| *before <= row);
        let range = at
            .checked_sub(1)
            .and_then(|at| Some((self.ranges.get(at)?, self.before.get(at)?)));
        let place = range.map(|(range, before)| range.start + (row - before));
        place.ok_or_else(|| Error::RowRange {
            name: self.name.clone(),
            row,
            rows: self.ranges.iter().map(Range::len).sum(),
        })
    }
}

impl ReadRows for NpyRows {
    fn read(&self, rows: &[usize]) -> Result<Values, Error> {
        let mut places = rows
            .iter()
            .map(|row| self.place(*row))
            .collect::<Result<Vec<_>, _>>()?;
        let wanted = places.clone();
        places.sort_unstable();
        places.dedup();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for &place in &places {
            match ranges.last_mut() {
                Some(last) if last.end == place => last.end += 1,
                _ => ranges.push(place..place + 1),
            }
        }
        let (mut found, mut before) = (None, 0);
        for array in &self.arrays {
            let here = cut(&ranges, before, array.rows);
            before += array.rows;
            if here.is_empty() {
                continue;
            }
            let more = array.read(&here)?;
            found = Some(match found {
                None => more,
                Some(found) => joined(found, more),
            });
        }
        let empty = || Error::EmptySelection {
            name: self.name.clone(),
        };
        let found = found.ok_or_else(empty)?;
        if places == wanted {
            return Ok(found);
        }
        let order: Vec<usize> = wanted
            .iter()
            .filter_map(|place| places.binary_search(place).ok())
            .collect();
        Ok(match found {
            Values::Bytes(values) => Values::Bytes(in_order(&values, &order, places.len())),
            Values::F32(values) => Values::F32(in_order(&values, &order, places.len())),
            Values::F64(values) => Values::F64(in_order(&values, &order, places.len())),
            other => other,
        })
    }
}

/// The given ones of so many rows.
fn in_order<T: Copy>(values: &[T], order: &[usize], rows: usize) -> Vec<T> {
    let features = values.len() / rows.max(1);
    let row = |&row: &usize| values[row * features..(row + 1) * features].iter().copied();
    order.iter().flat_map(row).collect()
}

/// Values of one kind, one after the other.
pub(crate) fn joined(before: Values, mut more: Values) -> Values {
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
