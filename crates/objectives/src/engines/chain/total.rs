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
//!
//! `X^2` comes from `G^1` and `P^{M-2}` from `Q^M`, both shared, through one layer of slopes: these two ends of the
//! chain are computed from what the batch has in common ([`End`]). Only layers between them, `3, ..., M - 2`, need
//! products of three full sides for each input.

use super::{
    active::{Active, gather, scale_columns, scale_rows, scatter, scatter_lower},
    dense::{dot, mirror},
    end::{self, End},
    varying::Varying,
};
use loclin_tensor::{
    Result,
    product::{Real, View, ViewMut, Write, gram, multiply, multiply_by_all},
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
    active: &'a [Vec<Active<T>>],
    /// `G^1`.
    g1: Vec<T>,
    /// `Q^i` for `i = 2, ..., M`.
    q: Vec<Vec<T>>,
    /// Sum over the batch of `d d^T`; empty for `M = 1`.
    masks: Vec<T>,
    /// `W^2 D_1 G^1 D_1 W^2^T`, for `M >= 3`.
    bottom: Option<End<T>>,
    /// `Q^{M-1} + W^{M-1}^T D_{M-1} Q^M D_{M-1} W^{M-1}`, for `M >= 4`.
    top: Option<End<T>>,
}

/// `R` alone.
pub(super) fn value<T: Real>(layers: &Layers<T>, active: &[Vec<Active<T>>]) -> Result<f64> {
    let shared = Shared::new(layers, active)?;
    let parts = shared.pieces(|inputs| shared.piece(inputs, None))?;
    Ok(shared.value() + parts.iter().sum::<f64>())
}

/// `R`, and `factor` times its gradient in each weight matrix.
pub(super) fn value_and_gradients<T: Real>(
    layers: &Layers<T>,
    active: &[Vec<Active<T>>],
    factor: f64,
) -> Result<(f64, Vec<Vec<T>>)> {
    let shared = Shared::new(layers, active)?;
    let parts = shared.pieces(|inputs| {
        let mut sums = shared.sums();
        Ok((shared.piece(inputs, Some(&mut sums))?, sums))
    })?;
    let value = shared.value() + parts.iter().map(|(value, _)| value).sum::<f64>();
    let mut parts = parts.into_iter().map(|(_, sums)| sums);
    let mut sums = parts.next().unwrap_or_else(|| shared.sums());
    let mut rest: Vec<Sums<T>> = parts.collect();
    add_up(&mut sums, &mut rest);
    Ok((value, shared.gradients(sums, factor)?))
}

/// Sums over inputs from which the gradients are made.
struct Sums<T> {
    /// `D_2 P^2 D_2`, its lower triangle: what the bottom end is pulled with.
    p2: Vec<T>,
    /// `dR/dQ^i` for `i = 3, ..., M`, lower triangles; the last one is empty where the top end has it.
    q: Vec<Vec<T>>,
    /// `dR/dB_i` for `i = 3, ..., M - 2`.
    b: Vec<Vec<T>>,
    bottom: Option<end::Sums<T>>,
    top: Option<end::Sums<T>>,
}

impl<T: Real> Sums<T> {
    fn buffers(&mut self) -> Vec<&mut Vec<T>> {
        let ends = self.bottom.iter_mut().chain(&mut self.top);
        let own = [&mut self.p2].into_iter().chain(&mut self.q);
        own.chain(&mut self.b)
            .chain(ends.flat_map(end::Sums::buffers))
            .collect()
    }
}

/// Adds others' sums, in their order whichever thread adds.
fn add_up<T: Real>(sums: &mut Sums<T>, rest: &mut [Sums<T>]) {
    const PIECE: usize = 1 << 13;
    for other in rest {
        let pairs: Vec<_> = sums.buffers().into_iter().zip(other.buffers()).collect();
        pairs.into_par_iter().for_each(|(into, other)| {
            let pieces = into.par_chunks_mut(PIECE).zip(other.par_chunks(PIECE));
            pieces.for_each(|(a, b)| a.iter_mut().zip(b).for_each(|(a, b)| *a += *b));
        });
    }
}

