//! `sum over layers of ||J^i v||^2` for one or more directions `v` of each input, and its gradients in the weights.
//!
//! Tangents `t^1 = W^1 v`, `t^i = W^i D_{i-1} t^{i-1}`; the sum over layers 2 and above has the cotangents
//! `c^i = 2 t^i + D_i W^{i+1}^T c^{i+1}`, and without the 2 for layer 1, whose neurons have the same gradients at
//! all inputs: their `||W^1||_F^2` is exact and costs nothing. Then `dW^i` is the sum of `c^i (D_{i-1} t^{i-1})^T`.

use super::{dense::dot, total::Layers};
use candle_ext::{
    Result,
    product::{Real, View, ViewMut, Write, multiply_by_all},
};

/// The sum for `rows` directions `[rows, D]` in the input, of which `count` in a row belong to each input;
/// `slopes[i]` `[B, N_i]`. With it `factor` times its gradient in each weight. The first layer counts `rows` times.
pub(super) fn value_and_gradients<T: Real>(
    layers: &Layers<T>,
    slopes: &[Vec<T>],
    directions: &[T],
    count: usize,
    factor: f64,
) -> Result<(f64, Vec<Vec<T>>)> {
    let (sizes, weights) = (&layers.sizes, &layers.weights);
    let rows = directions.len() / sizes[0];
    // What enters each layer, and the tangents of its neurons.
    let mut inputs: Vec<Vec<T>> = vec![directions.to_vec()];
    let mut tangents: Vec<Vec<T>> = Vec::new();
    for (i, weight) in weights.iter().enumerate() {
        let (n, m) = (sizes[i], sizes[i + 1]);
        let mut t = vec![T::zero(); rows * m];
        let weight = View::new(weight, m, n)?.t();
        let into = ViewMut::new(&mut t, rows, m)?;
        multiply_by_all(
            into,
            Write::Replace,
            1.0,
            View::new(&inputs[i], rows, n)?,
            weight,
        )?;
        if i + 1 < weights.len() {
            let mut next = t.clone();
            scale(&mut next, &slopes[i], m, count);
            inputs.push(next);
        }
        tangents.push(t);
    }
    let first = dot(weights[0], weights[0]) * rows as f64;
    let above: f64 = tangents[1..].iter().map(|t| dot(t, t)).sum();

    let mut gradients = Vec::with_capacity(weights.len());
    let mut cotangents: Option<Vec<T>> = None;
    for (i, weight) in weights.iter().enumerate().rev() {
        let (n, m) = (sizes[i], sizes[i + 1]);
        let mut gradient = match i {
            0 => {
                let twice = T::from_f64(2.0 * factor * rows as f64);
                weight.iter().map(|w| *w * twice).collect()
            }
            _ => vec![T::zero(); m * n],
        };
        let c = match cotangents.take() {
            Some(mut c) => {
                scale(&mut c, &slopes[i], m, count);
                if i > 0 {
                    c.iter_mut().zip(&tangents[i]).for_each(|(c, t)| *c += *t);
                }
                Some(c)
            }
            None => (i > 0).then(|| std::mem::take(&mut tangents[i])),
        };
        if let Some(c) = c {
            let c = View::new(&c, rows, m)?;
            let into = ViewMut::new(&mut gradient, m, n)?;
            let below = View::new(&inputs[i], rows, n)?;
            multiply_by_all(into, Write::Add, 2.0 * factor, c.t(), below)?;
            if i > 0 {
                let mut next = vec![T::zero(); rows * n];
                let into = ViewMut::new(&mut next, rows, n)?;
                multiply_by_all(into, Write::Replace, 1.0, c, View::new(weight, m, n)?)?;
                cotangents = Some(next);
            }
        }
        gradients.push(gradient);
    }
    gradients.reverse();
    Ok((first + above, gradients))
}

/// Multiplies the tangents `[B * count, width]` of each input by its slopes `[B, width]`.
fn scale<T: Real>(tangents: &mut [T], slopes: &[T], width: usize, count: usize) {
    let rows = tangents.chunks_exact_mut(width * count);
    for (rows, slopes) in rows.zip(slopes.chunks_exact(width)) {
        for row in rows.chunks_exact_mut(width) {
            row.iter_mut().zip(slopes).for_each(|(t, s)| *t *= *s);
        }
    }
}
