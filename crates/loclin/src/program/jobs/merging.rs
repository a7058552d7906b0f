//! Parts put together: everything that was planned exactly once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Why parts do not make up one whole.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// There is a result already.
    #[error("{}: there is a result already; --force replaces it", out.display())]
    Exists {
        /// Where the whole was to be.
        out: PathBuf,
    },
    /// Settings differ.
    #[error("{}: of another job than {}: {cause}", other.display(), first.display())]
    Other {
        /// The part named first.
        first: PathBuf,
        /// The one that differs.
        other: PathBuf,
        /// In what.
        cause: String,
    },
    /// Two parts have the same.
    #[error("{item} is doubled: {} and {} both have it", first.display(), second.display())]
    Doubled {
        /// What both have.
        item: String,
        /// Where it was found first.
        first: PathBuf,
        /// Where it was found again.
        second: PathBuf,
    },
    /// Something that nobody planned.
    #[error("{}: {item} is none of this job", place.display())]
    Unplanned {
        /// What it is.
        item: String,
        /// Where it was found.
        place: PathBuf,
    },
    /// Something that no part has.
    #[error("{count} of {planned} {kind} are missing: {listed}")]
    Missing {
        /// How many.
        count: usize,
        /// How many there should be.
        planned: usize,
        /// What they are called.
        kind: &'static str,
        /// The first of them.
        listed: String,
    },
}

/// A part: where it is, and what it has.
#[derive(Debug)]
pub struct Named<'a, K> {
    /// Its place, for errors.
    pub place: &'a Path,
    /// What it has.
    pub items: Vec<K>,
}

/// For each of the `planned` things, called so as one and as many, which of the parts has it.
///
/// # Errors
/// A thing that is missing, that two parts have, or that was not planned.
pub fn placed<K: Ord + Display>(
    [one, many]: [&'static str; 2],
    planned: &[K],
    parts: &[Named<'_, K>],
) -> Result<Vec<usize>, MergeError> {
    let mut found: BTreeMap<&K, usize> = BTreeMap::new();
    let known: BTreeMap<&K, ()> = planned.iter().map(|item| (item, ())).collect();
    let name = |item: &K| format!("{one} `{item}`");
    for (at, part) in parts.iter().enumerate() {
        for item in &part.items {
            if !known.contains_key(item) {
                let (item, place) = (name(item), part.place.to_owned());
                return Err(MergeError::Unplanned { item, place });
            }
            if let Some(before) = found.insert(item, at) {
                let [first, second] = [before, at].map(|part| parts[part].place.to_owned());
                let item = name(item);
                return Err(MergeError::Doubled {
                    item,
                    first,
                    second,
                });
            }
        }
    }
    if found.len() < planned.len() {
        let missing = planned.iter().filter(|item| !found.contains_key(item));
        let counts = [planned.len() - found.len(), planned.len()];
        return Err(MergeError::missing(many, counts, missing));
    }
    Ok(planned
        .iter()
        .filter_map(|item| found.get(item).copied())
        .collect())
}

impl MergeError {
    /// So many of all that were planned, the first few of which are listed.
    pub fn missing<K: Display>(
        kind: &'static str,
        [count, planned]: [usize; 2],
        items: impl Iterator<Item = K>,
    ) -> Self {
        let shown = items.take(5).map(|item| format!("`{item}`"));
        let mut listed = shown.collect::<Vec<_>>().join(", ");
        if count > 5 {
            listed.push_str(", ...");
        }
        Self::Missing {
            count,
            planned,
            kind,
            listed,
        }
    }
}