/// Buffers of one thread.
struct Scratch<T> {
    /// `B_i`, `B_i X^{i-1}` for `i = 3, ..., M - 2`.
    b: Vec<Vec<T>>,
    t: Vec<Vec<T>>,
    /// `X^i` for `i = 2, ..., M - 2` (for `M = 3`, `X^2`).
    x: Vec<Vec<T>>,
    /// `P^i`, `P^{i-1}`, and products on the way.
    p: Vec<T>,
    next: Vec<T>,
    u: Vec<T>,
    bottom: end::Parts<T>,
    top: end::Parts<T>,
    end: end::Scratch<T>,
}

impl<'a, T: Real> Shared<'a, T> {
    fn new(layers: &'a Layers<'a, T>, active: &'a [Vec<Active<T>>]) -> Result<Self> {
        let (sizes, weights) = (&layers.sizes, &layers.weights);
        let depth = weights.len();
        let g1 = gram(View::new(weights[0], sizes[1], sizes[0])?)?;
        let mut q = Vec::new();
        for (weight, size) in weights[1..].iter().zip(sizes[1..].windows(2)) {
            q.push(gram(View::new(weight, size[1], size[0])?.t())?);
        }
        let mut masks = Vec::new();
        if depth > 1 {
            let mut slopes = vec![T::zero(); active.len() * sizes[1]];
            for (row, input) in slopes.chunks_exact_mut(sizes[1]).zip(active) {
                input[0].spread(row);
            }
            masks = gram(View::new(&slopes, active.len(), sizes[1])?.t())?;
        }
        let varying = |layer: usize| {
            let inputs = active.iter().map(|input| &input[layer - 1]);
            Varying::new(sizes[layer], inputs)
        };
        let bottom = (depth >= 3).then(|| End::new(weights[1], &g1, varying(1), None));
        let top = (depth >= 4).then(|| {
            let size = [sizes[depth - 1], sizes[depth - 2]];
            let weight = transposed(weights[depth - 2], size);
            let plus = Some(&q[depth - 3][..]);
            End::new(&weight, &q[depth - 2], varying(depth - 1), plus)
        });
        Ok(Self {
            bottom: bottom.transpose()?,
            top: top.transpose()?,
            layers,
            active,
            g1,
            q,
            masks,
        })
    }

    /// `M`.
    fn depth(&self) -> usize {
        self.layers.weights.len()
    }

    /// The layers with a product of three full sides for each input.
    fn middle(&self) -> std::ops::Range<usize> {
        3..(self.depth().max(3) - 1).max(3)
    }

    /// The part of `R` that needs no work for each input.
    fn value(&self) -> f64 {
        let diagonal = self.g1.iter().step_by(self.layers.sizes[1] + 1);
        let trace: f64 = diagonal.map(|g| g.to_f64()).sum();
        let second = self.q.first().map_or(0.0, |q| {
            let masked: Vec<T> = self.masks.iter().zip(q).map(|(m, q)| *m * *q).collect();
            dot(&masked, &self.g1)
        });
        trace * self.active.len() as f64 + second
    }

    /// Does the work of the batch in pieces, in parallel. They depend on the size of the batch alone, and so does
    /// the result: a piece has sums of its own, which cost as much as an input or two, so 16 inputs at least.
    fn pieces<R: Send>(
        &self,
        work: impl Fn(std::ops::Range<usize>) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let batch = self.active.len();
        let size = batch.div_ceil(16).max(16);
        let starts: Vec<usize> = (0..batch).step_by(size).collect();
        let piece = |start: usize| work(start..(start + size).min(batch));
        starts.into_par_iter().map(piece).collect()
    }

    fn sums(&self) -> Sums<T> {
        let sizes = &self.layers.sizes;
        let square = |layer: usize| vec![T::zero(); sizes[layer] * sizes[layer]];
        let depth = self.depth();
        Sums {
            p2: if depth < 3 { Vec::new() } else { square(2) },
            q: (2..depth)
                .map(|layer| match layer + 1 == depth && self.top.is_some() {
                    true => Vec::new(),
                    false => square(layer),
                })
                .collect(),
            b: self
                .middle()
                .map(|i| vec![T::zero(); sizes[i] * sizes[i - 1]])
                .collect(),
            bottom: self.bottom.as_ref().map(End::sums),
            top: self.top.as_ref().map(End::sums),
        }
    }

