//! What is said of all rows of a table, whether they were found now or by an earlier process.

use std::collections::BTreeMap;

use loclin_regions::{Guarantee, Norm};
use loclin_report::stats::Percentiles;

use super::explained::{Above, Worst};
use super::extremes::Extremes;
use super::outcome::{OfClass, Zero};
use super::question::leading;
use super::row::Row;
use super::run::percentiles;
use crate::program::chance;
use crate::program::classes::Classes;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    norms: Vec<Norm>,
    /// For each norm.
    radii: Vec<Vec<f64>>,
    predictions: Vec<u32>,
    /// As many as predictions where all inputs have labels.
    labels: Vec<u32>,
    zero: BTreeMap<String, Zero>,
    /// For each norm the smallest radius.
    worst: Vec<Option<Worst>>,
    guarantee: Option<Guarantee>,
    extremes: Extremes,
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new(norms: &[Norm]) -> Self {
        Self {
            norms: norms.to_vec(),
            radii: vec![Vec::new(); norms.len()],
            worst: vec![None; norms.len()],
            ..Self::default()
        }
    }

    /// Adds a row; rows come in the order of their inputs.
    pub(super) fn add(&mut self, row: &Row) {
        for (all, radius) in self.radii.iter_mut().zip(&row.radii) {
            all.push(*radius);
        }
        for (worst, radius) in self.worst.iter_mut().zip(&row.radii) {
            if worst.as_ref().is_none_or(|worst| *radius < worst.radius) {
                *worst = Some(Worst {
                    radius: *radius,
                    index: row.index,
                    file: row.file.clone(),
                });
            }
        }
        self.extremes.add(row, leading(&self.norms));
        self.predictions.push(row.prediction);
        self.labels.extend(row.label);
        let guarantee = self
            .guarantee
            .map_or(row.guarantee, |all| all.weaker(row.guarantee));
        self.guarantee = Some(guarantee);
        let Some(reason) = row
            .position
            .as_ref()
            .filter(|position| *position != "inside")
        else {
            return;
        };
        let first = || Zero {
            inputs: 0,
            first: row.index,
            file: row.file.clone(),
            layer: row.limiting.as_ref().map(|(layer, _)| layer.clone()),
            neuron: row.limiting.as_ref().map(|(_, neuron)| *neuron),
            place: row.place.clone(),
        };
        self.zero.entry(reason.clone()).or_insert_with(first).inputs += 1;
    }

    /// The inputs at both ends, and what limits all.
    pub(super) fn extremes(&self) -> &Extremes {
        &self.extremes
    }

    /// For each norm, the radii of all inputs.
    pub(super) fn radii(&self) -> &[Vec<f64>] {
        &self.radii
    }

    /// How many rows there are.
    pub(super) fn inputs(&self) -> usize {
        self.predictions.len()
    }

    /// Share of correct predictions; `None` without labels.
    pub(super) fn accuracy(&self) -> Option<f64> {
        let (correct, labelled) = self.correct()?;
        Some(correct as f64 / labelled as f64)
    }

    /// A warning if predictions are little better than chance; where classes have names, with the most frequent mistake.
    pub(super) fn warning(&self, outputs: usize, names: Option<&Classes>) -> Option<String> {
        let (correct, labelled) = self.correct()?;
        let warning = chance::warning(correct, labelled, outputs)?;
        let mistake =
            names.and_then(|names| chance::mistake(&self.labels, &self.predictions, names));
        Some(match mistake {
            Some(mistake) => format!("{warning}; {mistake}"),
            None => warning,
        })
    }

    /// The classes that occur as a label or prediction.
    pub(super) fn by_class(&self, names: &Classes) -> Vec<OfClass> {
        let labels = self.labels();
        let mut classes: BTreeMap<u32, [usize; 3]> = BTreeMap::new();
        for (index, &prediction) in self.predictions.iter().enumerate() {
            classes.entry(prediction).or_default()[0] += 1;
            if let Some(&label) = labels.and_then(|labels| labels.get(index)) {
                let counts = classes.entry(label).or_default();
                counts[1] += 1;
                counts[2] += usize::from(label == prediction);
            }
        }
        let known = |count| labels.map(|_| count);
        let one = |(class, [predicted, labelled, correct]): (u32, [usize; 3])| OfClass {
            class,
            name: names.name(class),
            labelled: known(labelled),
            predicted,
            correct: known(correct),
        };
        classes.into_iter().map(one).collect()
    }

    /// Percentiles of each norm's margins, by column name (`eps_2`).
    pub(super) fn percentiles(&self) -> anyhow::Result<BTreeMap<String, Percentiles>> {
        // As of a part of a job without batches.
        if self.inputs() == 0 {
            return Ok(BTreeMap::new());
        }
        percentiles(&self.norms, self.radii.iter().map(|radii| &radii[..]))
    }

    /// The smallest radius of each norm, by column name.
    pub(super) fn worst(&self) -> BTreeMap<String, Worst> {
        let all = self.norms.iter().zip(&self.worst);
        let known = all.filter_map(|(norm, worst)| Some((format!("eps_{norm}"), worst.clone()?)));
        known.collect()
    }

    /// For each of these radii the share of the inputs whose radius is above it.
    pub(super) fn above(&self, radii: &[f64]) -> Vec<Above> {
        let share = |own: &[f64], radius: f64| {
            let above = own.iter().filter(|own| **own > radius).count();
            above as f64 / own.len().max(1) as f64
        };
        let one = |radius: &f64| {
            let norms = self.norms.iter().zip(&self.radii);
            Above {
                radius: *radius,
                share: norms
                    .map(|(norm, own)| (format!("eps_{norm}"), share(own, *radius)))
                    .collect(),
            }
        };
        radii.iter().map(one).collect()
    }

    /// Why inputs have the leading margin 0, by reason: how many there are, and the first with its neuron.
    pub(super) fn zero(&self) -> &BTreeMap<String, Zero> {
        &self.zero
    }

    /// What is claimed of every radius.
    pub(super) fn guarantee(&self) -> Guarantee {
        self.guarantee.unwrap_or(Guarantee::Estimate)
    }

    fn labels(&self) -> Option<&[u32]> {
        let all = self.labels.len() == self.predictions.len();
        (all && !self.labels.is_empty()).then_some(&self.labels[..])
    }

    /// Correct predictions, of so many.
    fn correct(&self) -> Option<(usize, usize)> {
        let labels = self.labels()?;
        let pairs = self.predictions.iter().zip(labels);
        Some((pairs.filter(|(p, l)| p == l).count(), labels.len()))
    }
}
