//! `||grad z||_2^2` of every neuron, and the gradient of any weighted sum of them.
//!
//! Forward, row by row of `T^i = W^i X^{i-1}`: the norm of neuron `j` is `<T^i_j, W^i_j>` over active units.
//! Backward, with weights `c` of the neurons of one input: let `K^i = diag(c^i) + D_i P^i D_i` with
//! `P^{i-1} = W^i^T K^i W^i` on active units and nothing above the last neuron of weight. Then the gradient in
//! `W^i` is `2 K^i W^i X^{i-1}`, and in `W^1` it is `2 K^1 W^1`. Only rows that are active or have weight enter.
//! Where few neurons have weight, each is pulled back alone ([`Chosen`]).

use super::{
    active::{Active, gather, scale_columns, scale_rows, scale_rows_by, scatter},
    chosen::{Chosen, by_layer},
    of_weights::OfWeights,
};
use crate::Result;
use candle_core::Shape;
use loclin_tensor::product::{Real, View, ViewMut, Write, gram, multiply, multiply_shared};
use rayon::prelude::*;

/// The norms `[B, |I|]` as a function of all weights, flattened one after the other.
pub(super) struct NeuronNorms<T> {
    /// `D, N_1, ..., N_M`.
    pub(super) sizes: Vec<usize>,
    /// Active units of all layers but the last at each input.
    pub(super) active: Vec<Vec<Active<T>>>,
    /// The square of what the input is multiplied by.
    pub(super) factor: f64,
}

impl<T: Real> OfWeights for NeuronNorms<T> {
    type Element = T;

    const NAME: &'static str = "neuron-norms";

    fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    fn shape(&self) -> Shape {
        (self.active.len(), self.neurons()).into()
    }

    fn values(&self, weights: &[&[T]]) -> Result<Vec<T>> {
        let g1 = self.first_gram(weights)?;
        let neurons = self.neurons();
        let mut values = vec![T::zero(); self.active.len() * neurons];
        let factor = T::from_f64(self.factor);
        values
            .par_chunks_mut(neurons)
            .zip(&self.active)
            .try_for_each(|(row, active)| {
                let (first, mut rest) = row.split_at_mut(self.sizes[1]);
                let diagonal = g1.iter().step_by(self.sizes[1] + 1);
                first.iter_mut().zip(diagonal).for_each(|(v, g)| *v = *g);
                let mut x = self.first_x(&g1, active);
                for i in 2..=self.depth() {
                    // Every neuron has a norm, whether it is active or not.
                    let everything = vec![T::one(); self.sizes[i]];
                    let layer = self.gather(weights, active, i, &everything, &x)?;
                    let width = active[i - 2].len().max(1);
                    let (own, others) = rest.split_at_mut(self.sizes[i]);
                    rest = others;
                    let pairs = layer.weight.chunks_exact(width);
                    let pairs = pairs.zip(layer.times.chunks_exact(width));
                    for (unit, (weight, times)) in layer.rows.units.iter().zip(pairs) {
                        own[*unit as usize] = T::from_f64(super::dense::dot(weight, times));
                    }
                    if i < self.depth() {
                        x = self.next_x(&layer, active, i)?;
                    }
                }
                row.iter_mut().for_each(|value| *value *= factor);
                Ok::<_, crate::Error>(())
            })?;
        Ok(values)
    }