    /// The part of `R` from layer 3 on, for some inputs; adds their part of the derivatives to `sums`.
    fn piece(&self, inputs: std::ops::Range<usize>, mut sums: Option<&mut Sums<T>>) -> Result<f64> {
        let Some(bottom) = &self.bottom else {
            return Ok(0.0);
        };
        let buffers = |count: usize| (0..count).map(|_| Vec::new()).collect();
        let middle = self.middle().len();
        let mut scratch = Scratch {
            b: buffers(middle),
            t: buffers(middle),
            x: buffers(middle + 1),
            p: Vec::new(),
            next: Vec::new(),
            u: Vec::new(),
            bottom: end::Parts::new(),
            top: end::Parts::new(),
            end: end::Scratch::new(),
        };
        let mut value = 0.0;
        for input in inputs {
            value += self.input(input, bottom, &mut scratch, sums.as_deref_mut())?;
        }
        Ok(value)
    }

    fn input(
        &self,
        input: usize,
        bottom: &End<T>,
        s: &mut Scratch<T>,
        mut sums: Option<&mut Sums<T>>,
    ) -> Result<f64> {
        let (sizes, active) = (&self.layers.sizes, &self.active[input]);
        let second = &active[1];
        let n = second.len();
        resize(&mut s.x[0], n * n);
        bottom.value(input, &second.units, &mut s.x[0], &mut s.bottom)?;
        scale_rows(&mut s.x[0], second, n);
        scale_columns(&mut s.x[0], second);
        for (at, i) in self.middle().enumerate() {
            self.push(active, i, at, s)?;
        }

        let highest = self.middle().end - 1;
        let last = &active[highest - 1];
        let m = last.len();
        resize(&mut s.p, m * m);
        match &self.top {
            Some(top) => top.value(input, &last.units, &mut s.p, &mut s.top)?,
            None => gather(&mut s.p, &self.q[1], sizes[2], &last.units, &last.units),
        }
        if let (Some(sums), Some(top)) = (sums.as_deref_mut(), &self.top) {
            let x = &s.x[highest - 2];
            if let Some(sums) = &mut sums.top {
                top.pull(input, &last.units, x, &s.top, sums, &mut s.end)?;
            }
        }
        for (at, i) in self.middle().enumerate().rev() {
            if let Some(sums) = sums.as_deref_mut() {
                let units = &active[i - 1].units;
                scatter_lower(&mut sums.q[i - 2], sizes[i], &s.x[at + 1], units);
            }
            let into = sums.as_deref_mut().map(|sums| &mut sums.b[at][..]);
            self.pull(active, i, at, s, into)?;
        }
        let value = dot(&s.x[0], &s.p);
        if let Some(sums) = sums {
            scatter_lower(&mut sums.q[0], sizes[2], &s.x[0], &second.units);
            scale_rows(&mut s.p, second, n);
            scale_columns(&mut s.p, second);
            scatter_lower(&mut sums.p2, sizes[2], &s.p, &second.units);
            if let Some(sums) = &mut sums.bottom {
                bottom.pull(input, &second.units, &s.p, &s.bottom, sums, &mut s.end)?;
            }
        }
        Ok(value)
    }

    /// `X^i = B_i X^{i-1} B_i^T`.
    fn push(&self, active: &[Active<T>], i: usize, at: usize, s: &mut Scratch<T>) -> Result<()> {
        let (rows, columns) = (&active[i - 1], &active[i - 2]);
        let (m, n) = (rows.len(), columns.len());
        let (b, t) = (&mut s.b[at], &mut s.t[at]);
        resize(b, m * n);
        resize(t, m * n);
        let weight = self.layers.weights[i - 1];
        gather(
            b,
            weight,
            self.layers.sizes[i - 1],
            &rows.units,
            &columns.units,
        );
        scale_rows(b, rows, n);
        let (before, after) = s.x.split_at_mut(at + 1);
        let (x, b) = (View::new(&before[at], n, n)?, View::new(b, m, n)?);
        multiply(ViewMut::new(t, m, n)?, Write::Replace, 1.0, b, x)?;
        let (x, t) = (&mut after[0], View::new(t, m, n)?);
        resize(x, m * m);
        multiply(ViewMut::new(x, m, m)?, Write::Replace, 1.0, t, b.t())
    }

