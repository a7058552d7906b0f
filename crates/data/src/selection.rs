use std::ops::Range;

use crate::{Dataset, Error, Split, train_valid};

/// Which rows of a split are wanted; others are not read where the format allows it.
///
/// ```
/// use loclin_data::{Rows, Split, source};
/// let request = source::Request { rows: Rows::First(2), ..source::Request::of(Split::Test) };
/// let two = source::open_with("digits", &request)?;
/// assert_eq!(two.len(), 2);
/// # Ok::<(), loclin_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// All of them.
    All,
    /// As many from the first on, or all where there are fewer.
    First(usize),
    /// The one of this index, which counts from 0.
    One(usize),
}

impl Rows {
    /// The rows of inputs that are in memory already.
    pub(crate) fn of_table(self, table: Dataset) -> Result<Dataset, Error> {
        match self {
            Self::All => Ok(table),
            Self::First(n) => table.take(n),
            Self::One(row) => table.subset(&[row]),
        }
    }

    /// Those of a split's rows `all`, at least one.
    pub(crate) fn among<'a>(self, name: &str, all: &'a [usize]) -> Result<&'a [usize], Error> {
        let name = || name.to_owned();
        let chosen = match self {
            Self::All => all,
            Self::First(n) => &all[..n.min(all.len())],
            Self::One(row) => all.get(row..=row).ok_or_else(|| Error::RowRange {
                name: name(),
                row,
                rows: all.len(),
            })?,
        };
        match chosen.is_empty() {
            true => Err(Error::EmptySelection { name: name() }),
            false => Ok(chosen),
        }
    }
}

/// A split of a file's rows, and which of the split's rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Selection {
    pub(crate) split: Split,
    pub(crate) seed: u64,
    pub(crate) rows: Rows,
}

impl Selection {
    /// Every row of a file.
    pub(crate) const WHOLE: Self = Self {
        split: Split::Test,
        seed: 0,
        rows: Rows::All,
    };

    /// The rows among the `total` of the file `name`: ranges that ascend and do not touch, together at least one row.
    pub(crate) fn ranges(self, name: &str, total: usize) -> Result<Vec<Range<usize>>, Error> {
        let split = match self.split {
            // The only split whose memory does not grow with a file that may be sparse.
            Split::Test => std::iter::once(0..total).collect(),
            Split::Train | Split::Valid if total > MAX_DIVIDED => {
                let expected = format!("at most {MAX_DIVIDED} to divide into train and valid");
                return Err(Error::malformed(name, "rows", total.to_string(), expected));
            }
            Split::Train => joined(&train_valid(total, self.seed).0),
            Split::Valid => joined(&train_valid(total, self.seed).1),
        };
        let rows = split.iter().map(Range::len).sum();
        let wanted = match self.rows {
            Rows::All => 0..rows,
            Rows::First(n) => 0..n.min(rows),
            Rows::One(row) if row < rows => row..row + 1,
            Rows::One(row) => {
                let name = name.to_owned();
                return Err(Error::RowRange { name, row, rows });
            }
        };
        if wanted.is_empty() {
            let name = name.to_owned();
            return Err(Error::EmptySelection { name });
        }
        Ok(within(&split, &wanted))
    }
}

/// The same error with the row of the file, where it names one of the rows that `ranges` selected.
pub(crate) fn in_file(mut error: Error, ranges: &[Range<usize>]) -> Error {
    if let Error::NotFinite { row, .. } | Error::LabelRange { row, .. } = &mut error {
        let at = *row..row.saturating_add(1);
        if let Some(range) = within(ranges, &at).first() {
            *row = range.start;
        }
    }
    error
}

/// The rows of `ranges` among the `count` from `start` on, counted from there.
pub(crate) fn cut(ranges: &[Range<usize>], start: usize, count: usize) -> Vec<Range<usize>> {
    let one = |range: &Range<usize>| {
        let (from, to) = (
            range.start.max(start),
            range.end.min(start.saturating_add(count)),
        );
        (from < to).then(|| from - start..to - start)
    };
    ranges.iter().filter_map(one).collect()
}

/// The most rows that are divided: their order takes eight bytes each.
const MAX_DIVIDED: usize = 1 << 27;

/// Ascending rows as ranges.
fn joined(rows: &[usize]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for &row in rows {
        match ranges.last_mut() {
            Some(last) if last.end == row => last.end += 1,
            _ => ranges.push(row..row + 1),
        }
    }
    ranges
}

/// The rows of `ranges` that are the `wanted` among them.
fn within(ranges: &[Range<usize>], wanted: &Range<usize>) -> Vec<Range<usize>> {
    let mut before = 0;
    let mut out = Vec::new();
    for range in ranges {
        let start = wanted.start.max(before);
        let end = wanted.end.min(before + range.len());
        if start < end {
            out.push(range.start + (start - before)..range.start + (end - before));
        }
        before += range.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_the_rows_of_the_split() -> Result<(), Error> {
        for split in [Split::Train, Split::Valid, Split::Test] {
            let all = match split {
                Split::Train => train_valid(100, 3).0,
                Split::Valid => train_valid(100, 3).1,
                Split::Test => (0..100).collect(),
            };
            for (rows, expected) in [
                (Rows::All, &all[..]),
                (Rows::First(5), &all[..5]),
                (Rows::First(1000), &all[..]),
                (Rows::One(4), &all[4..5]),
            ] {
                let selection = Selection {
                    split,
                    seed: 3,
                    rows,
                };
                let ranges = selection.ranges("set", 100)?;
                assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
                let found: Vec<usize> = ranges.into_iter().flatten().collect();
                assert_eq!(found, expected);
            }
        }
        let none = Selection {
            rows: Rows::One(100),
            ..Selection::WHOLE
        };
        assert!(matches!(
            none.ranges("set", 100),
            Err(Error::RowRange { rows: 100, .. })
        ));
        let huge = Selection {
            split: Split::Train,
            ..Selection::WHOLE
        };
        assert!(huge.ranges("set", usize::MAX).is_err());
        Ok(())
    }
}
