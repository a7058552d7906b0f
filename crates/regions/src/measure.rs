//! Gradients of the few neurons that may be the nearest, pulled back through the network.

use crate::{
    Error, Linearization, Norm, Result, Rows,
    boxed::{self, Boundary},
    nearest::{Found, Nearest, distance},
    room::Room,
    units::units,
};
use loclin_models::Trace;
use loclin_tensor::rounding::up_by;
use std::ops::Range;

/// Pulls made at once at first; each further round doubles them, within the budget.
pub(crate) const FIRST_ROUND: usize = 4;

/// What is known of a neuron beside its computed gradient.
pub(crate) struct Known {
    /// The part of its value that rounding cannot have made, with its sign.
    pub(crate) value: f64,
    /// Bounds of the gradient's error, in the dual norm and in l1.
    pub(crate) errors: [f64; 2],
    /// Whether it certainly does not depend on the input.
    pub(crate) constant: bool,
}

/// Which distances of one input are measured.
pub(crate) struct Aim {
    pub(crate) input: usize,
    pub(crate) norm: Norm,
    /// The room that balls are cut with, if they are.
    pub(crate) room: Option<Room>,
    /// No boundary that is further limits.
    pub(crate) farthest: f64,
}

impl Linearization {
    /// The distances of an input in a norm, within the domain if there is one.
    pub(crate) fn aim(&self, input: usize, norm: Norm) -> Result<Aim> {
        let room = self.room(input)?;
        let farthest = room.as_ref().map(|room| room.farthest(norm));
        Ok(Aim {
            input,
            norm,
            farthest: farthest.unwrap_or(f64::INFINITY),
            room,
        })
    }

    /// The nearest neuron of one input, given for each neuron a distance that its own is not below.
    pub(crate) fn verify(&self, aim: &Aim, least: impl Iterator<Item = f64>) -> Result<Found> {
        let limits = |least: f64| least.is_finite() && least <= aim.farthest;
        let mut candidates: Vec<(f64, usize)> = least
            .enumerate()
            .filter_map(|(at, least)| limits(least).then_some((least, at)))
            .collect();
        candidates.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let trace = self.trace.narrow(aim.input, 1)?;
        let most = self.pulls_at_once();
        let (mut nearest, mut gradients, mut round) = (Nearest::NONE, 0, FIRST_ROUND);
        while let Some(rest) = candidates.get(gradients..).filter(|rest| !rest.is_empty()) {
            // On a boundary (distance 0) nothing is nearer, and there can be many ties.
            let near = |least: f64| least <= nearest.distance && nearest.distance > 0.0;
            let near = rest.iter().take_while(|(least, _)| near(*least));
            let chosen: Vec<usize> = near.take(round.min(most)).map(|(_, at)| *at).collect();
            if chosen.is_empty() {
                break;
            }
            gradients += chosen.len();
            self.measure(&trace, aim, chosen, &mut nearest)?;
            round = (2 * round).min(most);
        }
        Ok(Found {
            nearest,
            gradients,
            lost: 0.0,
        })
    }

    /// How many gradients of one input fit the budget.
    pub(crate) fn pulls_at_once(&self) -> usize {
        let bytes = self.network().tangent_size() * self.network().dtype().size_in_bytes();
        (self.budget.bytes / bytes.max(1)).max(1)
    }

    /// Measures the distances of the neurons at some positions, node by node, and keeps the smallest.
    pub(crate) fn measure(
        &self,
        trace: &Trace,
        aim: &Aim,
        mut positions: Vec<usize>,
        nearest: &mut Nearest,
    ) -> Result<()> {
        positions.sort_unstable();
        for range in &self.ranges {
            let within = |range: Range<usize>| {
                let place = |at: usize| positions.partition_point(|position| *position < at);
                &positions[place(range.start)..place(range.end)]
            };
            let own = within(range.start..range.start + range.count);
            if own.is_empty() {
                continue;
            }
            let neurons: Vec<usize> = own.iter().map(|at| at - range.start).collect();
            let units = units(self.network(), &neurons, range.count)?;
            let gradients = trace.pull_neurons(range.node, &units)?;
            let gradients = Rows::of_tensor(&gradients.flatten_from(2)?.squeeze(0)?)?;
            for (at, gradient) in own.iter().zip(gradients.iter()) {
                let known = self.known(aim.input, *at)?;
                nearest.lower(self.measured(aim, known, gradient)?, *at);
            }
        }
        Ok(())
    }

    /// What absolute values say of the neuron at a position.
    pub(crate) fn known(&self, input: usize, at: usize) -> Result<Known> {
        let error = match &self.rounding {
            Some(rounding) => rounding.gradients()?[input][at],
            None => 0.0,
        };
        Ok(Known {
            value: self.clear[input][at],
            errors: [error; 2],
            constant: self.is_surely_0(error),
        })
    }

    /// The distance of a neuron whose gradient was computed.
    pub(crate) fn measured(&self, aim: &Aim, known: Known, gradient: &[f64]) -> Result<f64> {
        let Known {
            value,
            errors,
            constant,
        } = known;
        let computed = aim.norm.dual().of_up(gradient);
        let length = computed + errors[0];
        // A bound that overflows is no error where every gradient is measured: the distance is 0.
        let bounded = !computed.is_finite() || (aim.room.is_none() && self.rounding.is_some());
        if !length.is_finite() && bounded {
            return Err(Error::NotFinite {
                index: aim.input,
                what: "the length of a neuron's gradient".into(),
                value: length,
            });
        }
        let length = match (constant, errors[0]) {
            (true, _) => 0.0,
            (_, 0.0) => length,
            _ => up_by(length, 1),
        };
        let whole = distance(value.abs(), length);
        Ok(match &aim.room {
            // What is certainly constant limits nothing.
            Some(room) if length > 0.0 => {
                let neuron = Boundary {
                    value,
                    gradient,
                    errors,
                };
                boxed::distance(&neuron, room, aim.norm).max(whole)
            }
            _ => whole,
        })
    }
}
