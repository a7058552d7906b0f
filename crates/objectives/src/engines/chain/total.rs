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
    dense::dot,
    end::{self, End},
    shared::{Layers, Shared},
    sums::{Sums, add_up, gradients},
};
use loclin_tensor::{
    Result,
    product::{Real, View, ViewMut, Write, multiply},
};
use rayon::prelude::*;

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
        let mut sums = Sums::new(&shared);
        Ok((shared.piece(inputs, Some(&mut sums))?, sums))
    })?;
    let value = shared.value() + parts.iter().map(|(value, _)| value).sum::<f64>();
    let mut parts = parts.into_iter().map(|(_, sums)| sums);
    let mut sums = parts.next().unwrap_or_else(|| Sums::new(&shared));
    let mut rest: Vec<Sums<T>> = parts.collect();
    add_up(&mut sums, &mut rest);
    Ok((value, gradients(&shared, sums, factor)?))
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

impl<T: Real> Shared<'_, T> {
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
}

fn resize<T: Real>(buffer: &mut Vec<T>, len: usize) {
    buffer.resize(len, T::zero());
}
