//! Branch and bound over the units' selections.

use super::{
    change::Change,
    feasible::Feasible,
    network::Scratch,
    part::{Assumed, Part},
    proof::{Leaf, Reason},
    question::Question,
    state::Selection,
    witness::{Asked, Witness},
};
use loclin_tensor::rounding::max_up;
use std::cmp::Ordering;

/// Steps to a point of a part.
const STEPS: usize = 12;

/// A part to be split, the one with the largest bound first.
pub(crate) struct Waiting {
    pub(crate) part: Part,
    /// A point near it.
    pub(crate) near: Vec<f64>,
    pub(crate) unit: usize,
    pub(crate) signs: Vec<bool>,
    pub(crate) number: usize,
}

/// What became of a part.
pub(crate) enum Looked {
    /// Nothing in it is of interest.
    Closed(Leaf),
    /// It is to be split.
    Open(Waiting),
    /// It cannot be split, and nothing better is known.
    Stuck(Leaf, f64, Vec<bool>),
}

/// A part before it was looked at.
pub(crate) struct Fresh {
    pub(crate) part: Part,
    pub(crate) near: Vec<f64>,
    /// What is assumed beyond the part; nothing of the whole ball.
    pub(crate) assumed: Option<Assumed>,
}

impl Asked<'_> {
    /// The two parts that a unit's selection splits a part into.
    pub(crate) fn halves(&self, waiting: Waiting) -> Vec<Fresh> {
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
    pub(crate) fn look(
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
            Some(assumed) => reduced.enter(part, assumed, scratch),
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
        let open = self.matters_most(&part, &weights);
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
        each.fold(f64::NEG_INFINITY, max_up)
    }

    /// Numbers of an input.
    pub(crate) fn size(&self) -> usize {
        self.outputs
            .first()
            .map_or(0, |output| output.gradient.len())
    }

    pub(crate) fn is_about_signs(&self) -> bool {
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
            let bound = each.fold(f64::NEG_INFINITY, max_up);
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
    fn matters_most(&self, part: &Part, weights: &[f64]) -> Option<usize> {
        let units = self.reduced.units.iter().enumerate();
        let open = units.filter(|(at, unit)| {
            let selection = part.state.selection(*at, unit.members.clone());
            selection == Some(Selection::Open)
        });
        let best = open.max_by(|(a, _), (b, _)| weights[*a].total_cmp(&weights[*b]).then(b.cmp(a)));
        best.map(|(at, _)| at)
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
