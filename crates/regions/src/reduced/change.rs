//! Bounds of the change of a gradient, `sum alpha_k grad y_k`, by lines above what each unit does to the factors `alpha`.
//!
//! The factor of a member that its unit selects is the unit's cotangent `v_m = c_m + sum alpha_k N_km` over the members
//! behind it, and 0 otherwise. So a unit adds `max(v K, v k)` at most to a number of the gradient, where `K` and `k` are the
//! largest and smallest of what its possible selections bring: convex in `v`, and below its chord, which is passed on to the
//! units behind (the relaxation of CROWN, Zhang et al. 2018, on the gradient of the reduced network).

use super::{
    network::{Functional, MOST_MEMBERS, ReducedNetwork, add_scaled, dot, rounded},
    part::Part,
    state::{Selection, State},
};
use loclin_tensor::rounding::{down, max_up, relative, up, up_by};
use rayon::prelude::*;

/// Numbers of the gradient that are bounded at once.
const LANES: usize = 64;

/// An output, or a combination of outputs, as the units see it.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// What the units add to it, and bounds of the errors.
    pub(crate) cotangents: Vec<f64>,
    pub(crate) errors: Vec<f64>,
    /// Its gradient at the centre, `[D]`, and a bound of the l1 norm of its error.
    pub(crate) gradient: Vec<f64>,
    pub(crate) gradient_error: f64,
    /// Its value there, and a bound of the error.
    pub(crate) value: f64,
    pub(crate) value_error: f64,
}

/// Bounds of the change of each number of a gradient: it lies within `[-down, up]`, and all together lie outside by no more than
/// `slack` in the l1 norm.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) up: Vec<f64>,
    pub(crate) down: Vec<f64>,
    pub(crate) slack: f64,
    /// For each unit how much of the bounds passes through it.
    pub(crate) shares: Vec<f64>,
}

/// What is known of one unit's cotangent on a part of the ball.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Through {
    pub(crate) range: [f64; 2],
    /// What evaluating it may be off.
    slack: f64,
}

/// Bounds of some numbers of a gradient.
struct Lanes {
    totals: Vec<f64>,
    slack: f64,
    shares: Vec<f64>,
}

/// How a unit's contribution is bounded by a line in its cotangent: the same for all numbers but for `K` and `k`.
enum Chord {
    Nothing,
    One(usize),
    Positive,
    Negative,
    Both { low: f64, high: f64 },
}

impl Output {
    /// By how much the output differs from that at the centre, given the deviation and what the units are beyond.
    pub(crate) fn change_of_value(&self, delta: &[f64], beyond: &[f64]) -> f64 {
        dot(&self.gradient, delta) + dot(&self.cotangents, beyond)
    }
}

impl ReducedNetwork {
    /// The ranges of the units' cotangents, from the last unit on: intervals, cut with what lines above the units behind say.
    pub(crate) fn through(&self, output: &Output, state: &State) -> Vec<Through> {
        let none = Through {
            range: [0.0; 2],
            slack: 0.0,
        };
        let mut found = vec![none; self.units.len()];
        // Of each member's factor.
        let mut factors = vec![[0.0; 2]; self.members.len()];
        let mut kappa = vec![0.0; self.members.len()];
        for unit in (0..self.units.len()).rev() {
            let behind = self.units[unit].members.end..self.members.len();
            let c = output.cotangents[unit];
            let (mut low, mut high) = (c, c);
            let mut slack = output.errors[unit] + rounded(c.abs());
            for k in behind.clone() {
                let [a, b] = factors[k];
                let own = &self.members[k];
                let (n, error) = (own.influence[unit], own.influence_error[unit]);
                low += (a * n).min(b * n);
                high += (a * n).max(b * n);
                slack += a.abs().max(b.abs()) * (error + rounded(n.abs()));
            }
            let slack = up_by(slack, 3 * MOST_MEMBERS);
            let mut lines = |sign: f64| {
                for k in behind.clone() {
                    kappa[k] = sign * self.members[k].influence[unit];
                }
                let (most, error) = self.passed(unit + 1, output, state, &found, &mut kappa);
                sign * (most + error + slack)
            };
            let (from_lines_high, from_lines_low) = (lines(1.0), lines(-1.0));
            // What is not a number bounds nothing.
            let range = [
                down((low - slack).max(c + from_lines_low)),
                up((high + slack).min(c + from_lines_high)),
            ];
            let rounding = rounded(range[0].abs().max(range[1].abs()) + c.abs());
            let range = [down(range[0] - rounding), up(range[1] + rounding)];
            found[unit] = Through { range, slack };
            let members = self.units[unit].members.clone();
            let selection = state.selection(unit, members.clone());
            for k in members.filter(|k| state.is_possible(*k)) {
                factors[k] = match selection {
                    Some(Selection::Member(_)) => range,
                    _ => [range[0].min(0.0), range[1].max(0.0)],
                };
            }
        }
        found
    }

