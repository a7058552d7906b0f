//! Inputs of a batch that are searched together, and what the searches are made of.

use super::weights::{Weights, dot, length};
use crate::{Result, local_errors::Values};
use loclin_tensor::{
    product::{Real, View, ViewMut, Write, multiply},
    rounding::{clear_of_zero, relative_in, unit, up_by},
};
use std::cmp::Ordering;

/// More than all that underflows in a pull.
const VANISHING: f64 = 1e-290;

/// A block of inputs linearised.
pub(super) struct Block<'a, T> {
    pub(super) weights: &'a Weights<T>,
    /// The number of its first input in the batch.
    pub(super) first: usize,
    /// What is known of the neurons' values of the whole batch.
    pub(super) known: Values<'a>,
    /// Of those of each input of the block the part that rounding cannot have made.
    pub(super) values: &'a [&'a [f64]],
    /// Selected slopes of each layer, `[inputs * units]`.
    pub(super) slopes: Vec<&'a [T]>,
}

/// A neuron behind the first layer, as far as its gradient is known.
pub(super) struct Row<T> {
    pub(super) position: usize,
    /// The layer whose pre-activations `cotangent` belongs to.
    pub(super) level: usize,
    /// The neuron's row, pulled back through the layers above and multiplied by the slopes of layer `level`.
    pub(super) cotangent: Vec<T>,
    /// At least its Euclidean length, and that of the exact cotangent.
    pub(super) length: f64,
    /// At least the length of what rounding has done to the cotangent.
    pub(super) error: f64,
    /// At least the error of the neuron's value, as far as it arises at this level or above.
    pub(super) value_error: f64,
    /// `||grad z||_2` by the Gram matrix; `None` while unknown, infinite where its terms cancel.
    pub(super) euclidean: Option<f64>,
    /// The gradient's norms by itself, in the order of the norms asked for; empty while unknown.
    pub(super) norms: Vec<f64>,
    /// Within a domain its distances there, in the same order.
    pub(super) distances: Vec<f64>,
}

/// A neuron and a lower bound of its distance; the greatest candidate is the nearest.
#[derive(PartialEq)]
pub(super) struct Candidate {
    pub(super) least: f64,
    pub(super) position: usize,
    /// Its place among the rows, once it has been pulled back.
    pub(super) row: Option<usize>,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let own = other.least.total_cmp(&self.least);
        own.then(other.position.cmp(&self.position))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Real> Block<'_, T> {
    /// Whether rounding errors are bounded: otherwise what is found is an estimate.
    pub(super) fn is_bounded(&self) -> bool {
        self.known.local.is_some()
    }

    /// The slopes of layer `level` at one input.
    pub(super) fn slopes(&self, level: usize, input: usize) -> &[T] {
        let width = self.weights.layers[level].outputs;
        &self.slopes[level][input * width..][..width]
    }

    /// A neuron's row on the slopes of the layer below.
    pub(super) fn row(&self, input: usize, position: usize) -> Row<T> {
        let (layer, index) = self.place(position);
        let weights = self.weights.layers[layer].row(index);
        let mut row = Row {
            position,
            level: layer - 1,
            length: 0.0,
            error: 0.0,
            value_error: match self.known.local {
                Some(local) => local.values[self.first + input][position],
                None => 0.0,
            },
            cotangent: Vec::new(),
            euclidean: None,
            norms: Vec::new(),
            distances: Vec::new(),
        };
        self.select(input, &mut row, weights, 0.0);
        row
    }

    /// Pulls a row one layer back, given the product of its cotangent and that layer's weights.
    pub(super) fn pull(&self, input: usize, row: &mut Row<T>, pulled: &[T]) {
        let layer = &self.weights.layers[row.level];
        row.level -= 1;
        let error = match row.length > 0.0 && self.is_bounded() {
            true => {
                let own = relative_in(layer.outputs + 4, T::DTYPE);
                let spectral = self.weights.spectral[row.level];
                up_by(spectral * row.error + own * layer.absolute * row.length, 8) + VANISHING
            }
            false => 0.0,
        };
        self.select(input, row, pulled, error);
    }

