//! The slopes of one layer over a batch, as what most inputs have in common and where each departs from it.

use super::active::Active;
use loclin_tensor::product::Real;

/// `D_b = R + E_b` for each input `b` of the batch: a reference and few exceptions.
#[derive(Debug)]
pub(super) struct Varying<T> {
    /// Units whose reference slope is not 0, and these slopes.
    pub(super) reference: Vec<u32>,
    pub(super) slopes: Vec<T>,
    /// Units whose slope is not the reference at one input or more.
    pub(super) units: Vec<u32>,
    /// For each input.
    pub(super) changes: Vec<Change<T>>,
}

/// `E_b`: where it is not 0.
#[derive(Debug, Default)]
pub(super) struct Change<T> {
    /// Positions in [`Varying::units`].
    pub(super) at: Vec<u32>,
    /// The slope less the reference.
    pub(super) by: Vec<T>,
}

impl<T: Real> Varying<T> {
    /// Of a layer of `width` units, from its active units at each input.
    pub(super) fn new<'a>(width: usize, inputs: impl Iterator<Item = &'a Active<T>>) -> Self {
        let rows: Vec<Vec<T>> = inputs
            .map(|active| {
                let mut row = vec![T::zero(); width];
                active.spread(&mut row);
                row
            })
            .collect();
        let reference = most_frequent(width, &rows);
        let differs = |unit: &usize| rows.iter().any(|row| row[*unit] != reference[*unit]);
        let units: Vec<usize> = (0..width).filter(differs).collect();
        let changes = rows
            .iter()
            .map(|row| {
                let mut change = Change {
                    at: Vec::new(),
                    by: Vec::new(),
                };
                for (position, unit) in (0u32..).zip(&units) {
                    let by = row[*unit] - reference[*unit];
                    if by != T::zero() {
                        change.at.push(position);
                        change.by.push(by);
                    }
                }
                change
            })
            .collect();
        let kept = (0u32..).zip(&reference).filter(|(_, r)| **r != T::zero());
        let (kept, slopes) = kept.map(|(unit, r)| (unit, *r)).unzip();
        Self {
            reference: kept,
            slopes,
            units: units.into_iter().map(|unit| unit as u32).collect(),
            changes,
        }
    }
}

/// For each unit the slope of most inputs, if one is that of more than half; a unit has two slopes at most.
fn most_frequent<T: Real>(width: usize, rows: &[Vec<T>]) -> Vec<T> {
    let mut candidates = vec![T::zero(); width];
    let mut votes = vec![0usize; width];
    for row in rows {
        let all = candidates.iter_mut().zip(&mut votes).zip(row);
        for ((candidate, votes), slope) in all {
            if *candidate == *slope {
                *votes += 1;
            } else if *votes > 0 {
                *votes -= 1;
            } else {
                (*candidate, *votes) = (*slope, 1);
            }
        }
    }
    candidates
}
