//! The results of all parts of a sweep, put together.

use std::path::{Path, PathBuf};

use super::outcome::Outcome;
use super::table::Results;
use crate::program::files;
use crate::program::jobs::{MergeError, Named, Shard, placed};

/// Puts the results in the directories `parts` together in the directory `out`; runs stay where they are.
///
/// # Errors
/// Results of different sweeps, runs that are missing or doubled, directories that cannot be used.
pub fn merge(parts: &[PathBuf], out: &Path) -> anyhow::Result<Outcome> {
    let parts = parts
        .iter()
        .map(|directory| Ok((directory.as_path(), Results::read(directory)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let results = merged(parts)?;
    files::create_dir(out)?;
    let _lock = files::lock(out)?;
    results.write(out)?;
    Ok(Outcome::new(results, out.to_owned()))
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
        shard: Shard::default(),
        ..whole.clone()
    };
    Ok(whole.completed())
}
