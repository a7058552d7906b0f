//! Branch and bound over the units' selections.

use super::{
    change::Change,
    feasible::Feasible,
    network::{ReducedNetwork, Scratch},
    part::{Assumed, Part},
    proof::{Leaf, Reason},
    question::Question,
    state::Selection,
    witness::{Asked, Witness},
};
use rayon::prelude::*;
use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

/// Parts that are split at once, whatever the number of threads.
const AT_ONCE: usize = 16;

/// Steps to a point of a part.
const STEPS: usize = 12;

/// A bound and a witness that differ by no more than this share are one number: half of what [`super::Bound::is_exact`] asks for.
const SAME: f64 = 5e-10;

/// How long a bound may be worked on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Time; what was found and proved by then is the answer. With `None`, the same question has the same answer.
    pub time: Option<Duration>,
    /// Parts of the ball that are looked at. With 1, there is no branching.
    pub parts: usize,
    /// Whether all parts are kept as a proof that can be checked again.
    pub proof: bool,
}

impl Limits {
    /// No branching: one part, in the time that it takes.
    pub const ROOT: Self = Self {
        time: None,
        parts: 1,
        proof: false,
    };
}

impl Default for Limits {
    /// Ten seconds, and a million parts.
    fn default() -> Self {
        Self {
            time: Some(Duration::from_secs(10)),
            parts: 1_000_000,
            proof: false,
        }
    }
}

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

/// A part to be split, the one with the largest bound first.
struct Waiting {
    part: Part,
    /// A point near it.
    near: Vec<f64>,
    unit: usize,
    signs: Vec<bool>,
    number: usize,
}

/// What became of a part.
enum Looked {
    /// Nothing in it is of interest.
    Closed(Leaf),
    /// It is to be split.
    Open(Waiting),
    /// It cannot be split, and nothing better is known.
    Stuck(Leaf, f64, Vec<bool>),
}

/// A part before it was looked at.
struct Fresh {
    part: Part,
    near: Vec<f64>,
    /// What is assumed beyond the part; nothing of the whole ball.
    assumed: Option<Assumed>,
}

