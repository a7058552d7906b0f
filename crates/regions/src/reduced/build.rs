//! The reduced network of a ball, bottom up.

use super::{
    ball::InputBall,
    network::{MOST_MEMBERS, Member, ReducedNetwork, Scratch, Unit},
    surroundings::Surroundings,
    units::NodeUnits,
};
use crate::{Error, Result, Rows, units::units};
use candle_core::Tensor;
use loclin_models::{GrowingPush, NeuronRange};
use loclin_tensor::rounding::{SMALLEST, product_up, relative, up_by};
use std::sync::{Arc, PoisonError};

/// What a walk knows of one node's neurons.
struct AtNode<'a> {
    range: &'a NeuronRange,
    units: &'a NodeUnits,
    /// `-1` times the side of each neuron.
    towards: Vec<f64>,
    /// What each unit so far does to the neurons, and the magnitudes of that.
    pushed: Option<Rows>,
    magnitudes: Option<Rows>,
}

impl Surroundings {
    /// The reduced network for a radius: bottom up, with the neurons that can change sides there.
    pub(super) fn reduced(&self, radius: f64) -> Result<ReducedNetwork> {
        let ball = InputBall::new(self.norm, radius, self.here.room(0)?)?;
        let mut reduced = ReducedNetwork::new(ball);
        let mut push = self.here.trace.growing_push();
        let mut magnitudes = self.magnitudes_push();
        let mut scratch = Scratch::default();
        let mut records = self.here.trace.records();
        for (range, units) in self.here.ranges.iter().zip(&self.nodes) {
            let Some((_, pushed)) = push.next_neurons()? else {
                break;
            };
            let of_magnitudes = match &mut magnitudes {
                Some(push) => push.next_neurons()?.and_then(|(_, pushed)| pushed),
                None => None,
            };
            let signs = match records.next() {
                Some(record) => Rows::of_tensor(record.signs()?)?,
                None => break,
            };
            let at = AtNode {
                range,
                units,
                towards: signs[0].iter().map(|sign| -sign).collect(),
                pushed: pushed.as_ref().map(host).transpose()?,
                magnitudes: of_magnitudes.as_ref().map(host).transpose()?,
            };
            let before = reduced.units.len();
            self.add(&at, &mut reduced, &mut scratch)?;
            let new = self.tangents(&at, &reduced, before)?;
            push.go_on(new.as_ref())?;
            if let Some(magnitudes) = &mut magnitudes {
                let new = new.map(|new| new.abs()).transpose()?;
                magnitudes.go_on(new.as_ref())?;
            }
        }
        // To the output.
        push.next_neurons()?;
        let outputs = push.output()?.as_ref().map(host).transpose()?;
        let of_magnitudes = match &mut magnitudes {
            Some(push) => {
                push.next_neurons()?;
                push.output()?.as_ref().map(host).transpose()?
            }
            None => None,
        };
        let share = self.errors.share;
        let size = self.here.network().output_size();
        for (at, unit) in reduced.units.iter_mut().enumerate() {
            let row = |rows: &Option<Rows>| {
                rows.as_ref()
                    .and_then(|rows| rows.get(at).map(<[f64]>::to_vec))
            };
            unit.outputs = row(&outputs).unwrap_or_else(|| vec![0.0; size]);
            let errors = row(&of_magnitudes).unwrap_or_else(|| vec![0.0; size]);
            unit.output_errors = errors.iter().map(|m| up_by(m * share, 2)).collect();
        }
        Ok(reduced)
    }

