//! Dual norms of the gradients of chosen neurons, as functions of all weights: each gradient is pulled back alone ([`Chosen`]).

use super::{
    active::{Active, scale_columns, scale_rows_by, scatter},
    chosen::Chosen,
    of_weights::OfWeights,
};
use crate::Result;
use candle_core::Shape;
use loclin_tensor::product::{Real, View, ViewMut, Write, multiply};
use rayon::prelude::*;

/// A norm of a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// The l1 norm.
    Sum,
    /// The l_inf norm.
    Largest,
}

/// The norms of all inputs' chosen neurons, one after the other, as a function of all weights, flattened one after the other.
pub(super) struct DualNorms<T> {
    /// `D, N_1, ..., N_M`.
    pub(super) sizes: Vec<usize>,
    /// Active units of all layers but the last at each input.
    pub(super) active: Vec<Vec<Active<T>>>,
    /// Neurons of each input, counted through all layers.
    pub(super) chosen: Vec<Vec<u32>>,
    pub(super) length: Length,
    /// What the input is multiplied by, without its sign.
    pub(super) factor: f64,
}

impl<T: Real> OfWeights for DualNorms<T> {
    type Element = T;

    const NAME: &'static str = "dual-norms";

    fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    fn shape(&self) -> Shape {
        self.chosen.iter().map(Vec::len).sum::<usize>().into()
    }

    fn values(&self, weights: &[&[T]]) -> Result<Vec<T>> {
        let of_input = |(active, chosen): (&Vec<Active<T>>, &Vec<u32>)| -> Result<Vec<T>> {
            let numbers = self.spread(chosen, &vec![T::one(); chosen.len()]);
            let few = Chosen::new(&self.sizes, weights, active, &numbers);
            let first = self.first_weights(weights, active);
            let gradients = self.gradients(&few, few.pull()?.first(), &first)?;
            let mut found = numbers;
            let rows = gradients.chunks_exact(self.sizes[0]);
            for (at, row) in few.positions().into_iter().zip(rows) {
                found[at] = self.length(row);
            }
            for unit in few.of_first() {
                found[*unit as usize] = self.length(self.row(weights, *unit));
            }
            let factor = T::from_f64(self.factor);
            Ok(chosen
                .iter()
                .map(|at| factor * found[*at as usize])
                .collect())
        };
        let inputs = self.active.par_iter().zip(&self.chosen);
        Ok(inputs.map(of_input).collect::<Result<Vec<_>>>()?.concat())
    }

    fn gradient(&self, weights: &[&[T]], cotangent: &[T]) -> Result<Vec<T>> {
        let mut rest = cotangent;
        let mut own = Vec::new();
        for chosen in &self.chosen {
            let (first, others) = rest.split_at(chosen.len());
            own.push(first);
            rest = others;
        }
        // Pieces depend on the batch alone.
        let inputs = self.active.len().div_ceil(16).max(16);
        let parts = self
            .active
            .par_chunks(inputs)
            .zip(self.chosen.par_chunks(inputs))
            .zip(own.par_chunks(inputs))
            .map(|((active, chosen), cotangent)| {
                let mut sums = vec![T::zero(); weights.iter().map(|own| own.len()).sum()];
                for ((active, chosen), cotangent) in active.iter().zip(chosen).zip(cotangent) {
                    self.add(weights, active, (chosen, cotangent), &mut sums)?;
                }
                Ok(sums)
            });
        let mut parts = parts.collect::<Result<Vec<_>>>()?.into_iter();
        let mut gradient = parts.next().unwrap_or_default();
        for part in parts {
            gradient.iter_mut().zip(part).for_each(|(a, b)| *a += b);
        }
        let factor = T::from_f64(self.factor);
        gradient.iter_mut().for_each(|value| *value *= factor);
        Ok(gradient)
    }
}