    /// Takes a cotangent of the activations of a row's level, whose error's length is at most `error`, to its slopes.
    fn select(&self, input: usize, row: &mut Row<T>, pulled: &[T], error: f64) {
        let slopes = self.slopes(row.level, input);
        row.value_error = up_by(
            row.value_error + self.arising(input, row.level, pulled, error),
            2,
        );
        row.cotangent.clear();
        let products = pulled.iter().zip(slopes).map(|(v, s)| *v * *s);
        row.cotangent.extend(products);
        let layer = &self.weights.layers[row.level];
        let nothing = pulled.iter().zip(slopes);
        if error == 0.0
            && nothing
                .clone()
                .all(|(v, s)| *v == T::zero() || *s == T::zero())
            || slopes.iter().all(|slope| *slope == T::zero())
        {
            // Nothing depends on the input any more.
            (row.length, row.error) = (0.0, 0.0);
            return;
        }
        let length = length(&row.cotangent);
        // Products with slopes of 0 and 1 are exact.
        let exact = slopes.iter().all(|s| *s == T::zero() || *s == T::one());
        let rounded = match exact || !self.is_bounded() {
            true => 0.0,
            false => up_by(length * 2.0 * unit(T::DTYPE), 2) + VANISHING,
        };
        row.error = up_by(error * layer.steepest + rounded, 4);
        row.length = up_by(length + row.error, 2);
    }

    /// At least what the errors that arise in the activations of a layer change in the value of a neuron with gradient `pulled`
    /// with respect to these.
    fn arising(&self, input: usize, level: usize, pulled: &[T], error: f64) -> f64 {
        let Some(local) = self.known.local else {
            return 0.0;
        };
        let layers = &self.weights.layers;
        let start: usize = layers[..level].iter().map(|layer| layer.outputs).sum();
        let own = &local.activations[self.first + input][start..start + pulled.len()];
        let sum = dot(pulled, own, |v, e| v.to_f64().abs() * e);
        let beside = error * local.lengths[self.first + input][level];
        let vanished = if sum + beside > 0.0 || error > 0.0 {
            VANISHING
        } else {
            0.0
        };
        up_by(sum + beside, pulled.len() + 8) + vanished
    }

    /// Of the value of a neuron whose row has come to the first layer the part that rounding cannot have made, absolute.
    pub(super) fn value(&self, input: usize, row: &Row<T>) -> f64 {
        let clear = self.values[input][row.position].abs();
        let Some(local) = self.known.local.filter(|_| row.level == 0) else {
            return clear;
        };
        let number = self.first + input;
        let normalised = match local.inputs[number][0] {
            0.0 => 0.0,
            error => up_by(row.length * self.weights.leading * error, 4),
        };
        let error = up_by(row.value_error + normalised, 2);
        let computed = self.known.computed[number][row.position].abs();
        // What is not a number says nothing.
        clear_of_zero(computed, error).max(clear)
    }

    /// [`Block::value`] with its sign, 0 where the side is undecided.
    pub(super) fn signed(&self, input: usize, row: &Row<T>) -> f64 {
        let computed = self.known.computed[self.first + input][row.position];
        self.value(input, row).copysign(computed)
    }

    /// Layer and index of the neuron at a position.
    fn place(&self, position: usize) -> (usize, usize) {
        let mut index = position;
        for (layer, of) in self.weights.layers.iter().enumerate() {
            if index < of.outputs {
                return (layer, index);
            }
            index -= of.outputs;
        }
        (self.weights.layers.len(), index)
    }
}

/// `rows` vectors times a matrix, on this thread.
pub(super) fn times<T: Real>(
    vectors: &[T],
    rows: usize,
    matrix: View<T>,
    columns: usize,
) -> Result<Vec<T>> {
    let width = vectors.len() / rows.max(1);
    let mut product = vec![T::zero(); rows * columns];
    multiply(
        ViewMut::new(&mut product, rows, columns)?,
        Write::Replace,
        1.0,
        View::new(vectors, rows, width)?,
        matrix,
    )?;
    Ok(product)
}
