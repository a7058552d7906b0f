//! Random networks and inputs, within bounded ranges.
//!
//! A [`Recipe`] is what proptest draws, prints and shrinks: the architecture, a few quirks and a seed. The numbers
//! follow from the seed, so that a failure is one line.

use crate::{Fc, Layer};
use proptest::{prelude::*, sample::subsequence};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// How to draw a network and points for it.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Number of inputs.
    pub inputs: usize,
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// Number of outputs.
    pub outputs: usize,
    /// Slope of the activation for negative pre-activations, -1 to 1.
    pub negative_slope: f64,
    /// What the numbers are.
    pub numbers: Numbers,
    /// What is odd about the network.
    pub quirks: Vec<Quirk>,
    /// Where the numbers come from.
    pub seed: u64,
}

/// What parameters and inputs are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Gaussians of the scale that keeps activations near 1, rounded to single precision.
    Gaussian,
    /// Small integers (and a negative_slope in eighths): every sum is exact in any order, neurons are often exactly 0.
    Lattice,
}

/// An oddity that exact methods must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// All biases of hidden layers are 0: every boundary of the first layer meets in the origin.
    NoBias,
    /// A third of the hidden units have no incoming weights: a constant, with gradient 0.
    Dead,
    /// A third of the hidden units copy their neighbour.
    Duplicate,
    /// A third of the hidden units have no outgoing weights: they switch without effect.
    Mute,
}

/// Bounds of the architectures.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most inputs.
    pub inputs: usize,
    /// Most hidden layers.
    pub depth: usize,
    /// Most units of a layer.
    pub width: usize,
    /// Most outputs.
    pub outputs: usize,
}

/// The widest networks of the suite: 1 to 4 hidden layers of 1 to 20.
pub const LARGE: Limits = Limits {
    inputs: 8,
    depth: 4,
    width: 20,
    outputs: 5,
};
/// Networks for tests that do much work for each.
pub const SMALL: Limits = Limits {
    inputs: 4,
    depth: 3,
    width: 6,
    outputs: 3,
};

/// Any recipe within the limits.
pub fn recipes(limits: Limits) -> impl Strategy<Value = Recipe> {
    let hidden = prop::collection::vec(1..=limits.width, 1..=limits.depth);
    let numbers = prop_oneof![3 => Just(Numbers::Gaussian), 2 => Just(Numbers::Lattice)];
    let quirks = subsequence(
        vec![Quirk::NoBias, Quirk::Dead, Quirk::Duplicate, Quirk::Mute],
        0..=4,
    );
    let negative_slope = prop_oneof![3 => Just(0.0), 1 => Just(1.0), 3 => -1.0..1.0];
    let shape = (1..=limits.inputs, hidden, 1..=limits.outputs);
    (
        shape,
        negative_slope,
        numbers,
        quirks,
        any::<u64>().no_shrink(),
    )
        .prop_map(
            |((inputs, hidden, outputs), negative_slope, numbers, quirks, seed)| {
                let negative_slope = if numbers == Numbers::Lattice {
                    (negative_slope * 8.0f64).round() / 8.0
                } else {
                    f64::from(negative_slope as f32)
                };
                Recipe {
                    inputs,
                    hidden,
                    outputs,
                    negative_slope,
                    numbers,
                    quirks,
                    seed,
                }
            },
        )
}

/// Recipes of one kind of numbers.
pub fn recipes_of(numbers: Numbers, limits: Limits) -> impl Strategy<Value = Recipe> {
    recipes(limits).prop_map(move |recipe| Recipe {
        negative_slope: (recipe.negative_slope * 8.0).round() / 8.0,
        numbers,
        ..recipe
    })
}

/// Norms `p`: the three common ones, moderate ones, and ones near 1, whose duals are large.
pub fn norms() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(1.0),
        Just(2.0),
        Just(f64::INFINITY),
        1.0..20.0,
        1.001..1.1f64
    ]
}

impl Recipe {
    /// The network.
    pub fn network(&self) -> Fc {
        let mut rng = self.rng(0);
        let mut widths = vec![self.inputs];
        widths.extend(&self.hidden);
        widths.push(self.outputs);
        let mut layers: Vec<Layer> = widths
            .windows(2)
            .map(|w| self.layer(&mut rng, w[0], w[1]))
            .collect();
        for index in 0..self.hidden.len() {
            self.make_odd(&mut rng, &mut layers[index..index + 2]);
        }
        Fc {
            layers,
            negative_slope: self.negative_slope,
        }
    }

    /// `count` inputs.
    pub fn points(&self, count: usize) -> Vec<Vec<f64>> {
        self.vectors(1, count, self.inputs)
    }

    /// `count` vectors of `size` numbers, a different set for each `stream` above 1.
    pub fn vectors(&self, stream: u64, count: usize, size: usize) -> Vec<Vec<f64>> {
        let mut rng = self.rng(stream);
        (0..count)
            .map(|_| (0..size).map(|_| self.number(&mut rng, 1.0, 3)).collect())
            .collect()
    }

    /// A generator of this recipe's seed.
    pub fn rng(&self, stream: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        rng
    }

    fn number(&self, rng: &mut ChaCha8Rng, scale: f64, range: i32) -> f64 {
        match self.numbers {
            Numbers::Gaussian => f64::from((scale * rng.sample::<f64, _>(StandardNormal)) as f32),
            Numbers::Lattice => f64::from(rng.random_range(-range..=range)),
        }
    }

    fn layer(&self, rng: &mut ChaCha8Rng, inputs: usize, outputs: usize) -> Layer {
        let scale = (2.0 / inputs as f64).sqrt();
        let row = |rng: &mut ChaCha8Rng| (0..inputs).map(|_| self.number(rng, scale, 2)).collect();
        let weight = (0..outputs).map(|_| row(rng)).collect();
        let bias = (0..outputs).map(|_| self.number(rng, 0.5, 2)).collect();
        Layer { weight, bias }
    }

    /// Applies the quirks to a hidden layer, given with the next one.
    fn make_odd(&self, rng: &mut ChaCha8Rng, layers: &mut [Layer]) {
        let has = |quirk| self.quirks.contains(&quirk);
        for unit in 0..layers[0].bias.len() {
            let mut chosen = |quirk| has(quirk) && rng.random_ratio(1, 3);
            if chosen(Quirk::Dead) {
                layers[0].weight[unit].fill(0.0);
            }
            if chosen(Quirk::Duplicate) && unit > 0 {
                layers[0].weight[unit] = layers[0].weight[unit - 1].clone();
                layers[0].bias[unit] = layers[0].bias[unit - 1];
            }
            if chosen(Quirk::Mute) {
                layers[1].weight.iter_mut().for_each(|row| row[unit] = 0.0);
            }
        }
        if has(Quirk::NoBias) {
            layers[0].bias.fill(0.0);
        }
    }
}
