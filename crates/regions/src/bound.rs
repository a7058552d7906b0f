//! l2 margins of large networks with every neuron that is left out excluded by proof.
//!
//! The Jacobian of a node has at most the norm that the node's Lipschitz bound says
//! ([`loclin_models::Network::lipschitz_bounds`]). So a neuron whose pre-activation is larger than that bound times a
//! distance already known is not the nearest. Every other neuron's gradient is pulled back; at each node that it passes,
//! what it has become by then times the bounds of the nodes reached bounds it better, and most gradients are given up
//! after a few layers.
//!
//! Pushing all axes measures every gradient and proves the same. That is done as soon as it takes fewer multiply-adds:
//! before, where the Lipschitz bounds (found once for a network) and a share of all gradients would take more
//! ([`Linearization::choose`]); after the first look, where whole pulls of all candidates would; and between pulls, where
//! those that are left would, if they go as far as those before did.

use crate::{
    Linearization, Margins, Method, Norm, Result,
    measure::{Aim, Exclusion, FIRST_ROUND},
    nearest::{Found, Nearest, distance},
};
use loclin_models::{Operator, Trace};

/// Directions that find neurons which are probably near, so that the search begins with a small distance. They have no
/// part in the proof.
const DIRECTIONS: usize = 16;

/// Pulls between two looks at whether to go on.
const PULLS: usize = 256;

/// The share of all gradients' work that pulls are expected to take.
const SHARE: f64 = 0.25;

/// A neuron that no bound has excluded.
struct Candidate {
    /// Its distance is not below.
    least: f64,
    position: usize,
}

impl Linearization {
    /// The l2 margins (Prop. 6), every gradient measured or bounded for certain.
    pub(crate) fn l2_margins_by_bound(&self) -> Result<Margins> {
        let lipschitz = self.prepared.lipschitz(self.network())?;
        // Which neurons to begin with is no part of the result.
        let lengths = self.estimated_lengths(DIRECTIONS, 0)?;
        let found = lengths
            .iter()
            .enumerate()
            .map(|(input, lengths)| self.by_bound(input, lengths, lipschitz))
            .collect::<Result<Vec<Found>>>()?;
        let mut margins = self.proved(Norm::L2, found, Method::Bound)?;
        margins.work.directions = DIRECTIONS;
        Ok(margins)
    }

    /// What that is expected to take, in multiply-adds.
    pub(crate) fn bound_cost(&self) -> f64 {
        let cost = &self.prepared.cost;
        let each = cost.pushes(DIRECTIONS) + SHARE * cost.all();
        self.prepared.lipschitz_cost() + self.batch() as f64 * each
    }

    /// The nearest neuron of one input.
    fn by_bound(&self, input: usize, lengths: &[f64], lipschitz: &[f64]) -> Result<Found> {
        let trace = self.trace.narrow(input, 1)?;
        let aim = self.aim(input, Norm::L2)?;
        let mut nearest = Nearest::NONE;
        let first = nearest_few(&self.clear[input], lengths);
        self.measure(&trace, &aim, first.clone(), None, &mut nearest)?;
        if nearest.distance == 0.0 {
            // On a boundary: nothing is nearer, and there can be many ties.
            let gradients = first.len();
            return Ok(Found {
                nearest,
                gradients,
                lost: 0.0,
            });
        }
        let limit = nearest.distance.min(aim.farthest);
        let candidates = self.candidates(input, &first, limit, lipschitz);
        match self.pull_candidates(&trace, &aim, candidates, lipschitz, &mut nearest)? {
            Some(pulled) => Ok(Found {
                nearest,
                gradients: first.len() + pulled,
                lost: 0.0,
            }),
            None => self.measure_all(input),
        }
    }

    /// For each range of neurons those that its Lipschitz bound does not exclude, the nearest by it first.
    fn candidates(
        &self,
        input: usize,
        measured: &[usize],
        nearest: f64,
        lipschitz: &[f64],
    ) -> Vec<Vec<Candidate>> {
        let values = &self.clear[input];
        let of_range = |range: &loclin_models::NeuronRange| {
            let bound = self.length_bound(range.node, lipschitz);
            let mut own: Vec<Candidate> = (range.start..range.start + range.count)
                .map(|position| Candidate {
                    least: distance(values[position].abs(), bound),
                    position,
                })
                .filter(|own| own.least <= nearest && !measured.contains(&own.position))
                .collect();
            own.sort_by(|a, b| {
                let order = a.least.total_cmp(&b.least);
                order.then(a.position.cmp(&b.position))
            });
            own
        };
        self.ranges.iter().map(of_range).collect()
    }

    /// Pulls the gradients of all candidates and lowers `nearest` to the nearest of them; how many there were. `None` as
    /// soon as measuring every gradient is cheaper.
    fn pull_candidates(
        &self,
        trace: &Trace,
        aim: &Aim,
        candidates: Vec<Vec<Candidate>>,
        lipschitz: &[f64],
        nearest: &mut Nearest,
    ) -> Result<Option<usize>> {
        let cost = &self.prepared.cost;
        // Of the pulls to come and of those made, were none given up on the way.
        let whole = |node: usize, count: usize| count as f64 * cost.pull(node, 0);
        let of_range = |(range, own): (&loclin_models::NeuronRange, &Vec<Candidate>)| {
            whole(range.node, own.len())
        };
        let mut rest: f64 = self.ranges.iter().zip(&candidates).map(of_range).sum();
        let (mut done, mut spent, mut count) = (0.0, 0.0, 0);
        let most = self.pulls_at_once().min(PULLS);
        for (range, own) in self.ranges.iter().zip(&candidates) {
            for some in own.chunks(most) {
                let share = if done > 0.0 { spent / done } else { 1.0 };
                if rest * share > cost.all() {
                    return Ok(None);
                }
                let near = some.iter().filter(|own| own.least <= nearest.distance);
                let near: Vec<usize> = near.map(|own| own.position).collect();
                let mut exclusion = Exclusion {
                    lipschitz,
                    nearest: nearest.distance.min(aim.farthest),
                    spent: 0.0,
                };
                count += near.len();
                self.measure(trace, aim, near, Some(&mut exclusion), nearest)?;
                spent += exclusion.spent;
                done += whole(range.node, some.len());
                rest -= whole(range.node, some.len());
            }
        }
        Ok(Some(count))
    }

    /// The nearest neuron of one input by all gradients.
    fn measure_all(&self, input: usize) -> Result<Found> {
        let one = self.only(input)?;
        let margins = one.margins_by_all(&[Norm::L2])?.swap_remove(0);
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

    /// No gradient of a neuron of this node is longer.
    fn length_bound(&self, node: usize, lipschitz: &[f64]) -> f64 {
        let node = &self.network().nodes()[node];
        match &node.operator {
            Operator::PiecewiseLinear(operator) => {
                operator.neuron_length() * lipschitz[node.operands[0]]
            }
            _ => f64::INFINITY,
        }
    }
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
