//! `R = sum over inputs and layers of ||J^i||_F^2` and its gradients in the weights.
//!
//! With `Q^i = W^i^T W^i` (shared by the batch), `P^{M-1} = Q^M` and `P^{i-1} = Q^i + B_i^T P^i B_i` on active
//! units, `R = tr G^1 + <X^1, P^1>` for each input: the sum meets in the middle wherever one likes, because
//! `<X^i, B_{i+1}^T P^{i+1} B_{i+1}> = <X^{i+1}, P^{i+1}>`. The two recursions are each other's derivative:
//! `dR/dX^i = P^i` and `dR/dP^i = X^i`. So
//!
//! `dR/dG^1 = 1 + D_1 P^1 D_1`, `dR/dQ^i = X^{i-1}`, `dR/dB_i = 2 P^i B_i X^{i-1}`,
//!
//! summed over the batch and turned into gradients of the weights once. The terms with masks of layer 1 only,
//! `<X^1, Q^2>`, need the sum of `d d^T` over the batch, `d` the slopes of layer 1, and nothing for each input.

use super::{
    active::{Active, gather, scale_columns, scale_rows, scatter, scatter_lower},
    dense::{dot, dot_lower, mirror, multiply_lower},
};
use candle_ext::{
    Result,
    product::{Real, View, ViewMut, Write, gram, multiply, multiply_shared},
};
use rayon::prelude::*;

/// The hidden layers of a chain.
pub(super) struct Layers<'a, T> {
    /// `D, N_1, ..., N_M`.
    pub(super) sizes: Vec<usize>,
    /// `W^i`, row-major `[N_i, N_{i-1}]`.
    pub(super) weights: Vec<&'a [T]>,
}

/// What all inputs share.
struct Shared<'a, T> {
    layers: &'a Layers<'a, T>,
    /// `G^1`.
    g1: Vec<T>,
    /// `Q^i` for `i = 2, ..., M`.
    q: Vec<Vec<T>>,
    /// Sum over the batch of `d d^T`; empty for `M = 1`.
    masks: Vec<T>,
}

/// `R` alone.
pub(super) fn value<T: Real>(layers: &Layers<T>, active: &[Vec<Active<T>>]) -> Result<f64> {
    let shared = Shared::new(layers, active)?;
    let parts = chunks(active)
        .map(|chunk| shared.chunk(chunk, None))
        .collect::<Result<Vec<f64>>>()?;
    Ok(shared.value(active.len()) + parts.iter().sum::<f64>())
}

/// `R`, and `factor` times its gradient in each weight matrix.
pub(super) fn value_and_gradients<T: Real>(
    layers: &Layers<T>,
    active: &[Vec<Active<T>>],
    factor: f64,
) -> Result<(f64, Vec<Vec<T>>)> {
    let shared = Shared::new(layers, active)?;
    let parts = chunks(active)
        .map(|chunk| {
            let mut sums = vec![T::zero(); shared.places().1];
            Ok((shared.chunk(chunk, Some(&mut sums))?, sums))
        })
        .collect::<Result<Vec<_>>>()?;
    let sum = shared.value(active.len()) + parts.iter().map(|(value, _)| value).sum::<f64>();
    let mut parts = parts.into_iter().map(|(_, sums)| sums);
    let mut sums = parts.next().unwrap_or_default();
    let rest: Vec<Vec<T>> = parts.collect();
    // In the order of the chunks, whichever thread adds.
    const PIECE: usize = 1 << 14;
    sums.par_chunks_mut(PIECE)
        .enumerate()
        .for_each(|(i, piece)| {
            for other in &rest {
                let other = &other[i * PIECE..][..piece.len()];
                piece.iter_mut().zip(other).for_each(|(a, b)| *a += *b);
            }
        });
    Ok((sum, shared.gradients(sums, active.len(), factor)?))
}

/// The batch in pieces that depend on nothing else, in parallel. A piece has sums of its own, which cost as
/// much as an input or two: so 16 inputs at least, and 16 pieces at most.
fn chunks<T: Real>(active: &[Vec<Active<T>>]) -> rayon::slice::Chunks<'_, Vec<Active<T>>> {
    active.par_chunks(active.len().div_ceil(16).max(16))
}

/// Buffers of one thread.
struct Scratch<T> {
    /// `B_i`, `B_i X^{i-1}` for `i = 2, ..., M - 1`.
    b: Vec<Vec<T>>,
    t: Vec<Vec<T>>,
    /// `X^i` for `i = 1, ..., M - 1`.
    x: Vec<Vec<T>>,
    /// `P^i`, `P^{i-1}`, and products on the way.
    p: Vec<T>,
    next: Vec<T>,
    u: Vec<T>,
}

