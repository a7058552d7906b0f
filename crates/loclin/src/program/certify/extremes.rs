//! The inputs at both ends of the distribution, and which layers limit all of them.

use std::collections::BTreeMap;

use super::explained::Limiting;
use super::row::Row;

/// How many of either end are kept.
const KEPT: usize = 20;

/// What of the rows a page shows one by one.
#[derive(Clone, Debug, Default)]
pub(super) struct Extremes {
    /// Those with the smallest leading radii, the smallest first.
    pub(super) smallest: Vec<Row>,
    /// Those with the largest, the largest first.
    pub(super) largest: Vec<Row>,
    /// How many inputs each layer limits.
    layers: BTreeMap<String, usize>,
}

impl Extremes {
    /// Takes note of a row, whose radius of the norm `leading` counts.
    pub(super) fn add(&mut self, row: &Row, leading: usize) {
        let radius = |row: &Row| row.radii.get(leading).copied().unwrap_or(f64::NAN);
        let own = radius(row);
        keep(&mut self.smallest, row, |other| radius(other) <= own);
        keep(&mut self.largest, row, |other| radius(other) >= own);
        if let Some((layer, _)) = &row.limiting {
            *self.layers.entry(layer.clone()).or_default() += 1;
        }
    }

    /// The layers that limit, those that limit most first.
    pub(super) fn limiting(&self) -> Vec<Limiting> {
        let layers = self.layers.iter().map(|(layer, inputs)| Limiting {
            layer: layer.clone(),
            inputs: *inputs,
        });
        let mut layers: Vec<Limiting> = layers.collect();
        layers.sort_by(|a, b| {
            let most = b.inputs.cmp(&a.inputs);
            most.then_with(|| a.layer.cmp(&b.layer))
        });
        layers
    }
}

/// Puts a row behind those that come before it, if it is among the first.
fn keep(kept: &mut Vec<Row>, row: &Row, is_before: impl Fn(&Row) -> bool) {
    let at = kept.partition_point(is_before);
    if at < KEPT {
        kept.insert(at, row.clone());
        kept.truncate(KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loclin_regions::Guarantee;

    #[test]
    fn both_ends_are_kept_in_order_and_layers_are_counted() {
        let row = |index: usize| Row {
            line: 0,
            index,
            file: None,
            label: None,
            prediction: 0,
            label_name: None,
            prediction_name: None,
            radii: vec![((index * 37) % 101) as f64],
            upper: Vec::new(),
            guarantee: Guarantee::Proved,
            limiting: (index.is_multiple_of(2)).then(|| ("relu".to_owned(), index)),
            place: String::new(),
            score: None,
            position: None,
        };
        let mut extremes = Extremes::default();
        (0..101).for_each(|index| extremes.add(&row(index), 0));
        let radii = |rows: &[Row]| rows.iter().map(|row| row.radii[0]).collect::<Vec<_>>();
        let ascending: Vec<f64> = (0..20).map(f64::from).collect();
        assert_eq!(radii(&extremes.smallest), ascending);
        let descending: Vec<f64> = (81..101).rev().map(f64::from).collect();
        assert_eq!(radii(&extremes.largest), descending);
        let layer = "relu".to_owned();
        assert_eq!(extremes.limiting(), [Limiting { layer, inputs: 51 }]);
    }
}
