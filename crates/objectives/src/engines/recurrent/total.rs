//! `R = sum over inputs and steps t >= s of ||J^{t,s}||_F^2` and its gradients in `U` and `W`.
//!
//! Tangents are rows. At step `t` there are `(t + 1) B C` of them, those of step `s` being rows `s B C .. (s + 1) B C`,
//! input by input: one matrix for the whole batch, and one product with `W` for each step. Cotangents of step `t` are
//! `2 z + D_t W^T (cotangents of step t + 1)`, read row by row; their products with the tangents that went into the
//! step are the gradient of `W`, and those of a step's own axes that of `U`.

use loclin_tensor::{
    Result,
    product::{Real, View, ViewMut, Write, multiply_by_all},
};
use rayon::prelude::*;

/// A recurrence at a batch of sequences of one length.
pub(super) struct Unrolled<'a, T> {
    /// `B`.
    pub(super) batch: usize,
    /// `H`.
    pub(super) hidden: usize,
    /// `C`.
    pub(super) channels: usize,
    /// `U`, row-major `[H, C]`.
    pub(super) input: &'a [T],
    /// `W`, row-major `[H, H]`; empty for a single step.
    pub(super) recurrent: &'a [T],
    /// For each step the slopes `[B, H]`.
    pub(super) slopes: Vec<Vec<T>>,
}

/// `R` alone.
pub(super) fn value<T: Real>(unrolled: &Unrolled<T>) -> Result<f64> {
    let mut tangents = Vec::new();
    let mut total = 0.0;
    for step in 0..unrolled.slopes.len() {
        if step > 0 {
            unrolled.scale(&mut tangents, step - 1);
        }
        tangents = unrolled.push(&tangents)?;
        total += squares(&tangents);
    }
    Ok(total)
}

/// `R`, and `factor` times its gradients in `U` and (for more than one step) in `W`.
pub(super) fn value_and_gradients<T: Real>(
    unrolled: &Unrolled<T>,
    factor: f64,
) -> Result<(f64, Vec<Vec<T>>)> {
    let (hidden, channels) = (unrolled.hidden, unrolled.channels);
    let rows = unrolled.batch * channels;
    let steps = unrolled.slopes.len();
    // What goes into the next step; the pre-activations' own tangents are these without the slopes, of which some are
    // 0, so both are kept.
    let (mut tangents, mut scaled) = (Vec::<Vec<T>>::new(), Vec::<Vec<T>>::new());
    let mut total = 0.0;
    for step in 0..steps {
        let before = scaled.last().map_or(&[][..], Vec::as_slice);
        let own = unrolled.push(before)?;
        total += squares(&own);
        if step + 1 < steps {
            let mut next = own.clone();
            unrolled.scale(&mut next, step);
            scaled.push(next);
        }
        tangents.push(own);
    }
    let mut of_input = vec![T::zero(); hidden * channels];
    let mut of_recurrent = vec![T::zero(); unrolled.recurrent.len()];
    // Cotangents that come from the step above, before its slopes.
    let mut above: Option<Vec<T>> = None;
    for (step, mut own) in tangents.into_iter().enumerate().rev() {
        let twice = T::from_f64(2.0 * factor);
        match above.take() {
            None => own
                .par_chunks_mut(PIECE)
                .for_each(|piece| piece.iter_mut().for_each(|v| *v *= twice)),
            Some(mut above) => {
                unrolled.scale(&mut above, step);
                own.par_chunks_mut(PIECE)
                    .zip(above.par_chunks(PIECE))
                    .for_each(|(own, above)| {
                        own.iter_mut()
                            .zip(above)
                            .for_each(|(v, a)| *v = *v * twice + *a);
                    });
            }
        }
        unrolled.add_own(&own[step * rows * hidden..], &mut of_input);
        if step > 0 {
            let before = &scaled[step - 1];
            let cotangents = View::new(&own, step * rows, hidden)?;
            multiply_by_all(
                ViewMut::new(&mut of_recurrent, hidden, hidden)?,
                Write::Add,
                1.0,
                cotangents.t(),
                View::new(before, step * rows, hidden)?,
            )?;
            let mut pulled = vec![T::zero(); before.len()];
            multiply_by_all(
                ViewMut::new(&mut pulled, step * rows, hidden)?,
                Write::Replace,
                1.0,
                cotangents,
                View::new(unrolled.recurrent, hidden, hidden)?,
            )?;
            above = Some(pulled);
        }
        scaled.truncate(step.saturating_sub(1));
    }
    let mut gradients = vec![of_input];
    if steps > 1 {
        gradients.push(of_recurrent);
    }
    Ok((total, gradients))
}

/// Numbers that one thread handles at a time.
const PIECE: usize = 1 << 14;

impl<T: Real> Unrolled<'_, T> {
    /// The tangents of a step's pre-activations: those that went into it (slopes applied) through `W`, and then the
    /// axes of the step itself.
    fn push(&self, before: &[T]) -> Result<Vec<T>> {
        let own = self.batch * self.channels * self.hidden;
        let rows = before.len() / self.hidden;
        let mut tangents = vec![T::zero(); before.len() + own];
        if rows > 0 {
            multiply_by_all(
                ViewMut::new(&mut tangents, rows, self.hidden)?,
                Write::Replace,
                1.0,
                View::new(before, rows, self.hidden)?,
                View::new(self.recurrent, self.hidden, self.hidden)?.t(),
            )?;
        }
        let axes = tangents[before.len()..].chunks_exact_mut(self.hidden);
        for (row, axis) in axes.enumerate() {
            let column = self.input[row % self.channels..]
                .iter()
                .step_by(self.channels);
            axis.iter_mut().zip(column).for_each(|(v, u)| *v = *u);
        }
        Ok(tangents)
    }

    /// Multiplies rows by the slopes of their inputs at a step.
    fn scale(&self, rows: &mut [T], step: usize) {
        let slopes = &self.slopes[step];
        rows.par_chunks_mut(self.channels * self.hidden)
            .enumerate()
            .for_each(|(block, rows)| {
                let slopes = &slopes[block % self.batch * self.hidden..][..self.hidden];
                for row in rows.chunks_exact_mut(self.hidden) {
                    row.iter_mut().zip(slopes).for_each(|(v, s)| *v *= *s);
                }
            });
    }

    /// Adds cotangents of a step's own axes to the gradient of `U`.
    fn add_own(&self, cotangents: &[T], of_input: &mut [T]) {
        for (row, cotangent) in cotangents.chunks_exact(self.hidden).enumerate() {
            let column = of_input[row % self.channels..]
                .iter_mut()
                .step_by(self.channels);
            column.zip(cotangent).for_each(|(sum, v)| *sum += *v);
        }
    }
}

/// The sum of squares, the same for every number of threads.
pub(super) fn squares<T: Real>(values: &[T]) -> f64 {
    let parts: Vec<f64> = values
        .par_chunks(PIECE)
        .map(|piece| {
            let lanes = piece
                .chunks(64)
                .map(|lane| lane.iter().fold(T::zero(), |sum, v| sum + *v * *v).to_f64());
            lanes.sum()
        })
        .collect();
    parts.iter().sum()
}