    fn gradient(&self, weights: &[&[T]], cotangent: &[T]) -> Result<Vec<T>> {
        let sizes = &self.sizes;
        let neurons = self.neurons();
        let g1 = self.first_gram(weights)?;
        let first = sizes[0] * sizes[1];
        let total: usize = sizes.windows(2).map(|size| size[0] * size[1]).sum();
        // Each piece sums `K^1` and the gradients of the other layers; pieces depend on the batch alone.
        let inputs = self.active.len().div_ceil(16).max(16);
        let parts = self
            .active
            .par_chunks(inputs)
            .zip(cotangent.par_chunks(inputs * neurons))
            .map(|(active, cotangent)| {
                let mut k1 = vec![T::zero(); sizes[1] * sizes[1]];
                let mut others = vec![T::zero(); total - first];
                for (active, cotangent) in active.iter().zip(cotangent.chunks_exact(neurons)) {
                    self.add(weights, &g1, active, cotangent, (&mut k1, &mut others))?;
                }
                Ok((k1, others))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut k1 = vec![T::zero(); sizes[1] * sizes[1]];
        let mut gradient = vec![T::zero(); total];
        for (part, others) in &parts {
            k1.iter_mut().zip(part).for_each(|(a, b)| *a += *b);
            let sums = gradient[first..].iter_mut();
            sums.zip(others).for_each(|(a, b)| *a += *b);
        }
        let factor = T::from_f64(self.factor);
        gradient[first..].iter_mut().for_each(|v| *v *= factor);
        let k1 = View::new(&k1, sizes[1], sizes[1])?;
        let weight = View::new(weights[0], sizes[1], sizes[0])?;
        let into = &mut gradient[..first];
        multiply_shared(into, Write::Replace, 2.0 * self.factor, k1, weight)?;
        Ok(gradient)
    }
}

/// One layer of one input, gathered: rows that matter, active ones first, and active columns.
struct Gathered<T> {
    rows: Active<T>,
    /// How many rows are active.
    active: usize,
    weight: Vec<T>,
    /// `weight * X` of the layer below.
    times: Vec<T>,
}

impl<T: Real> NeuronNorms<T> {
    fn depth(&self) -> usize {
        self.sizes.len() - 1
    }

    fn neurons(&self) -> usize {
        self.sizes[1..].iter().sum()
    }

    fn first_gram(&self, weights: &[&[T]]) -> Result<Vec<T>> {
        Ok(gram(View::new(weights[0], self.sizes[1], self.sizes[0])?)?)
    }

    /// `X^1`.
    fn first_x(&self, g1: &[T], active: &[Active<T>]) -> Vec<T> {
        let Some(units) = active.first() else {
            return Vec::new();
        };
        let n = units.len();
        let mut x = vec![T::zero(); n * n];
        gather(&mut x, g1, self.sizes[1], &units.units, &units.units);
        scale_rows(&mut x, units, n);
        scale_columns(&mut x, units);
        x
    }

    /// Layer `i >= 2` of one input on its active rows and those where `weights` is not 0.
    fn gather(
        &self,
        weights: &[&[T]],
        active: &[Active<T>],
        i: usize,
        wanted: &[T],
        x: &[T],
    ) -> Result<Gathered<T>> {
        let own = active.get(i - 1).map_or(&[][..], |own| &own.units);
        let mut inactive: Vec<bool> = wanted.iter().map(|c| *c != T::zero()).collect();
        own.iter().for_each(|unit| inactive[*unit as usize] = false);
        let others = (0u32..).zip(inactive).filter(|(_, wanted)| *wanted);
        let rows = Active {
            units: own
                .iter()
                .copied()
                .chain(others.map(|(unit, _)| unit))
                .collect(),
            slopes: None,
        };
        let columns = &active[i - 2];
        let (m, n) = (rows.len(), columns.len());
        let mut weight = vec![T::zero(); m * n];
        gather(
            &mut weight,
            weights[i - 1],
            self.sizes[i - 1],
            &rows.units,
            &columns.units,
        );
        let mut times = vec![T::zero(); m * n];
        let result = ViewMut::new(&mut times, m, n)?;
        multiply(
            result,
            Write::Replace,
            1.0,
            View::new(&weight, m, n)?,
            View::new(x, n, n)?,
        )?;
        Ok(Gathered {
            active: own.len(),
            rows,
            weight,
            times,
        })
    }

    /// `X^i` from layer `i`.
    fn next_x(&self, layer: &Gathered<T>, active: &[Active<T>], i: usize) -> Result<Vec<T>> {
        let (m, n) = (layer.active, active[i - 2].len());
        let mut x = vec![T::zero(); m * m];
        let weight = View::new(&layer.weight, m, n)?;
        let times = View::new(&layer.times, m, n)?;
        multiply(
            ViewMut::new(&mut x, m, m)?,
            Write::Replace,
            1.0,
            times,
            weight.t(),
        )?;
        scale_rows(&mut x, &active[i - 1], m);
        scale_columns(&mut x, &active[i - 1]);
        Ok(x)
    }

    /// Adds one input's `K^1`, and its gradients of the layers from the second on, of neurons with weights.
    fn add(
        &self,
        weights: &[&[T]],
        g1: &[T],
        active: &[Active<T>],
        cotangent: &[T],
        (k1, others): (&mut [T], &mut [T]),
    ) -> Result<()> {
        let c = by_layer(cotangent, &self.sizes);
        let chosen = Chosen::new(&self.sizes, weights, active, cotangent);
        let sums = (&mut *k1, others);
        match chosen.are_few() {
            true => self.add_few(&chosen, g1, &active[0], cotangent, sums)?,
            false => self.add_all(weights, g1, active, &c, sums)?,
        }
        let diagonal = k1.iter_mut().step_by(self.sizes[1] + 1);
        diagonal.zip(c[0]).for_each(|(k, c)| *k += *c);
        Ok(())
    }

    /// [`Self::add`] for a few neurons above the first layer.
    fn add_few(
        &self,
        chosen: &Chosen<T>,
        g1: &[T],
        first: &Active<T>,
        cotangent: &[T],
        (k1, others): (&mut [T], &mut [T]),
    ) -> Result<()> {
        let pulled = chosen.pull()?;
        let factors = chosen.positions().into_iter();
        let mut factors: Vec<T> = factors.map(|at| cotangent[at]).collect();
        let (rows, n, width) = (factors.len(), first.len(), self.sizes[1]);
        let v = View::new(pulled.first(), rows, n)?;
        let mut square = vec![T::zero(); n * n];
        let mut weighted = pulled.first().to_vec();
        scale_rows_by(&mut weighted, &factors, n);
        let (into, left) = (
            ViewMut::new(&mut square, n, n)?,
            View::new(&weighted, rows, n)?,
        );
        multiply(into, Write::Replace, 1.0, left.t(), v)?;
        scatter(k1, width, &square, &first.units, &first.units);

        gather(&mut square, g1, width, &first.units, &first.units);
        let mut tangents = vec![T::zero(); rows * n];
        let into = ViewMut::new(&mut tangents, rows, n)?;
        multiply(into, Write::Replace, 1.0, v, View::new(&square, n, n)?)?;
        scale_columns(&mut tangents, first);
        factors.iter_mut().for_each(|factor| *factor += *factor);
        chosen.push(&pulled, tangents, &factors, others)
    }

    /// [`Self::add`] for any number of neurons above the first layer.
    fn add_all(
        &self,
        weights: &[&[T]],
        g1: &[T],
        active: &[Active<T>],
        c: &[&[T]],
        (k1, others): (&mut [T], &mut [T]),
    ) -> Result<()> {
        let sizes = &self.sizes;
        // Nothing above the last neuron of weight counts.
        let last = c.iter().rposition(|c| c.iter().any(|c| *c != T::zero()));
        let last = last.map_or(0, |layer| layer + 1);
        let mut layers = Vec::new();
        let mut x = self.first_x(g1, active);
        for i in 2..=last {
            let layer = self.gather(weights, active, i, c[i - 1], &x)?;
            if i < last {
                x = self.next_x(&layer, active, i)?;
            }
            layers.push(layer);
        }
        // `D_i P^i D_i` on active units; none yet.
        let mut p: Option<Vec<T>> = None;
        let mut end = sizes[1..=last.max(1)].windows(2).map(|s| s[0] * s[1]).sum();
        for (index, layer) in layers.iter().enumerate().rev() {
            let i = index + 2;
            let columns = &active[i - 2];
            let (m, n) = (layer.rows.len(), columns.len());
            let k_times =
                |matrix: &[T], factor: f64| k_times(layer, p.as_deref(), c[i - 1], matrix, factor);
            let start = end - sizes[i] * sizes[i - 1];
            let gradient = k_times(&layer.times, 2.0)?;
            scatter(
                &mut others[start..end],
                sizes[i - 1],
                &gradient,
                &layer.rows.units,
                &columns.units,
            );
            end = start;
            let u = k_times(&layer.weight, 1.0)?;
            let mut below = vec![T::zero(); n * n];
            let weight = View::new(&layer.weight, m, n)?.t();
            let result = ViewMut::new(&mut below, n, n)?;
            multiply(result, Write::Replace, 1.0, weight, View::new(&u, m, n)?)?;
            scale_rows(&mut below, columns, n);
            scale_columns(&mut below, columns);
            p = Some(below);
        }
        if let (Some(p), Some(first)) = (&p, active.first()) {
            scatter(k1, sizes[1], p, &first.units, &first.units);
        }
        Ok(())
    }
}

/// `factor K^i` times a matrix with the rows of a layer; `p` is `D_i P^i D_i` on active units, and `c` the neurons' weights.
fn k_times<T: Real>(
    layer: &Gathered<T>,
    p: Option<&[T]>,
    c: &[T],
    matrix: &[T],
    factor: f64,
) -> Result<Vec<T>> {
    let n = matrix.len() / layer.rows.len().max(1);
    let mut result = vec![T::zero(); matrix.len()];
    if let Some(p) = p {
        let m = layer.active;
        let (p, matrix) = (View::new(p, m, m)?, View::new(matrix, m, n)?);
        let into = ViewMut::new(&mut result, m, n)?;
        multiply(into, Write::Replace, factor, p, matrix)?;
    }
    let rows = result
        .chunks_exact_mut(n.max(1))
        .zip(matrix.chunks_exact(n.max(1)));
    for (unit, (result, row)) in layer.rows.units.iter().zip(rows) {
        let c = c[*unit as usize] * T::from_f64(factor);
        if c != T::zero() {
            result.iter_mut().zip(row).for_each(|(r, v)| *r += c * *v);
        }
    }
    Ok(result)
}