impl<'a, T: Real> Shared<'a, T> {
    fn new(layers: &'a Layers<'a, T>, active: &[Vec<Active<T>>]) -> Result<Self> {
        let sizes = &layers.sizes;
        let g1 = gram(View::new(layers.weights[0], sizes[1], sizes[0])?)?;
        let mut q = Vec::new();
        for (weight, size) in layers.weights[1..].iter().zip(sizes[1..].windows(2)) {
            q.push(gram(View::new(weight, size[1], size[0])?.t())?);
        }
        let mut masks = Vec::new();
        if !q.is_empty() {
            let mut slopes = vec![T::zero(); active.len() * sizes[1]];
            for (row, input) in slopes.chunks_exact_mut(sizes[1]).zip(active) {
                for (i, unit) in input[0].units.iter().enumerate() {
                    row[*unit as usize] = input[0].slope(i);
                }
            }
            masks = gram(View::new(&slopes, active.len(), sizes[1])?.t())?;
        }
        Ok(Self {
            layers,
            g1,
            q,
            masks,
        })
    }

    /// `M`.
    fn depth(&self) -> usize {
        self.layers.weights.len()
    }

    /// The part of `R` that needs no work for each input.
    fn value(&self, batch: usize) -> f64 {
        let diagonal = self.g1.iter().step_by(self.layers.sizes[1] + 1);
        let trace: f64 = diagonal.map(|g| g.to_f64()).sum();
        let second = self.q.first().map_or(0.0, |q| {
            let masked: Vec<T> = self.masks.iter().zip(q).map(|(m, q)| *m * *q).collect();
            dot(&masked, &self.g1)
        });
        trace * batch as f64 + second
    }

    /// Where the sums over the batch lie in one buffer: the starts of `dR/dG^1` (without its shared part),
    /// `dR/dQ^i` for `i = 3, ..., M`, `dR/dB_i` for `i = 2, ..., M - 1`; and the length of it all.
    fn places(&self) -> (Vec<usize>, usize) {
        let sizes = &self.layers.sizes;
        let depth = self.depth();
        let square = |n: &usize| n * n;
        let lengths = [square(&sizes[1])]
            .into_iter()
            .chain(sizes[2.min(depth)..depth].iter().map(square))
            .chain((2..depth).map(|i| sizes[i] * sizes[i - 1]));
        let mut end = 0;
        let starts = lengths
            .map(|length| {
                end += length;
                end - length
            })
            .collect();
        (starts, end)
    }

    /// The part of `R` from layer 3 on, for some inputs; adds their part of the derivatives to `sums`.
    fn chunk(&self, inputs: &[Vec<Active<T>>], mut sums: Option<&mut Vec<T>>) -> Result<f64> {
        if self.depth() < 3 {
            return Ok(0.0);
        }
        let inner = 2..self.depth();
        // As large as the most active input needs.
        let most = |layer: usize| inputs.iter().map(|active| active[layer - 1].len()).max();
        let most: Vec<usize> = (1..self.depth()).map(|i| most(i).unwrap_or(0)).collect();
        let buffer = |i: usize, j: usize| vec![T::zero(); most[i - 1] * most[j - 1]];
        let widest = most.iter().max().map_or(0, |n| n * n);
        let mut scratch = Scratch {
            b: inner.clone().map(|i| buffer(i, i - 1)).collect(),
            t: inner.clone().map(|i| buffer(i, i - 1)).collect(),
            x: (1..self.depth()).map(|i| buffer(i, i)).collect(),
            p: vec![T::zero(); widest],
            next: vec![T::zero(); widest],
            u: vec![T::zero(); widest],
        };
        let mut value = 0.0;
        for active in inputs {
            self.push(active, &mut scratch, sums.is_some())?;
            value += self.pull(active, &mut scratch, sums.as_deref_mut())?;
        }
        Ok(value)
    }

    /// `B_i`, and `X^i` as far as they are needed: all with derivatives, the first without.
    fn push(&self, active: &[Active<T>], s: &mut Scratch<T>, all: bool) -> Result<()> {
        let sizes = &self.layers.sizes;
        let first = &active[0];
        let n = first.len();
        gather(&mut s.x[0], &self.g1, sizes[1], first, first);
        scale_rows(&mut s.x[0][..n * n], first, n);
        scale_columns(&mut s.x[0][..n * n], first);
        for i in 2..self.depth() {
            let (rows, columns) = (&active[i - 1], &active[i - 2]);
            let (m, n) = (rows.len(), columns.len());
            let b = &mut s.b[i - 2][..m * n];
            gather(b, self.layers.weights[i - 1], sizes[i - 1], rows, columns);
            scale_rows(b, rows, n);
            if all {
                let (b, t) = (View::new(&s.b[i - 2], m, n)?, &mut s.t[i - 2]);
                let (before, after) = s.x.split_at_mut(i - 1);
                let x = View::new(&before[i - 2], n, n)?;
                multiply(ViewMut::new(t, m, n)?, Write::Replace, 1.0, b, x)?;
                let (x, t) = (&mut after[0], View::new(t, m, n)?);
                if i + 1 < self.depth() {
                    let x = ViewMut::new(x, m, m)?;
                    multiply(x, Write::Replace, 1.0, t, b.t())?;
                } else {
                    multiply_lower(x, m, t, b.t())?;
                }
            }
        }
        Ok(())
    }

