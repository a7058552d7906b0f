use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::Error;
use crate::batches::permutation;

/// The part of a dataset that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// Rows that parameters are fitted to.
    Train,
    /// Rows that models are chosen by; taken from the training data by seed.
    Valid,
    /// Held-out rows, the same for every seed.
    Test,
}

impl Split {
    /// The name, as it is written on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Split {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word {
            "train" => Ok(Self::Train),
            "valid" => Ok(Self::Valid),
            "test" => Ok(Self::Test),
            _ => Err(Error::UnknownSplit { given: word.into() }),
        }
    }
}

/// Divides `n` training rows into `(train, valid)` by seed: 11/12 and 1/12, both ascending.
///
/// MNIST's 60,000 training images give the 55,000/5,000 of the paper's Table 1. The validation
/// part is the first `n / 12` (rounded, at least one) of a seeded permutation, so every row is in
/// exactly one part. With fewer than two rows one part is empty.
///
/// ```
/// let (train, valid) = loclin_data::train_valid(60_000, 7);
/// assert_eq!((train.len(), valid.len()), (55_000, 5_000));
/// ```
pub fn train_valid(n: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    // Half up, without the overflow of (n + 6) / 12.
    let rounded = n / 12 + usize::from(n % 12 >= 6);
    let valid_count = rounded.max(1).min(n.saturating_sub(1));
    let mut valid = permutation(n, seed, SPLIT_STREAM);
    let mut train = valid.split_off(valid_count);
    train.sort_unstable();
    valid.sort_unstable();
    (train, valid)
}

/// Divides rows into `(train, valid)` by seed such that every class gives one in `parts` of its rows
/// (rounded down, at least one where it has two) to the latter; both ascending.
///
/// For small data, where a uniform choice may leave a class out.
///
/// ```
/// let labels = [0, 0, 0, 0, 1, 1, 1, 1];
/// let (train, valid) = loclin_data::stratified(&labels, 4, 7);
/// assert_eq!((train.len(), valid.len()), (6, 2));
/// assert!(valid[0] < 4 && valid[1] >= 4);
/// ```
pub fn stratified(labels: &[u32], parts: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut classes = BTreeMap::<u32, Vec<usize>>::new();
    for row in permutation(labels.len(), seed, SPLIT_STREAM) {
        classes.entry(labels[row]).or_default().push(row);
    }
    let (mut train, mut valid) = (Vec::new(), Vec::new());
    for rows in classes.values() {
        let count = (rows.len() / parts.max(1)).max(1).min(rows.len() - 1);
        valid.extend_from_slice(&rows[..count]);
        train.extend_from_slice(&rows[count..]);
    }
    train.sort_unstable();
    valid.sort_unstable();
    (train, valid)
}

/// The stream of the split; epochs count up from 0 and never reach it.
const SPLIT_STREAM: u64 = u64::MAX;
