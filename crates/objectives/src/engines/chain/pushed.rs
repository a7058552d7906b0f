//! `sum over layers of ||J^i v||^2` for one or more directions `v` of each input, and its gradients in the weights.
//!
//! Tangents `t^1 = W^1 v`, `t^i = W^i D_{i-1} t^{i-1}`; the sum over layers 2 and above has the cotangents
//! `c^i = 2 t^i + D_i W^{i+1}^T c^{i+1}`, and without the 2 for layer 1, whose neurons have the same gradients at
//! all inputs: their `||W^1||_F^2` is exact and costs nothing. Then `dW^i` is the sum of `c^i (D_{i-1} t^{i-1})^T`.

use super::{dense::dot, shared::Layers};
use loclin_tensor::{
    Result,
    linear::{gradients, values},
    product::{Real, View},
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
    let weight = |i: usize| View::new(weights[i], sizes[i + 1], sizes[i]);
    // The tangents of each layer's neurons, and what they are after its activation.
    let mut tangents: Vec<Vec<T>> = Vec::new();
    let mut scaled: Vec<Vec<T>> = Vec::new();
    for (i, slopes) in slopes.iter().enumerate() {
        let below = scaled.last().map_or(directions, Vec::as_slice);
        let t = values(View::new(below, rows, sizes[i])?, weight(i)?, None)?;
        if i + 1 < weights.len() {
            let mut next = t.clone();
            scale(&mut next, slopes, sizes[i + 1], count);
            scaled.push(next);
        }
        tangents.push(t);
    }
    let first = dot(weights[0], weights[0]) * rows as f64;
    let above: f64 = tangents[1..].iter().map(|t| dot(t, t)).sum();

    let mut of_weights = vec![Vec::new(); weights.len()];
    let twice = T::from_f64(2.0 * factor);
    let mut cotangents = vec![T::zero(); tangents[weights.len() - 1].len()];
    for i in (1..weights.len()).rev() {
        let terms = cotangents.iter_mut().zip(&tangents[i]);
        terms.for_each(|(c, t)| *c += *t * twice);
        let below = View::new(&scaled[i - 1], rows, sizes[i])?;
        let c = View::new(&cotangents, rows, sizes[i + 1])?;
        let [of_below, of_weight] = gradients(below, weight(i)?, c, [true, true])?;
        of_weights[i] = of_weight.unwrap_or_default();
        cotangents = of_below.unwrap_or_default();
        scale(&mut cotangents, &slopes[i - 1], sizes[i], count);
    }
    let below = View::new(directions, rows, sizes[0])?;
    let c = View::new(&cotangents, rows, sizes[1])?;
    let [_, of_first] = gradients(below, weight(0)?, c, [false, true])?;
    let mut of_first = of_first.unwrap_or_default();
    let twice = T::from_f64(2.0 * factor * rows as f64);
    let terms = of_first.iter_mut().zip(weights[0]);
    terms.for_each(|(gradient, w)| *gradient += *w * twice);
    of_weights[0] = of_first;
    Ok((first + above, of_weights))
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