impl Asked<'_> {
    /// The largest value of the question over the ball: found and proved.
    pub(crate) fn search(&self, witness: Option<Witness>, limits: Limits) -> Outcome {
        let end = limits.time.map(|time| Instant::now() + time);
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
        while search.parts < limits.parts && end.is_none_or(|end| Instant::now() < end) {
            let some = search.pop();
            if some.is_empty() {
                break;
            }
            let halves = some.into_iter().flat_map(|waiting| self.halves(waiting));
            search.take(halves.collect());
        }
        search.finish()
    }

    /// The two parts that a unit's selection splits a part into.
    fn halves(&self, waiting: Waiting) -> Vec<Fresh> {
        let Waiting {
            part, near, unit, ..
        } = waiting;
        let members = self.reduced.units[unit].members.clone();
        let selection = match part.state.can_stay(unit, members.clone()) {
            true => Selection::Same,
            false => {
                let mut possible = members.filter(|member| part.state.is_possible(*member));
                possible.next().map_or(Selection::Same, Selection::Member)
            }
        };
        let half = |holds: bool| {
            let assumed = Assumed {
                unit,
                selection,
                holds,
            };
            Fresh {
                part: part.clone(),
                near: near.clone(),
                assumed: Some(assumed),
            }
        };
        vec![half(true), half(false)]
    }

    /// Looks at a part: its bound, and points of it.
    fn look(
        &self,
        fresh: Fresh,
        threshold: f64,
        settled: &[bool],
        scratch: &mut Scratch,
    ) -> (Looked, Option<Witness>) {
        let Fresh {
            part,
            near,
            assumed,
        } = fresh;
        let reduced = self.reduced;
        let mut path = part.assumed.clone();
        path.extend(assumed);
        let closed = |reason: Reason| {
            Looked::Closed(Leaf {
                assumed: path.clone(),
                reason,
            })
        };
        let entered = match assumed {
            // All ranges of the root are known.
            None => Some(part),
            Some(assumed) => enter(reduced, part, assumed, scratch),
        };
        let Some(mut part) = entered else {
            return (closed(Reason::Ranges), None);
        };
        let (bound, signs, weights) = self.bound(&part, settled, scratch);
        part.bound = part.bound.min(bound);
        if part.bound <= threshold {
            let factors = Vec::new();
            return (closed(Reason::Bound { factors }), None);
        }
        let open = self.to_split(&part, &weights);
        let near = match reduced.look(&part, &near, STEPS, scratch) {
            Feasible::Empty(factors) => {
                let all = false;
                return (closed(Reason::Factors { factors, all }), None);
            }
            Feasible::Point(point) | Feasible::Unknown(point) => point,
        };
        let mut witness = None;
        self.offer(&near, &mut witness);
        let Some(unit) = open else {
            return (
                self.decided(part, threshold, signs, scratch, &mut witness),
                witness,
            );
        };
        let waiting = Waiting {
            part,
            near,
            unit,
            signs,
            number: 0,
        };
        (Looked::Open(waiting), witness)
    }

    /// Looks at a part in which every selection is decided: the question has one value there, or is a linear function.
    fn decided(
        &self,
        mut part: Part,
        threshold: f64,
        signs: Vec<bool>,
        scratch: &mut Scratch,
        witness: &mut Option<Witness>,
    ) -> Looked {
        let reduced = self.reduced;
        let conditions = reduced.conditions(&part, true);
        let mut reason = Reason::Bound {
            factors: Vec::new(),
        };
        if let Question::Class { .. } = self.measure.question {
            let mut factors = Vec::new();
            for output in self.outputs {
                let objective = reduced.objective(output, &part);
                let solved = reduced.solve(&part, &conditions, Some(&objective));
                factors.push(solved.map_or_else(Vec::new, |solved| {
                    let mut point = solved.point;
                    reduced.ball.project(&mut point);
                    self.offer(&point, witness);
                    solved.factors
                }));
            }
            part.bound = part.bound.min(self.part_bound(&part, &factors, scratch));
            reason = Reason::Bound { factors };
        } else if let Some(solved) = reduced.solve(&part, &conditions, None) {
            if reduced.is_empty_by(&part, &solved.factors, true, scratch) {
                let (factors, all) = (solved.factors, true);
                let reason = Reason::Factors { factors, all };
                let assumed = part.assumed;
                return Looked::Closed(Leaf { assumed, reason });
            }
            let mut point = solved.point;
            reduced.ball.project(&mut point);
            self.offer(&point, witness);
        }
        let leaf = Leaf {
            assumed: part.assumed,
            reason,
        };
        match part.bound <= threshold {
            true => Looked::Closed(leaf),
            false => Looked::Stuck(leaf, part.bound, signs),
        }
    }

    /// A bound of the question on a part; of a class, with factors of the part's conditions for each other class, or without any.
    pub(crate) fn part_bound(
        &self,
        part: &Part,
        factors: &[Vec<f64>],
        scratch: &mut Scratch,
    ) -> f64 {
        if factors.is_empty() {
            return self.bound(part, &vec![false; self.size()], scratch).0;
        }
        let conditions = self.reduced.conditions(part, true);
        let each = self.outputs.iter().enumerate().map(|(at, output)| {
            let of = self.reduced.of_output(output);
            let plain = self.reduced.most(of, &part.state, scratch);
            let are_factors = |own: &&Vec<f64>| {
                own.len() == conditions.len() && own.iter().all(|factor| *factor >= 0.0)
            };
            match factors.get(at).filter(are_factors) {
                Some(own) => plain.min(self.reduced.relaxed(
                    Some(of),
                    &conditions,
                    own,
                    &part.state,
                    scratch,
                )),
                None => plain,
            }
        });
        each.fold(f64::NEG_INFINITY, f64::max)
    }

    /// Numbers of an input.
    fn size(&self) -> usize {
        self.outputs
            .first()
            .map_or(0, |output| output.gradient.len())
    }

    fn is_about_signs(&self) -> bool {
        matches!(self.measure.question, Question::Signs { .. })
    }

    /// A bound of the question on a part, the numbers that may change their sign there, and how much each unit matters.
    fn bound(
        &self,
        part: &Part,
        settled: &[bool],
        scratch: &mut Scratch,
    ) -> (f64, Vec<bool>, Vec<f64>) {
        let reduced = self.reduced;
        let mut weights = vec![0.0f64; reduced.units.len()];
        if let Question::Class { .. } = self.measure.question {
            let each = self
                .outputs
                .iter()
                .map(|output| reduced.most(reduced.of_output(output), &part.state, scratch));
            let bound = each.fold(f64::NEG_INFINITY, f64::max);
            for (unit, weight) in weights.iter_mut().enumerate() {
                let over = part.state.over(reduced.units[unit].members.clone());
                let all = self
                    .outputs
                    .iter()
                    .map(|output| output.cotangents[unit].abs());
                *weight = over * all.fold(0.0, f64::max);
            }
            return (bound, Vec::new(), weights);
        }
        let changes: Vec<Change> = self
            .outputs
            .iter()
            .map(|output| {
                let through = reduced.through(output, &part.state);
                let change = reduced.change(output, &part.state, &through);
                for (weight, share) in weights.iter_mut().zip(&change.shares) {
                    *weight = weight.max(*share);
                }
                change
            })
            .collect();
        let signs = match self.measure.question {
            Question::Signs { .. } => self.measure.may_change_sign(&changes[0]),
            _ => Vec::new(),
        };
        (self.measure.most(&changes, settled), signs, weights)
    }

    /// The open unit that matters most.
    fn to_split(&self, part: &Part, weights: &[f64]) -> Option<usize> {
        let units = self.reduced.units.iter().enumerate();
        let open = units.filter(|(at, unit)| {
            let selection = part.state.selection(*at, unit.members.clone());
            selection == Some(Selection::Open)
        });
        let best = open.max_by(|(a, _), (b, _)| weights[*a].total_cmp(&weights[*b]).then(b.cmp(a)));
        best.map(|(at, _)| at)
    }
}

/// A part of a part in which one more selection is assumed, with the ranges that follow; `None` where it is empty by them.
pub(crate) fn enter(
    reduced: &ReducedNetwork,
    mut part: Part,
    assumed: Assumed,
    scratch: &mut Scratch,
) -> Option<Part> {
    reduced.assume(&mut part.state, assumed);
    part.assumed.push(assumed);
    let is_possible = reduced.constrain(&mut part.state, assumed.unit)
        && reduced.tighten(&mut part.state, assumed.unit + 1, scratch);
    is_possible.then_some(part)
}

/// A search under way.
struct Search<'a> {
    asked: Asked<'a>,
    /// Numbers whose sign is known to change, and those that may in parts that are done with.
    settled: Vec<bool>,
    may_change: Vec<bool>,
    /// The largest bound of parts that cannot be split.
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
        let changed = self.asked.measure.signs_changed(&gradients[0]);
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
                let last = std::mem::replace(&mut self.witness, Some(witness));
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
                // A part that cannot be split has as large a bound: nothing changes any more.
                Some(waiting)
                    if waiting.part.bound <= self.stuck && !self.asked.is_about_signs() =>
                {
                    self.waiting.push(waiting);
                    break;
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

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.part.bound.total_cmp(&other.part.bound);
        order.then(other.number.cmp(&self.number))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}