    /// `P^{i-1} = Q^i + B_i^T P^i B_i` in place of `P^i`; adds `dR/dB_i` to `sums`.
    fn pull(
        &self,
        active: &[Active<T>],
        i: usize,
        at: usize,
        s: &mut Scratch<T>,
        sums: Option<&mut [T]>,
    ) -> Result<()> {
        let sizes = &self.layers.sizes;
        let (rows, columns) = (&active[i - 1], &active[i - 2]);
        let (m, n) = (rows.len(), columns.len());
        resize(&mut s.u, m * n);
        let (p, b) = (View::new(&s.p, m, m)?, View::new(&s.b[at], m, n)?);
        if let Some(sums) = sums {
            let t = View::new(&s.t[at], m, n)?;
            multiply(ViewMut::new(&mut s.u, m, n)?, Write::Replace, 2.0, p, t)?;
            // `B_i` holds the slopes of its rows, the weight does not.
            scale_rows(&mut s.u, rows, n);
            scatter(sums, sizes[i - 1], &s.u, &rows.units, &columns.units);
        }
        multiply(ViewMut::new(&mut s.u, m, n)?, Write::Replace, 1.0, p, b)?;
        let u = View::new(&s.u, m, n)?;
        resize(&mut s.next, n * n);
        gather(
            &mut s.next,
            &self.q[i - 2],
            sizes[i - 1],
            &columns.units,
            &columns.units,
        );
        multiply(ViewMut::new(&mut s.next, n, n)?, Write::Add, 1.0, b.t(), u)?;
        std::mem::swap(&mut s.p, &mut s.next);
        Ok(())
    }

    /// `factor` times the gradients in the weights, from the sums over the batch.
    fn gradients(&self, mut sums: Sums<T>, factor: f64) -> Result<Vec<Vec<T>>> {
        let (sizes, weights) = (&self.layers.sizes, &self.layers.weights);
        let depth = self.depth();
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
        for (i, b) in self.middle().zip(sums.b) {
            direct[i - 1] = Some(b);
        }
        if let (Some(top), Some(own)) = (&self.top, &sums.top) {
            let (weight, last) = top.finish(own, &sums.q[depth - 4], &self.q[depth - 2])?;
            direct[depth - 2] = Some(transposed(&weight, [sizes[depth - 2], sizes[depth - 1]]));
            sums.q[depth - 3] = last;
        }
        if let (Some(bottom), Some(own)) = (&self.bottom, &sums.bottom) {
            let (weight, first) = bottom.finish(own, &sums.p2, &self.g1)?;
            direct[1] = Some(match direct[1].take() {
                Some(other) => weight.iter().zip(&other).map(|(a, b)| *a + *b).collect(),
                None => weight,
            });
            g1 = first;
        }
        if let Some(q) = self.q.first() {
            for ((sum, mask), q) in g1.iter_mut().zip(&self.masks).zip(q) {
                *sum += *mask * *q;
            }
            let pairs = self.masks.iter().zip(&self.g1);
            sums.q
                .insert(0, pairs.map(|(mask, g)| *mask * *g).collect());
        }
        for diagonal in g1.iter_mut().step_by(sizes[1] + 1) {
            *diagonal += T::from_f64(self.active.len() as f64);
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
}

/// The transpose of a row-major matrix of `size` rows and columns.
fn transposed<T: Real>(matrix: &[T], [rows, columns]: [usize; 2]) -> Vec<T> {
    let mut result = vec![T::zero(); matrix.len()];
    for row in 0..rows {
        for column in 0..columns {
            result[column * rows + row] = matrix[row * columns + column];
        }
    }
    result
}

fn resize<T: Real>(buffer: &mut Vec<T>, len: usize) {
    buffer.resize(len, T::zero());
}
