//! The certification of a dataset, batch by batch.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Context;
use candle_core::DType;
use roll_data::Dataset;
use roll_models::Network;
use roll_regions::{
    Budget, Estimate, Linearizer, Margins, Neuron, Norm, RegionCount, RegionCounter,
    VerifiedMargins,
};

use super::Search;
use crate::progress::Bar;
use crate::stats::Percentiles;
use crate::tensors;

/// Inputs linearised at a time, where the budget allows; what their tangents take is bounded on its own.
pub(crate) const BATCH: usize = 512;

/// How the nearest neuron is found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Method {
    /// Every gradient, or for FC networks a bound of it, is measured; for any norm.
    Every,
    /// Gradients are estimated and the few that matter measured; l2 only.
    Estimate(Estimate),
    /// As by the estimate, but every neuron left out is excluded by proof; l2 only.
    Bound {
        /// Where to begin is a function of it.
        seed: u64,
    },
}

/// What was found out about every input of a dataset.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// The norms, in the order asked for.
    pub(crate) norms: Vec<Norm>,
    /// For each norm, the margins of all inputs.
    pub(crate) margins: Vec<Margins>,
    /// Labels, if the dataset has them.
    pub(crate) labels: Option<Vec<u32>>,
    /// Predicted classes.
    pub(crate) predictions: Vec<u32>,
    /// Names of the network's nodes, for limiting neurons.
    pub(crate) names: Vec<String>,
    /// Number of neurons of the network.
    pub(crate) neurons: usize,
    /// #CLR over the dataset.
    pub(crate) regions: RegionCount,
    /// How the nearest neurons were searched for; `None` if every gradient was measured.
    pub(crate) search: Option<Search>,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
}

/// Certifies every input of `data` by the network of raw inputs.
pub(crate) fn certify(
    network: &Network,
    data: &Dataset,
    norms: &[Norm],
    method: Method,
    label: &str,
) -> anyhow::Result<Certificates> {
    let start = Instant::now();
    let bar = Bar::count(label, data.len() as u64);
    let empty = || Margins {
        radius: Vec::new(),
        limiting: Vec::new(),
    };
    let mut margins: Vec<Margins> = norms.iter().map(|_| empty()).collect();
    let mut predictions = Vec::new();
    let mut counter = RegionCounter::new(RegionCounter::default_tolerance(network.dtype()));
    let mut neurons = 0;
    let mut searched: Vec<VerifiedMargins> = Vec::new();
    let budget = Budget::default();
    let linearizer = Linearizer::new(network, budget)?;
    let rows: Vec<usize> = (0..data.len()).collect();
    for rows in rows.chunks(BATCH.min(budget.inputs(network))) {
        let first = rows.first().copied().unwrap_or(0);
        // Pre-activations are found in float64 whatever the network's dtype.
        let x = tensors::inputs(data, rows, DType::F64, network.device())?;
        let here = linearizer
            .at(&x)
            .with_context(|| format!("{}, inputs from {first} on", data.name()))?;
        let found = match method {
            Method::Every => None,
            Method::Estimate(estimate) => Some(here.l2_margins_by_estimate(estimate)?),
            Method::Bound { seed } => Some(here.l2_margins_by_bound(seed)?),
        };
        let found = match found {
            Some(found) => {
                let margins = vec![found.margins.clone()];
                searched.push(found);
                margins
            }
            None => here.margins(norms)?,
        };
        for (all, batch) in margins.iter_mut().zip(found) {
            all.radius.extend(batch.radius);
            all.limiting.extend(batch.limiting);
        }
        predictions.extend(tensors::predictions(here.trace().output())?);
        counter.add(&here)?;
        neurons = here.neurons();
        bar.advance(rows.len() as u64);
    }
    Ok(Certificates {
        norms: norms.to_vec(),
        margins,
        labels: data.labels().map(<[u32]>::to_vec),
        predictions,
        names: network
            .nodes()
            .iter()
            .map(|node| node.name.clone())
            .collect(),
        neurons,
        regions: counter.finish(),
        search: summary(&searched),
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// The work of all batches.
fn summary(searched: &[VerifiedMargins]) -> Option<Search> {
    let first = searched.first()?;
    let verified: Vec<usize> = searched
        .iter()
        .flat_map(|batch| &batch.verified)
        .copied()
        .collect();
    Some(Search {
        failure_probability: first.failure_probability,
        directions: first.directions,
        verified_mean: verified.iter().sum::<usize>() as f64 / verified.len() as f64,
        verified_max: verified.iter().copied().max().unwrap_or(0),
    })
}

impl Certificates {
    /// Share of correct predictions; `None` without labels.
    pub(crate) fn accuracy(&self) -> Option<f64> {
        let labels = self.labels.as_ref()?;
        let correct = self
            .predictions
            .iter()
            .zip(labels)
            .filter(|(p, l)| p == l)
            .count();
        Some(correct as f64 / labels.len() as f64)
    }

    /// Percentiles of each norm's margins, by column name (`eps_2`).
    pub(crate) fn percentiles(&self) -> anyhow::Result<BTreeMap<String, Percentiles>> {
        let one = |(norm, margins): (&Norm, &Margins)| {
            let percentiles = Percentiles::of(&margins.radius).context("no margins")?;
            Ok((format!("eps_{norm}"), percentiles))
        };
        self.norms.iter().zip(&self.margins).map(one).collect()
    }

    /// The margins that name the limiting neuron: those of l2, or of the first norm.
    pub(crate) fn leading(&self) -> Option<&Margins> {
        let l2 = self.norms.iter().position(|norm| *norm == Norm::L2);
        self.margins.get(l2.unwrap_or(0))
    }

    /// The name of a neuron's node.
    pub(crate) fn layer(&self, neuron: Neuron) -> &str {
        self.names.get(neuron.node).map_or("", String::as_str)
    }
}
