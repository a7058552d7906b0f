//! The numbers of a drawn network.

use super::plan::{Numbers, Plan, Quirk};
use loclin_models::operators::SparseRows;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Draws the numbers of a plan.
pub(super) struct Draw {
    pub(super) rng: ChaCha8Rng,
    numbers: Numbers,
    quirks: Vec<Quirk>,
    rescale: i32,
    single: bool,
    /// The exponent of two that the layers so far multiply by.
    scale: i32,
}

impl Draw {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(plan.seed),
            numbers: plan.numbers,
            quirks: plan.quirks.clone(),
            rescale: plan.rescale,
            single: plan.single,
            scale: 0,
        }
    }

    /// A number between two, both included.
    pub(super) fn between(&mut self, least: usize, most: usize) -> usize {
        self.rng.random_range(least..=most)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.rng.random()
    }

    /// One number; a Gaussian has that scale.
    pub(super) fn number(&mut self, scale: f64) -> f64 {
        let gaussian = scale * self.rng.sample::<f64, _>(StandardNormal);
        let value = match self.numbers {
            // Like the weights of most files.
            Numbers::Gaussian => f64::from(gaussian as f32),
            Numbers::Lattice => f64::from(self.rng.random_range(-2..=2)),
            Numbers::Powers => match self.rng.random_range(0..4) {
                0 => 0.0,
                side => power(self.rng.random_range(-12..=12)) * if side == 1 { -1.0 } else { 1.0 },
            },
            Numbers::Wide => gaussian * power(self.rng.random_range(-30..=30)),
        };
        self.rounded(value)
    }

    /// So many numbers.
    pub(super) fn numbers(&mut self, count: usize, scale: f64) -> Vec<f64> {
        (0..count).map(|_| self.number(scale)).collect()
    }

    /// A number that a parameter may be.
    pub(super) fn rounded(&self, value: f64) -> f64 {
        match self.single {
            true => f64::from(value as f32),
            false => value,
        }
    }

    /// Up to `n` copies or weighted sums of `n` entries.
    pub(super) fn rows(&mut self, n: usize) -> SparseRows {
        let copies = self.coin();
        let most = if copies { 1 } else { 3 };
        let mut rows = Vec::new();
        for _ in 0..self.between(1, n) {
            let count = self.between(0, most);
            let row: Vec<(usize, f64)> = (0..count)
                .map(|_| (self.between(0, n - 1), self.number(1.0)))
                .collect();
            rows.push(row);
        }
        match copies {
            true => SparseRows::copies(n, rows.iter().map(|row| row.first().map(|term| term.0))),
            false => SparseRows::weighted(n, rows),
        }
    }

    /// Weight `[rows, columns]` and bias `[rows]` of a layer, odd and rescaled.
    pub(super) fn layer(&mut self, rows: usize, columns: usize) -> (Vec<f64>, Vec<f64>) {
        let gaussian = (2.0 / columns as f64).sqrt();
        let mut weight = self.numbers(rows * columns, gaussian);
        let mut bias = self.numbers(rows, 0.5);
        let has = |quirk| self.quirks.contains(&quirk);
        let (copies, cancel, dead) = (has(Quirk::Copies), has(Quirk::Cancel), has(Quirk::Dead));
        if has(Quirk::NoBias) {
            bias.fill(0.0);
        }
        for row in 0..rows {
            if copies && row > 0 && self.coin() {
                let factor = power(self.rng.random_range(-13..=13));
                for column in 0..columns {
                    weight[row * columns + column] = factor * weight[column];
                }
                bias[row] = factor * bias[0];
                if self.coin() {
                    let at = row * columns + self.between(0, columns - 1);
                    weight[at] += weight[at] * power(self.rng.random_range(-50..=-10));
                }
            }
            if cancel && columns > 1 && self.coin() {
                let (a, b) = (self.between(0, columns - 1), self.between(0, columns - 1));
                if a != b {
                    weight[row * columns + b] = -weight[row * columns + a];
                }
            }
            if dead && self.between(0, 2) == 0 {
                weight[row * columns..][..columns].fill(0.0);
            }
        }
        let next = self.rng.random_range(-self.rescale..=self.rescale);
        let factor = power(next - self.scale);
        self.scale = next;
        weight
            .iter_mut()
            .for_each(|w| *w = self.rounded(*w * factor));
        bias.iter_mut()
            .for_each(|b| *b = self.rounded(*b * power(next)));
        (weight, bias)
    }
}

/// A power of two.
pub(super) fn power(exponent: i32) -> f64 {
    2f64.powi(exponent)
}
