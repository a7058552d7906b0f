//! Whether a part of a ball is empty: a point of it is looked for, and factors of its conditions that exclude all points.
//!
//! By the method of Frank and Wolfe on the sum of squared violations: its linear problem is the maximum of a combination of the
//! conditions over the ball, with the violations as factors, and where that is below 0 the part is empty. That is accepted only
//! from [`ReducedNetwork::relaxed`], which is a proof.

use super::{
    network::{ReducedNetwork, Scratch},
    part::{Condition, Part},
};

/// Steps of the search along a line.
const STEPS: usize = 24;

/// What was found of a part.
#[derive(Debug, Clone)]
pub(crate) enum Feasible {
    /// It is empty: these factors of its conditions show it.
    Empty(Vec<f64>),
    /// It has this point.
    Point(Vec<f64>),
    /// This point is near it, or in it.
    Unknown(Vec<f64>),
}

impl ReducedNetwork {
    /// Looks for a point of a part from `start` on.
    pub(crate) fn look(
        &self,
        part: &Part,
        start: &[f64],
        rounds: usize,
        scratch: &mut Scratch,
    ) -> Feasible {
        let conditions = self.conditions(part, false);
        let mut point = start.to_vec();
        if conditions.is_empty() {
            return Feasible::Point(point);
        }
        let scales: Vec<f64> = conditions.iter().map(|own| self.scale(own)).collect();
        let mut values = self.values_of(&conditions, &self.evaluate(&point).0);
        let mut target = vec![0.0; point.len()];
        for _ in 0..rounds {
            let violations = values.iter().zip(&scales);
            let factors: Vec<f64> = violations
                .map(|(value, scale)| (-value).max(0.0) * scale * scale)
                .collect();
            if factors.iter().all(|factor| *factor == 0.0) {
                return Feasible::Point(point);
            }
            let bound = self.relaxed(None, &conditions, &factors, &part.state, scratch);
            if bound < 0.0 {
                return Feasible::Empty(factors);
            }
            self.ball.maximiser(scratch.linear(), &mut target);
            let there = self.values_of(&conditions, &self.evaluate(&target).0);
            let step = line_search(&values, &there, &scales);
            if step == 0.0 {
                break;
            }
            let both = point.iter_mut().zip(&target);
            both.for_each(|(own, to)| *own += step * (to - *own));
            values = self.values_of(&conditions, &self.evaluate(&point).0);
        }
        match values.iter().all(|value| *value >= 0.0) {
            true => Feasible::Point(point),
            false => Feasible::Unknown(point),
        }
    }

    /// What makes a condition count like others: one over the length of its gradient.
    fn scale(&self, condition: &Condition) -> f64 {
        let length = |member: Option<usize>| member.map_or(0.0, |at| self.members[at].length);
        let length = length(condition.positive) + length(condition.negative);
        if length > 0.0 { 1.0 / length } else { 1.0 }
    }

    /// Whether factors of the conditions of a part show that it is empty.
    pub(crate) fn is_empty_by(
        &self,
        part: &Part,
        factors: &[f64],
        all: bool,
        scratch: &mut Scratch,
    ) -> bool {
        let conditions = self.conditions(part, all);
        let are_factors = factors.iter().all(|factor| *factor >= 0.0);
        are_factors
            && factors.len() == conditions.len()
            && self.relaxed(None, &conditions, factors, &part.state, scratch) < 0.0
    }
}

/// The step from values to others at which the sum of squared violations of their convex combination is least.
fn line_search(from: &[f64], to: &[f64], scales: &[f64]) -> f64 {
    // Its derivative, which only grows with the step.
    let slope = |t: f64| -> f64 {
        let each = from.iter().zip(to).zip(scales);
        let each = each.map(|((a, b), scale)| {
            let value = a + t * (b - a);
            value.min(0.0) * (b - a) * scale * scale
        });
        each.sum()
    };
    let (mut low, mut high) = (0.0, 1.0);
    if slope(high) <= 0.0 {
        return 1.0;
    }
    if slope(low) >= 0.0 {
        return 0.0;
    }
    for _ in 0..STEPS {
        let middle = 0.5 * (low + high);
        if slope(middle) <= 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}
