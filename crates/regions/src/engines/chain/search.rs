//! The nearest boundaries of a block of inputs, by bounds that are sharpened only where they have to be.
//!
//! Each input has a queue of neurons, the one with the smallest lower bound of its distance first. Whatever
//! comes first is pulled back a layer further and goes back with a larger bound, until an exact distance is at most
//! every bound that is left. No neuron is pulled back that any search with the same bounds could do without.
//! A step is a product with a layer's weight; the inputs of a block take theirs together.

use super::{
    block::{Block, Candidate, Row},
    weights::Bounds,
};
use crate::{
    Norm, Result,
    boxed::{self, Boundary},
    nearest::{Found, Nearest, distance},
    room::{Room, Within},
};
use loclin_tensor::{
    product::Real,
    rounding::{product_up, up_by},
};
use std::collections::BinaryHeap;

/// Steps that a round takes together, if there are as many: enough to keep a matrix product busy.
const ROUND: usize = 32;

/// One input's search.
pub(super) struct InputSearch<T> {
    /// Every row pulled back, over all norms.
    pub(super) rows: Vec<Row<T>>,
    queue: BinaryHeap<Candidate>,
    best: Nearest,
    /// No boundary that is further limits.
    farthest: f64,
    finished: bool,
}

/// The next step towards a row's gradient.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Step {
    /// One layer further back, from this level.
    Pull(usize),
    /// The gradient's Euclidean length by the Gram matrix.
    Gram,
    /// The gradient.
    Gradient,
}

/// The nearest boundary of each input for each norm, within the domain if there is one; `None` where a gradient that is looked at, or a bound of one, is
/// not finite.
pub(super) fn nearest<T: Real>(
    block: &Block<'_, T>,
    within: Option<&Within>,
    norms: &[Norm],
) -> Result<Option<Vec<Vec<Found>>>> {
    let duals: Vec<Norm> = norms.iter().map(|norm| norm.dual()).collect();
    let inputs = block.first..block.first + block.values.len();
    let room = |within: &Within| inputs.map(|input| within.room(input)).collect();
    let rooms: Option<Vec<Room>> = within.map(room).transpose()?;
    let start = |_| InputSearch {
        rows: Vec::new(),
        queue: BinaryHeap::new(),
        best: Nearest::NONE,
        farthest: f64::INFINITY,
        finished: false,
    };
    let mut searches: Vec<InputSearch<T>> = (0..block.values.len()).map(start).collect();
    let mut found = Vec::new();
    for number in 0..duals.len() {
        let search = NormSearch {
            block,
            norms,
            duals: &duals,
            rooms: rooms.as_deref(),
            number,
            bounds: block.weights.bounds(duals[number]),
        };
        let finite = |bounds: &[f64]| bounds.iter().all(|bound| bound.is_finite());
        if !finite(&search.bounds.first) || !finite(&search.bounds.others) {
            return Ok(None);
        }
        if !search.run(&mut searches)? {
            return Ok(None);
        }
        let one = |(input, own): (usize, &InputSearch<T>)| Found {
            nearest: own.best,
            gradients: own.rows.len(),
            lost: search.lost(input, own),
        };
        found.push(searches.iter().enumerate().map(one).collect());
    }
    Ok(Some(found))
}

/// The search of a block for one norm.
pub(super) struct NormSearch<'a, T> {
    pub(super) block: &'a Block<'a, T>,
    pub(super) norms: &'a [Norm],
    pub(super) duals: &'a [Norm],
    /// Of each input the room that balls are cut with, if they are.
    pub(super) rooms: Option<&'a [Room]>,
    number: usize,
    bounds: &'a Bounds,
}

