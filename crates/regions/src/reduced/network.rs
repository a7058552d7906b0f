//! The reduced network: what a network is inside a ball.

use super::{
    ball::InputBall,
    state::{Selection, State},
};
use crate::Neuron;
use loclin_tensor::rounding::{SMALLEST, relative, sum_up, up, up_by};
use std::{ops::Range, sync::Arc};

/// A reduced network has no more members: with more there is nothing to gain from it, and sums are bounded for so many terms.
pub(crate) const MOST_MEMBERS: usize = 8192;

/// A neuron that can change sides in the ball. `y = -side z` is its value towards the other side: above 0 beyond it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) neuron: Neuron,
    pub(crate) unit: usize,
    /// `y` at the centre, and a bound of its error.
    pub(crate) value: f64,
    pub(crate) value_error: f64,
    /// `grad y` under the centre's pattern, `[D]`, at least its l1 norm, and a bound of the l1 norm of its error.
    pub(crate) gradient: Arc<[f64]>,
    pub(crate) length: f64,
    pub(crate) gradient_error: f64,
    /// What each unit before it adds to `y` where it goes beyond by 1, and bounds of the errors.
    pub(crate) influence: Vec<f64>,
    pub(crate) influence_error: Vec<f64>,
    /// A bound of the error that evaluating `y` by all this adds where it is multiplied by 1.
    pub(crate) slack: f64,
}

/// A unit whose selection can change in the ball.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    /// Its members: one for an activation, those entries of a maximum that can overtake.
    pub(crate) members: Range<usize>,
    /// What it adds to each output where it goes beyond by 1, `[L]`, and bounds of the errors.
    pub(crate) outputs: Vec<f64>,
    pub(crate) output_errors: Vec<f64>,
}

/// A network inside a ball: for every `x'` in it, and `delta = x' - x`,
///
/// `y_k(x') = y_k + grad y_k . delta + sum_m N_km r_m` and `f(x') = f + grad f . delta + sum_m c_m r_m`
///
/// with `r_m = max(0, y of the members of unit m)`: exactly, since no other unit changes its selection there.
#[derive(Debug, Clone)]
pub(crate) struct ReducedNetwork {
    pub(crate) ball: InputBall,
    /// In topological order, those of one unit side by side.
    pub(crate) members: Vec<Member>,
    pub(crate) units: Vec<Unit>,
    /// What is known of them in the whole ball.
    pub(crate) root: State,
}

/// `constant + linear . delta + sum weights_m r_m`, with an error of at most `slack`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Functional<'a> {
    pub(crate) constant: f64,
    pub(crate) linear: &'a [f64],
    pub(crate) weights: &'a [f64],
    pub(crate) slack: f64,
}

/// Numbers that a bound is computed in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch {
    linear: Vec<f64>,
    weights: Vec<f64>,
}

impl Scratch {
    /// The linear function that is left of a functional whose units were replaced by lines: where it is largest, the bound is met.
    pub(crate) fn linear(&self) -> &[f64] {
        &self.linear
    }
}

/// A unit's output bounded by a line in one of its members: `weight r <= slope y + constant`.
struct Line {
    member: Option<usize>,
    slope: f64,
    constant: f64,
}

impl ReducedNetwork {
    /// Of no unit yet.
    pub(crate) fn new(ball: InputBall) -> Self {
        Self {
            ball,
            members: Vec::new(),
            units: Vec::new(),
            root: State::empty(),
        }
    }

