//! Margins of large networks with every neuron that is left out excluded by proof.
//!
//! The Jacobian of a node has at most the norm that the node's Lipschitz bound says
//! ([`loclin_models::Network::lipschitz_bounds`]). So a neuron whose pre-activation is larger than that bound times a
//! distance already known is not the nearest. Every other neuron's gradient is pulled back; at each node that it passes,
//! what it has become by then times the bounds of the nodes reached bounds it better, and most gradients are given up
//! after a few layers (`pulls.rs`). In other norms than l2 a length is at most `D^(1/q - 1/2)` times that in l2.
//!
//! A network of `N` neurons has its nearest boundary at about an `N`-th of a usual distance. So bounds that are too large by a
//! factor `F` leave about `F` candidates: thousands where whole images have millions of neurons.
//!
//! Pushing all axes measures every gradient and proves the same. That is done as soon as it takes fewer multiply-adds:
//! before, where the Lipschitz bounds (found once for a network) and a share of all gradients would take more
//! ([`Linearization::choose`]); and between pulls, where those that are left would, if they go as far as those before did.

use crate::{
    Guarantee, Linearization, Margins, Method, Norm, Position, Result,
    by_lengths::{ByLengths, PullErrors, neurons_of},
    margins::NOTICEABLE,
    measure::{Aim, FIRST_ROUND},
    nearest::{Found, Nearest, distance},
    progress::Progress,
    pulls::{Group, Limits},
};
use loclin_models::Trace;
use loclin_tensor::rounding::up_by;
use rayon::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

/// Directions that find neurons which are probably near, so that the search begins with a small distance. They have no
/// part in the proof.
const DIRECTIONS: usize = 16;

/// Neurons of a group, which are pulled together.
const TOGETHER: usize = 256;

/// Groups between two looks at the distance and at whether to go on: their number is fixed, so that neither depends on threads.
const GROUPS: usize = 8;

/// The share of all gradients' work that pulls are expected to take.
const SHARE: f64 = 0.25;

/// How many times all gradients' work a search may take that proves what they do not.
const DEAR: f64 = 2.0;

/// The share of all gradients' work after which what is left is foreseen.
const FORESEEN: f64 = 0.1;

impl Linearization {
    /// What rounding has done at an input; `None` where lengths do not say either.
    pub(crate) fn by_lengths(&self, input: usize) -> Result<Option<Arc<ByLengths>>> {
        let known = &self.by_lengths[input];
        if let Some(known) = known.get() {
            return Ok(known.clone());
        }
        let (x, trace) = (
            self.inputs.narrow(0, input, 1)?,
            self.trace.narrow(input, 1)?,
        );
        let (prepared, network) = (&self.prepared, self.network());
        let lengths = prepared.node_lengths(network)?;
        let found = match lengths.zip(prepared.magnitudes(network)?) {
            Some(lengths) => ByLengths::find(lengths, &self.ranges, (&x, &trace))?,
            None => None,
        };
        Ok(known.get_or_init(|| found.map(Arc::new)).clone())
    }

    /// The margins in each norm, every gradient measured or bounded for certain.
    pub(crate) fn margins_by_bound(&self, norms: &[Norm]) -> Result<Vec<Margins>> {
        let lipschitz = self.prepared.lipschitz(self.network())?;
        // Which neurons to begin with is no part of the result.
        let lengths = self.estimated_lengths(DIRECTIONS, 0)?;
        let mut found = vec![Vec::with_capacity(self.batch()); norms.len()];
        let mut proved = vec![true; norms.len()];
        for (input, lengths) in lengths.iter().enumerate() {
            // A pull says more than lengths say of all neurons at once.
            let rounding = match &self.rounding {
                Some(rounding) if !rounding.is_by_lengths(input) => None,
                _ => self.by_lengths(input)?,
            };
            let limits = Limits::new(lipschitz, rounding.as_deref());
            for (number, norm) in norms.iter().enumerate() {
                let aim = self.aim(input, *norm)?;
                let (own, sure) = match self.by_bound(&aim, lengths, limits, 1.0)? {
                    Some(found) => (found, limits.rounding.is_some()),
                    None => (self.measure_all(&aim)?, false),
                };
                found[number].push(own);
                proved[number] &= sure || self.rounding.is_some();
            }
        }
        let of_norm = |((norm, found), proved): ((&Norm, Vec<Found>), bool)| {
            let mut margins = self.proved(*norm, found, Method::Bound)?;
            margins.work.directions = DIRECTIONS;
            if proved {
                margins.guarantee = Guarantee::Proved;
            }
            Ok(margins)
        };
        norms.iter().zip(found).zip(proved).map(of_norm).collect()
    }

    /// What that is expected to take, in multiply-adds.
    pub(crate) fn bound_cost(&self) -> f64 {
        let cost = &self.prepared.cost;
        let each = cost.pushes(DIRECTIONS) + SHARE * cost.all();
        self.prepared.lipschitz_cost() + self.batch() as f64 * each
    }

