//! Gradients of the few neurons that may be the nearest, pulled back through the network.

use crate::{
    Error, Linearization, Norm, Result, Rows,
    boxed::{self, Boundary},
    nearest::{Found, Nearest, distance},
    room::Room,
    units::units,
};
use candle_core::{D, DType};
use loclin_models::{NeuronRange, Reached, Trace};
use loclin_tensor::rounding::{power_of_two, up_by};
use std::ops::Range;

/// Pulls made at once at first; each further round doubles them, within the budget.
pub(crate) const FIRST_ROUND: usize = 4;

/// Which distances of one input are measured.
pub(crate) struct Aim {
    pub(crate) input: usize,
    pub(crate) norm: Norm,
    /// The room that balls are cut with, if they are.
    pub(crate) room: Option<Room>,
    /// No boundary that is further limits.
    pub(crate) farthest: f64,
}

/// What excludes a candidate while its gradient is being pulled: its distance is more than `nearest` by the nodes'
/// Lipschitz bounds.
pub(crate) struct Exclusion<'a> {
    pub(crate) lipschitz: &'a [f64],
    pub(crate) nearest: f64,
    /// Multiply-adds of the pulls so far.
    pub(crate) spent: f64,
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
            self.measure(&trace, aim, chosen, None, &mut nearest)?;
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
        mut exclusion: Option<&mut Exclusion<'_>>,
        nearest: &mut Nearest,
    ) -> Result<()> {
        positions.sort_unstable();
        let input = aim.input;
        let (values, errors) = (&self.clear[input], self.gradient_errors(input)?);
        for range in &self.ranges {
            let within = |range: Range<usize>| {
                let place = |at: usize| positions.partition_point(|position| *position < at);
                &positions[place(range.start)..place(range.end)]
            };
            let own = within(range.start..range.start + range.count);
            if own.is_empty() {
                continue;
            }
            let exclusion = exclusion.as_deref_mut();
            let (left, gradients) = self.pull(trace, range, own, (values, &errors), exclusion)?;
            for (at, gradient) in left.into_iter().zip(gradients.iter()) {
                let computed = aim.norm.dual().of_up(gradient);
                let length = computed + errors[at];
                // A bound that overflows is no error where every gradient is measured: the distance is 0.
                let bounded = aim.room.is_none() || !computed.is_finite();
                if !length.is_finite() && bounded {
                    return Err(Error::NotFinite {
                        index: input,
                        what: "the length of a neuron's gradient".into(),
                        value: length,
                    });
                }
                let length = match (&self.rounding, errors[at]) {
                    (None, _) => length,
                    (Some(_), 0.0) => 0.0,
                    (Some(_), _) => up_by(length, 1),
                };
                let whole = distance(values[at].abs(), length);
                let distance = match &aim.room {
                    // What is certainly constant limits nothing.
                    Some(room) if length > 0.0 => {
                        let neuron = Boundary {
                            value: values[at],
                            gradient,
                            errors: [errors[at]; 2],
                        };
                        boxed::distance(&neuron, room, aim.norm).max(whole)
                    }
                    _ => whole,
                };
                nearest.lower(distance, at);
            }
        }
        Ok(())
    }

    /// Pulls the gradients of neurons of one node: those not excluded on the way, and their gradients.
    fn pull(
        &self,
        trace: &Trace,
        range: &NeuronRange,
        positions: &[usize],
        (values, errors): (&[f64], &[f64]),
        exclusion: Option<&mut Exclusion<'_>>,
    ) -> Result<(Vec<usize>, Rows)> {
        let own: Vec<usize> = positions.iter().map(|at| at - range.start).collect();
        let units = units(self.network(), &own, range.count)?;
        let mut left = positions.to_vec();
        let pulled = match exclusion {
            None => Some(trace.pull_neurons(range.node, &units)?),
            Some(exclusion) => {
                let cost = &self.prepared.cost;
                let mut last = range.node;
                let found = trace.pull_neurons_while(range.node, &units, &mut |reached| {
                    let next = reached
                        .iter()
                        .map(|reached| reached.node)
                        .max()
                        .unwrap_or(0);
                    exclusion.spent += left.len() as f64 * cost.pull(last, next);
                    last = next;
                    let bounds = exclusion.bounds(reached)?;
                    let kept: Vec<u32> = (0u32..)
                        .zip(left.iter().zip(&bounds))
                        .filter(|(_, (at, bound))| {
                            let bound = up_by(**bound + errors[**at], 2);
                            let least = distance(values[**at].abs(), bound);
                            least <= exclusion.nearest || least.is_nan()
                        })
                        .map(|(row, _)| row)
                        .collect();
                    if kept.len() == left.len() {
                        return Ok(None);
                    }
                    left = kept.iter().map(|row| left[*row as usize]).collect();
                    Ok(Some(kept))
                })?;
                exclusion.spent += left.len() as f64 * cost.pull(last, 0);
                found
            }
        };
        Ok(match pulled {
            Some(gradients) => (
                left,
                Rows::of_tensor(&gradients.flatten_from(2)?.squeeze(0)?)?,
            ),
            None => (Vec::new(), Rows::default()),
        })
    }
}

impl Exclusion<'_> {
    /// Upper bounds on the lengths of the gradients that are being pulled.
    fn bounds(&self, reached: &[Reached<'_>]) -> loclin_models::Result<Vec<f64>> {
        let mut bounds = Vec::new();
        for Reached { node, cotangents } in reached {
            let rows = cotangents.flatten_from(2)?.to_dtype(DType::F64)?;
            let (_, count, width) = rows.dims3()?;
            // Scaled, so that squares neither vanish nor overflow.
            let most = rows.abs()?.max(D::Minus1)?.flatten_all()?.max(0)?;
            let scale = power_of_two(most.to_scalar::<f64>()?);
            let squares = (rows / scale)?.sqr()?.sum(D::Minus1)?;
            let squares = squares.flatten_all()?.to_vec1::<f64>()?;
            bounds.resize(count, 0.0);
            let vanished = width as f64 * f64::MIN_POSITIVE;
            let terms = squares.iter().map(|square| {
                up_by((square + vanished).sqrt(), width + 8) * scale * self.lipschitz[*node]
            });
            bounds
                .iter_mut()
                .zip(terms)
                .for_each(|(bound, term)| *bound += term);
        }
        Ok(bounds)
    }
}
