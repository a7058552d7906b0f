//! The gradients of a few neurons of one input, each pulled back alone, and derivatives of what is made of them.
//!
//! `V^i` has a row for each chosen neuron above layer `i`, those of the last layer first: its cotangent on `A_i`, times slopes, so that
//! `V^{i-1} = [V^i W^i; W^i] D_{i-1}` with the rows of `W^i` that are chosen. A function of the gradients `V^1 W^1` with derivative `w s`
//! in a neuron's gradient, `s` a vector and `w` a number, has the derivative `sum w v^i t^{i-1}^T` in `W^i`, with the row `v^i` of `V^i` and
//! the tangent `t` of `s`: `t^1 = D_1 W^1 s`, `t^i = D_i W^i t^{i-1}`. Each neuron takes three products of two sides a layer, where all of
//! them together take some five of three sides.

use super::active::{Active, gather, scale_columns, scale_rows_by, scatter};
use crate::Result;
use loclin_tensor::product::{Real, View, ViewMut, Write, multiply};

/// Chosen neurons of one input.
pub(super) struct Chosen<'a, T> {
    /// `D, N_1, ..., N_M`.
    sizes: &'a [usize],
    /// `W^i`, row-major `[N_i, N_{i-1}]`.
    weights: &'a [&'a [T]],
    /// Active units of all layers but the last.
    active: &'a [Active<T>],
    /// The units of each layer up to the last that has some.
    units: Vec<Vec<u32>>,
}

/// What the chosen neurons' cotangents are on each layer.
pub(super) struct Pulled<T> {
    /// `V^i` for `i = 1, ...`.
    rows: Vec<Vec<T>>,
    /// `W^i` on `A_i` and `A_{i-1}` for `i = 2, ...`, where a neuron above the layer is chosen.
    matrices: Vec<Vec<T>>,
}

impl<T> Pulled<T> {
    /// `V^1`.
    pub(super) fn first(&self) -> &[T] {
        self.rows.first().map_or(&[], Vec::as_slice)
    }
}

impl<'a, T: Real> Chosen<'a, T> {
    /// Those whose number is not 0, of the numbers of all neurons.
    pub(super) fn new(
        sizes: &'a [usize],
        weights: &'a [&'a [T]],
        active: &'a [Active<T>],
        numbers: &[T],
    ) -> Self {
        let of_layer = |numbers: &[T]| {
            let units = (0u32..).zip(numbers);
            let units = units.filter(|(_, number)| **number != T::zero());
            units.map(|(unit, _)| unit).collect()
        };
        let layers = by_layer(numbers, sizes).into_iter();
        let mut units: Vec<Vec<u32>> = layers.map(of_layer).collect();
        let last = units.iter().rposition(|units| !units.is_empty());
        units.truncate(last.map_or(0, |last| last + 1));
        Self {
            sizes,
            weights,
            active,
            units,
        }
    }

    /// Those of the first layer.
    pub(super) fn of_first(&self) -> &[u32] {
        self.units.first().map_or(&[], Vec::as_slice)
    }

    /// Whether to pull each alone takes less than what all take together.
    pub(super) fn are_few(&self) -> bool {
        let below = self.active.iter().take(self.units.len().saturating_sub(1));
        let least = below.map(Active::len).min();
        least.is_some_and(|least| self.above(1) <= least)
    }

    /// How many are above layer `i`.
    pub(super) fn above(&self, i: usize) -> usize {
        self.units.iter().skip(i).map(Vec::len).sum()
    }

    /// Where each row of `V^1` is among all neurons.
    pub(super) fn positions(&self) -> Vec<usize> {
        let mut found = Vec::new();
        for (layer, units) in self.units.iter().enumerate().skip(1).rev() {
            let before: usize = self.sizes[1..=layer].iter().sum();
            found.extend(units.iter().map(|unit| before + *unit as usize));
        }
        found
    }

    pub(super) fn pull(&self) -> Result<Pulled<T>> {
        let depth = self.units.len();
        let mut rows = vec![Vec::new(); depth];
        let mut matrices = vec![Vec::new(); depth.saturating_sub(1)];
        for i in (2..=depth).rev() {
            let (columns, width) = (&self.active[i - 2], self.sizes[i - 1]);
            let (above, own, n) = (self.above(i), &self.units[i - 1], columns.len());
            let mut below = vec![T::zero(); (above + own.len()) * n];
            let (first, second) = below.split_at_mut(above * n);
            if above > 0 {
                let rows_of = &self.active[i - 1];
                let m = rows_of.len();
                let mut matrix = vec![T::zero(); m * n];
                gather(
                    &mut matrix,
                    self.weights[i - 1],
                    width,
                    &rows_of.units,
                    &columns.units,
                );
                let v = View::new(&rows[i - 1], above, m)?;
                let into = ViewMut::new(first, above, n)?;
                multiply(into, Write::Replace, 1.0, v, View::new(&matrix, m, n)?)?;
                matrices[i - 2] = matrix;
            }
            gather(second, self.weights[i - 1], width, own, &columns.units);
            scale_columns(&mut below, columns);
            rows[i - 2] = below;
        }
        Ok(Pulled { rows, matrices })
    }

    /// Adds the derivatives in `W^2, W^3, ...`, which lie in `sums` one after the other, from the tangents `t^1` of the neurons above the
    /// first layer and their factors `w`.
    pub(super) fn push(
        &self,
        pulled: &Pulled<T>,
        mut tangents: Vec<T>,
        factors: &[T],
        sums: &mut [T],
    ) -> Result<()> {
        let mut rest = sums;
        for i in 2..=self.units.len() {
            let (own_sums, others) = rest.split_at_mut(self.sizes[i] * self.sizes[i - 1]);
            rest = others;
            let (columns, width) = (&self.active[i - 2], self.sizes[i - 1]);
            let (above, n) = (self.above(i), columns.len());
            let (of_above, of_own) = tangents.split_at(above * n);
            let of_own = of_own.chunks_exact(n.max(1)).zip(&factors[above..]);
            for (unit, (tangent, factor)) in self.units[i - 1].iter().zip(of_own) {
                let row = &mut own_sums[*unit as usize * width..][..width];
                for (column, value) in columns.units.iter().zip(tangent) {
                    row[*column as usize] += *factor * *value;
                }
            }
            if above == 0 {
                break;
            }
            let rows_of = &self.active[i - 1];
            let m = rows_of.len();
            let mut v = pulled.rows[i - 1].clone();
            scale_rows_by(&mut v, &factors[..above], m);
            let of_above = View::new(of_above, above, n)?;
            let mut products = vec![T::zero(); m * n];
            let (into, v) = (ViewMut::new(&mut products, m, n)?, View::new(&v, above, m)?);
            multiply(into, Write::Replace, 1.0, v.t(), of_above)?;
            scatter(own_sums, width, &products, &rows_of.units, &columns.units);
            let mut next = vec![T::zero(); above * m];
            let matrix = View::new(&pulled.matrices[i - 2], m, n)?;
            let into = ViewMut::new(&mut next, above, m)?;
            multiply(into, Write::Replace, 1.0, of_above, matrix.t())?;
            scale_columns(&mut next, rows_of);
            tangents = next;
        }
        Ok(())
    }
}

/// Numbers of an input's neurons, layer by layer.
pub(super) fn by_layer<'a, T>(numbers: &'a [T], sizes: &[usize]) -> Vec<&'a [T]> {
    let mut rest = numbers;
    let layer = |size: &usize| {
        let (own, others) = rest.split_at(*size);
        rest = others;
        own
    };
    sizes[1..].iter().map(layer).collect()
}
