//! Parts of a ball: which selections were assumed, and whether any input of the ball makes them.

use super::{
    network::{Functional, ReducedNetwork, Scratch, add_scaled},
    state::{Selection, State},
};
use loclin_tensor::rounding::{relative, up_by};

/// A linear condition `positive - negative >= 0` on the members' values: a missing one is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) positive: Option<usize>,
    pub(crate) negative: Option<usize>,
}

/// A part of the ball.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) state: State,
    /// The selections that were assumed, in their order: of a unit, and whether it makes it.
    pub(crate) assumed: Vec<Assumed>,
    /// Nothing in the part is above this.
    pub(crate) bound: f64,
}

/// That a unit makes a selection, or does not make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Assumed {
    pub(crate) unit: usize,
    pub(crate) selection: Selection,
    pub(crate) holds: bool,
}

impl ReducedNetwork {
    /// Assumes a selection in a state.
    pub(crate) fn assume(&self, state: &mut State, assumed: Assumed) {
        let Assumed {
            unit,
            selection,
            holds,
        } = assumed;
        let members = self.units[unit].members.clone();
        match (selection, holds) {
            (Selection::Same, holds) => {
                state.stays[unit] = holds;
                if holds {
                    members.for_each(|member| state.allowed[member] = false);
                }
            }
            (Selection::Member(chosen), true) => {
                state.stays[unit] = false;
                for member in members {
                    state.allowed[member] = member == chosen;
                }
            }
            (Selection::Member(chosen), false) => state.allowed[chosen] = false,
            (Selection::Open, _) => {}
        }
    }

    /// A part of a part in which one more selection is assumed, with the ranges that follow; `None` where it is empty by them.
    pub(crate) fn enter(
        &self,
        mut part: Part,
        assumed: Assumed,
        scratch: &mut Scratch,
    ) -> Option<Part> {
        self.assume(&mut part.state, assumed);
        part.assumed.push(assumed);
        let is_possible = self.constrain(&mut part.state, assumed.unit)
            && self.tighten(&mut part.state, assumed.unit + 1, scratch);
        is_possible.then_some(part)
    }

    /// The linear conditions that the assumed selections are; with `all`, also those of other units whose selection is decided.
    pub(crate) fn conditions(&self, part: &Part, all: bool) -> Vec<Condition> {
        let mut conditions = Vec::new();
        let mut units: Vec<usize> = match all {
            true => (0..self.units.len()).collect(),
            false => part.assumed.iter().map(|assumed| assumed.unit).collect(),
        };
        units.sort_unstable();
        units.dedup();
        for unit in units {
            let members = self.units[unit].members.clone();
            match part.state.selection(unit, members.clone()) {
                Some(Selection::Same) => conditions.extend(members.map(|member| Condition {
                    positive: None,
                    negative: Some(member),
                })),
                Some(Selection::Member(chosen)) => {
                    let others = members.filter(|member| *member != chosen).map(Some);
                    conditions.extend(others.chain([None]).map(|negative| Condition {
                        positive: Some(chosen),
                        negative,
                    }));
                }
                _ => {}
            }
        }
        conditions
    }

    /// The values of conditions, by the values of the members.
    pub(crate) fn values_of(&self, conditions: &[Condition], values: &[f64]) -> Vec<f64> {
        let of = |member: Option<usize>| member.map_or(0.0, |member| values[member]);
        let value = |condition: &Condition| of(condition.positive) - of(condition.negative);
        conditions.iter().map(value).collect()
    }

    /// At least the largest of a functional plus conditions times `factors`, none of them negative: no less than the functional's
    /// largest value where the conditions hold. Below 0 for no functional, they hold nowhere.
    pub(crate) fn relaxed(
        &self,
        of: Option<Functional<'_>>,
        conditions: &[Condition],
        factors: &[f64],
        state: &State,
        scratch: &mut Scratch,
    ) -> f64 {
        let (mut constant, mut slack, mut size) = (0.0, 0.0, 0.0);
        let mut linear = Vec::new();
        let mut weights = Vec::new();
        if let Some(of) = of {
            (constant, slack) = (of.constant, of.slack);
            size += of.constant.abs();
            linear.extend_from_slice(of.linear);
            weights.extend_from_slice(of.weights);
        }
        for (condition, factor) in conditions.iter().zip(factors) {
            if *factor == 0.0 {
                continue;
            }
            let both = [
                (condition.positive, *factor),
                (condition.negative, -*factor),
            ];
            for (member, factor) in both {
                let Some(member) = member else { continue };
                let own = &self.members[member];
                constant += factor * own.value;
                size += (factor * own.value).abs();
                slack += factor.abs() * own.slack;
                linear.resize(own.gradient.len(), 0.0);
                add_scaled(&mut linear, factor, &own.gradient);
                if weights.len() < own.influence.len() {
                    weights.resize(own.influence.len(), 0.0);
                }
                let weights = &mut weights[..own.influence.len()];
                add_scaled(weights, factor, &own.influence);
            }
        }
        let terms = 4 * conditions.len() + 8;
        let underflow = terms as f64 * self.underflow(weights.len(), linear.len(), state);
        let slack = up_by(slack + underflow, terms) + size * relative(terms);
        let functional = Functional {
            constant,
            linear: &linear,
            weights: &weights,
            slack,
        };
        self.most(functional, state, scratch)
    }
}