    /// At least the largest `sum kappa_k alpha_k` over the members of the units from `first` on, and what rounding may have
    /// taken from it.
    fn passed(
        &self,
        first: usize,
        output: &Output,
        state: &State,
        through: &[Through],
        kappa: &mut [f64],
    ) -> (f64, f64) {
        let roundings = relative(MOST_MEMBERS + 16);
        let (mut total, mut sizes, mut off) = (0.0, 0.0, 0.0);
        let behind = self.units.iter().zip(through).enumerate().skip(first);
        for (unit, (own, &Through { range, slack })) in behind {
            let members = own.members.clone();
            let (slope, constant) = match self.chord(unit, state, range) {
                Chord::Nothing => continue,
                Chord::One(member) => (kappa[member], 0.0),
                chord => {
                    let (most, least) = extremes(unit, members.clone(), state, |k| kappa[k]);
                    chord.line(most, least)
                }
            };
            let largest = range[0].abs().max(range[1].abs());
            if slope == 0.0 && constant == 0.0 {
                continue;
            }
            total += slope * output.cotangents[unit] + constant;
            sizes +=
                (slope * output.cotangents[unit]).abs() + constant.abs() + slope.abs() * largest;
            off += slope.abs() * slack;
            let rest = kappa.iter_mut().zip(&self.members).skip(members.end);
            rest.for_each(|(kappa, own)| *kappa += slope * own.influence[unit]);
        }
        (total, up_by(sizes * roundings + off, 4 * MOST_MEMBERS))
    }

    /// Which line bounds a unit's contribution.
    fn chord(&self, unit: usize, state: &State, range: [f64; 2]) -> Chord {
        match state.selection(unit, self.units[unit].members.clone()) {
            None | Some(Selection::Same) => Chord::Nothing,
            Some(Selection::Member(member)) => Chord::One(member),
            Some(Selection::Open) if range[0] >= 0.0 => Chord::Positive,
            Some(Selection::Open) if range[1] <= 0.0 => Chord::Negative,
            Some(Selection::Open) => Chord::Both {
                low: range[0],
                high: range[1],
            },
        }
    }

    /// Bounds of the change of the gradient of an output on a part of the ball.
    pub(crate) fn change(&self, output: &Output, state: &State, through: &[Through]) -> Change {
        let size = output.gradient.len();
        if self.units.is_empty() {
            // Exactly.
            return Change {
                up: vec![0.0; size],
                down: vec![0.0; size],
                slack: 0.0,
                shares: Vec::new(),
            };
        }
        let blocks: Vec<usize> = (0..size).step_by(LANES).collect();
        let of_block = |start: &usize| {
            let lanes = *start..(start + LANES).min(size);
            [1.0, -1.0].map(|sign| self.lanes(lanes.clone(), sign, output, state, through))
        };
        // Small ones are not worth handing out.
        let parts: Vec<[Lanes; 2]> = match self.members.len() * size > 1 << 16 {
            true => blocks.par_iter().map(of_block).collect(),
            false => blocks.iter().map(of_block).collect(),
        };
        let mut change = Change {
            shares: vec![0.0; self.units.len()],
            ..Change::default()
        };
        let mut slacks = [self.gradient_slack(state, through); 2];
        for [up, down] in parts {
            slacks[0] += up.slack;
            slacks[1] += down.slack;
            for (unit, share) in change.shares.iter_mut().enumerate() {
                *share += up.shares[unit] + down.shares[unit];
            }
            change.up.extend(up.totals);
            change.down.extend(down.totals);
        }
        change.slack = up_by(max_up(slacks[0], slacks[1]), blocks.len() + 2);
        change
    }

