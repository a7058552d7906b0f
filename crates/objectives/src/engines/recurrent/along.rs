//! `R = sum over inputs, their directions v and steps t of ||d_t||^2 / T`, `d_t` being the derivative of `z_t` along `v` and `T` the
//! number of the input's own steps, and its gradients in `U` and `W`.
//!
//! Sequences of all lengths go together. Rows are an input's directions, the longest inputs first: those that are still there at
//! a step are the first rows of the step before. Steps stand one below the other, so that `U`, and the gradients of `U` and `W`,
//! are one product each, and a step is one product with `W`.

use super::total::squares;
use loclin_tensor::{
    Result,
    product::{Real, View, ViewMut, Write, multiply_by_all},
};
use std::cmp::Reverse;

/// Inputs of one length.
pub(super) struct Part<T> {
    /// `B`.
    pub(super) batch: usize,
    /// Directions of each input.
    pub(super) count: usize,
    /// `T`.
    pub(super) steps: usize,
    /// `[B, count, T, C]`.
    pub(super) directions: Vec<T>,
    /// For each step the slopes `[B, H]`.
    pub(super) slopes: Vec<Vec<T>>,
}

/// The weights of a recurrence.
pub(super) struct Along<'a, T> {
    /// `H`.
    pub(super) hidden: usize,
    /// `C`.
    pub(super) channels: usize,
    /// `U`, row-major `[H, C]`.
    pub(super) input: &'a [T],
    /// `W`, row-major `[H, H]`; empty if all inputs have a single step.
    pub(super) recurrent: &'a [T],
}

/// Derivatives of all steps, and what they are made of.
pub(super) struct Tangents<T> {
    /// How many rows are there at each step, falling.
    rows: Vec<usize>,
    /// The directions, divided by the square root of the input's number of steps: a row of `C` for each row of each step.
    directions: Vec<T>,
    /// The slopes `[H]` of each row of each step.
    slopes: Vec<T>,
    /// The derivatives of pre-activations, `[H]` for each row of each step.
    tangents: Vec<T>,
    /// What went into the steps after the first: the derivatives of the step before, with its slopes.
    fed: Vec<T>,
}

impl<T: Real> Tangents<T> {
    /// `R`.
    pub(super) fn squares(&self) -> f64 {
        squares(&self.tangents)
    }
}

impl<T: Real> Along<'_, T> {
    /// Pushes the directions of inputs through all steps.
    pub(super) fn push(&self, mut parts: Vec<Part<T>>) -> Result<Tangents<T>> {
        let hidden = self.hidden;
        parts.sort_by_key(|part| Reverse(part.steps));
        let (mut rows, mut directions, mut slopes) = (Vec::new(), Vec::new(), Vec::new());
        for step in 0..parts.first().map_or(0, |part| part.steps) {
            let before = directions.len();
            for part in parts.iter().take_while(|part| part.steps > step) {
                let scale = T::from_f64(1.0 / (part.steps as f64).sqrt());
                for row in 0..part.batch * part.count {
                    let own = (row * part.steps + step) * self.channels;
                    let own = &part.directions[own..][..self.channels];
                    directions.extend(own.iter().map(|v| *v * scale));
                    let own = &part.slopes[step][row / part.count * hidden..];
                    slopes.extend_from_slice(&own[..hidden]);
                }
            }
            rows.push((directions.len() - before) / self.channels);
        }
        let all: usize = rows.iter().sum();
        let mut tangents = vec![T::zero(); all * hidden];
        multiply_by_all(
            ViewMut::new(&mut tangents, all, hidden)?,
            Write::Replace,
            1.0,
            View::new(&directions, all, self.channels)?,
            View::new(self.input, hidden, self.channels)?.t(),
        )?;
        let first = rows.first().copied().unwrap_or(0);
        let mut fed = vec![T::zero(); (all - first) * hidden];
        // Read once for each step, as it lies.
        let transposed = self.transposed();
        let (mut start, mut into) = (0, 0);
        for pair in rows.windows(2) {
            let (here, next) = (pair[0], pair[1]);
            let (before, after) = tangents.split_at_mut((start + here) * hidden);
            let fed = &mut fed[into * hidden..][..next * hidden];
            let slopes = &slopes[start * hidden..];
            let terms = before[start * hidden..].iter().zip(slopes);
            fed.iter_mut()
                .zip(terms)
                .for_each(|(v, (d, s))| *v = *d * *s);
            multiply_by_all(
                ViewMut::new(&mut after[..next * hidden], next, hidden)?,
                Write::Add,
                1.0,
                View::new(fed, next, hidden)?,
                View::new(&transposed, hidden, hidden)?,
            )?;
            start += here;
            into += next;
        }
        Ok(Tangents {
            rows,
            directions,
            slopes,
            tangents,
            fed,
        })
    }

    /// `factor` times the gradients of `R` in `U` and, where there is one, in `W`.
    pub(super) fn gradients(&self, pushed: &Tangents<T>, factor: f64) -> Result<Vec<Vec<T>>> {
        let hidden = self.hidden;
        let twice = T::from_f64(2.0 * factor);
        let mut cotangents: Vec<T> = pushed.tangents.iter().map(|d| *d * twice).collect();
        let all: usize = pushed.rows.iter().sum();
        let first = pushed.rows.first().copied().unwrap_or(0);
        let mut end = all;
        let mut pulled = vec![T::zero(); first * hidden];
        for pair in pushed.rows.windows(2).rev() {
            let (before, here) = (pair[0], pair[1]);
            let start = end - here;
            let pulled = &mut pulled[..here * hidden];
            multiply_by_all(
                ViewMut::new(pulled, here, hidden)?,
                Write::Replace,
                1.0,
                View::new(&cotangents[start * hidden..end * hidden], here, hidden)?,
                View::new(self.recurrent, hidden, hidden)?,
            )?;
            let at = (start - before) * hidden;
            let terms = pulled.iter().zip(&pushed.slopes[at..]);
            let sums = cotangents[at..].iter_mut().zip(terms);
            sums.for_each(|(sum, (g, s))| *sum += *g * *s);
            end = start;
        }
        let product = |cotangents: &[T], other: &[T], columns: usize| -> Result<Vec<T>> {
            let rows = cotangents.len() / hidden;
            let mut result = vec![T::zero(); hidden * columns];
            multiply_by_all(
                ViewMut::new(&mut result, hidden, columns)?,
                Write::Replace,
                1.0,
                View::new(cotangents, rows, hidden)?.t(),
                View::new(other, rows, columns)?,
            )?;
            Ok(result)
        };
        let mut gradients = vec![product(&cotangents, &pushed.directions, self.channels)?];
        if !self.recurrent.is_empty() {
            let later = &cotangents[first * hidden..];
            gradients.push(product(later, &pushed.fed, hidden)?);
        }
        Ok(gradients)
    }

    /// `W^T`, row-major.
    fn transposed(&self) -> Vec<T> {
        let mut transposed = vec![T::zero(); self.recurrent.len()];
        for (column, row) in self.recurrent.chunks_exact(self.hidden).enumerate() {
            let column = transposed[column..].iter_mut().step_by(self.hidden);
            column.zip(row).for_each(|(t, w)| *t = *w);
        }
        transposed
    }
}
