//! A certification as a job: its settings, its batches, and what is known of it all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use loclin_data::{Applied, Data};
use loclin_models::ModelFile;
use loclin_regions::{Method, Norm};
use serde::{Deserialize, Serialize};

use super::batch::{Batch, Certifier};
use super::explained::level;
use super::outcome::{Outcome, Search};
use super::question::{Question, leading};
use super::regions::{KeptPoints, Regions};
use super::result;
use super::table::Table;
use super::tally::Tally;
use crate::program::classes::Classes;
use crate::program::compute::Dtype;
use crate::program::domain::InputBox;
use crate::program::jobs::{self, Begun, Done, Job, JobOptions, Journal, Settings, Shard};
use crate::program::progress::Bar;
use crate::program::stop;

/// The name of the command whose jobs these are.
pub(crate) const COMMAND: &str = "certify";

/// What a result says beside its numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Shown {
    pub(super) model: String,
    pub(super) data: String,
    pub(super) domain: Option<InputBox>,
    pub(super) dtype: Dtype,
    pub(super) preprocessing: Applied,
    pub(super) classes: Option<Classes>,
    /// Radii above which inputs are counted; older journals do not say it.
    #[serde(default)]
    pub(super) at: Vec<f64>,
}

/// What the journal keeps of a batch.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    inputs: usize,
    neurons: usize,
    outputs: usize,
    method: String,
    search: Option<Search>,
    seconds: f64,
    regions: KeptPoints,
}

/// All that is known of the batches so far.
pub(super) struct Sum {
    tally: Tally,
    regions: Regions,
    neurons: usize,
    outputs: usize,
    method: String,
    search: Option<Search>,
    seconds: f64,
    inputs: usize,
}

/// What is certified.
pub(super) struct Certified<'a> {
    pub(super) model: &'a ModelFile,
    pub(super) data: &'a Data,
    pub(super) question: &'a Question,
    pub(super) names: Option<&'a Classes>,
    /// The folder that paths are relative to.
    pub(super) root: Option<&'a Path>,
    pub(super) shown: &'a Shown,
    /// Inputs of a batch.
    pub(super) size: usize,
}

/// Certifies every input, or those of a part; appends to the table `out`, if there is one.
pub(super) fn run(
    of: &Certified<'_>,
    out: Option<&Path>,
    settings: Settings,
    (shard, options): (Shard, &JobOptions),
) -> anyhow::Result<Sum> {
    let batches: Vec<usize> = (0..of.data.len().div_ceil(of.size)).collect();
    let table = Table {
        data: of.data,
        question: of.question,
        names: of.names,
        root: of.root,
    };
    let mut sum = Sum::new(&of.question.norms, of.shown.dtype);
    let mut begun = None;
    if let Some(out) = out {
        let shown = serde_json::to_value(of.shown)?;
        let job = Job::new(COMMAND, shard, batches.len(), settings, shown);
        let found = jobs::begin(out, job, table.header()?, options)?;
        if !found.done.is_empty() {
            sum.read(out)?;
            tracing::info!("{}: goes on behind {} inputs", out.display(), sum.inputs);
        }
        begun = Some(found);
        stop::watch();
    }
    let (done, mut writer) = match begun {
        Some(Begun { writer, done }) => (done, Some(writer)),
        None => (BTreeSet::new(), None),
    };
    let rest: Vec<usize> = shard
        .part(&batches)
        .filter(|batch| !done.contains(batch))
        .copied()
        .collect();
    let rows = |batch: usize| batch * of.size..((batch + 1) * of.size).min(of.data.len());
    let bar = Bar::count(
        "certifying",
        shard
            .part(&batches)
            .map(|batch| rows(*batch).len() as u64)
            .sum(),
    );
    bar.go_on(sum.inputs as u64);
    let mut certifier = Certifier::new(|shape: &[usize]| Ok(of.model.raw(shape)?), of.question);
    for batch in rest {
        stop::check()?;
        let rows = rows(batch);
        let numbers: Vec<usize> = rows.clone().collect();
        let found = certifier.batch(of.data.tables(&numbers)?, rows.len(), rows.start)?;
        let written = table.rows(&found, rows.start, certifier.names());
        let about = About::of(&found, &of.question.norms, writer.is_some());
        written.iter().for_each(|row| sum.tally.add(row));
        if let Some(writer) = &mut writer {
            writer.append(batch, &table.lines(&written)?, &about)?;
        }
        sum.add(&about);
        for (shape, points) in found.points {
            sum.regions.add(&shape, points);
        }
        bar.advance(rows.len() as u64);
    }
    if let Some(writer) = writer {
        writer.finish()?;
    }
    Ok(sum)
}

