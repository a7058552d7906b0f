//! Inputs of a batch that are searched together, and what the searches are made of.

use super::weights::{Weights, length};
use crate::Result;
use loclin_tensor::{
    product::{Real, View, ViewMut, Write, multiply},
    rounding::{product_up, relative_in, unit, up_by},
};
use std::cmp::Ordering;

/// More than all that underflows in a pull.
const VANISHING: f64 = 1e-290;

/// A block of inputs linearised.
pub(super) struct Block<'a, T> {
    pub(super) weights: &'a Weights<T>,
    /// Values of the neurons of each input.
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
    /// At least the length of the cotangent pulled through absolute values.
    pub(super) magnitude: f64,
    /// `||grad z||_2` by the Gram matrix; `None` while unknown, infinite where its terms cancel.
    pub(super) euclidean: Option<f64>,
    /// The gradient's norms by itself, in the order of the norms asked for; empty while unknown.
    pub(super) norms: Vec<f64>,
}

impl<T: Real> Row<T> {
    /// Goes one layer back: to a cotangent of that layer's activations, on its slopes.
    ///
    /// `absolute` bounds the spectral norm of the absolute values of the layer that it passes, which has `terms` outputs,
    /// and `steepest` the slopes.
    pub(super) fn pull(
        &mut self,
        (pulled, slopes): (&[T], &[T]),
        (absolute, steepest, terms): (f64, f64, usize),
    ) {
        self.cotangent.clear();
        let products = pulled.iter().zip(slopes).map(|(v, s)| *v * *s);
        self.cotangent.extend(products);
        self.level -= 1;
        if slopes.iter().all(|slope| *slope == T::zero()) {
            // Nothing depends on the input any more.
            (self.length, self.error, self.magnitude) = (0.0, 0.0, 0.0);
            return;
        }
        let own = relative_in(terms + 4, T::DTYPE);
        let through = up_by(absolute * steepest, 2);
        self.error = up_by(
            through * (self.error * (1.0 + own) + own * self.magnitude),
            8,
        );
        self.error += if self.magnitude > 0.0 { VANISHING } else { 0.0 };
        self.magnitude = up_by(through * self.magnitude, 4);
        self.length = up_by(length(&self.cotangent) + self.error, 2);
    }
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
    /// The slopes of layer `level` at one input.
    pub(super) fn slopes(&self, level: usize, input: usize) -> &[T] {
        let width = self.weights.layers[level].outputs;
        &self.slopes[level][input * width..][..width]
    }

    /// A neuron's row on the slopes of the layer below.
    pub(super) fn row(&self, input: usize, position: usize) -> Row<T> {
        let (layer, index) = self.place(position);
        let weights = self.weights.layers[layer].row(index);
        let slopes = self.slopes(layer - 1, input);
        let cotangent: Vec<T> = weights.iter().zip(slopes).map(|(w, s)| *w * *s).collect();
        Row {
            position,
            level: layer - 1,
            length: product_up(&[length(&cotangent), 1.0 + 4.0 * unit(T::DTYPE)]),
            error: length(&cotangent) * 4.0 * unit(T::DTYPE),
            magnitude: product_up(&[length(&cotangent), 1.0 + 4.0 * unit(T::DTYPE)]),
            cotangent,
            euclidean: None,
            norms: Vec::new(),
        }
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