    /// The member's `y` as a functional, `sign` times.
    pub(crate) fn of_member(&self, member: usize) -> Functional<'_> {
        let own = &self.members[member];
        Functional {
            constant: own.value,
            linear: &own.gradient,
            weights: &own.influence,
            slack: own.slack,
        }
    }

    /// What [`Member::slack`] is: errors of the value, of the gradient over the ball, and of the influences over what the
    /// units before it can be beyond, with the rounding of sums of as many terms as there can be members.
    pub(crate) fn slack(&self, own: &Member) -> f64 {
        let over = |unit: usize| self.root.over(self.units[unit].members.clone());
        let influences = own.influence.iter().zip(&own.influence_error).enumerate();
        let terms = influences.map(|(unit, (n, error))| (error + rounded(n.abs())) * over(unit));
        let reach = self.ball.reach();
        let terms = [
            own.value_error + rounded(own.value.abs()),
            (own.gradient_error + rounded(own.length)) * reach,
            terms.sum(),
        ];
        up_by(terms.iter().sum(), MOST_MEMBERS + 16)
    }

    /// At least the largest value of a functional over a part of the ball. Units are replaced by lines, the last first (CROWN's
    /// relaxation, Zhang et al. 2018, on the reduced network).
    pub(crate) fn most(&self, of: Functional<'_>, state: &State, scratch: &mut Scratch) -> f64 {
        self.bound(of, 1.0, state, scratch)
    }

    /// At most its smallest value.
    pub(crate) fn least(&self, of: Functional<'_>, state: &State, scratch: &mut Scratch) -> f64 {
        -self.bound(of, -1.0, state, scratch)
    }

    fn bound(&self, of: Functional<'_>, sign: f64, state: &State, scratch: &mut Scratch) -> f64 {
        let Scratch { linear, weights } = scratch;
        let signed = |numbers: &[f64], into: &mut Vec<f64>| {
            into.clear();
            into.extend(numbers.iter().map(|w| sign * w));
        };
        signed(of.linear, linear);
        signed(of.weights, weights);
        let mut constants = sign * of.constant;
        let (mut sizes, mut slack, mut lines) = (constants.abs(), of.slack, 0);
        for unit in (0..weights.len()).rev() {
            let weight = weights[unit];
            if weight == 0.0 {
                continue;
            }
            let line = self.line(unit, weight, state);
            constants += line.constant;
            sizes += line.constant.abs();
            let Some(member) = line.member.filter(|_| line.slope != 0.0) else {
                continue;
            };
            let own = &self.members[member];
            constants += line.slope * own.value;
            sizes += (line.slope * own.value).abs();
            slack += line.slope.abs() * own.slack;
            lines += 1;
            add_scaled(
                &mut weights[..own.influence.len()],
                line.slope,
                &own.influence,
            );
            add_scaled(linear, line.slope, &own.gradient);
        }
        if lines > 0 {
            slack += lines as f64 * self.underflow(weights.len(), linear.len(), state);
        }
        let roundings = 4 * weights.len() + 16;
        let most = self.ball.most(linear);
        let error = sizes * relative(roundings) + up_by(slack, roundings);
        up_sum(constants, most, error)
    }

    /// At least what it does to a functional of the first `units` units that each of its numbers is off by half of the smallest one:
    /// what underflows of a product is multiplied by deviations, and by what units are beyond, that may be large. (Where numbers are
    /// not multiplied by a small factor before, the errors of influences and of gradients are more.)
    pub(crate) fn underflow(&self, units: usize, size: usize, state: &State) -> f64 {
        let over = |unit: &Unit| state.over(unit.members.clone());
        let overs: f64 = self.units.iter().take(units).map(over).sum();
        up_by(
            SMALLEST * (self.ball.reach() * size as f64 + overs),
            units + 4,
        )
    }

    /// A line above `weight r` of a unit.
    fn line(&self, unit: usize, weight: f64, state: &State) -> Line {
        let members = self.units[unit].members.clone();
        let none = Line {
            member: None,
            slope: 0.0,
            constant: 0.0,
        };
        match state.selection(unit, members.clone()) {
            Some(Selection::Same) | None => return none,
            Some(Selection::Member(member)) => {
                return Line {
                    member: Some(member),
                    slope: weight,
                    constant: 0.0,
                };
            }
            Some(Selection::Open) => {}
        }
        let possible = members.filter(|member| state.is_possible(*member));
        if weight < 0.0 {
            // r is at least 0, and at least every y.
            let best = possible.max_by(|a, b| {
                let middle = |m: usize| state.ranges[m][0] + state.ranges[m][1];
                middle(*a).total_cmp(&middle(*b))
            });
            return match best.filter(|m| state.ranges[*m][0] + state.ranges[*m][1] > 0.0) {
                Some(member) => Line {
                    member: Some(member),
                    slope: weight,
                    constant: 0.0,
                },
                None => none,
            };
        }
        // r <= max(y, others) of the one that goes furthest: convex in y, so below its chord.
        let (mut member, mut high, mut others) = (0, f64::NEG_INFINITY, 0.0f64);
        for own in possible {
            let top = state.ranges[own][1];
            if top > high {
                others = others.max(high);
                (member, high) = (own, top);
            } else {
                others = others.max(top);
            }
        }
        let low = state.ranges[member][0];
        let (at_low, at_high) = (others.max(low), others.max(high));
        let slope = match high > low {
            true => weight * ((at_high - at_low) / (high - low)).clamp(0.0, 1.0),
            false => 0.0,
        };
        let constant = (weight * at_low - slope * low).max(weight * at_high - slope * high);
        let size = weight * at_high.abs().max(at_low.abs()) + slope * low.abs().max(high.abs());
        Line {
            member: Some(member),
            slope,
            constant: up_by(size, 4) * relative(8) + constant,
        }
    }

    /// Finds the ranges of all members of units from `first` on, within those known; whether all of them, and the selections
    /// that are allowed, can be together.
    pub(crate) fn tighten(&self, state: &mut State, first: usize, scratch: &mut Scratch) -> bool {
        for unit in first..self.units.len() {
            let members = self.units[unit].members.clone();
            for member in members.clone() {
                let of = self.of_member(member);
                let high = self.most(of, state, scratch);
                let low = self.least(of, state, scratch);
                let own = &mut state.ranges[member];
                *own = [own[0].max(low), own[1].min(high)];
                if own[0] > own[1] {
                    return false;
                }
            }
            if !self.constrain(state, unit) {
                return false;
            }
        }
        true
    }

    /// Cuts the ranges of a unit's members with what its selection says of them; whether anything is left.
    pub(crate) fn constrain(&self, state: &mut State, unit: usize) -> bool {
        let members = self.units[unit].members.clone();
        match state.selection(unit, members.clone()) {
            None => return false,
            Some(Selection::Same) => {
                for own in members.clone() {
                    state.ranges[own][1] = state.ranges[own][1].min(0.0);
                }
            }
            Some(Selection::Member(member)) => {
                let others = members.clone().map(|own| state.ranges[own][0]);
                let least = others.fold(0.0, f64::max);
                let top = state.ranges[member][1];
                state.ranges[member][0] = state.ranges[member][0].max(least);
                for own in members.clone() {
                    state.ranges[own][1] = state.ranges[own][1].min(top);
                }
            }
            Some(Selection::Open) => {}
        }
        members
            .into_iter()
            .all(|own| state.ranges[own][0] <= state.ranges[own][1])
    }

    /// The whole network's numbers at a deviation: `y` of all members and what each unit is beyond, with what it selects.
    pub(crate) fn evaluate(&self, delta: &[f64]) -> (Vec<f64>, Vec<f64>, Vec<Option<usize>>) {
        let mut values = Vec::with_capacity(self.members.len());
        let (mut beyond, mut selected) = (Vec::new(), Vec::new());
        for unit in &self.units {
            let (mut most, mut at) = (0.0, None);
            for member in unit.members.clone() {
                let own = &self.members[member];
                let value = own.value + dot(&own.gradient, delta) + dot(&own.influence, &beyond);
                if value > most {
                    (most, at) = (value, Some(member));
                }
                values.push(value);
            }
            beyond.push(most);
            selected.push(at);
        }
        (values, beyond, selected)
    }

    /// The change of a gradient at given selections, `sum alpha_k grad y_k`, where the units add `cotangents` to the output:
    /// the factors `alpha` of all members.
    pub(crate) fn factors(&self, selected: &[Option<usize>], cotangents: &[f64]) -> Vec<f64> {
        let mut through = cotangents.to_vec();
        let mut factors = vec![0.0; self.members.len()];
        for (unit, member) in selected.iter().enumerate().rev() {
            if let Some(member) = *member {
                let factor = through[unit];
                factors[member] = factor;
                let own = &self.members[member].influence;
                add_scaled(&mut through[..own.len()], factor, own);
            }
        }
        factors
    }
}

