//! The nearest boundaries of a block of inputs, by bounds that are sharpened only where they have to be.
//!
//! Each input has a queue of neurons, the one with the smallest lower bound of its distance first. Whatever
//! comes first is looked at more closely and goes back with a larger bound, until an exact distance is at most
//! every bound that is left. No neuron is looked at that any search with the same bounds could do without.
//! A closer look is a product with a layer's weight; the inputs of a block take theirs together.

use super::chain::{Bounds, Chain, length, rounding};
use crate::{Norm, Result, margin::distance};
use loclin_tensor::product::{Real, View, ViewMut, Write, multiply};
use std::{cmp::Ordering, collections::BinaryHeap};

/// Closer looks that a round takes together, if there are as many: enough to keep a matrix product busy.
const ROUND: usize = 32;

/// A quadratic form in the Gram matrix is taken for a squared length only if its terms cancel by less than this
/// factor: rounding then leaves twelve digits.
const CANCELLATION: f64 = 1e-3;

/// Nor if it is smaller than this: some of its terms may have vanished.
const VANISHING: f64 = 1e-200;

/// A distance and the position of its neuron; infinite without one.
pub(super) type Nearest = (f64, Option<usize>);

/// A block of inputs linearised.
pub(super) struct Block<'a, T> {
    pub(super) chain: &'a Chain<T>,
    /// Values of the neurons of each input.
    pub(super) values: &'a [Vec<f64>],
    /// Selected slopes of each layer, `[inputs * units]`.
    pub(super) slopes: Vec<&'a [T]>,
}

/// A neuron behind the first layer, as closely as it has been looked at.
pub(super) struct Row<T> {
    pub(super) position: usize,
    /// The layer whose pre-activations `cotangent` belongs to.
    pub(super) level: usize,
    /// The neuron's row, pulled back through the layers above and multiplied by the slopes of layer `level`.
    pub(super) cotangent: Vec<T>,
    /// At least its Euclidean length.
    pub(super) length: f64,
    /// `||grad z||_2` by the Gram matrix; `None` while unknown, infinite where its terms cancel.
    euclidean: Option<f64>,
    /// The gradient's norms by itself, in the order of the norms asked for; empty while unknown.
    norms: Vec<f64>,
}

impl<T: Real> Row<T> {
    /// Goes one layer back: to a cotangent of that layer's activations, on its slopes.
    pub(super) fn pull(&mut self, pulled: &[T], slopes: &[T]) {
        self.cotangent.clear();
        let products = pulled.iter().zip(slopes).map(|(v, s)| *v * *s);
        self.cotangent.extend(products);
        self.length = length(&self.cotangent);
        self.level -= 1;
    }
}

/// One input's search.
struct Search<T> {
    /// Everything looked at, over all norms.
    rows: Vec<Row<T>>,
    queue: BinaryHeap<Candidate>,
    best: Nearest,
    finished: bool,
}

/// A neuron and a lower bound of its distance; the greatest candidate is the nearest.
#[derive(PartialEq)]
pub(super) struct Candidate {
    pub(super) least: f64,
    pub(super) position: usize,
    /// Its place among the rows, once it has been looked at.
    pub(super) row: Option<usize>,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let own = other.least.total_cmp(&self.least);
        own.then(other.position.cmp(&self.position))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A closer look at a row.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    /// One layer further back, from this level.
    Pull(usize),
    /// The gradient's Euclidean length by the Gram matrix.
    Gram,
    /// The gradient.
    Gradient,
}

impl<T: Real> Block<'_, T> {
    /// The nearest boundary of each input for each dual norm; `None` where a gradient that is looked at, or a
    /// bound of one, is not finite.
    pub(super) fn nearest(&self, duals: &[Norm]) -> Result<Option<Vec<Vec<Nearest>>>> {
        let start = |_| Search {
            rows: Vec::new(),
            queue: BinaryHeap::new(),
            best: (f64::INFINITY, None),
            finished: false,
        };
        let mut searches: Vec<Search<T>> = self.values.iter().map(start).collect();
        let mut found = Vec::new();
        for number in 0..duals.len() {
            let question = Question {
                block: self,
                duals,
                number,
                bounds: self.chain.bounds(duals[number]),
            };
            let finite = |bounds: &[f64]| bounds.iter().all(|bound| bound.is_finite());
            if !finite(&question.bounds.first) || !finite(&question.bounds.others) {
                return Ok(None);
            }
            if !question.answer(&mut searches)? {
                return Ok(None);
            }
            found.push(searches.iter().map(|search| search.best).collect());
        }
        Ok(Some(found))
    }

    /// The slopes of layer `level` at one input.
    pub(super) fn slopes(&self, level: usize, input: usize) -> &[T] {
        let width = self.chain.layers[level].outputs;
        &self.slopes[level][input * width..][..width]
    }

    /// A neuron's row on the slopes of the layer below.
    pub(super) fn mask(&self, input: usize, position: usize) -> Row<T> {
        let (layer, index) = self.place(position);
        let weights = self.chain.layers[layer].row(index);
        let slopes = self.slopes(layer - 1, input);
        let cotangent: Vec<T> = weights.iter().zip(slopes).map(|(w, s)| *w * *s).collect();
        Row {
            position,
            level: layer - 1,
            length: length(&cotangent),
            cotangent,
            euclidean: None,
            norms: Vec::new(),
        }
    }

    /// Layer and index of the neuron at a position.
    fn place(&self, position: usize) -> (usize, usize) {
        let mut index = position;
        for (layer, of) in self.chain.layers.iter().enumerate() {
            if index < of.outputs {
                return (layer, index);
            }
            index -= of.outputs;
        }
        (self.chain.layers.len(), index)
    }
}

