//! Bounds of the rounding errors of a chain's forward pass in float64, at the price of a few numbers for each neuron.
//!
//! A neuron's computed value is off by at most `g (|W_j| |a| + |b_j|) + |W_j| e`, with `e` the errors of the layer below
//! and `g` the relative error of as many roundings as the sum has terms; `|W_j| v <= ||W_j||_2 ||v||_2` bounds both
//! products by lengths, which takes no product of matrices.

use super::forward::Forward;
use crate::{Result, Rows, local_errors::LocalErrors};
use candle_core::Tensor;
use loclin_models::{FcChain, TwoPieces};
use loclin_tensor::rounding::{UNIT, length_up, relative, up_by};
use rayon::prelude::*;

/// What is known of the errors of a batch of inputs.
pub(super) struct Errors {
    /// Of the neurons' values, `[B, |I|]`.
    pub(super) values: Rows,
    pub(super) local: LocalErrors,
}

/// The rows of one input.
struct OfInput<'a> {
    values: &'a mut [f64],
    own: &'a mut [f64],
    activations: &'a mut [f64],
    lengths: &'a mut [f64],
    input: &'a mut f64,
}

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

    /// Bounds of the errors of all neurons, given what a forward pass found.
    pub(super) fn errors(&self, chain: &FcChain, found: &Forward) -> Errors {
        let width: usize = self.layers.iter().map(|layer| layer.rows.len()).sum();
        let (batch, layers) = (found.batch, self.layers.len());
        let [mut values, mut own, mut activations] = [(); 3].map(|()| vec![0.0; batch * width]);
        let (mut lengths, mut inputs) = (vec![0.0; batch * layers], vec![0.0; batch]);
        let tables = values
            .par_chunks_mut(width.max(1))
            .zip(own.par_chunks_mut(width.max(1)))
            .zip(activations.par_chunks_mut(width.max(1)))
            .zip(lengths.par_chunks_mut(layers.max(1)))
            .zip(inputs.par_iter_mut());
        let each = tables.enumerate();
        each.for_each(
            |(number, ((((values, own), activations), lengths), input))| {
                let rows = OfInput {
                    values,
                    own,
                    activations,
                    lengths,
                    input,
                };
                self.of_input(chain, found, number, rows);
            },
        );
        Errors {
            values: Rows::new(values, batch, width),
            local: LocalErrors {
                values: Rows::new(own, batch, width),
                activations: Rows::new(activations, batch, width),
                lengths: Rows::new(lengths, batch, layers),
                inputs: Rows::new(inputs, batch, 1),
            },
        }
    }

    fn of_input(&self, chain: &FcChain, found: &Forward, input: usize, rows: OfInput<'_>) {
        let x = found.row(&found.inputs, input);
        let mut below = Operand::of(x);
        // The normalisation: three roundings of each term.
        let mut error = match (chain.scale, chain.shift) == (1.0, 0.0) {
            true => 0.0,
            false => {
                let shift = chain.shift.abs() * (x.len() as f64).sqrt();
                up_by(8.0 * UNIT * (below.length + 2.0 * shift), 8)
            }
        };
        *rows.input = error;
        let mut start = 0;
        let layers = self.layers.iter().zip(&found.layers).zip(rows.lengths);
        for ((layer, (z, a)), length) in layers {
            let (z, a) = (found.row(z, input), found.row(a, input));
            let own = start..start + z.len();
            let tables = [
                &mut rows.values[own.clone()],
                &mut rows.own[own.clone()],
                &mut rows.activations[own],
            ];
            (error, *length) = layer.errors((&below, error), (z, a), tables);
            below = Operand::of(a);
            start += z.len();
        }
    }
}

/// What a layer reads.
struct Operand {
    /// At least its length.
    length: f64,
    /// Entries that are not 0: products with the others are exact, and so is adding them.
    terms: usize,
}

impl Operand {
    fn of(vector: &[f64]) -> Self {
        Self {
            length: fast_length(vector),
            terms: vector.iter().map(|v| usize::from(*v != 0.0)).sum(),
        }
    }
}

impl LayerLengths {
    /// Fills the bounds of a layer's errors: of its values, of what arises in them, and of what arises in its activations.
    /// Returns bounds of the length of the activations' errors, and of what of them arises here.
    fn errors(
        &self,
        (below, error): (&Operand, f64),
        (z, a): (&[f64], &[f64]),
        [bounds, owns, arising]: [&mut [f64]; 3],
    ) -> (f64, f64) {
        let rounded = relative(below.terms + 2);
        // Products with zeros are exact.
        let (factor, from_below, vanished) = match below.terms == 0 && error == 0.0 {
            true => (0.0, 0.0, 0.0),
            false => (
                up_by(rounded * below.length, 8),
                up_by(error * (1.0 + rounded), 8),
                self.inputs as f64 * f64::MIN_POSITIVE,
            ),
        };
        let TwoPieces {
            breakpoint,
            slopes: [low, high],
            anchor,
        } = self.activation;
        let most = low.abs().max(high.abs());
        let plain = breakpoint == 0.0 && anchor == 0.0;
        let exact = plain && [low, high].iter().all(|s| [-1.0, 0.0, 1.0].contains(s));
        let constants = anchor.abs() + most * breakpoint.abs();
        let (mut all, mut new) = (Squares::default(), Squares::default());
        let tables = bounds.iter_mut().zip(owns).zip(arising);
        let numbers = z.iter().zip(a).zip(self.rows.iter().zip(&self.biases));
        for (((bound, own), arising), ((z, a), (row, bias))) in tables.zip(numbers) {
            let vanished = if *row > 0.0 { vanished } else { 0.0 };
            let subtracted = if plain { 0.0 } else { 4.0 * UNIT * z.abs() };
            *own = (row * factor + rounded * (bias + breakpoint.abs()) + vanished)
                * (1.0 + 16.0 * UNIT)
                + subtracted;
            *bound = (row * from_below + *own) * (1.0 + 16.0 * UNIT);
            let decided = z.abs() > *bound;
            let recorded = if *z >= 0.0 { high.abs() } else { low.abs() };
            let slope = if decided { recorded } else { most };
            let added = match exact {
                true => 0.0,
                false => 8.0 * UNIT * (a.abs() + slope * z.abs() + constants),
            };
            let other = match decided {
                true => 0.0,
                false => (high - low).abs() * *bound,
            };
            *arising = (recorded * *own + added + other) * (1.0 + 8.0 * UNIT);
            all.add(slope * *bound + added);
            new.add(*arising);
        }
        (all.length(z.len()), new.length(z.len()))
    }
}

/// A sum of squares of numbers that are not negative.
#[derive(Default)]
struct Squares {
    sum: f64,
    some: bool,
}

impl Squares {
    fn add(&mut self, number: f64) {
        self.sum += number * number;
        self.some |= number != 0.0;
    }

    /// At least the length of the `count` numbers.
    fn length(&self, count: usize) -> f64 {
        match self.sum > 1e-250 {
            true => up_by(self.sum.sqrt(), count + 16),
            // Squares may have vanished: the largest that each can have been.
            false if self.some => 1e-120 * (count as f64),
            false => 0.0,
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
