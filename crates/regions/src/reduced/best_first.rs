//! The search over parts of a ball, that with the largest bound first.

use super::{
    branch::{Fresh, Looked, Waiting},
    limits::Limits,
    network::Scratch,
    part::Part,
    proof::{Leaf, Reason},
    question::Question,
    witness::{Asked, Witness},
};
use rayon::prelude::*;
use std::{collections::BinaryHeap, time::Instant};

/// Parts that are split at once, whatever the number of threads.
const AT_ONCE: usize = 16;

/// A bound and a witness that differ by no more than this share are one number: half of what [`super::Bound::is_exact`] asks for.
const SAME: f64 = 5e-10;

/// What came out.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) witness: Option<Witness>,
    /// Nothing in the ball is above this.
    pub(crate) proved: f64,
    pub(crate) parts: usize,
    /// For [`Question::Signs`]: which numbers may change their sign.
    pub(crate) signs: Vec<bool>,
    /// All parts, where they are kept.
    pub(crate) leaves: Option<Vec<Leaf>>,
}

impl Asked<'_> {
    /// The largest value of the question over the ball: found and proved, as far as it comes before it has to end.
    pub(crate) fn search(
        &self,
        witness: Option<Witness>,
        limits: Limits,
        has_to_end: impl Fn() -> bool,
    ) -> Outcome {
        let end = limits
            .time
            .and_then(|time| Instant::now().checked_add(time));
        let size = self
            .outputs
            .first()
            .map_or(0, |output| output.gradient.len());
        let root = Fresh {
            part: Part {
                state: self.reduced.root.clone(),
                assumed: Vec::new(),
                bound: f64::INFINITY,
            },
            near: vec![0.0; size],
            assumed: None,
        };
        let mut search = Search {
            asked: *self,
            settled: vec![false; size],
            may_change: vec![false; size],
            stuck: f64::NEG_INFINITY,
            leaves: (limits.proof && !self.is_about_signs()).then(Vec::new),
            witness,
            parts: 0,
            waiting: BinaryHeap::new(),
        };
        search.settle();
        search.take(vec![root]);
        let is_late = || has_to_end() || end.is_some_and(|end| Instant::now() >= end);
        while search.parts < limits.parts && !is_late() {
            let some = search.pop();
            if some.is_empty() {
                break;
            }
            let halves = some.into_iter().flat_map(|waiting| self.halves(waiting));
            search.take(halves.collect());
        }
        search.finish()
    }
}

/// A search under way.
struct Search<'a> {
    asked: Asked<'a>,
    /// Numbers whose sign is known to change, and those that may in parts that are done with.
    settled: Vec<bool>,
    may_change: Vec<bool>,
    /// The largest bound of parts that cannot be split. Others are looked at all the same, for what may be found there.
    stuck: f64,
    /// Parts that are done with, where they are kept.
    leaves: Option<Vec<Leaf>>,
    witness: Option<Witness>,
    parts: usize,
    waiting: BinaryHeap<Waiting>,
}

impl Search<'_> {
    /// What a part must be above to be of interest.
    fn threshold(&self) -> f64 {
        let found = self
            .witness
            .as_ref()
            .map_or(f64::NEG_INFINITY, |own| own.value);
        match &self.asked.measure.question {
            Question::Signs { .. } => 0.0f64.next_down(),
            // Whatever is below 0 is as good.
            question if question.is_decision() => found.max(0.0f64.next_down()),
            _ => found + SAME * found.abs(),
        }
    }

    /// Takes note of the signs that the witness changes.
    fn settle(&mut self) {
        let Some(witness) = self
            .witness
            .as_ref()
            .filter(|_| self.asked.is_about_signs())
        else {
            return;
        };
        let (gradients, _) = self.asked.gradients(&witness.delta);
        let changed = self.asked.measure.signs_changed(&gradients[0], 0.0);
        let both = self.settled.iter_mut().zip(changed);
        both.for_each(|(own, changed)| *own |= changed);
    }

    /// Looks at parts, and keeps those that are to be split.
    fn take(&mut self, fresh: Vec<Fresh>) {
        let (threshold, asked, settled) = (self.threshold(), self.asked, self.settled.clone());
        self.parts += fresh.len();
        let look = |scratch: &mut Scratch, fresh| asked.look(fresh, threshold, &settled, scratch);
        let looked: Vec<_> = fresh
            .into_par_iter()
            .map_init(Scratch::default, look)
            .collect();
        for (looked, witness) in looked {
            if let Some(witness) = witness {
                let value =
                    |own: &Option<Witness>| own.as_ref().map_or(f64::NEG_INFINITY, |w| w.value);
                let is_better = witness.value > value(&self.witness);
                let last = self.witness.replace(witness);
                self.settle();
                if !is_better {
                    self.witness = last;
                }
            }
            match looked {
                Looked::Closed(leaf) => self.keep(leaf),
                Looked::Open(mut waiting) => {
                    waiting.number = self.waiting.len();
                    self.waiting.push(waiting);
                }
                Looked::Stuck(leaf, bound, signs) => {
                    self.keep(leaf);
                    self.stuck = self.stuck.max(bound);
                    let both = self.may_change.iter_mut().zip(signs);
                    both.for_each(|(own, may)| *own |= may);
                }
            }
        }
    }

    /// The parts to be split next.
    fn pop(&mut self) -> Vec<Waiting> {
        let threshold = self.threshold();
        let mut some = Vec::new();
        while some.len() < AT_ONCE {
            match self.waiting.pop() {
                // The rest is below, too.
                Some(waiting) if waiting.part.bound <= threshold => {
                    self.keep_waiting(waiting);
                    while let Some(rest) = self.waiting.pop() {
                        self.keep_waiting(rest);
                    }
                }
                Some(waiting) => some.push(waiting),
                None => break,
            }
        }
        some
    }

    fn keep(&mut self, leaf: Leaf) {
        if let Some(leaves) = &mut self.leaves {
            leaves.push(leaf);
        }
    }

    fn keep_waiting(&mut self, waiting: Waiting) {
        let (assumed, factors) = (waiting.part.assumed, Vec::new());
        self.keep(Leaf {
            assumed,
            reason: Reason::Bound { factors },
        });
    }

    fn finish(mut self) -> Outcome {
        let threshold = self.threshold();
        let open = self.waiting.iter().map(|own| own.part.bound);
        let open = open.fold(self.stuck, f64::max);
        let proved = open.max(threshold);
        let mut signs = std::mem::take(&mut self.settled);
        if let Question::Signs { .. } = self.asked.measure.question {
            let all = self
                .waiting
                .iter()
                .map(|own| &own.signs)
                .chain([&self.may_change]);
            for own in all {
                signs
                    .iter_mut()
                    .zip(own)
                    .for_each(|(sign, own)| *sign |= own);
            }
        }
        if self.leaves.is_some() {
            while let Some(rest) = self.waiting.pop() {
                self.keep_waiting(rest);
            }
        }
        Outcome {
            leaves: self.leaves,
            witness: self.witness,
            proved,
            parts: self.parts,
            signs,
        }
    }
}
