//! Cross-validation: training data in parts, each of which validates once.

use std::collections::BTreeMap;

use crate::batches::permutation;
use crate::data::Data;
use crate::error::Error;
use crate::selection::Rows;
use crate::split::Split;

/// The stream of the parts; that of the split is one above, and epochs count up from 0.
const STREAM: u64 = u64::MAX - 1;

/// One of the parts that training data are divided into, those rows included that otherwise validate: it validates, and the
/// others train. Test data have no part in it.
///
/// ```
/// use loclin_data::{Fold, Split, source};
/// let part = |index, split| {
///     let fold = Some(Fold::new(index, 5)?);
///     source::open_with("digits", &source::Request { fold, ..source::Request::of(split) })
/// };
/// // 8,000 rows in five parts.
/// assert_eq!((part(0, Split::Train)?.len(), part(0, Split::Valid)?.len()), (6400, 1600));
/// # Ok::<(), loclin_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fold {
    index: usize,
    of: usize,
}

impl Fold {
    /// Part `index`, counted from 0, of the parts `of`. Of a single part all rows train, and the same rows validate.
    ///
    /// # Errors
    /// No parts, or a part that is not among them.
    pub fn new(index: usize, of: usize) -> Result<Self, Error> {
        match index < of {
            true => Ok(Self { index, of }),
            false => Err(Error::Parameter {
                name: "fold",
                found: format!("{index} of {of}"),
                expected: "a part that counts from 0, less than the number of parts",
            }),
        }
    }

    /// Divides rows with these labels by seed into `(train, valid)`, both ascending. Every part has as many rows of every class as any
    /// other, but for one, and as many rows.
    ///
    /// ```
    /// let fold = loclin_data::Fold::new(1, 2)?;
    /// let (train, valid) = fold.divide(&[0, 0, 1, 1], 7);
    /// assert_eq!((train.len(), valid.len()), (2, 2));
    /// assert!(valid[0] < 2 && valid[1] >= 2);
    /// # Ok::<(), loclin_data::Error>(())
    /// ```
    pub fn divide(self, labels: &[u32], seed: u64) -> (Vec<usize>, Vec<usize>) {
        if self.of == 1 {
            let all: Vec<usize> = (0..labels.len()).collect();
            return (all.clone(), all);
        }
        let mut classes = BTreeMap::<u32, Vec<usize>>::new();
        for row in permutation(labels.len(), seed, STREAM) {
            classes.entry(labels[row]).or_default().push(row);
        }
        // The count goes on from class to class, so that the first parts do not get every remainder.
        let (mut train, mut valid) = (Vec::new(), Vec::new());
        for (count, row) in classes.into_values().flatten().enumerate() {
            let validates = count % self.of == self.index;
            if validates { &mut valid } else { &mut train }.push(row);
        }
        train.sort_unstable();
        valid.sort_unstable();
        (train, valid)
    }

    /// The rows asked for of the part's training or validation data, among all training data.
    pub(crate) fn select(
        self,
        all: &Data,
        split: Split,
        seed: u64,
        rows: Rows,
    ) -> Result<Data, Error> {
        let labels = all.labels().ok_or_else(|| Error::Unlabelled {
            name: all.name().to_owned(),
        })?;
        if self.of > labels.len() {
            return Err(Error::Parameter {
                name: "folds",
                found: format!(
                    "{} for the {} rows of {}",
                    self.of,
                    labels.len(),
                    all.name()
                ),
                expected: "at most as many parts as rows",
            });
        }
        let (train, valid) = self.divide(labels, seed);
        let own = if split == Split::Valid { valid } else { train };
        all.subset(rows.among(all.name(), &own)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dataset, Values};

    #[test]
    fn every_row_validates_once_and_the_parts_are_alike() {
        let labels: Vec<u32> = (0..97).map(|row| row % 7 % 4).collect();
        for (of, seed) in [(2, 0), (5, 1), (10, 2)] {
            let mut seen = vec![0; labels.len()];
            for index in 0..of {
                let (train, valid) = Fold::new(index, of).unwrap().divide(&labels, seed);
                assert_eq!(train.len() + valid.len(), labels.len());
                assert!(train.iter().all(|row| valid.binary_search(row).is_err()));
                assert!((valid.len() as f64 - 97.0 / of as f64).abs() < 1.0);
                for class in 0..4 {
                    let count = |rows: &[usize]| {
                        rows.iter().filter(|&&r| labels[r] == class).count() as f64
                    };
                    let all = count(&train) + count(&valid);
                    assert!((count(&valid) - all / of as f64).abs() < 1.0);
                }
                valid.iter().for_each(|row| seen[*row] += 1);
            }
            assert!(seen.iter().all(|count| *count == 1));
        }
        let first = Fold::new(0, 5).unwrap();
        assert_eq!(first.divide(&labels, 3), first.divide(&labels, 3));
        assert_ne!(first.divide(&labels, 3), first.divide(&labels, 4));
        assert!(Fold::new(5, 5).is_err() && Fold::new(0, 0).is_err());
    }

    #[test]
    fn there_are_no_more_parts_than_rows() {
        let set = Dataset::new("set", &[1], Values::Bytes(vec![0; 8]));
        let set = set.and_then(|set| set.with_labels(vec![0; 8], Some(1)));
        let set: Data = set.unwrap().into();
        let select = |of| Fold::new(0, of)?.select(&set, Split::Valid, 0, Rows::All);
        assert_eq!(select(8).unwrap().len(), 1);
        let error = select(9).unwrap_err().to_string();
        assert!(error.contains("9 for the 8 rows of set"), "{error}");
    }
}
