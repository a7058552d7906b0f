//! The measurements of a dataset, input by input.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use candle_core::{DType, Tensor};
use loclin_data::{Applied, Dataset};
use loclin_models::Network;
use sha2::{Digest, Sha256};

use super::directory::{Directory, table_of};
use super::job::{About, COMMAND, Shown, Sum, begin};
use super::options::SearchOptions;
use super::record::{Costs, Record};
use super::search::Measure;
use super::table;
use crate::program::classes;
use crate::program::compute::Dtype;
use crate::program::domain::{self, InputBox};
use crate::program::jobs::{self, Job, JobOptions, Seed, Settings, Shard};
use crate::program::progress::Bar;
use crate::program::{files, stop, tensors};

/// The domain of inputs that are no images.
pub const UNIT: [f64; 2] = [0.0, 1.0];

/// The records of a dataset.
pub struct Found {
    pub(super) shown: Shown,
    pub(super) sum: Sum,
}

/// What the network was made of, and how it is called.
#[derive(Clone, Copy)]
pub struct Made<'a> {
    /// The model, as a result names it.
    pub model: &'a str,
    /// What the network depends on.
    pub settings: &'a Settings,
    /// What is done to the inputs.
    pub preprocessing: &'a Applied,
    /// The type that the network computes in.
    pub dtype: Dtype,
}

/// Measures every input of `data`, or those of a part, at the network of raw inputs; in the directory `out`, if there is one, goes
/// on where it was stopped and leaves the worst input.
///
/// # Errors
/// Inputs without labels or outside the domain, or a directory that holds other measurements or cannot be written.
pub fn measure(
    network: &Network,
    data: &Dataset,
    options: &SearchOptions,
    seed: u64,
    made: Made<'_>,
    out: Option<(&Path, &JobOptions)>,
    label: &str,
) -> anyhow::Result<Found> {
    let domain = InputBox::of_data(data.domain().or(Some(UNIT)));
    let domain = options.domain.read(domain, &data.applied())?;
    let assumed = options.domain.domain.is_none() && data.domain().is_none();
    let measure = Measure::new(network, options, domain.as_ref())?;
    let labels = labels(data, network)?;
    ensure!(!labels.is_empty(), "{}: no inputs", data.name());
    let digest_of = |index: usize| digest(&input(data, index, network)?, labels[index]);
    let shown = Shown {
        model: made.model.to_owned(),
        data: data.name().to_owned(),
        eps: options.eps.value(),
        domain,
        costs: measure.costs(),
        outputs: network.output_size(),
        dtype: made.dtype,
        preprocessing: made.preprocessing.clone(),
    };
    let inputs: Vec<usize> = (0..data.len()).collect();
    let (mut sum, mut kept, mut shard) = (Sum::default(), None, Shard::default());
    if let Some((path, job)) = out {
        shard = job.shard()?;
        let mut own = settings(made.settings.clone(), &shown, options, digest_of(0)?)?;
        if !shard.is_whole() {
            // How many inputs there are is settled, too.
            let digests = inputs.iter().map(|index| digest_of(*index));
            let all = digests.collect::<anyhow::Result<Vec<_>>>()?.concat();
            own = own.with("data", files::hexadecimal(&Sha256::digest(all)))?;
        }
        let table = table_of(path);
        let settings = jobs::agreed(own, Seed::Given(seed), &table, job, || Ok(seed))?;
        let shown = serde_json::to_value(&shown)?;
        let begun = Job::new(COMMAND, shard, inputs.len(), settings, shown);
        let (directory, before) = begin(path, begun, job, digest_of)?;
        (sum, kept) = (before, Some(directory));
        stop::watch();
    }
    let bar = Bar::count(label, shard.part(&inputs).count() as u64);
    bar.go_on(sum.records.len() as u64);
    let done = kept.as_ref().map(|kept| kept.done.clone());
    let done = done.unwrap_or_default();
    for &index in shard.part(&inputs).filter(|input| !done.contains(input)) {
        stop::check()?;
        let named = || format!("{}, input {index}", data.name());
        let x = input(data, index, network).with_context(named)?;
        let directory = kept.as_ref().map(|kept| &kept.directory);
        let found = one(&measure, (index, &x, labels[index]), seed, directory);
        let (record, about) =
            found.map_err(|error| domain::error_of_input(error, named(), assumed))?;
        if let Some(kept) = &mut kept {
            kept.writer.append(index, &table::line(&record)?, &about)?;
        }
        sum.add(record, about);
        bar.advance(1);
    }
    if let Some(kept) = kept {
        // A smaller --limit than before leaves the worst of all where it is.
        if let Some(worst) = sum
            .worst()
            .filter(|_| done.range(inputs.len()..).next().is_none())
        {
            let x = input(data, worst.index, network)?;
            // Found again: a search is a function of its seed.
            let found = measure.worst(&x, worst, seed)?;
            kept.directory.save_worst(worst, &x, &found)?;
        }
        kept.directory.forget()?;
        kept.writer.finish()?;
    }
    Ok(Found { shown, sum })
}

