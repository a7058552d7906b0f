//! Bounds as a job: one input after the other, appended to a table.

use std::collections::BTreeSet;
use std::path::Path;

use super::kept;
use super::measure::Measure;
use super::outcome::{Outcome, Shown};
use super::row::Row;
use super::table::Table;
use crate::program::jobs::{self, Begun, Job, JobOptions, Journal, Settings, Shard};
use crate::program::progress::Bar;
use crate::program::stop;

/// The name of the command whose jobs these are.
pub(crate) const COMMAND: &str = "bound";

/// What is asked about.
pub(super) struct Bounded<'a> {
    pub(super) measure: Measure<'a>,
    pub(super) table: Table<'a>,
    pub(super) inputs: usize,
    /// Whether bounds are needed when all inputs are done.
    pub(super) keeps_bounds: bool,
}

/// The answers for every input, or for those of a part, in their order; appended to the table `out`, if there is one.
pub(super) fn run(
    mut of: Bounded<'_>,
    out: Option<&Path>,
    (settings, shown): (Settings, &Shown),
    (shard, options): (Shard, &JobOptions),
) -> anyhow::Result<Vec<Row>> {
    let inputs: Vec<usize> = (0..of.inputs).collect();
    let (mut found, mut begun) = (Vec::new(), None);
    if let Some(out) = out {
        let job = Job::new(
            COMMAND,
            shard,
            inputs.len(),
            settings,
            serde_json::to_value(shown)?,
        );
        let job = jobs::begin(out, job, of.table.header()?, options)?;
        if !job.done.is_empty() {
            found = kept::rows(out)?;
            tracing::info!("{}: goes on behind {} inputs", out.display(), found.len());
        }
        begun = Some(job);
        stop::watch();
    }
    let bar = Bar::count("bounding", shard.part(&inputs).count() as u64);
    bar.go_on(found.len() as u64);
    let (done, mut writer) = match begun {
        Some(Begun { writer, done }) => (done, Some(writer)),
        None => (BTreeSet::new(), None),
    };
    for input in shard.part(&inputs).filter(|input| !done.contains(input)) {
        stop::check()?;
        let row = of.measure.row(*input)?;
        // What an interrupt ended early is no answer.
        stop::check()?;
        if let Some(writer) = &mut writer {
            writer.append(*input, &of.table.lines(&row)?, &())?;
        }
        found.push(if of.keeps_bounds {
            row
        } else {
            row.without_bounds()
        });
        bar.advance(1);
    }
    if let Some(writer) = writer {
        writer.finish()?;
    }
    Ok(found)
}

/// What is said of the table `out`, of a job or of parts that were put together.
///
/// # Errors
/// A table or journal that cannot be read.
pub(crate) fn outcome_of(out: &Path) -> anyhow::Result<Outcome> {
    let journal = Journal::of(out)?;
    let shown: Shown = serde_json::from_value(journal.job().shown.clone())?;
    let rows = kept::rows(out)?;
    let seconds = rows.iter().map(|row| row.seconds).sum();
    Ok(Outcome {
        out: Some(out.to_owned()),
        ..Outcome::new(shown, rows, seconds)
    })
}
