//! One of several parts of a job.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The `index`-th of `count` parts; both counted from 1.
///
/// ```
/// use loclin::program::jobs::Shard;
/// let shard: Shard = "2/3".parse()?;
/// assert_eq!(shard.part(&[10, 11, 12, 13, 14]).collect::<Vec<_>>(), [&11, &14]);
/// assert!("4/3".parse::<Shard>().is_err());
/// # Ok::<(), loclin::program::jobs::ShardError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: usize,
    count: usize,
}

/// Why a shard was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected I/N with 1 <= I <= N, such as 1/3")]
pub struct ShardError;

impl Shard {
    /// Every `count`-th item from the `index`-th on: the shards of a list have each item once.
    pub fn part<T>(self, items: &[T]) -> impl Iterator<Item = &T> {
        items.iter().skip(self.index - 1).step_by(self.count)
    }

    /// Whether it is all there is.
    pub fn is_whole(self) -> bool {
        self.count == 1
    }
}

impl Shard {
    /// The `index`-th of `count`.
    ///
    /// # Errors
    /// An index that is not among `1..=count`.
    pub fn new(index: usize, count: usize) -> Result<Self, ShardError> {
        match (1..=count).contains(&index) {
            true => Ok(Self { index, count }),
            false => Err(ShardError),
        }
    }
}

impl Default for Shard {
    /// The whole.
    fn default() -> Self {
        Self { index: 1, count: 1 }
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (index, count) = text.split_once('/').ok_or(ShardError)?;
        let number = |text: &str| text.parse::<usize>().map_err(|_| ShardError);
        Self::new(number(index)?, number(count)?)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl TryFrom<String> for Shard {
    type Error = ShardError;

    fn try_from(text: String) -> Result<Self, ShardError> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}
