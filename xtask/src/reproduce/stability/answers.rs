//! The questions: does a larger radius go with a smaller change, within a network and across networks?

use std::collections::BTreeMap;

use super::change::{Change, Image};
use super::measured::Measured;
use super::statistics::{Interval, Side};
use crate::reproduce::asked::median;

/// A radius of an image.
pub(super) type Radius = fn(&Image) -> f64;
/// A measure of a change; none where it has no value.
pub(super) type Measure = fn(&Change) -> Option<f64>;

/// For one perturbation, rank correlations of a radius and a measure: of each network, then of all together.
pub(super) fn correlations(
    networks: &[Measured],
    perturbation: usize,
    radius: Radius,
    measure: Measure,
    samples: usize,
) -> Vec<Option<Interval>> {
    let mut found = Vec::new();
    let mut pooled: BTreeMap<usize, Vec<[f64; 2]>> = BTreeMap::new();
    for network in networks {
        let mut own = Vec::new();
        for (image, change) in network.images.iter().zip(&network.changes[perturbation]) {
            if let Some(value) = measure(change) {
                let pair = [radius(image), value];
                own.push(vec![pair]);
                pooled.entry(image.row).or_default().push(pair);
            }
        }
        found.push(Interval::correlation(&own, samples));
    }
    let pooled: Vec<Vec<[f64; 2]>> = pooled.into_values().collect();
    found.push(Interval::correlation(&pooled, samples));
    found
}

/// Two networks on the images that both classify rightly.
pub(super) struct Pair {
    /// The one with the smaller median `eps_2`, then the other.
    pub(super) names: [String; 2],
    pub(super) images: usize,
    /// For each perturbation, the share of images at which the second changes less.
    pub(super) shares: Vec<Option<Interval>>,
}

/// All pairs of networks.
pub(super) fn pairs(networks: &[Measured], samples: usize) -> Vec<Pair> {
    let mut order: Vec<&Measured> = networks.iter().collect();
    order.sort_by(|a, b| median_eps_2(a).total_cmp(&median_eps_2(b)));
    let mut pairs = Vec::new();
    for (at, larger) in order.iter().enumerate() {
        pairs.extend(
            order[..at]
                .iter()
                .map(|smaller| pair(smaller, larger, samples)),
        );
    }
    pairs
}

fn pair(smaller: &Measured, larger: &Measured, samples: usize) -> Pair {
    let places: BTreeMap<usize, usize> =
        (larger.images.iter().map(|image| image.row).zip(0..)).collect();
    let rows = smaller.images.iter().map(|image| image.row);
    let common: Vec<[usize; 2]> = rows
        .enumerate()
        .filter_map(|(own, row)| Some([own, *places.get(&row)?]))
        .collect();
    let share = |(few, many): (&Vec<Change>, &Vec<Change>)| {
        let less = |[own, other]: &[usize; 2]| {
            let [before, after] = [few[*own].relative, many[*other].relative];
            match after < before {
                true => 1.0,
                false if after == before => 0.5,
                false => 0.0,
            }
        };
        let scores: Vec<f64> = common.iter().map(less).collect();
        Interval::mean(&scores, samples)
    };
    let changes = smaller.changes.iter().zip(&larger.changes);
    Pair {
        names: [smaller.name.clone(), larger.name.clone()],
        images: common.len(),
        shares: changes.map(share).collect(),
    }
}

fn median_eps_2(network: &Measured) -> f64 {
    median(network.images.iter().map(|image| image.eps_2).collect())
}

/// How many intervals are on which side of a number; those without a value show nothing.
pub(super) fn count(intervals: &[Option<Interval>], of: f64, side: Side) -> usize {
    let sides = intervals
        .iter()
        .map(|interval| interval.map_or(Side::NotShown, |interval| interval.side_of(of)));
    sides.filter(|found| *found == side).count()
}
