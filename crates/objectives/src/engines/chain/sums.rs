//! Sums over the inputs of a batch, and the gradients in the weights that are made from them.

use super::{
    dense::{mirror, transposed},
    end::{self, End},
    shared::Shared,
};
use loclin_tensor::{
    Result,
    product::{Real, View, ViewMut, Write, multiply_by_all},
};
use rayon::prelude::*;

/// Sums over inputs from which the gradients are made.
pub(super) struct Sums<T> {
    /// `D_2 P^2 D_2`, its lower triangle: what the bottom end is pulled with.
    pub(super) p2: Vec<T>,
    /// `dR/dQ^i` for `i = 3, ..., M`, lower triangles; the last one is empty where the top end has it.
    pub(super) q: Vec<Vec<T>>,
    /// `dR/dB_i` for `i = 3, ..., M - 2`.
    pub(super) b: Vec<Vec<T>>,
    pub(super) bottom: Option<end::Sums<T>>,
    pub(super) top: Option<end::Sums<T>>,
}

impl<T: Real> Sums<T> {
    /// Zeros.
    pub(super) fn new(shared: &Shared<T>) -> Self {
        let sizes = &shared.layers.sizes;
        let square = |layer: usize| vec![T::zero(); sizes[layer] * sizes[layer]];
        let depth = shared.depth();
        Self {
            p2: if depth < 3 { Vec::new() } else { square(2) },
            q: (2..depth)
                .map(|layer| match layer + 1 == depth && shared.top.is_some() {
                    true => Vec::new(),
                    false => square(layer),
                })
                .collect(),
            b: shared
                .middle()
                .map(|i| vec![T::zero(); sizes[i] * sizes[i - 1]])
                .collect(),
            bottom: shared.bottom.as_ref().map(End::sums),
            top: shared.top.as_ref().map(End::sums),
        }
    }

    fn buffers(&mut self) -> Vec<&mut Vec<T>> {
        let ends = self.bottom.iter_mut().chain(&mut self.top);
        let own = [&mut self.p2].into_iter().chain(&mut self.q);
        own.chain(&mut self.b)
            .chain(ends.flat_map(end::Sums::buffers))
            .collect()
    }
}

/// Adds others' sums, in their order whichever thread adds.
pub(super) fn add_up<T: Real>(sums: &mut Sums<T>, rest: &mut [Sums<T>]) {
    const PIECE: usize = 1 << 13;
    for other in rest {
        let pairs: Vec<_> = sums.buffers().into_iter().zip(other.buffers()).collect();
        pairs.into_par_iter().for_each(|(into, other)| {
            let pieces = into.par_chunks_mut(PIECE).zip(other.par_chunks(PIECE));
            pieces.for_each(|(a, b)| a.iter_mut().zip(b).for_each(|(a, b)| *a += *b));
        });
    }
}

/// `factor` times the gradients in the weights, from the sums over the batch.
pub(super) fn gradients<T: Real>(
    shared: &Shared<T>,
    mut sums: Sums<T>,
    factor: f64,
) -> Result<Vec<Vec<T>>> {
    let (sizes, weights) = (&shared.layers.sizes, &shared.layers.weights);
    let depth = shared.depth();
    // The symmetric ones hold lower triangles so far.
    mirror(&mut sums.p2, if depth < 3 { 0 } else { sizes[2] });
    for (q, size) in sums.q.iter_mut().zip(&sizes[2..]) {
        if !q.is_empty() {
            mirror(q, *size);
        }
    }
    // Gradients in `G^1`, `Q^2, ..., Q^M`, and directly in the weights.
    let mut g1 = vec![T::zero(); sizes[1] * sizes[1]];
    let mut direct: Vec<Option<Vec<T>>> = vec![None; depth];
    for (i, b) in shared.middle().zip(sums.b) {
        direct[i - 1] = Some(b);
    }
    if let (Some(top), Some(own)) = (&shared.top, &sums.top) {
        let (weight, last) = top.finish(own, &sums.q[depth - 4], &shared.q[depth - 2])?;
        direct[depth - 2] = Some(transposed(&weight, [sizes[depth - 2], sizes[depth - 1]]));
        sums.q[depth - 3] = last;
    }
    if let (Some(bottom), Some(own)) = (&shared.bottom, &sums.bottom) {
        let (weight, first) = bottom.finish(own, &sums.p2, &shared.g1)?;
        direct[1] = Some(match direct[1].take() {
            Some(other) => weight.iter().zip(&other).map(|(a, b)| *a + *b).collect(),
            None => weight,
        });
        g1 = first;
    }
    if let Some(q) = shared.q.first() {
        for ((sum, mask), q) in g1.iter_mut().zip(&shared.masks).zip(q) {
            *sum += *mask * *q;
        }
        let pairs = shared.masks.iter().zip(&shared.g1);
        sums.q
            .insert(0, pairs.map(|(mask, g)| *mask * *g).collect());
    }
    for diagonal in g1.iter_mut().step_by(sizes[1] + 1) {
        *diagonal += T::from_f64(shared.active.len() as f64);
    }
    let mut gradients = Vec::new();
    for (layer, weight) in weights.iter().enumerate() {
        let (n, m) = (sizes[layer], sizes[layer + 1]);
        let weight = View::new(weight, m, n)?;
        let mut gradient = match direct[layer].take() {
            Some(mut direct) => {
                let factor = T::from_f64(factor);
                direct.iter_mut().for_each(|value| *value *= factor);
                direct
            }
            None => vec![T::zero(); m * n],
        };
        let into = ViewMut::new(&mut gradient, m, n)?;
        let (left, right) = match layer {
            0 => (View::new(&g1, m, m)?, weight),
            _ => (weight, View::new(&sums.q[layer - 1], n, n)?),
        };
        multiply_by_all(into, Write::Add, 2.0 * factor, left, right)?;
        gradients.push(gradient);
    }
    Ok(gradients)
}
