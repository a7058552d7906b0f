//! The results of all parts of a sweep, put together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::outcome::Outcome;
use super::table::Results;
use crate::program::files;
use crate::program::jobs::{MergeError, Named, Shard, placed};

/// Puts the results in the directories `parts` together in the directory `out`; runs stay where they are.
///
/// # Errors
/// Results that are there, without `force`; those of different sweeps or of runs on different data, runs that are missing or doubled,
/// directories that cannot be used.
pub fn merge(parts: &[PathBuf], out: &Path, force: bool) -> anyhow::Result<Outcome> {
    check_new(out, force)?;
    let read = parts
        .iter()
        .map(|directory| Ok((directory.as_path(), Results::read(directory)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let results = merged(read)?;
    files::create_dir(out)?;
    let held = files::lock(out)?;
    check_new(out, force)?;
    results.write(&held)?;
    Ok(Outcome::new(results, out.to_owned()).with_parts(parts.to_vec()))
}

/// Refuses to replace results, unless they may be.
fn check_new(out: &Path, force: bool) -> Result<(), MergeError> {
    match Results::there(out).filter(|_| !force) {
        Some(out) => Err(MergeError::Exists { out }),
        None => Ok(()),
    }
}

/// The digests of the data of all parts, which are the same wherever two parts have one.
fn data(parts: &[(&Path, Results)]) -> Result<BTreeMap<String, String>, MergeError> {
    let mut found: BTreeMap<&String, (&String, &Path)> = BTreeMap::new();
    for (place, part) in parts {
        for (name, digest) in &part.data {
            let (known, first) = *found.entry(name).or_insert((digest, *place));
            if known != digest {
                let [first, other] = [first, *place].map(Path::to_owned);
                let cause = format!("the SHA-256 of the data `{name}` is {known} and {digest}");
                return Err(MergeError::Other {
                    first,
                    other,
                    cause,
                });
            }
        }
    }
    let found = found.into_iter();
    Ok(found
        .map(|(name, (digest, _))| (name.clone(), digest.clone()))
        .collect())
}

/// Every run of the sweep exactly once, in the order of the plan.
fn merged(parts: Vec<(&Path, Results)>) -> anyhow::Result<Results> {
    let Some((first, whole)) = parts.first() else {
        anyhow::bail!("no parts");
    };
    for (other, part) in &parts {
        if (&part.sweep, &part.planned) != (&whole.sweep, &whole.planned) {
            let [first, other] = [first, other].map(|place| (*place).to_owned());
            let cause = "configurations or rules differ".to_owned();
            return Err(MergeError::Other {
                first,
                other,
                cause,
            }
            .into());
        }
    }
    let data = data(&parts)?;
    let named: Vec<Named<'_, &String>> = parts
        .iter()
        .map(|(place, part)| Named {
            place,
            items: part.rows.iter().map(|row| &row.run).collect(),
        })
        .collect();
    let planned: Vec<&String> = whole.planned.iter().collect();
    let places = placed(["run", "runs"], &planned, &named)?;
    let row = |(run, at): (&String, usize)| {
        let mut rows = parts[at].1.rows.iter();
        rows.find(|row| row.run == *run).cloned()
    };
    let rows = whole.planned.iter().zip(places).filter_map(row).collect();
    let whole = Results {
        rows,
        data,
        shard: Shard::default(),
        ..whole.clone()
    };
    Ok(whole.completed())
}