    /// `P^i` from the last layer down, and `<X^1, P^1 - Q^2>`.
    fn pull(
        &self,
        active: &[Active<T>],
        s: &mut Scratch<T>,
        mut sums: Option<&mut Vec<T>>,
    ) -> Result<f64> {
        let sizes = &self.layers.sizes;
        let depth = self.depth();
        let places = self.places().0;
        let last = &active[depth - 2];
        gather(&mut s.p, &self.q[depth - 2], sizes[depth - 1], last, last);
        for i in (2..depth).rev() {
            let (rows, columns) = (&active[i - 1], &active[i - 2]);
            let (m, n) = (rows.len(), columns.len());
            if let Some(sums) = sums.as_deref_mut() {
                let x = &s.x[i - 1][..m * m];
                scatter_lower(&mut sums[places[i - 1]..], sizes[i], x, rows);
                let (p, t) = (View::new(&s.p, m, m)?, View::new(&s.t[i - 2], m, n)?);
                multiply(ViewMut::new(&mut s.u, m, n)?, Write::Replace, 2.0, p, t)?;
                // `B_i` holds the slopes of its rows, the weight does not.
                scale_rows(&mut s.u[..m * n], rows, n);
                let into = &mut sums[places[depth - 1 + i - 2]..];
                scatter(into, sizes[i - 1], &s.u[..m * n], rows, columns);
            }
            let (p, b) = (View::new(&s.p, m, m)?, View::new(&s.b[i - 2], m, n)?);
            multiply(ViewMut::new(&mut s.u, m, n)?, Write::Replace, 1.0, p, b)?;
            let u = View::new(&s.u, m, n)?;
            if i > 2 {
                gather(&mut s.next, &self.q[i - 2], sizes[i - 1], columns, columns);
                let next = ViewMut::new(&mut s.next, n, n)?;
                multiply(next, Write::Add, 1.0, b.t(), u)?;
            } else {
                multiply_lower(&mut s.next, n, b.t(), u)?;
            }
            std::mem::swap(&mut s.p, &mut s.next);
        }
        let first = &active[0];
        let n = first.len();
        let value = dot_lower(&s.x[0], &s.p, n);
        if let Some(sums) = sums {
            let p = &mut s.p[..n * n];
            scale_rows(p, first, n);
            scale_columns(p, first);
            scatter_lower(sums, sizes[1], p, first);
        }
        Ok(value)
    }

    /// `factor` times the gradients in the weights, from the sums over the batch.
    fn gradients(&self, mut sums: Vec<T>, batch: usize, factor: f64) -> Result<Vec<Vec<T>>> {
        let sizes = &self.layers.sizes;
        let depth = self.depth();
        let places = self.places().0;
        // The symmetric ones hold lower triangles so far.
        for (start, size) in places.iter().zip(&sizes[1..depth.max(2)]) {
            mirror(&mut sums[*start..], *size);
        }
        let g1 = &mut sums[..sizes[1] * sizes[1]];
        if let Some(q) = self.q.first() {
            for ((sum, mask), q) in g1.iter_mut().zip(&self.masks).zip(q) {
                *sum += *mask * *q;
            }
        }
        for diagonal in g1.iter_mut().step_by(sizes[1] + 1) {
            *diagonal += T::from_f64(batch as f64);
        }
        let mut gradients = Vec::new();
        for (layer, weight) in self.layers.weights.iter().enumerate() {
            let (n, m) = (sizes[layer], sizes[layer + 1]);
            let weight = View::new(weight, m, n)?;
            let mut gradient = vec![T::zero(); m * n];
            if layer == 0 {
                let g1 = View::new(&sums, m, m)?;
                multiply_shared(&mut gradient, Write::Replace, 2.0 * factor, g1, weight)?;
            } else {
                if layer + 1 < depth {
                    let inner = &sums[places[depth - 1 + layer - 1]..];
                    for (value, inner) in gradient.iter_mut().zip(inner) {
                        *value = *inner * T::from_f64(factor);
                    }
                }
                let masked: Vec<T>;
                let q = if layer == 1 {
                    let pairs = self.masks.iter().zip(&self.g1);
                    masked = pairs.map(|(mask, g)| *mask * *g).collect();
                    &masked[..]
                } else {
                    &sums[places[layer - 1]..]
                };
                let q = View::new(q, n, n)?;
                multiply_shared(&mut gradient, Write::Add, 2.0 * factor, weight, q)?;
            }
            gradients.push(gradient);
        }
        Ok(gradients)
    }
}
