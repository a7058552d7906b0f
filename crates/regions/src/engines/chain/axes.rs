//! The first boundaries along all signed axes, by the same bounds.
//!
//! A neuron is out of the question once a lower bound of its distance in l1 exceeds the step of every axis: along
//! an axis it is at least as far. A few dozen gradients settle all `2D` axes.

use super::block::{Block, Candidate, Row, times};
use crate::{
    Norm, Result,
    nearest::{Nearest, distance},
    rounding::is_open,
};
use loclin_tensor::{
    product::Real,
    rounding::{UNIT, product_up, relative_in, up_by},
};
use std::collections::BinaryHeap;

/// Rows pulled back together, as one matrix product.
const ROUND: usize = 32;

/// The least step along `+e_0 .. +e_{D-1}`, then `-e_0 .. -e_{D-1}`, at which a neuron is 0; `None` where a gradient that
/// is looked at, or a bound of one, is not finite.
pub(super) fn nearest<T: Real>(block: &Block<'_, T>, input: usize) -> Result<Option<Vec<Nearest>>> {
    let (weights, values) = (block.weights, block.values[input]);
    let bounds = weights.bounds(Norm::LINF);
    let bounds: Vec<f64> = bounds.first.iter().chain(&bounds.others).copied().collect();
    if !bounds.iter().all(|bound| bound.is_finite()) {
        return Ok(None);
    }
    let candidate = |(position, (z, bound)): (usize, (&f64, &f64))| Candidate {
        least: distance(z.abs(), *bound),
        position,
        row: None,
    };
    let candidates = values.iter().zip(&bounds).enumerate().map(candidate);
    let mut search = Search {
        block,
        input,
        queue: candidates.collect(),
        rows: Vec::new(),
        steps: Steps::new(&weights.read, weights.layers[0].inputs),
    };
    loop {
        match search.choose() {
            None => return Ok(None),
            Some(chosen) if chosen.is_empty() => return Ok(Some(search.steps.steps)),
            Some(chosen) => {
                if !search.pull(chosen)? {
                    return Ok(None);
                }
            }
        }
    }
}

/// The search of one input.
struct Search<'a, T> {
    block: &'a Block<'a, T>,
    input: usize,
    queue: BinaryHeap<Candidate>,
    /// Every row pulled back.
    rows: Vec<Row<T>>,
    steps: Steps<'a>,
}

impl<T: Real> Search<'_, T> {
    /// The rows of a round; none if nothing is left. `None` if a derivative is not finite.
    fn choose(&mut self) -> Option<Vec<usize>> {
        let (weights, values) = (self.block.weights, self.block.values[self.input]);
        let mut chosen: Vec<usize> = Vec::new();
        while chosen.len() < ROUND {
            let farthest = self.steps.farthest;
            let near = |next: &Candidate| next.least <= farthest && next.least < f64::INFINITY;
            let Some(next) = self.queue.pop().filter(near) else {
                break;
            };
            match next.row {
                Some(row) => chosen.push(row),
                None if next.position < weights.layers[0].outputs => {
                    let gradient = weights.layers[0].row(next.position);
                    let scale = weights.scale;
                    if !self
                        .steps
                        .lower((next.position, 0.0), values, gradient, scale)
                    {
                        return None;
                    }
                }
                None => {
                    self.rows.push(self.block.row(self.input, next.position));
                    self.put_back(self.rows.len() - 1);
                }
            }
        }
        Some(chosen)
    }

    /// Pulls rows one layer back, those of a level together; false if a derivative is not finite.
    fn pull(&mut self, mut chosen: Vec<usize>) -> Result<bool> {
        let (weights, values) = (self.block.weights, self.block.values[self.input]);
        for level in 0..weights.layers.len() {
            let own = chosen.iter().filter(|row| self.rows[**row].level == level);
            let own: Vec<usize> = own.copied().collect();
            // Later levels are above: a row is not pulled twice.
            chosen.retain(|row| !own.contains(row));
            if own.is_empty() {
                continue;
            }
            let cotangents = own.iter().flat_map(|row| &self.rows[*row].cotangent);
            let cotangents: Vec<T> = cotangents.copied().collect();
            let layer = &weights.layers[level];
            let pulled = times(&cotangents, own.len(), layer.view()?, layer.inputs)?;
            for (row, pulled) in own.into_iter().zip(pulled.chunks_exact(layer.inputs)) {
                if level == 0 {
                    let known = &self.rows[row];
                    let own = relative_in(layer.outputs + 8, T::DTYPE);
                    let lost = known.error * (1.0 + own) + own * known.length;
                    let columns = weights.bounds(Norm::LINF).columns;
                    let lost = up_by(columns * (lost + f64::MIN_POSITIVE), 8);
                    let bounded = known.length > 0.0 && self.block.is_bounded();
                    let lost = if bounded { lost } else { 0.0 };
                    let at = (known.position, lost);
                    if !self.steps.lower(at, values, pulled, weights.scale) {
                        return Ok(false);
                    }
                } else {
                    self.block.pull(self.input, &mut self.rows[row], pulled);
                    self.put_back(row);
                }
            }
        }
        Ok(true)
    }

    /// Puts a row into the queue, by what is known of it.
    fn put_back(&mut self, row: usize) {
        let known = &self.rows[row];
        let value = self.block.value(self.input, known);
        let reach = self.block.weights.bounds(Norm::LINF).reach[known.level];
        let bound = product_up(&[known.length, reach]);
        self.queue.push(Candidate {
            least: distance(value, bound),
            position: known.position,
            row: Some(row),
        });
    }
}

/// The steps so far.
struct Steps<'a> {
    steps: Vec<Nearest>,
    /// The input's entries that a weight reads: along the others there is no boundary.
    read: &'a [usize],
    /// The largest of their steps, in both directions.
    farthest: f64,
}

impl<'a> Steps<'a> {
    fn new(read: &'a [usize], size: usize) -> Self {
        let farthest = if read.is_empty() { -1.0 } else { f64::INFINITY };
        Self {
            steps: vec![Nearest::NONE; 2 * size],
            read,
            farthest,
        }
    }

    /// Lowers the steps to a neuron's boundary, given its position and a bound of the error of each entry of its gradient;
    /// false if a derivative is not finite.
    fn lower<T: Real>(
        &mut self,
        (position, error): (usize, f64),
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
            let none = derivative == 0.0 && error == 0.0;
            let error = up_by(error * scale + derivative.abs() * 8.0 * UNIT, 4);
            let speed = up_by(derivative.abs() + error, 1);
            let step = distance(z.abs(), if none { 0.0 } else { speed });
            // At exactly 0 the neuron counts as positive, as everywhere; undecided, or with a derivative of either sign, it counts
            // both ways.
            let either = is_open(z) || error > 0.0 && derivative.abs() <= error;
            let falls = (z >= 0.0) == (derivative < 0.0);
            if falls || either {
                ahead.lower(step, position);
            }
            if !falls || either {
                behind.lower(step, position);
            }
        }
        let size = gradient.len();
        let far = |axis: &usize| {
            let (up, down) = (&self.steps[*axis], &self.steps[size + axis]);
            up.distance.max(down.distance)
        };
        self.farthest = self.read.iter().map(far).fold(-1.0, f64::max);
        finite
    }
}
