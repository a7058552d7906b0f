//! #CLR over inputs of one shape or several, as it is kept of a job.

use std::collections::BTreeMap;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use candle_core::DType;
use loclin_regions::{Guarantee, RegionCount, RegionCounter, RegionPoint};
use serde::{Deserialize, Serialize};

/// The regions of all inputs so far; inputs of different shapes share none.
#[derive(Debug)]
pub(super) struct Regions {
    tolerance: f64,
    by_shape: BTreeMap<Vec<usize>, Counted>,
    known: usize,
}

/// The regions of one shape.
#[derive(Debug)]
struct Counted {
    counter: RegionCounter,
    /// The number among all shapes of each of its regions.
    numbers: Vec<usize>,
}

/// What the count needs to know of a batch, for each shape of inputs in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeptPoints(Vec<(Vec<usize>, String)>);

impl Regions {
    /// None yet, of networks in this type.
    pub(super) fn new(dtype: DType) -> Self {
        Self {
            tolerance: RegionCounter::default_tolerance(dtype),
            by_shape: BTreeMap::new(),
            known: 0,
        }
    }

    /// Adds points whose inputs have the shape; the number of each one's region.
    pub(super) fn add(&mut self, shape: &[usize], points: Vec<RegionPoint>) -> Vec<usize> {
        let new = || Counted {
            counter: RegionCounter::new(self.tolerance),
            numbers: Vec::new(),
        };
        let counted = self.by_shape.entry(shape.to_vec()).or_insert_with(new);
        let of_shape = counted.counter.add_points(points);
        let number = |own: usize| {
            if own == counted.numbers.len() {
                counted.numbers.push(self.known);
                self.known += 1;
            }
            counted.numbers[own]
        };
        of_shape.into_iter().map(number).collect()
    }

    /// Adds what was kept of a batch.
    ///
    /// # Errors
    /// Something else than points.
    pub(super) fn add_kept(&mut self, kept: &KeptPoints) -> anyhow::Result<()> {
        for (shape, points) in &kept.0 {
            let bytes = STANDARD.decode(points).context("regions of a batch")?;
            self.add(shape, RegionPoint::from_bytes(&bytes)?);
        }
        Ok(())
    }

    /// The count over all shapes.
    pub(super) fn count(&self) -> RegionCount {
        let none = RegionCount {
            points: 0,
            lower: 0,
            upper: 0,
            on_boundary: 0,
            undecided: 0,
            guarantee: Guarantee::Proved,
        };
        let counts = self.by_shape.values().map(|of| of.counter.finish());
        counts.fold(none, |all, more| RegionCount {
            points: all.points + more.points,
            lower: all.lower + more.lower,
            upper: all.upper + more.upper,
            on_boundary: all.on_boundary + more.on_boundary,
            undecided: all.undecided + more.undecided,
            guarantee: all.guarantee.weaker(more.guarantee),
        })
    }
}

impl KeptPoints {
    /// Those of a batch.
    pub(super) fn new(points: &[(Vec<usize>, Vec<RegionPoint>)]) -> Self {
        let one = |(shape, points): &(Vec<usize>, Vec<RegionPoint>)| {
            (
                shape.clone(),
                STANDARD.encode(RegionPoint::to_bytes(points)),
            )
        };
        Self(points.iter().map(one).collect())
    }
}