    fn magnitudes_push(&self) -> Option<GrowingPush<'_>> {
        let rounding = self.here.rounding.as_ref()?;
        Some(
            rounding
                .magnitudes()
                .growing_push(self.errors.known.as_ref()?),
        )
    }

    /// Adds the neurons of a node that can change sides.
    fn add(
        &self,
        at: &AtNode<'_>,
        reduced: &mut ReducedNetwork,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let candidates = self.candidates(at, reduced);
        let gradients = self.gradients(at.range, &candidates)?;
        let mut last: Option<usize> = None;
        for (own, gradient) in candidates.into_iter().zip(gradients) {
            let member = self.member(at, own, gradient, reduced);
            let before = reduced.units.len();
            reduced.members.push(member);
            let index = reduced.members.len() - 1;
            let of = reduced.of_member(index);
            let high = reduced.most(of, &reduced.root, scratch);
            if high < 0.0 {
                reduced.members.pop();
                continue;
            }
            if reduced.members.len() > MOST_MEMBERS {
                let what = "radius";
                let cause = format!(
                    "{}: more than {MOST_MEMBERS} neurons can change sides; needs a smaller one",
                    reduced.ball.radius()
                );
                return Err(Error::Argument { what, cause });
            }
            let low = reduced.least(of, &reduced.root, scratch);
            reduced.root.ranges.push([low, high]);
            reduced.root.allowed.push(true);
            match last.filter(|last| at.units.are_one(*last, own)) {
                Some(_) => {
                    reduced.units[before - 1].members.end = index + 1;
                    reduced.members[index].unit = before - 1;
                }
                None => {
                    reduced.members[index].unit = before;
                    reduced.units.push(Unit {
                        members: index..index + 1,
                        outputs: Vec::new(),
                        output_errors: Vec::new(),
                    });
                    reduced.root.stays.push(true);
                }
            }
            last = Some(own);
        }
        Ok(())
    }

    /// The neurons of a node that intervals do not exclude, by their index in the node.
    fn candidates(&self, at: &AtNode<'_>, reduced: &ReducedNetwork) -> Vec<usize> {
        let overs: Vec<f64> = reduced
            .units
            .iter()
            .map(|unit| reduced.root.over(unit.members.clone()))
            .collect();
        let values = &self.here.pre_activations[0][at.range.start..][..at.range.count];
        let mut tops: Vec<f64> = (0..at.range.count)
            .map(|own| at.towards[own] * values[own])
            .collect();
        let share = self.errors.share;
        for (unit, over) in overs.iter().enumerate() {
            let Some(row) = at.pushed.as_ref().and_then(|rows| rows.get(unit)) else {
                continue;
            };
            if *over == 0.0 {
                continue;
            }
            for ((top, n), towards) in tops.iter_mut().zip(row).zip(&at.towards) {
                *top += raised(n * towards, *over);
            }
            if let Some(row) = at.magnitudes.as_ref().and_then(|rows| rows.get(unit)) {
                let each = tops.iter_mut().zip(row);
                each.for_each(|(top, m)| *top += m * share * over);
            }
        }
        let (radius, terms) = (reduced.ball.length(), 4 * overs.len() + 16);
        let is_candidate = |own: &usize| {
            let position = at.range.start + own;
            let (_, change) = at.units.change(*own);
            let start = at.towards[*own] * values[*own];
            let reach = product_up(&[self.lengths[position], radius]);
            // A constant changes no side.
            let moves = reach > 0.0 || tops[*own] > start || tops[*own].is_nan();
            let error = self.errors.values[position];
            let size = up_by(start.abs() + tops[*own].abs() + reach + error, terms);
            let top = tops[*own] + reach + error + size * relative(terms);
            change != 0.0 && moves && (top >= 0.0 || top.is_nan())
        };
        (0..at.range.count).filter(is_candidate).collect()
    }

    /// Gradients of neurons of one node.
    fn gradients(&self, range: &NeuronRange, own: &[usize]) -> Result<Vec<Arc<[f64]>>> {
        let mut pulled = self.pulled.lock().unwrap_or_else(PoisonError::into_inner);
        let missing: Vec<usize> = own
            .iter()
            .copied()
            .filter(|own| !pulled.contains_key(&(range.start + own)))
            .collect();
        for some in missing.chunks(self.here.pulls_at_once()) {
            let units = units(self.here.network(), some, range.count)?;
            let rows = self.here.trace.pull_neurons(range.node, &units)?;
            let rows = Rows::of_tensor(&rows.flatten_from(2)?.squeeze(0)?)?;
            for (own, row) in some.iter().zip(rows.iter()) {
                let at = range.start + own;
                let gradient = match self.here.is_surely_0(self.errors.gradients[at]) {
                    true => vec![0.0; row.len()].into(),
                    false => row.into(),
                };
                pulled.insert(at, gradient);
            }
        }
        let found = own
            .iter()
            .filter_map(|own| pulled.get(&(range.start + own)).cloned());
        let found: Vec<Arc<[f64]>> = found.collect();
        let numbers = pulled.len() * self.x.len();
        if numbers * size_of::<f64>() > self.here.budget.bytes {
            pulled.clear();
        }
        Ok(found)
    }

    fn member(
        &self,
        at: &AtNode<'_>,
        own: usize,
        gradient: Arc<[f64]>,
        reduced: &ReducedNetwork,
    ) -> Member {
        let position = at.range.start + own;
        let towards = at.towards[own];
        let count = reduced.units.len() - usize::from(self.continues(at, own, reduced));
        let entry = |rows: &Option<Rows>, unit: usize| {
            let row = rows.as_ref().and_then(|rows| rows.get(unit));
            row.map_or(0.0, |row| row[own])
        };
        let share = self.errors.share;
        let influences = (0..count).map(|unit| towards * entry(&at.pushed, unit));
        let errors = (0..count).map(|unit| up_by(entry(&at.magnitudes, unit) * share, 2));
        let member = Member {
            neuron: crate::Neuron {
                node: at.range.node,
                index: own,
            },
            unit: 0,
            value: towards * self.here.pre_activations[0][position],
            value_error: self.errors.values[position],
            gradient: gradient.iter().map(|g| g * towards).collect(),
            length: 0.0,
            gradient_error: self.errors.gradients[position],
            influence: influences.collect(),
            influence_error: errors.collect(),
            slack: 0.0,
        };
        let member = member.measured();
        let slack = reduced.slack(&member);
        Member { slack, ..member }
    }

    /// Whether a neuron belongs to the unit that was added last.
    fn continues(&self, at: &AtNode<'_>, own: usize, reduced: &ReducedNetwork) -> bool {
        reduced.members.last().is_some_and(|last| {
            last.neuron.node == at.range.node && at.units.are_one(last.neuron.index, own)
        })
    }

    /// Tangents of a node's output for the units that were added to it, `[1, n, out...]`.
    fn tangents(
        &self,
        at: &AtNode<'_>,
        reduced: &ReducedNetwork,
        before: usize,
    ) -> Result<Option<Tensor>> {
        let new = &reduced.units[before..];
        if new.is_empty() {
            return Ok(None);
        }
        let network = self.here.network();
        let shape = &network.nodes()[at.range.node].shape;
        let size: usize = shape.iter().product();
        let mut numbers = vec![0.0; new.len() * size];
        for (row, unit) in numbers.chunks_exact_mut(size).zip(new) {
            let neuron = reduced.members[unit.members.start].neuron.index;
            let (entry, change) = at.units.change(neuron);
            row[entry] = change;
        }
        let shape = [&[1, new.len()], &shape[..]].concat();
        let tangents = Tensor::from_vec(numbers, shape, network.device())?;
        Ok(Some(tangents.to_dtype(network.dtype())?))
    }
}

/// About how much a unit that goes beyond by up to `over` raises a value: not 0 where that is too small for a number, and NaN where
/// the influence is.
fn raised(influence: f64, over: f64) -> f64 {
    match influence * over {
        _ if influence <= 0.0 => 0.0,
        0.0 => SMALLEST,
        raised => raised,
    }
}

/// `[1, k, n]` as rows.
fn host(tensor: &Tensor) -> Result<Rows> {
    Rows::of_tensor(&tensor.flatten_from(2)?.squeeze(0)?)
}