impl<T: Real> NormSearch<'_, T> {
    /// Whether every number met was finite.
    fn run(&self, searches: &mut [InputSearch<T>]) -> Result<bool> {
        for (input, search) in searches.iter_mut().enumerate() {
            self.start(input, search);
        }
        loop {
            let unfinished = searches.iter().filter(|search| !search.finished).count();
            if unfinished == 0 {
                return Ok(true);
            }
            let each = (ROUND / unfinished).max(1);
            let mut chosen = Vec::new();
            for (input, search) in searches.iter_mut().enumerate() {
                self.choose(input, search, each, &mut chosen);
            }
            let mut kinds: Vec<Step> = Vec::new();
            for (step, _, _) in &chosen {
                if !kinds.contains(step) {
                    kinds.push(*step);
                }
            }
            for kind in kinds {
                let rows = chosen.iter().filter(|(step, _, _)| *step == kind);
                let rows: Vec<(usize, usize)> = rows.map(|(_, i, r)| (*i, *r)).collect();
                self.take(kind, &rows, searches)?;
            }
            for (_, input, row) in chosen {
                if !self.put_back(input, &mut searches[input], row) {
                    return Ok(false);
                }
            }
        }
    }

    /// The part of the nearest neuron's value that its error may be.
    fn lost(&self, input: usize, search: &InputSearch<T>) -> f64 {
        let Some(at) = search.best.at else { return 0.0 };
        let value = match search.rows.iter().find(|row| row.position == at) {
            Some(row) => self.block.value(input, row),
            None => self.block.values[input][at].abs(),
        };
        let computed = self.block.known.computed[self.block.first + input][at].abs();
        if value < computed {
            1.0 - value / computed
        } else {
            0.0
        }
    }

    /// Fills the queue with the neurons that the first layer's exact distances leave possible.
    fn start(&self, input: usize, search: &mut InputSearch<T>) {
        let values = self.block.values[input];
        let mut best = Nearest::NONE;
        for (position, (z, length)) in values.iter().zip(&self.bounds.first).enumerate() {
            best.lower(distance(z.abs(), *length), position);
        }
        let first = self.bounds.first.len();
        let mut known = 0..first;
        if let Some(rooms) = self.rooms {
            // These are bounds, too, of which one is measured so that there is a distance to begin with.
            search.farthest = rooms[input].farthest(self.norms[self.number]);
            known = best.at.map_or(0..0, |at| at..at + 1);
            best = Nearest::NONE;
            for position in known.clone() {
                best.lower(
                    self.in_first_layer(input, position, &rooms[input]),
                    position,
                );
            }
        }
        search.best = best;
        search.finished = false;
        let limit = best.distance.min(search.farthest);
        let mut queue = std::mem::take(&mut search.queue).into_vec();
        queue.clear();
        let bounds = self.bounds.first.iter().chain(&self.bounds.others);
        let start = if self.rooms.is_none() { first } else { 0 };
        for (position, (z, bound)) in values.iter().zip(bounds).enumerate().skip(start) {
            // The division is for those that pass; `bound` is not negative.
            let near = z.abs() <= up_by(limit * bound, 4) && *bound > 0.0;
            if near && !known.contains(&position) {
                queue.push(Candidate {
                    least: distance(z.abs(), *bound),
                    position,
                    row: None,
                });
            }
        }
        // What other norms' searches pulled back.
        for (row, known) in search.rows.iter().enumerate() {
            let Some(at) = queue.iter().position(|c| c.position == known.position) else {
                continue;
            };
            match self.measured(input, known) {
                Some(distance) => {
                    queue.swap_remove(at);
                    search.best.lower(distance, known.position);
                }
                None => {
                    let value = self.block.value(input, known);
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
        let bound = product_up(&[row.length, self.bounds.reach[row.level]]);
        let weights = self.block.weights;
        match (self.duals[self.number], row.euclidean) {
            // `||g||_1 <= sqrt(D) ||g||_2`.
            (Norm::L1, Some(euclidean)) => {
                let root = (weights.layers[0].inputs as f64).sqrt();
                bound.min(up_by(euclidean * root, 4))
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

    /// A row's distance, if it is known: within a domain, of a row whose gradient was measured.
    fn measured(&self, input: usize, row: &Row<T>) -> Option<f64> {
        match self.rooms {
            None => {
                let value = self.block.value(input, row);
                Some(distance(value, self.exact(row)?))
            }
            Some(_) => row.distances.get(self.number).copied(),
        }
    }

    /// The distance of a neuron of the first layer within the domain: its gradient is a row of the weights.
    fn in_first_layer(&self, input: usize, position: usize, room: &Room) -> f64 {
        let weights = self.block.weights;
        let row = weights.layers[0].row(position);
        let neuron = Boundary {
            value: self.block.values[input][position],
            gradient: &weights.scaled(row),
            errors: [0.0; 2],
        };
        let whole = distance(neuron.value.abs(), self.bounds.first[position]);
        boxed::distance(&neuron, room, self.norms[self.number]).max(whole)
    }

    /// Takes up to `each` rows from the head of an input's queue.
    fn choose(
        &self,
        input: usize,
        search: &mut InputSearch<T>,
        each: usize,
        chosen: &mut Vec<(Step, usize, usize)>,
    ) {
        let values = &self.block.values[input];
        let mut count = 0;
        while count < each {
            let next = search
                .queue
                .pop()
                .filter(|next| next.least <= search.best.distance.min(search.farthest));
            let Some(next) = next.filter(|next| next.least < f64::INFINITY) else {
                search.finished = count == 0;
                search.queue.clear();
                return;
            };
            if let (true, Some(rooms)) = (next.position < self.bounds.first.len(), self.rooms) {
                let distance = self.in_first_layer(input, next.position, &rooms[input]);
                search.best.lower(distance, next.position);
                continue;
            }
            match next.row {
                Some(row) => {
                    chosen.push((self.next(&search.rows[row]), input, row));
                    count += 1;
                }
                None => {
                    let row = self.block.row(input, next.position);
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

    /// The next step for a row whose norm is not known.
    fn next(&self, row: &Row<T>) -> Step {
        let has_gram = self.block.weights.gram.is_some();
        match (row.level, self.duals[self.number]) {
            (level @ 1.., _) => Step::Pull(level),
            // The largest coordinate is far below the Euclidean length: that is of no use.
            (0, Norm::L1 | Norm::L2) if row.euclidean.is_none() && has_gram => Step::Gram,
            _ => Step::Gradient,
        }
    }

    /// Puts a row back into its input's queue, or takes its distance; false if a number is not finite.
    fn put_back(&self, input: usize, search: &mut InputSearch<T>, row: usize) -> bool {
        let known = &search.rows[row];
        let position = known.position;
        match self.measured(input, known) {
            Some(distance) => {
                search.best.lower(distance, position);
                self.exact(known).is_some_and(f64::is_finite)
            }
            None => {
                let value = self.block.value(input, known);
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
