//! Measurements of the parts of the inputs, put together.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::directory::{has_measurements, records_of, settings_of, write_whole};
use super::record::Record;
use crate::program::jobs::{MergeError, Named, Shard, placed};

/// What was put together.
#[derive(Clone, Debug, Serialize)]
pub struct Merged {
    /// The directory of the whole.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub out: PathBuf,
    /// How many inputs it has.
    pub inputs: usize,
    /// The input with the largest distortion.
    pub worst: usize,
}

impl fmt::Display for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} inputs, the worst is input {}; `distortion` with the same options and --out {} says more",
            self.inputs,
            self.worst,
            self.out.display()
        )
    }
}

/// Whether a directory has measurements.
pub fn is_part(directory: &Path) -> bool {
    has_measurements(directory)
}

/// Puts the measurements in the directories `parts` together in the new directory `out`.
///
/// # Errors
/// Parts with different settings, inputs that are missing or doubled, directories that cannot be used.
pub fn merge(parts: &[PathBuf], out: &Path) -> anyhow::Result<Merged> {
    let read = |path: &PathBuf| anyhow::Ok((settings_of(path)?, records_of(path)?));
    let found = parts.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let (first, _) = found.first().context("no parts")?;
    let mut whole = first.clone();
    whole.shard = Shard::default();
    for (path, (settings, _)) in parts.iter().zip(&found) {
        let mut settings = settings.clone();
        settings.shard = Shard::default();
        if settings != whole {
            let [first, other] = [&parts[0], path].map(Clone::clone);
            let cause = "their settings differ".to_owned();
            return Err(MergeError::Other {
                first,
                other,
                cause,
            }
            .into());
        }
    }
    let named: Vec<Named<'_, usize>> = parts
        .iter()
        .zip(&found)
        .map(|(place, (_, records))| Named {
            place,
            items: records.iter().map(|record| record.index).collect(),
        })
        .collect();
    let count = whole
        .inputs
        .context("measurements of a version that did not say how many inputs there are")?;
    let planned: Vec<usize> = (0..count).collect();
    let places = placed(["input", "inputs"], &planned, &named)?;
    let mut records: Vec<Record> = found.into_iter().flat_map(|(_, records)| records).collect();
    records.sort_by_key(|record| record.index);
    // Of equal ones the first.
    let larger = |best: usize, at: usize| match records[at].maximum() > records[best].maximum() {
        true => at,
        false => best,
    };
    let worst = (0..records.len()).fold(0, larger);
    write_whole(out, &whole, &records, &parts[places[worst]])?;
    Ok(Merged {
        out: out.to_owned(),
        inputs: records.len(),
        worst,
    })
}