/// What is found out about one input: its number, itself `[in...]`, and its label.
fn one(
    measure: &Measure<'_>,
    (index, x, label): (usize, &Tensor, u32),
    seed: u64,
    directory: Option<&Directory>,
) -> anyhow::Result<(Record, About)> {
    let start = Instant::now();
    let mut record = measure.record(index, x, label, seed, directory)?;
    let bound = measure.bound(x, label);
    record.proved = bound.as_ref().ok().copied();
    let about = About {
        input: digest(x, label)?,
        seconds: start.elapsed().as_secs_f64(),
        not_proved: bound.err(),
    };
    Ok((record, about))
}

impl Found {
    /// One for each input, in order.
    pub fn records(&self) -> &[Record] {
        &self.sum.records
    }

    /// What the numbers of one input took.
    pub fn costs(&self) -> Costs {
        self.shown.costs
    }

    /// Wall-clock seconds of all inputs.
    pub fn seconds(&self) -> f64 {
        self.sum.seconds
    }
}

/// What the records depend on but the seed; how many inputs there are is not said, so that more of them may come. The first
/// input, by its digest, says of parts whether they are of the same data.
fn settings(
    made: Settings,
    shown: &Shown,
    options: &SearchOptions,
    first: String,
) -> anyhow::Result<Settings> {
    Ok(made
        .with("preprocessing", shown.preprocessing.to_string())?
        .with("dtype", shown.dtype)?
        .with("domain", &shown.domain)?
        .with("first_input", first)?
        .with("eps", shown.eps)?
        .with("samples", options.samples)?
        .with("population", options.population)?
        .with("generations", options.generations)?
        .with("parts", options.parts)?)
}

/// SHA-256 of the numbers of an input in float64, lowest byte first, and of its label.
fn digest(x: &Tensor, label: u32) -> anyhow::Result<String> {
    let mut hasher = Sha256::new();
    for value in x.flatten_all()?.to_vec1::<f64>()? {
        hasher.update(value.to_le_bytes());
    }
    hasher.update(label.to_le_bytes());
    Ok(files::hexadecimal(&hasher.finalize()))
}

/// One input `[in...]` in float64, on the network's device.
fn input(data: &Dataset, index: usize, network: &Network) -> anyhow::Result<Tensor> {
    let x = tensors::inputs(data, &[index], DType::F64, network.device())?;
    Ok(x.squeeze(0)?)
}

/// The labels, all of them classes of the network.
fn labels(data: &Dataset, network: &Network) -> anyhow::Result<Vec<u32>> {
    let labels = data.labels().with_context(|| {
        format!(
            "{}: no labels; the distortion is that of the true class's gradient, so that inputs come from a dataset, from \
             sub-folders of images, or from a .safetensors file with labels",
            data.name()
        )
    })?;
    classes::check_labels(data.name(), labels, 0, network.output_size())?;
    Ok(labels.to_vec())
}