impl<T: Real> DualNorms<T> {
    /// Adds one input's derivatives.
    fn add(
        &self,
        weights: &[&[T]],
        active: &[Active<T>],
        (chosen, cotangent): (&[u32], &[T]),
        sums: &mut [T],
    ) -> Result<()> {
        let (inputs, width) = (self.sizes[0], self.sizes[1]);
        let (of_first, others) = sums.split_at_mut(inputs * width);
        let numbers = self.spread(chosen, cotangent);
        let few = Chosen::new(&self.sizes, weights, active, &numbers);
        for unit in few.of_first() {
            let unit = *unit as usize;
            let row = &mut of_first[unit * inputs..][..inputs];
            let slopes = self.slopes(&weights[0][unit * inputs..][..inputs]);
            let pairs = row.iter_mut().zip(slopes);
            pairs.for_each(|(sum, slope)| *sum += numbers[unit] * slope);
        }
        let (Some(layer), rows) = (active.first(), few.above(1)) else {
            return Ok(());
        };
        let pulled = few.pull()?;
        let factors = few.positions().into_iter();
        let factors: Vec<T> = factors.map(|at| numbers[at]).collect();
        let first = self.first_weights(weights, active);
        let gradients = self.gradients(&few, pulled.first(), &first)?;
        let slopes = gradients.chunks_exact(inputs);
        let slopes: Vec<T> = slopes.flat_map(|row| self.slopes(row)).collect();

        let n = layer.len();
        let mut v = pulled.first().to_vec();
        scale_rows_by(&mut v, &factors, n);
        let (v, s) = (View::new(&v, rows, n)?, View::new(&slopes, rows, inputs)?);
        let mut products = vec![T::zero(); n * inputs];
        let into = ViewMut::new(&mut products, n, inputs)?;
        multiply(into, Write::Replace, 1.0, v.t(), s)?;
        let all: Vec<u32> = (0..inputs as u32).collect();
        scatter(of_first, inputs, &products, &layer.units, &all);

        let mut tangents = vec![T::zero(); rows * n];
        let into = ViewMut::new(&mut tangents, rows, n)?;
        multiply(
            into,
            Write::Replace,
            1.0,
            s,
            View::new(&first, n, inputs)?.t(),
        )?;
        scale_columns(&mut tangents, layer);
        few.push(&pulled, tangents, &factors, others)
    }

    /// The chosen neurons' numbers among those of all, which are 0.
    fn spread(&self, chosen: &[u32], numbers: &[T]) -> Vec<T> {
        let mut all = vec![T::zero(); self.sizes[1..].iter().sum()];
        for (at, number) in chosen.iter().zip(numbers) {
            all[*at as usize] = *number;
        }
        all
    }

    /// `W^1` on active rows.
    fn first_weights(&self, weights: &[&[T]], active: &[Active<T>]) -> Vec<T> {
        let Some(layer) = active.first() else {
            return Vec::new();
        };
        let rows = layer.units.iter().flat_map(|unit| self.row(weights, *unit));
        rows.copied().collect()
    }

    fn row<'a>(&self, weights: &[&'a [T]], unit: u32) -> &'a [T] {
        &weights[0][unit as usize * self.sizes[0]..][..self.sizes[0]]
    }

    /// `V^1 W^1`, the gradients of the chosen neurons above the first layer but for the factor.
    fn gradients(&self, chosen: &Chosen<T>, v: &[T], first: &[T]) -> Result<Vec<T>> {
        let (rows, inputs) = (chosen.above(1), self.sizes[0]);
        let n = first.len() / inputs.max(1);
        let mut gradients = vec![T::zero(); rows * inputs];
        let into = ViewMut::new(&mut gradients, rows, inputs)?;
        let (v, first) = (View::new(v, rows, n)?, View::new(first, n, inputs)?);
        multiply(into, Write::Replace, 1.0, v, first)?;
        Ok(gradients)
    }

    fn length(&self, gradient: &[T]) -> T {
        let sizes = gradient.iter().map(|value| value.to_f64().abs());
        T::from_f64(match self.length {
            Length::Sum => sizes.sum(),
            Length::Largest => sizes.fold(0.0, f64::max),
        })
    }

    /// The derivative of the norm in the gradient; where several numbers are the largest, that of the first.
    fn slopes(&self, gradient: &[T]) -> Vec<T> {
        let sign = |value: T| match value.to_f64() {
            value if value > 0.0 => T::one(),
            value if value < 0.0 => T::zero() - T::one(),
            _ => T::zero(),
        };
        match self.length {
            Length::Sum => gradient.iter().map(|value| sign(*value)).collect(),
            Length::Largest => {
                let mut slopes = vec![T::zero(); gradient.len()];
                let largest = self.length(gradient).to_f64();
                let first = gradient
                    .iter()
                    .position(|value| value.to_f64().abs() == largest);
                if let Some(first) = first {
                    slopes[first] = sign(gradient[first]);
                }
                slopes
            }
        }
    }
}