impl Member {
    /// With its gradient's length.
    pub(crate) fn measured(self) -> Self {
        Self {
            length: up(sum_up(&self.gradient) + self.gradient_error),
            ..self
        }
    }
}

/// A bound of what sums of as many terms as there can be members have lost of numbers of a size.
pub(crate) fn rounded(size: f64) -> f64 {
    up(relative(MOST_MEMBERS + 16) * size)
}

/// `into += factor * numbers`.
pub(crate) fn add_scaled(into: &mut [f64], factor: f64, numbers: &[f64]) {
    let both = into.iter_mut().zip(numbers);
    both.for_each(|(into, number)| *into += factor * number);
}

/// In eight sums, so that it does not wait for each addition.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let size = a.len().min(b.len());
    let (a, b) = (a[..size].chunks_exact(8), b[..size].chunks_exact(8));
    let rest: f64 = a
        .remainder()
        .iter()
        .zip(b.remainder())
        .map(|(a, b)| a * b)
        .sum();
    let mut sums = [0.0; 8];
    for (a, b) in a.zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// At least the sum of numbers of any sign; infinity where that is not a number, as of one that is infinity less infinity.
pub(crate) fn up_sum(a: f64, b: f64, c: f64) -> f64 {
    let sum = a + b + c;
    let most = up_by(a.abs() + b.abs() + c.abs(), 2) * relative(4) + sum.next_up();
    if most.is_nan() { f64::INFINITY } else { most }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_is_not_a_number_bounds_nothing() {
        assert!(up_sum(1.0, 1e-20, -1.0) >= 1e-20);
        assert_eq!(up_sum(f64::INFINITY, f64::NEG_INFINITY, 0.0), f64::INFINITY);
        assert_eq!(up_sum(f64::NAN, 0.0, 0.0), f64::INFINITY);
    }
}
