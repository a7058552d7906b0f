//! Bounds of the rounding errors of a chain's forward pass in float64, at the price of a few numbers for each neuron.
//!
//! A neuron's computed value is off by at most `g (|W_j| |a| + |b_j|) + |W_j| e`, with `e` the errors of the layer below
//! and `g` the relative error of as many roundings as the sum has terms; `|W_j| v <= ||W_j||_2 ||v||_2` bounds both
//! products by lengths, which takes no product of matrices.

use super::{
    forward::Forward,
    twice::{self, Numbers},
    weights::length,
};
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

/// The same while it is being found, row by row.
struct Tables {
    values: Vec<f64>,
    own: Vec<f64>,
    activations: Vec<f64>,
    lengths: Vec<f64>,
    inputs: Vec<f64>,
}

impl Tables {
    fn new(batch: usize, width: usize, layers: usize) -> Self {
        let [values, own, activations] = [(); 3].map(|()| vec![0.0; batch * width]);
        Self {
            values,
            own,
            activations,
            lengths: vec![0.0; batch * layers],
            inputs: vec![0.0; batch],
        }
    }

    fn known(self, batch: usize) -> Errors {
        let rows = |numbers: Vec<f64>| {
            let width = numbers.len() / batch.max(1);
            Rows::new(numbers, batch, width)
        };
        Errors {
            values: rows(self.values),
            local: LocalErrors {
                values: rows(self.own),
                activations: rows(self.activations),
                lengths: rows(self.lengths),
                inputs: rows(self.inputs),
            },
        }
    }
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
    numbers: Numbers,
    /// At least the length of each row of `W`.
    rows: Vec<f64>,
    /// The absolute bias of each row.
    biases: Vec<f64>,
}

impl Lengths {
    /// Of the layers of a chain in float64.
    pub(super) fn new(chain: &FcChain) -> Result<Self> {
        let layers = chain.weights.iter().zip(&chain.biases);
        let layer = |((weight, bias), activation): ((&Tensor, &Option<Tensor>), &TwoPieces)| {
            let (outputs, inputs) = weight.dims2()?;
            let values = weight.flatten_all()?.to_vec1::<f64>()?;
            let own = match bias {
                Some(bias) => bias.to_vec1::<f64>()?,
                None => vec![0.0; outputs],
            };
            Ok(LayerLengths {
                rows: values.chunks_exact(inputs).map(length_up).collect(),
                biases: own.iter().map(|bias| bias.abs()).collect(),
                numbers: Numbers {
                    weight: values,
                    bias: own,
                    inputs,
                    activation: *activation,
                },
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
        let mut errors = Tables::new(batch, width, layers);
        let tables = errors
            .values
            .par_chunks_mut(width.max(1))
            .zip(errors.own.par_chunks_mut(width.max(1)))
            .zip(errors.activations.par_chunks_mut(width.max(1)))
            .zip(errors.lengths.par_chunks_mut(layers.max(1)))
            .zip(errors.inputs.par_iter_mut());
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
                let x = found.row(&found.inputs, number);
                let row = |(z, a)| (found.row(z, number), found.row(a, number));
                let layers = found.layers.iter().map(|(z, a)| row((z, a)));
                self.fill(chain, x, layers, Precision::Once, rows);
            },
        );
        errors.known(batch)
    }

    /// Fills the rows of one input, given the normalised input and each layer's values and activations.
    fn fill<'a>(
        &self,
        chain: &FcChain,
        x: &[f64],
        found: impl Iterator<Item = (&'a [f64], &'a [f64])>,
        precision: Precision,
        rows: OfInput<'_>,
    ) {
        let mut below = Operand::of(x, precision);
        // The normalisation: three roundings of each term, with a factor and a shift that are themselves rounded.
        let mut error = match (chain.scale, chain.shift) == (1.0, 0.0) {
            true => 0.0,
            false => {
                let shift = chain.shift.abs() * (x.len() as f64).sqrt();
                up_by(8.0 * UNIT * (below.length + 2.0 * shift), 8)
            }
        };
        *rows.input = error;
        let mut start = 0;
        let layers = self.layers.iter().zip(found).zip(rows.lengths);
        for ((layer, (z, a)), length) in layers {
            let own = start..start + z.len();
            let tables = [
                &mut rows.values[own.clone()],
                &mut rows.own[own.clone()],
                &mut rows.activations[own],
            ];
            (error, *length) = layer.errors((&below, error), (z, a), tables);
            below = Operand::of(a, precision);
            start += z.len();
        }
    }

