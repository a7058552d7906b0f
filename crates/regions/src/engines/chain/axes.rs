//! The first boundaries along all signed axes, by the same bounds.
//!
//! A neuron is out of the question once a lower bound of its distance in l1 exceeds the step of every axis: along
//! an axis it is at least as far. A few dozen gradients settle all `2D` axes.

use super::{
    chain::rounding,
    search::{Block, Candidate, Row, times},
};
use crate::{
    Norm, Result,
    direction::{Exit, NEVER},
    margin::distance,
};
use loclin_tensor::product::Real;
use std::collections::BinaryHeap;

/// Neurons looked at together, as one matrix product.
const ROUND: usize = 32;

impl<T: Real> Block<'_, T> {
    /// The least step along `+e_0 .. +e_{D-1}`, then `-e_0 .. -e_{D-1}`, at which a neuron is 0, and its position;
    /// `None` where a gradient that is looked at, or a bound of one, is not finite.
    pub(super) fn axes(&self, input: usize) -> Result<Option<Vec<Exit>>> {
        let (chain, values) = (self.chain, &self.values[input]);
        let bounds = chain.bounds(Norm::LINF);
        let first = bounds.first.iter();
        let first = first.map(|length| length * (1.0 + rounding(&chain.layers)));
        let bounds: Vec<f64> = first.chain(bounds.others.iter().copied()).collect();
        if !bounds.iter().all(|bound| bound.is_finite()) {
            return Ok(None);
        }
        let candidate = |(position, (z, bound)): (usize, (&f64, &f64))| Candidate {
            least: distance(z.abs(), *bound),
            position,
            row: None,
        };
        let candidates = values.iter().zip(&bounds).enumerate().map(candidate);
        let mut queue: BinaryHeap<Candidate> = candidates.collect();
        let mut rows: Vec<Row<T>> = Vec::new();
        let mut exits = Exits::new(&chain.read, chain.layers[0].inputs);
        loop {
            let mut looks: Vec<usize> = Vec::new();
            while looks.len() < ROUND {
                let near =
                    |next: &Candidate| next.least <= exits.farthest && next.least < f64::INFINITY;
                let Some(next) = queue.pop().filter(near) else {
                    break;
                };
                match next.row {
                    Some(row) => looks.push(row),
                    None if next.position < chain.layers[0].outputs => {
                        let gradient = chain.layers[0].row(next.position);
                        if !exits.lower(next.position, values, gradient, chain.scale) {
                            return Ok(None);
                        }
                    }
                    None => {
                        let row = self.mask(input, next.position);
                        queue.push(self.candidate(&row, values, rows.len()));
                        rows.push(row);
                    }
                }
            }
            if looks.is_empty() {
                return Ok(Some(exits.steps));
            }
            for level in 0..chain.layers.len() {
                let own = looks.iter().filter(|row| rows[**row].level == level);
                let own: Vec<usize> = own.copied().collect();
                // Later levels are above: a row is not looked at twice.
                looks.retain(|row| !own.contains(row));
                if own.is_empty() {
                    continue;
                }
                let cotangents = own.iter().flat_map(|row| &rows[*row].cotangent);
                let cotangents: Vec<T> = cotangents.copied().collect();
                let layer = &chain.layers[level];
                let pulled = times(&cotangents, own.len(), layer.view()?, layer.inputs)?;
                for (row, pulled) in own.into_iter().zip(pulled.chunks_exact(layer.inputs)) {
                    if level == 0 {
                        if !exits.lower(rows[row].position, values, pulled, chain.scale) {
                            return Ok(None);
                        }
                    } else {
                        rows[row].pull(pulled, self.slopes(level - 1, input));
                        queue.push(self.candidate(&rows[row], values, row));
                    }
                }
            }
        }
    }

    fn candidate(&self, known: &Row<T>, values: &[f64], row: usize) -> Candidate {
        let bound = known.length * self.chain.bounds(Norm::LINF).reach[known.level];
        Candidate {
            least: distance(values[known.position].abs(), bound),
            position: known.position,
            row: Some(row),
        }
    }
}

/// The steps so far.
struct Exits<'a> {
    steps: Vec<Exit>,
    /// The input's entries that a weight reads: along the others there is no boundary.
    read: &'a [usize],
    /// The largest of their steps, in both directions.
    farthest: f64,
}

impl<'a> Exits<'a> {
    fn new(read: &'a [usize], size: usize) -> Self {
        let farthest = if read.is_empty() { -1.0 } else { f64::INFINITY };
        Self {
            steps: vec![NEVER; 2 * size],
            read,
            farthest,
        }
    }

    /// Lowers the steps to a neuron's boundary; false if a derivative is not finite.
    fn lower<T: Real>(
        &mut self,
        position: usize,
        values: &[f64],
        gradient: &[T],
        scale: f64,
    ) -> bool {
        let z = values[position];
        let (ahead, behind) = self.steps.split_at_mut(gradient.len());
        let mut finite = true;
        for ((ahead, behind), derivative) in ahead.iter_mut().zip(behind).zip(gradient) {
            let derivative = derivative.to_f64() * scale;
            finite &= derivative.is_finite();
            // At exactly 0 the neuron counts as positive, as everywhere.
            let exit = if (z >= 0.0) == (derivative < 0.0) {
                ahead
            } else {
                behind
            };
            let step = distance(z.abs(), derivative.abs());
            if step < exit.0 || (step == exit.0 && position < exit.1 && step.is_finite()) {
                *exit = (step, position);
            }
        }
        let size = gradient.len();
        let far = |axis: &usize| self.steps[*axis].0.max(self.steps[size + axis].0);
        self.farthest = self.read.iter().map(far).fold(-1.0, f64::max);
        finite
    }
}
