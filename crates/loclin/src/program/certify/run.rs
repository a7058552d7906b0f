//! The certification of a dataset whose results are kept in memory.

use std::collections::BTreeMap;

use anyhow::Context;
use loclin_data::{Data, Dataset, Part};
use loclin_models::{ModelFile, Network};
use loclin_regions::{Guarantee, Margins, Neuron, Norm, RegionCount};
use loclin_report::stats::Percentiles;

use super::batch::{Batch, Certifier, at_once, layer, unknown};
use super::question::Question;
use super::regions::Regions;
use crate::program::progress::Bar;
use crate::program::stop;

/// What was found out about every input of a dataset.
#[derive(Debug)]
pub struct Certificates {
    /// The norms, in the order asked for.
    pub norms: Vec<Norm>,
    /// For each norm, the margins of all inputs.
    pub margins: Vec<Margins>,
    /// Labels, if the dataset has them.
    pub labels: Option<Vec<u32>>,
    /// Predicted classes.
    pub predictions: Vec<u32>,
    /// Names of the network's nodes, for limiting neurons; those of the longest sequence, whose first nodes are
    /// those of the shorter ones.
    pub names: Vec<String>,
    /// Number of neurons of the network, for sequences of the longest one's.
    pub neurons: usize,
    /// For each input the number of its region: equal where inputs share one.
    pub region: Vec<usize>,
    /// #CLR over the dataset.
    pub regions: RegionCount,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// Certifies every input of `data` by the network of raw inputs.
///
/// # Errors
/// Inputs that the network does not take, or a norm that the method does not know.
pub fn certify(
    network: &Network,
    data: &Dataset,
    question: &Question,
    label: &str,
) -> anyhow::Result<Certificates> {
    let certifier = Certifier::new(|_: &[usize]| Ok(network.clone()), question);
    let parts = |rows: &[usize]| {
        let positions = (0..rows.len()).collect();
        let inputs = data.subset(rows)?;
        Ok(vec![Part { positions, inputs }])
    };
    let labels = data.labels().map(<[u32]>::to_vec);
    let bar = Bar::count(label, data.len() as u64);
    gathered(
        certifier,
        (parts, data.len(), at_once(network)),
        question,
        labels,
        &bar,
    )
}

/// Certifies every input of `data`, whose sequences may differ in length, by the model for raw inputs.
///
/// # Errors
/// As [`certify`], and a model that does not take a sequence's length.
pub fn certify_all(
    model: &ModelFile,
    data: &Data,
    question: &Question,
    label: &str,
) -> anyhow::Result<Certificates> {
    let certifier = Certifier::new(|shape: &[usize]| Ok(model.raw(shape)?), question);
    let parts = |rows: &[usize]| Ok(data.tables(rows)?);
    let labels = data.labels().map(<[u32]>::to_vec);
    let bar = Bar::count(label, data.len() as u64);
    let size = size(model, data)?;
    gathered(certifier, (parts, data.len(), size), question, labels, &bar)
}

/// How many inputs a batch has: as many as are linearised at a time, of the shape of the first.
pub(super) fn size(model: &ModelFile, data: &Data) -> anyhow::Result<usize> {
    let first = data.tables(&[0])?;
    let first = first.first().context("no inputs")?;
    Ok(at_once(&model.raw(first.inputs.input_shape())?))
}

/// All batches of so many inputs, one after the other.
fn gathered<N: Fn(&[usize]) -> anyhow::Result<Network>>(
    mut certifier: Certifier<'_, N>,
    (parts, inputs, size): (impl Fn(&[usize]) -> anyhow::Result<Vec<Part>>, usize, usize),
    question: &Question,
    labels: Option<Vec<u32>>,
    bar: &Bar,
) -> anyhow::Result<Certificates> {
    let norms = question.norms.iter();
    let mut all = Certificates {
        norms: question.norms.clone(),
        margins: norms.map(|norm| unknown(*norm, 0, question)).collect(),
        labels,
        predictions: Vec::with_capacity(inputs),
        names: Vec::new(),
        neurons: 0,
        region: Vec::with_capacity(inputs),
        regions: Regions::new(candle_core::DType::F64).count(),
        seconds: 0.0,
    };
    let mut regions: Option<Regions> = None;
    let rows: Vec<usize> = (0..inputs).collect();
    for rows in rows.chunks(size) {
        // A signal that training before it was told to wait for.
        stop::check()?;
        let first = rows.first().copied().unwrap_or(0);
        let batch = certifier.batch(parts(rows)?, rows.len(), first)?;
        let regions = regions.get_or_insert_with(|| Regions::new(batch.dtype));
        all.add(batch, regions);
        bar.advance(rows.len() as u64);
    }
    all.regions = regions.context("no inputs")?.count();
    all.names = certifier.names().to_vec();
    Ok(all)
}

impl Certificates {
    fn add(&mut self, batch: Batch, regions: &mut Regions) {
        for (all, batch) in self.margins.iter_mut().zip(batch.margins) {
            all.radius.extend(batch.radius);
            all.limiting.extend(batch.limiting);
            all.position.extend(batch.position);
            all.guarantee = all.guarantee.weaker(batch.guarantee);
            all.method = batch.method;
            all.domain = batch.domain;
            all.work.directions = all.work.directions.max(batch.work.directions);
            all.work.gradients.extend(batch.work.gradients);
        }
        let before = self.region.len();
        self.region.resize(before + batch.predictions.len(), 0);
        for ((shape, points), positions) in batch.points.into_iter().zip(&batch.positions) {
            for (number, at) in regions.add(&shape, points).into_iter().zip(positions) {
                self.region[before + at] = number;
            }
        }
        self.predictions.extend(batch.predictions);
        self.neurons = self.neurons.max(batch.neurons);
        self.seconds += batch.seconds;
    }

    /// Share of correct predictions; `None` without labels.
    pub fn accuracy(&self) -> Option<f64> {
        let labels = self.labels.as_ref()?;
        let pairs = self.predictions.iter().zip(labels);
        Some(pairs.filter(|(p, l)| p == l).count() as f64 / labels.len() as f64)
    }

    /// Percentiles of each norm's margins, by column name (`eps_2`).
    ///
    /// # Errors
    /// When there are no inputs, or a margin is not a number.
    pub fn percentiles(&self) -> anyhow::Result<BTreeMap<String, Percentiles>> {
        percentiles(
            &self.norms,
            self.margins.iter().map(|margins| &margins.radius[..]),
        )
    }

    /// What is claimed of every radius.
    pub fn guarantee(&self) -> Guarantee {
        let all = self.margins.iter().map(|margins| margins.guarantee);
        all.reduce(Guarantee::weaker).unwrap_or(Guarantee::Estimate)
    }

    /// The name of a neuron's node, control characters escaped.
    pub fn layer(&self, neuron: Neuron) -> &str {
        layer(&self.names, neuron)
    }
}

/// Percentiles of each norm's margins, by column name (`eps_2`).
pub(super) fn percentiles<'a>(
    norms: &[Norm],
    radii: impl Iterator<Item = &'a [f64]>,
) -> anyhow::Result<BTreeMap<String, Percentiles>> {
    let one = |(norm, radii): (&Norm, &[f64])| {
        let percentiles = Percentiles::of(radii).context("no margins")?;
        Ok((format!("eps_{norm}"), percentiles))
    };
    norms.iter().zip(radii).map(one).collect()
}