    /// An output as a functional.
    pub(crate) fn of_output<'a>(&self, output: &'a Output) -> Functional<'a> {
        Functional {
            constant: output.value,
            linear: &output.gradient,
            weights: &output.cotangents,
            slack: self.output_slack(output),
        }
    }

    /// The gradient of an output on a part in which every selection is decided.
    pub(crate) fn objective(&self, output: &Output, part: &Part) -> Vec<f64> {
        let selected = self.units.iter().enumerate().map(|(at, unit)| {
            match part.state.selection(at, unit.members.clone()) {
                Some(Selection::Member(member)) => Some(member),
                _ => None,
            }
        });
        let mut gradient = output.gradient.clone();
        let factors = self.factors(&selected.collect::<Vec<_>>(), &output.cotangents);
        for (own, factor) in self.members.iter().zip(factors) {
            add_scaled(&mut gradient, factor, &own.gradient);
        }
        gradient
    }

    /// A bound of the error of evaluating an output by all this, anywhere in the ball.
    fn output_slack(&self, output: &Output) -> f64 {
        let length: f64 = output.gradient.iter().map(|g| g.abs()).sum();
        let over = |unit: usize| self.root.over(self.units[unit].members.clone());
        let both = output.cotangents.iter().zip(&output.errors).enumerate();
        let terms = both.map(|(unit, (c, error))| (error + rounded(c.abs())) * over(unit));
        let terms = [
            output.value_error + rounded(output.value.abs()),
            (output.gradient_error + rounded(length)) * self.ball.reach(),
            terms.sum(),
        ];
        up_by(terms.iter().sum(), MOST_MEMBERS + output.gradient.len())
    }

    /// What the errors of the members' gradients add to the change, in the l1 norm.
    fn gradient_slack(&self, state: &State, through: &[Through]) -> f64 {
        let of = |(k, own): (usize, &super::network::Member)| {
            let [low, high] = through[own.unit].range;
            let factor = match state.is_possible(k) {
                true => low.abs().max(high.abs()),
                false => 0.0,
            };
            factor * (own.gradient_error + rounded(own.length))
        };
        let total: f64 = self.members.iter().enumerate().map(of).sum();
        up_by(total, 3 * self.members.len() + 4)
    }

    /// At least the change of each of some numbers of the gradient, times a sign, and the sum of what rounding may have taken.
    fn lanes(
        &self,
        lanes: std::ops::Range<usize>,
        sign: f64,
        output: &Output,
        state: &State,
        through: &[Through],
    ) -> Lanes {
        let (roundings, width) = (relative(MOST_MEMBERS + 16), lanes.len());
        let mut shares = vec![0.0; self.units.len()];
        let mut kappa = Vec::with_capacity(self.members.len() * width);
        for own in &self.members {
            kappa.extend(own.gradient[lanes.clone()].iter().map(|g| sign * g));
        }
        let mut totals = vec![0.0; width];
        let mut slopes = vec![0.0; width];
        let (mut sizes, mut slack) = (0.0, 0.0);
        for (unit, own) in self.units.iter().enumerate() {
            let Through { range, slack: off } = through[unit];
            let (before, behind) = kappa.split_at_mut(own.members.end * width);
            let row = |k: usize| &before[k * width..][..width];
            let largest = range[0].abs().max(range[1].abs());
            let mut steep = 0.0;
            match self.chord(unit, state, range) {
                Chord::Nothing => continue,
                Chord::One(member) => {
                    slopes.copy_from_slice(row(member));
                    steep = slopes.iter().map(|s| s.abs()).sum();
                }
                chord => {
                    for lane in 0..width {
                        let kappa = |k: usize| row(k)[lane];
                        let (most, least) = extremes(unit, own.members.clone(), state, kappa);
                        let (slope, constant) = chord.line(most, least);
                        slopes[lane] = slope;
                        totals[lane] += constant;
                        steep += slope.abs();
                        sizes += constant.abs() + (most.abs() + least.abs()) * largest;
                    }
                }
            }
            let c = output.cotangents[unit];
            add_scaled(&mut totals, c, &slopes);
            sizes += steep * (c.abs() + largest);
            slack += steep * off;
            shares[unit] = steep * largest;
            for (k, row) in (own.members.end..).zip(behind.chunks_exact_mut(width)) {
                let n = self.members[k].influence[unit];
                if n != 0.0 {
                    add_scaled(row, n, &slopes);
                }
            }
        }
        // What is not finite bounds nothing.
        let unbounded = totals.iter_mut().filter(|total| !total.is_finite());
        unbounded.for_each(|total| *total = f64::INFINITY);
        Lanes {
            totals,
            slack: up_by(sizes * roundings + slack, 8 * LANES * MOST_MEMBERS),
            shares,
        }
    }
}

impl Chord {
    /// A line above `max(v most, v least)`: slope and constant, the latter without what rounding takes.
    fn line(&self, most: f64, least: f64) -> (f64, f64) {
        match *self {
            Self::Nothing | Self::One(_) => (0.0, 0.0),
            Self::Positive => (most, 0.0),
            Self::Negative => (least, 0.0),
            Self::Both { low, high } => {
                let width = high - low;
                let slope = (high / width) * most - (low / width) * least;
                let constant = (low * (least - slope)).max(high * (most - slope));
                (slope, constant)
            }
        }
    }
}

/// The largest and smallest of what a unit's possible selections bring: 0, if it can stay.
fn extremes(
    unit: usize,
    members: std::ops::Range<usize>,
    state: &State,
    kappa: impl Fn(usize) -> f64,
) -> (f64, f64) {
    let (mut most, mut least) = match state.can_stay(unit, members.clone()) {
        true => (0.0, 0.0),
        false => (f64::NEG_INFINITY, f64::INFINITY),
    };
    for k in members.filter(|k| state.is_possible(*k)) {
        most = kappa(k).max(most);
        least = kappa(k).min(least);
    }
    (most, least)
}