impl About {
    fn of(batch: &Batch, norms: &[Norm], is_kept: bool) -> Self {
        let first = batch.margins.first();
        let method = batch
            .margins
            .get(leading(norms))
            .map(|margins| margins.method);
        Self {
            inputs: batch.predictions.len(),
            neurons: batch.neurons,
            outputs: batch.outputs,
            method: method.map_or(String::new(), |method: Method| method.to_string()),
            search: first.and_then(Search::of),
            seconds: batch.seconds,
            regions: KeptPoints::new(if is_kept { &batch.points } else { &[] }),
        }
    }
}

impl Sum {
    fn new(norms: &[Norm], dtype: Dtype) -> Self {
        Self {
            tally: Tally::new(norms),
            regions: Regions::new(dtype.candle()),
            neurons: 0,
            outputs: 0,
            method: String::new(),
            search: None,
            seconds: 0.0,
            inputs: 0,
        }
    }

    /// Everything that a table and its journal say.
    fn read(&mut self, out: &Path) -> anyhow::Result<()> {
        result::each(out, |row| {
            self.tally.add(&row);
            Ok(())
        })?;
        if let Some(mut journal) = Journal::open(out)? {
            while let Some(Done { about, .. }) = journal.next_done::<About>()? {
                self.add(&about);
                self.regions.add_kept(&about.regions)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, about: &About) {
        self.neurons = self.neurons.max(about.neurons);
        self.outputs = about.outputs;
        self.method.clone_from(&about.method);
        self.search = match (self.search.take(), about.search) {
            (Some(whole), Some(search)) => Some(whole.joined(self.inputs, search, about.inputs)),
            (whole, search) => search.or(whole),
        };
        self.seconds += about.seconds;
        self.inputs += about.inputs;
    }

    /// All rows together.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What is said of it.
    pub(super) fn outcome(&self, shown: Shown, out: Option<PathBuf>) -> anyhow::Result<Outcome> {
        let (regions, tally) = (self.regions.count(), &self.tally);
        let names = shown.classes.as_ref();
        Ok(Outcome {
            model: shown.model.into(),
            data: shown.data,
            inputs: tally.inputs(),
            neurons: self.neurons,
            accuracy: tally.accuracy(),
            domain: shown.domain,
            clr_lower: regions.lower,
            clr_upper: regions.upper,
            clr_guarantee: regions.guarantee,
            on_boundary: regions.on_boundary,
            zero: tally.zero().clone(),
            margins: tally.percentiles()?,
            worst: tally.worst(),
            above: tally.above(&shown.at),
            limiting: tally.extremes().limiting(),
            level: level(&shown.preprocessing),
            seconds: self.seconds,
            inputs_per_second: tally.inputs() as f64 / self.seconds.max(f64::MIN_POSITIVE),
            guarantee: tally.guarantee(),
            method: self.method.clone(),
            search: self.search,
            out,
            report: None,
            dtype: shown.dtype,
            preprocessing: shown.preprocessing,
            warning: tally.warning(self.outputs, names),
            classes: names.map_or(Vec::new(), |names| tally.by_class(names)),
        })
    }
}

/// What is said of the table `out`, of a job or of parts that were put together.
///
/// # Errors
/// A table or journal that cannot be read.
pub(crate) fn outcome_of(out: &Path) -> anyhow::Result<Outcome> {
    let journal = Journal::of(out)?;
    let shown: Shown = serde_json::from_value(journal.job().shown.clone())?;
    let (norms, _) = result::each(out, |_| Ok(()))?;
    let mut sum = Sum::new(&norms, shown.dtype);
    sum.read(out)?;
    sum.outcome(shown, Some(out.to_owned()))
}