    /// Margins that absolute values of rounding errors leave open, by lengths: where they say nothing of the inputs, where they leave
    /// undecided whether a radius is 0, and where they make it noticeably smaller. Of recurrences over many steps, where gradients neither
    /// grow nor vanish but products of absolute values grow, lengths are known well.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub(crate) fn settle_by_lengths(&self, norms: &[Norm], margins: &mut [Margins]) -> Result<()> {
        let is_open = |of: &Margins, input: usize| match self.rounding {
            Some(_) => self.is_smaller_by_rounding(of, input),
            None => of.guarantee == Guarantee::Estimate,
        };
        let inputs = 0..self.batch();
        let any = |input: &usize| margins.iter().any(|of| is_open(of, *input));
        let open: Vec<usize> = inputs.filter(any).collect();
        if open.is_empty() || self.prepared.node_lengths(self.network())?.is_none() {
            return Ok(());
        }
        let lipschitz = self.prepared.lipschitz(self.network())?;
        let lengths = self.estimated_lengths(DIRECTIONS, 0)?;
        // How many inputs are settled in each norm.
        let mut settled = vec![0; margins.len()];
        let before = margins.to_vec();
        for input in open {
            let Some(rounding) = self.by_lengths(input)? else {
                continue;
            };
            let limits = Limits::new(lipschitz, Some(&rounding));
            for (number, norm) in norms.iter().enumerate() {
                let of = &mut margins[number];
                if !is_open(&before[number], input) {
                    continue;
                }
                let aim = self.aim(input, *norm)?;
                let Some(found) = self.by_bound(&aim, &lengths[input], limits, DEAR)? else {
                    continue;
                };
                settled[number] += 1;
                let distance = found.nearest.distance;
                if self.rounding.is_none() || distance > of.radius[input] {
                    of.radius[input] = distance;
                    of.limiting[input] = found.nearest.at.and_then(|at| self.neuron(at));
                    of.position[input] = match distance > 0.0 {
                        true => Position::Inside,
                        // Where rounding is not bounded, a value that is computed as 0 need not be 0.
                        false => Position::Undecided,
                    };
                }
                of.work.gradients[input] += found.gradients;
            }
        }
        if self.rounding.is_none() {
            for ((of, before), settled) in margins.iter_mut().zip(before).zip(settled) {
                // One claim for all inputs.
                match settled == self.batch() {
                    true => of.guarantee = Guarantee::Proved,
                    false => *of = before,
                }
            }
            return self.settle(norms, margins);
        }
        Ok(())
    }

    /// Whether bounds of rounding errors make an input's radius 0, or noticeably smaller.
    fn is_smaller_by_rounding(&self, of: &Margins, input: usize) -> bool {
        let limiting = of.limiting[input].and_then(|neuron| self.position(neuron));
        let lost = limiting.is_some_and(|at| {
            let (z, clear) = (self.pre_activations[input][at], self.clear[input][at]);
            clear.abs() < z.abs() * (1.0 - NOTICEABLE)
        });
        lost || of.position[input] == Position::Undecided
    }

    /// The nearest neuron of one input; `None` as soon as that would take more than `most` times the multiply-adds of all gradients.
    fn by_bound(
        &self,
        aim: &Aim,
        lengths: &[f64],
        mut limits: Limits<'_>,
        most: f64,
    ) -> Result<Option<Found>> {
        let input = aim.input;
        let trace = self.trace.narrow(input, 1)?;
        let mut found = Found {
            nearest: Nearest::NONE,
            gradients: 0,
            lost: 0.0,
        };
        let first = nearest_few(&self.clear[input], lengths);
        for at in &first {
            let Some(neuron) = self.neuron(*at) else {
                continue;
            };
            let mut alone = Group::new(neuron.node);
            alone.add(*at, 0.0);
            let pulled = self.pull_group(&trace, aim, &alone, limits)?;
            found.gradients += 1;
            for (at, distance) in pulled.measured {
                found.nearest.lower(distance, at);
            }
        }
        if found.nearest.distance == 0.0 {
            // On a boundary: nothing is nearer, and there can be many ties.
            return Ok(Some(found));
        }
        limits.nearest = found.nearest.distance.min(aim.farthest);
        let groups = self.groups(&trace, aim, &first, limits)?;
        let pulled = self.pull_groups((&trace, aim), groups, (limits, found.nearest), most)?;
        Ok(pulled.map(|(nearest, pulled)| {
            found.nearest = nearest;
            found.gradients += pulled;
            found
        }))
    }

    /// The neurons that the Lipschitz bounds do not exclude, those of one node and position together, the nearest group by its
    /// bound first.
    fn groups(
        &self,
        trace: &Trace,
        aim: &Aim,
        measured: &[usize],
        limits: Limits<'_>,
    ) -> Result<Vec<Group>> {
        let (values, errors) = (&self.clear[aim.input], self.gradient_errors(aim.input)?);
        let longer = aim.norm.dual().longer_than_l2(self.network().input_size());
        let mut groups = Vec::new();
        for range in &self.ranges {
            let Some((operand, length)) = neurons_of(self.network(), range.node) else {
                continue;
            };
            let mut places: BTreeMap<usize, Group> = BTreeMap::new();
            for at in range.start..range.start + range.count {
                let (bound, value) = match limits.rounding {
                    Some(rounding) if rounding.constant[at] => continue,
                    None if self.is_surely_0(errors[at]) => continue,
                    Some(rounding) => {
                        let reached = std::iter::once((operand, length));
                        rounding.bounds(rounding.neurons[at], reached, &PullErrors::default())
                    }
                    None => (length * limits.lipschitz[operand], values[at].abs()),
                };
                let least = distance(value, up_by(bound * longer, 2));
                if least > limits.nearest || measured.contains(&at) {
                    continue;
                }
                let place = trace.place(range.node, at - range.start)?.unwrap_or(0);
                let group = places
                    .entry(place)
                    .or_insert_with(|| Group::new(range.node));
                group.add(at, least);
                if group.len() == TOGETHER {
                    groups.extend(places.remove(&place));
                }
            }
            groups.extend(places.into_values());
        }
        groups.sort_by(|a, b| a.least().total_cmp(&b.least()));
        Ok(groups)
    }

    /// Pulls the gradients of all groups: the nearest of their neurons and those known before, and how many gradients there were. `None` as
    /// soon as measuring every gradient `most` times is cheaper.
    fn pull_groups(
        &self,
        (trace, aim): (&Trace, &Aim),
        groups: Vec<Group>,
        (mut limits, mut nearest): (Limits<'_>, Nearest),
        most: f64,
    ) -> Result<Option<(Nearest, usize)>> {
        let cost = &self.prepared.cost;
        let most = most * cost.all();
        let whole = |group: &Group| group.len() as f64 * cost.pull(group.node(), 0);
        let mut rest: f64 = groups.iter().map(whole).sum();
        let candidates = groups.iter().map(Group::len).sum();
        let (mut done, mut spent, mut count) = (0.0, 0.0, 0);
        for some in waves(groups) {
            if spent > FORESEEN * cost.all() && rest * spent / done > most {
                return Ok(None);
            }
            limits.nearest = nearest.distance.min(aim.farthest);
            let pulled = some
                .par_iter()
                .map(|group| self.pull_group(trace, aim, group, limits))
                .collect::<Result<Vec<_>>>()?;
            for pulled in pulled {
                spent += pulled.spent;
                count += pulled.gradients;
                for (at, distance) in pulled.measured {
                    nearest.lower(distance, at);
                }
            }
            let own: f64 = some.iter().map(whole).sum();
            done += own;
            rest -= own;
            self.watch.tell(Progress {
                input: aim.input,
                begun: count,
                candidates,
                share: share(done, rest),
            });
        }
        Ok(Some((nearest, count)))
    }

    /// The nearest neuron of one input by all gradients.
    fn measure_all(&self, aim: &Aim) -> Result<Found> {
        let one = self.only(aim.input)?;
        let margins = one.margins_by_all(&[aim.norm])?.swap_remove(0);
        let nearest = Nearest {
            distance: margins.radius[0],
            at: margins.limiting[0].and_then(|neuron| self.position(neuron)),
        };
        Ok(Found {
            nearest,
            gradients: self.neurons(),
            lost: 0.0,
        })
    }
}

/// What share of the work is done.
fn share(done: f64, rest: f64) -> f64 {
    match done + rest.max(0.0) {
        all if all > 0.0 => done / all,
        _ => 1.0,
    }
}

/// The groups, the nearest first, in portions of a few, each of which has some of the nearest and some of the others: so that what
/// the first ones take says what the rest will.
fn waves(groups: Vec<Group>) -> Vec<Vec<Group>> {
    let count = groups.len().div_ceil(GROUPS);
    let mut waves = vec![Vec::new(); count];
    for (at, group) in groups.into_iter().enumerate() {
        waves[at % count].push(group);
    }
    waves
}

/// The positions of the few neurons that are nearest by estimated lengths.
fn nearest_few(values: &[f64], lengths: &[f64]) -> Vec<usize> {
    let mut all: Vec<(f64, usize)> = values
        .iter()
        .zip(lengths)
        .map(|(z, length)| distance(z.abs(), *length))
        .zip(0..)
        .filter(|(estimate, _)| estimate.is_finite())
        .collect();
    let few = FIRST_ROUND.min(all.len());
    if few < all.len() {
        all.select_nth_unstable_by(few, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    }
    all.into_iter().take(few).map(|(_, at)| at).collect()
}
