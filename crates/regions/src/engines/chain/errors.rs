//! Bounds of the rounding errors of a chain's forward pass in float64, at the price of a few numbers for each neuron.
//!
//! A neuron's computed value is off by at most `g (|W_j| |a| + |b_j|) + |W_j| e`, with `e` the errors of the layer below
//! and `g` the relative error of as many roundings as the sum has terms; `|W_j| v <= ||W_j||_2 ||v||_2` bounds both
//! products by lengths, which takes no product of matrices.

use super::forward::Forward;
use crate::Result;
use candle_core::Tensor;
use loclin_models::{FcChain, TwoPieces};
use loclin_tensor::rounding::{UNIT, length_up, relative, up_by};
use rayon::prelude::*;

/// What is known of the layers of a chain.
#[derive(Debug)]
pub(super) struct Lengths {
    layers: Vec<LayerLengths>,
}

#[derive(Debug)]
struct LayerLengths {
    inputs: usize,
    /// At least the length of each row of `W`.
    rows: Vec<f64>,
    /// The absolute bias of each row.
    biases: Vec<f64>,
    activation: TwoPieces,
}

impl Lengths {
    /// Of the layers of a chain in float64.
    pub(super) fn new(chain: &FcChain) -> Result<Self> {
        let layers = chain.weights.iter().zip(&chain.biases);
        let layer = |((weight, bias), activation): ((&Tensor, &Option<Tensor>), &TwoPieces)| {
            let (outputs, inputs) = weight.dims2()?;
            let values = weight.flatten_all()?.to_vec1::<f64>()?;
            Ok(LayerLengths {
                inputs,
                rows: values.chunks_exact(inputs).map(length_up).collect(),
                biases: match bias {
                    Some(bias) => bias.abs()?.to_vec1()?,
                    None => vec![0.0; outputs],
                },
                activation: activation.clone(),
            })
        };
        let layers = layers.zip(&chain.activations).map(layer);
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
        })
    }

    /// Bounds of the errors of all neurons, `[B, |I|]` row by row, given what a forward pass found.
    pub(super) fn errors(&self, chain: &FcChain, found: &Forward) -> Vec<f64> {
        let width: usize = self.layers.iter().map(|layer| layer.rows.len()).sum();
        let mut all = vec![0.0; found.batch * width];
        all.par_chunks_mut(width.max(1))
            .enumerate()
            .for_each(|(input, errors)| self.of_input(chain, found, input, errors));
        all
    }

    fn of_input(&self, chain: &FcChain, found: &Forward, input: usize, errors: &mut [f64]) {
        let x = found.row(&found.inputs, input);
        let length = fast_length(x);
        // The normalisation: three roundings of each term.
        let mut error = match (chain.scale, chain.shift) == (1.0, 0.0) {
            true => 0.0,
            false => {
                let shift = chain.shift.abs() * (x.len() as f64).sqrt();
                up_by(8.0 * UNIT * (length + 2.0 * shift), 8)
            }
        };
        let (mut below, mut start) = (length, 0);
        for (layer, (z, a)) in self.layers.iter().zip(&found.layers) {
            let (z, a) = (found.row(z, input), found.row(a, input));
            let own = relative(layer.inputs + 2);
            // Products with zeros are exact.
            let nothing = below == 0.0 && error == 0.0;
            let (factor, vanished) = match nothing {
                true => (0.0, 0.0),
                false => (
                    up_by(own * below + error * (1.0 + own), 8),
                    layer.inputs as f64 * f64::MIN_POSITIVE,
                ),
            };
            let errors = &mut errors[start..start + z.len()];
            let TwoPieces {
                breakpoint,
                slopes: [low, high],
                anchor,
            } = layer.activation;
            let most = low.abs().max(high.abs());
            let plain = breakpoint == 0.0 && anchor == 0.0;
            let exact = plain && [low, high].iter().all(|s| [-1.0, 0.0, 1.0].contains(s));
            let constants = anchor.abs() + most * breakpoint.abs();
            let (mut squares, mut some) = (0.0, false);
            let each = errors.iter_mut().zip(z.iter().zip(a));
            for ((bound, (z, a)), (row, bias)) in each.zip(layer.rows.iter().zip(&layer.biases)) {
                let vanished = if *row > 0.0 { vanished } else { 0.0 };
                *bound = (row * factor + own * (bias + breakpoint.abs()) + vanished)
                    * (1.0 + 16.0 * UNIT)
                    + if plain { 0.0 } else { 4.0 * UNIT * z.abs() };
                let slope = match z.abs() > *bound {
                    true if *z > 0.0 => high.abs(),
                    true => low.abs(),
                    false => most,
                };
                let activated = match exact {
                    true => slope * *bound,
                    false => slope * *bound + 8.0 * UNIT * (a.abs() + slope * z.abs() + constants),
                };
                squares += activated * activated;
                some |= activated != 0.0;
            }
            error = match squares > 1e-250 {
                true => up_by(squares.sqrt(), z.len() + 16),
                // Squares may have vanished: the largest that each can have been.
                false if some => 1e-120 * (z.len() as f64),
                false => 0.0,
            };
            below = fast_length(a);
            start += z.len();
        }
    }
}

/// At least the length of a vector, in one pass where no square vanishes or overflows.
fn fast_length(vector: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let chunks = vector.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().map(|v| v * v).sum();
    for chunk in chunks {
        for (sum, v) in sums.iter_mut().zip(chunk) {
            *sum += v * v;
        }
    }
    let square = sums.iter().sum::<f64>() + rest;
    match (1e-280..1e280).contains(&square) {
        true => up_by(square.sqrt(), vector.len() + 8),
        false => length_up(vector),
    }
}
