//! The measurements of a dataset, input by input.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use candle_core::{DType, Tensor};
use loclin_data::{Applied, Dataset};
use loclin_models::Network;

use super::directory::{Directory, Settings};
use super::options::SearchOptions;
use super::record::{Costs, Record};
use super::search::Measure;
use crate::program::domain::InputBox;
use crate::program::jobs::Shard;
use crate::program::progress::Bar;
use crate::program::{stop, tensors};

/// The domain of inputs that are no images.
pub const UNIT: [f64; 2] = [0.0, 1.0];

/// The records of a dataset.
pub struct Found {
    /// The domain that balls were cut with.
    pub domain: Option<InputBox>,
    /// One for each input, in order.
    pub records: Vec<Record>,
    /// What the numbers of one input took.
    pub costs: Costs,
    /// Why nothing is proved of some of them.
    pub not_proved: Option<String>,
    /// Which input has the largest distortion.
    pub worst: usize,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// What the network was made of.
#[derive(Clone, Copy)]
pub struct Made<'a> {
    /// SHA-256 of the model's file.
    pub model: &'a str,
    /// What is done to the inputs.
    pub preprocessing: &'a Applied,
}

/// Measures every input of `data`, or those of a part, at the network of raw inputs; in the directory `out`, if there is one, goes on where
/// it was stopped and leaves the worst input.
///
/// # Errors
/// Inputs without labels or outside the domain, or a directory that holds other measurements or cannot be written.
pub fn measure(
    network: &Network,
    data: &Dataset,
    options: &SearchOptions,
    (seed, shard): (u64, Shard),
    out: Option<&Path>,
    made: Made<'_>,
    label: &str,
) -> anyhow::Result<Found> {
    let start = Instant::now();
    let domain = options
        .domain
        .read(InputBox::of_data(data.domain().or(Some(UNIT))))?;
    let measure = Measure::new(network, options, domain.as_ref())?;
    let labels = labels(data, network)?;
    let settings = Settings::new(
        made.model,
        made.preprocessing,
        data,
        (options, domain.as_ref()),
        (seed, shard),
        network.dtype(),
    );
    let directory = out.map(|out| Directory::open(out, &settings)).transpose()?;
    let mut records = match &directory {
        Some(directory) => directory.records()?,
        None => Vec::new(),
    };
    let inputs: Vec<usize> = (0..data.len()).collect();
    let inputs: Vec<usize> = shard.part(&inputs).copied().collect();
    ensure!(
        !inputs.is_empty(),
        "{}: part {shard} has no inputs",
        data.name()
    );
    records.truncate(inputs.len());
    let bar = Bar::count(label, inputs.len() as u64);
    bar.go_on(records.len() as u64);
    if directory.is_some() {
        stop::watch();
    }
    let mut not_proved = None;
    for &index in &inputs[records.len()..] {
        stop::check()?;
        let named = || format!("{}, input {index}", data.name());
        let x = input(data, index, network).with_context(named)?;
        let mut record = measure
            .record(index, &x, labels[index], seed, directory.as_ref())
            .with_context(named)?;
        match measure.bound(&x, labels[index]) {
            Ok(bound) => record.proved = Some(bound),
            Err(cause) => not_proved = not_proved.or(Some(cause)),
        }
        if let Some(directory) = &directory {
            directory.append(&record)?;
        }
        records.push(record);
        bar.advance(1);
    }
    let larger = |best: usize, index: usize| {
        let of = |index: usize| records[index].maximum();
        if of(index) > of(best) { index } else { best }
    };
    let worst = (0..records.len()).fold(0, larger);
    if let Some(directory) = &directory {
        let x = input(data, records[worst].index, network)?;
        // Found again: a search is a function of its seed.
        let found = measure.worst(&x, &records[worst], seed)?;
        directory.save_worst(&records[worst], &x, &found)?;
    }
    Ok(Found {
        domain,
        worst: records[worst].index,
        records,
        costs: measure.costs(),
        not_proved,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// One input `[in...]` in the network's dtype.
fn input(data: &Dataset, index: usize, network: &Network) -> anyhow::Result<Tensor> {
    let x = tensors::inputs(data, &[index], DType::F64, network.device())?;
    Ok(x.squeeze(0)?)
}

/// The labels, all of them outputs of the network.
fn labels(data: &Dataset, network: &Network) -> anyhow::Result<Vec<u32>> {
    let labels = data.labels().with_context(|| {
        format!(
            "{}: no labels; the distortion is that of the true class's gradient",
            data.name()
        )
    })?;
    let outputs = network.output_size();
    let wrong = labels
        .iter()
        .position(|label| *label as usize >= outputs.max(2));
    ensure!(
        wrong.is_none(),
        "{}: the label of input {} is {}; the model has {outputs} outputs",
        data.name(),
        wrong.unwrap_or(0),
        labels[wrong.unwrap_or(0)]
    );
    Ok(labels.to_vec())
}