/// The search of a block for one norm.
struct Question<'a, T> {
    block: &'a Block<'a, T>,
    duals: &'a [Norm],
    number: usize,
    bounds: &'a Bounds,
}

impl<T: Real> Question<'_, T> {
    /// Whether every number met was finite.
    fn answer(&self, searches: &mut [Search<T>]) -> Result<bool> {
        for (search, values) in searches.iter_mut().zip(self.block.values) {
            self.start(search, values);
        }
        loop {
            let unfinished = searches.iter().filter(|search| !search.finished).count();
            if unfinished == 0 {
                return Ok(true);
            }
            let each = (ROUND / unfinished).max(1);
            let mut looks = Vec::new();
            for (input, search) in searches.iter_mut().enumerate() {
                self.choose(input, search, each, &mut looks);
            }
            let mut kinds: Vec<Look> = Vec::new();
            for (look, _, _) in &looks {
                if !kinds.contains(look) {
                    kinds.push(*look);
                }
            }
            for kind in kinds {
                let chosen = looks.iter().filter(|(look, _, _)| *look == kind);
                let chosen: Vec<(usize, usize)> = chosen.map(|(_, i, r)| (*i, *r)).collect();
                self.look(kind, &chosen, searches)?;
            }
            for (_, input, row) in looks {
                let value = self.block.values[input][searches[input].rows[row].position].abs();
                if !self.again(&mut searches[input], row, value) {
                    return Ok(false);
                }
            }
        }
    }

    /// Fills the queue with the neurons that the first layer's exact distances leave possible.
    fn start(&self, search: &mut Search<T>, values: &[f64]) {
        let mut best = (f64::INFINITY, None);
        for (position, (z, length)) in values.iter().zip(&self.bounds.first).enumerate() {
            let own = distance(z.abs(), *length);
            if own < best.0 {
                best = (own, Some(position));
            }
        }
        search.best = best;
        search.finished = false;
        let first = self.bounds.first.len();
        let mut queue = std::mem::take(&mut search.queue).into_vec();
        queue.clear();
        for (index, (z, bound)) in values[first..].iter().zip(&self.bounds.others).enumerate() {
            // The division is for those that pass; `bound` is not negative.
            if z.abs() <= best.0 * bound && *bound > 0.0 {
                queue.push(Candidate {
                    least: distance(z.abs(), *bound),
                    position: first + index,
                    row: None,
                });
            }
        }
        // What other norms' searches looked at.
        for (row, known) in search.rows.iter().enumerate() {
            let Some(at) = queue.iter().position(|c| c.position == known.position) else {
                continue;
            };
            let value = values[known.position].abs();
            match self.exact(known) {
                Some(exact) => {
                    queue.swap_remove(at);
                    offer(&mut search.best, distance(value, exact), known.position);
                }
                None => {
                    queue[at].row = Some(row);
                    queue[at].least = distance(value, self.at_most(known));
                }
            }
        }
        search.queue = BinaryHeap::from(queue);
    }

    /// The sharpest known bound of a row's gradient.
    fn at_most(&self, row: &Row<T>) -> f64 {
        if let Some(exact) = self.exact(row) {
            return exact;
        }
        let bound = row.length * self.bounds.reach[row.level];
        let chain = self.block.chain;
        match (self.duals[self.number], row.euclidean) {
            // `||g||_1 <= sqrt(D) ||g||_2`.
            (Norm::L1, Some(euclidean)) => {
                let root = (chain.layers[0].inputs as f64).sqrt();
                bound.min(euclidean * root * (1.0 + rounding(&chain.layers)))
            }
            _ => bound,
        }
    }

    /// The gradient's norm, if it is known.
    fn exact(&self, row: &Row<T>) -> Option<f64> {
        match (self.duals[self.number], row.euclidean) {
            (Norm::L2, Some(euclidean)) if euclidean.is_finite() => Some(euclidean),
            _ => row.norms.get(self.number).copied(),
        }
    }

    /// Takes up to `each` rows from the head of an input's queue for a closer look.
    fn choose(
        &self,
        input: usize,
        search: &mut Search<T>,
        each: usize,
        looks: &mut Vec<(Look, usize, usize)>,
    ) {
        let values = &self.block.values[input];
        let mut chosen = 0;
        while chosen < each {
            let next = search
                .queue
                .pop()
                .filter(|next| next.least <= search.best.0);
            let Some(next) = next.filter(|next| next.least < f64::INFINITY) else {
                search.finished = chosen == 0;
                search.queue.clear();
                return;
            };
            match next.row {
                Some(row) => {
                    looks.push((self.next(&search.rows[row]), input, row));
                    chosen += 1;
                }
                None => {
                    let row = self.block.mask(input, next.position);
                    let least = distance(values[next.position].abs(), self.at_most(&row));
                    search.queue.push(Candidate {
                        least,
                        position: next.position,
                        row: Some(search.rows.len()),
                    });
                    search.rows.push(row);
                }
            }
        }
    }

    /// What to look at next in a row whose norm is not known.
    fn next(&self, row: &Row<T>) -> Look {
        match (row.level, self.duals[self.number]) {
            (level @ 1.., _) => Look::Pull(level),
            // The largest coordinate is far below the Euclidean length: that is of no use.
            (0, Norm::L1 | Norm::L2) if row.euclidean.is_none() => Look::Gram,
            _ => Look::Gradient,
        }
    }

    /// The same look at several rows, given by input and place.
    fn look(&self, look: Look, rows: &[(usize, usize)], searches: &mut [Search<T>]) -> Result<()> {
        let chain = self.block.chain;
        let level = if let Look::Pull(level) = look {
            level
        } else {
            0
        };
        let width = chain.layers[level].outputs;
        let mut cotangents = Vec::with_capacity(rows.len() * width);
        for (input, row) in rows {
            cotangents.extend_from_slice(&searches[*input].rows[*row].cotangent);
        }
        if look == Look::Gram {
            let cotangents: Vec<f64> = cotangents.iter().map(|v| v.to_f64()).collect();
            let gram = View::new(&chain.gram, width, width)?;
            let products = times(&cotangents, rows.len(), gram, width)?;
            let both = cotangents
                .chunks_exact(width)
                .zip(products.chunks_exact(width));
            for ((input, row), (v, gv)) in rows.iter().zip(both) {
                let row = &mut searches[*input].rows[*row];
                row.euclidean = Some(self.by_gram(row.length, dot(v, gv)));
            }
            return Ok(());
        }
        let below = chain.layers[level].inputs;
        let pulled = times(&cotangents, rows.len(), chain.layers[level].view()?, below)?;
        for ((input, row), pulled) in rows.iter().zip(pulled.chunks_exact(below)) {
            let row = &mut searches[*input].rows[*row];
            if look == Look::Gradient {
                let gradient: Vec<f64> = pulled.iter().map(|v| v.to_f64()).collect();
                let norms = self.duals.iter().map(|q| q.of(&gradient) * chain.scale);
                row.norms = norms.collect();
            } else {
                let slopes = self.block.slopes(level - 1, *input);
                row.pull(pulled, slopes);
            }
        }
        Ok(())
    }

    /// The Euclidean length from the quadratic form, or infinity if too many of its digits cancelled.
    fn by_gram(&self, length: f64, form: f64) -> f64 {
        let chain = self.block.chain;
        let most = length * chain.bounds(Norm::L2).reach[0] / chain.scale;
        if form.is_finite() && form >= (CANCELLATION * most * most).max(VANISHING) {
            form.sqrt() * chain.scale
        } else {
            f64::INFINITY
        }
    }

    /// Puts a row back into its input's queue, or takes its distance; false if a number is not finite.
    fn again(&self, search: &mut Search<T>, row: usize, value: f64) -> bool {
        let known = &search.rows[row];
        let position = known.position;
        match self.exact(known) {
            Some(exact) => {
                offer(&mut search.best, distance(value, exact), position);
                exact.is_finite()
            }
            None => {
                let bound = self.at_most(known);
                search.queue.push(Candidate {
                    least: distance(value, bound),
                    position,
                    row: Some(row),
                });
                bound.is_finite()
            }
        }
    }
}

/// Lowers `best` to a distance, the first neuron of equally near ones.
fn offer(best: &mut Nearest, own: f64, position: usize) {
    let tie = own == best.0 && best.1.is_some_and(|at| position < at);
    if own < best.0 || tie {
        *best = (own, Some(position));
    }
}

/// `rows` vectors times a matrix, on this thread.
pub(super) fn times<T: Real>(
    vectors: &[T],
    rows: usize,
    matrix: View<T>,
    columns: usize,
) -> Result<Vec<T>> {
    let width = vectors.len() / rows.max(1);
    let mut product = vec![T::zero(); rows * columns];
    multiply(
        ViewMut::new(&mut product, rows, columns)?,
        Write::Replace,
        1.0,
        View::new(vectors, rows, width)?,
        matrix,
    )?;
    Ok(product)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f64 = rest.map(|(a, b)| a * b).sum();
    // Several sums, so that the processor need not wait for one addition before the next.
    let mut sums = [0.0; 8];
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}