    /// The values of the neurons of input number `input` in twice the precision, `[1, |I|]`, and what is known of their errors;
    /// `None` for activations that have a kink elsewhere than at 0, and where a neuron is on another side.
    pub(super) fn sharper(
        &self,
        chain: &FcChain,
        x: &[f64],
        recorded: &[f64],
    ) -> Option<(Rows, Errors)> {
        let numbers: Vec<&Numbers> = self.layers.iter().map(|layer| &layer.numbers).collect();
        let found = twice::forward(chain, &numbers, x)?;
        let highs =
            |numbers: &[(f64, f64)]| numbers.iter().map(|(high, _)| *high).collect::<Vec<_>>();
        let values: Vec<f64> = found.layers.iter().flat_map(|(z, _)| highs(z)).collect();
        let same = values
            .iter()
            .zip(recorded)
            .all(|(own, z)| (*own >= 0.0) == (*z >= 0.0));
        if !same {
            return None;
        }
        let layers: Vec<_> = found
            .layers
            .iter()
            .map(|(z, a)| (highs(z), highs(a)))
            .collect();
        let mut errors = Tables::new(1, values.len(), layers.len());
        let rows = OfInput {
            values: &mut errors.values,
            own: &mut errors.own,
            activations: &mut errors.activations,
            lengths: &mut errors.lengths,
            input: &mut errors.inputs[0],
        };
        let numbers = layers.iter().map(|(z, a)| (&z[..], &a[..]));
        self.fill(chain, &highs(&found.input), numbers, Precision::Twice, rows);
        // What is told is the first of each two numbers.
        let lows = found.layers.iter().flat_map(|(z, _)| z);
        let told = errors.values.iter_mut().zip(&mut errors.own);
        for ((bound, own), (_, low)) in told.zip(lows) {
            *bound = up_by(*bound + low.abs(), 1);
            *own = up_by(*own + low.abs(), 1);
        }
        let (width, errors) = (values.len(), errors.known(1));
        Some((Rows::new(values, 1, width), errors))
    }
}

/// What a layer reads.
struct Operand {
    /// At least its length.
    length: f64,
    /// The relative error of a sum of its products. Products with zeros are exact, and so is adding them.
    rounded: f64,
    /// That of one operation.
    unit: f64,
}

/// With how many digits numbers are found.
#[derive(Clone, Copy)]
enum Precision {
    Once,
    /// As sums of two numbers. The errors of the second, of three roundings for each term, are relative to it.
    Twice,
}

impl Operand {
    fn of(vector: &[f64], precision: Precision) -> Self {
        let terms: usize = vector.iter().map(|v| usize::from(*v != 0.0)).sum();
        let (rounded, unit) = match precision {
            Precision::Once => (relative(terms + 2), UNIT),
            Precision::Twice => (relative(3 * terms + 16).powi(2), 4.0 * UNIT * UNIT),
        };
        Self {
            length: length(vector),
            rounded,
            unit,
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
        let (rounded, unit) = (below.rounded, below.unit);
        // Products with zeros are exact.
        let (factor, from_below, vanished) = match below.length == 0.0 && error == 0.0 {
            true => (0.0, 0.0, 0.0),
            false => (
                up_by(rounded * below.length, 8),
                up_by(error * (1.0 + rounded), 8),
                self.numbers.inputs as f64 * f64::MIN_POSITIVE,
            ),
        };
        let TwoPieces {
            breakpoint,
            slopes: [low, high],
            anchor,
        } = self.numbers.activation;
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
                false => 8.0 * unit * (a.abs() + slope * z.abs() + constants),
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
