//! Exact gradients of the few neurons that may be the nearest, pulled back through the network.

use crate::{Error, Linearization, Margins, Norm, Result, host::rows, margin::distance};
use candle_core::{D, DType, Tensor};
use loclin_models::{NeuronRange, Reached, Trace};
use std::ops::Range;

/// Pulls made at once at first; each further round doubles them, within the budget.
pub(crate) const FIRST_ROUND: usize = 4;

/// The l2 margins of a large network, whose neurons were not all measured, and the work that they took.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedMargins {
    /// The margins: exact, or too large with at most [`VerifiedMargins::failure_probability`] for each input.
    pub margins: Margins,
    /// `K`, the number of random directions pushed.
    pub directions: usize,
    /// For each input, the number of candidates: neurons whose gradient was pulled back, to the input or until a
    /// bound excluded them.
    pub verified: Vec<usize>,
    /// The probability over the directions, for each input; 0 where every neuron left out is excluded by proof.
    pub failure_probability: f64,
}

/// What excludes a candidate while its gradient is being pulled: its distance is more than `nearest` by the nodes'
/// Lipschitz bounds.
pub(crate) struct Exclusion<'a> {
    pub(crate) lipschitz: &'a [f64],
    pub(crate) nearest: f64,
}

impl Linearization {
    /// The nearest neuron of one input and how many gradients were measured, given for each neuron a distance that its
    /// own is not below.
    pub(crate) fn verify(
        &self,
        input: usize,
        least: impl Iterator<Item = f64>,
    ) -> Result<(Nearest, usize)> {
        let mut candidates: Vec<(f64, usize)> = least
            .enumerate()
            .filter_map(|(at, least)| least.is_finite().then_some((least, at)))
            .collect();
        candidates.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let trace = self.trace.narrow(input, 1)?;
        let most = self.pulls_at_once();
        let (mut best, mut verified, mut round) = (Nearest::default(), 0, FIRST_ROUND);
        while let Some(rest) = candidates.get(verified..).filter(|rest| !rest.is_empty()) {
            // On a boundary (distance 0) nothing is nearer, and there can be many ties.
            let near = |least: f64| least <= best.distance && best.distance > 0.0;
            let near = rest.iter().take_while(|(least, _)| near(*least));
            let chosen: Vec<usize> = near.take(round.min(most)).map(|(_, at)| *at).collect();
            if chosen.is_empty() {
                break;
            }
            verified += chosen.len();
            self.measure(&trace, input, chosen, None, &mut best)?;
            round = (2 * round).min(most);
        }
        Ok((best, verified))
    }

    /// The margins of all inputs by what was found for each: the nearest neuron and the number of candidates.
    pub(crate) fn verified(
        &self,
        found: impl Iterator<Item = Result<(Nearest, usize)>>,
        directions: usize,
        failure_probability: f64,
    ) -> Result<VerifiedMargins> {
        let mut margins = Margins {
            radius: Vec::new(),
            limiting: Vec::new(),
        };
        let mut verified = Vec::new();
        for found in found {
            let (Nearest { distance, at }, count) = found?;
            margins.radius.push(distance);
            margins.limiting.push(at.and_then(|at| self.neuron(at)));
            verified.push(count);
        }
        Ok(VerifiedMargins {
            margins,
            directions,
            verified,
            failure_probability,
        })
    }

    /// How many gradients of one input fit the budget.
    pub(crate) fn pulls_at_once(&self) -> usize {
        let bytes = self.network().tangent_size() * self.network().dtype().size_in_bytes();
        (self.budget.bytes / bytes.max(1)).max(1)
    }

    /// Measures the distances of the neurons at some positions, site by site, and keeps the smallest.
    pub(crate) fn measure(
        &self,
        trace: &Trace,
        input: usize,
        mut positions: Vec<usize>,
        exclusion: Option<&Exclusion<'_>>,
        best: &mut Nearest,
    ) -> Result<()> {
        positions.sort_unstable();
        let values = &self.pre_activations[input];
        for range in &self.ranges {
            let within = |range: Range<usize>| {
                let place = |at: usize| positions.partition_point(|position| *position < at);
                &positions[place(range.start)..place(range.end)]
            };
            let own = within(range.start..range.start + range.count);
            if own.is_empty() {
                continue;
            }
            for (at, gradient) in self.pull(trace, range, own, values, exclusion)? {
                let length = Norm::L2.of(&gradient);
                if !length.is_finite() {
                    return Err(Error::NotFinite {
                        index: input,
                        what: "the length of a neuron's gradient".into(),
                        value: length,
                    });
                }
                best.see(distance(values[at].abs(), length), at);
            }
        }
        Ok(())
    }

    /// Pulls the gradients of neurons of one site: those not excluded on the way, and their gradients.
    fn pull(
        &self,
        trace: &Trace,
        range: &NeuronRange,
        positions: &[usize],
        values: &[f64],
        exclusion: Option<&Exclusion<'_>>,
    ) -> Result<Vec<(usize, Vec<f64>)>> {
        let (dtype, device) = (self.network().dtype(), self.network().device());
        let mut units = vec![0f32; positions.len() * range.count];
        for (row, at) in positions.iter().enumerate() {
            units[row * range.count + at - range.start] = 1.0;
        }
        let units = Tensor::from_vec(units, (1, positions.len(), range.count), device)?;
        let units = units.to_dtype(dtype)?;
        let mut left = positions.to_vec();
        let pulled = match exclusion {
            None => Some(trace.pull_neurons(range.node, &units)?),
            Some(exclusion) => trace.pull_neurons_while(range.node, &units, &mut |reached| {
                let bounds = exclusion.bounds(reached)?;
                let kept: Vec<u32> = (0u32..)
                    .zip(left.iter().zip(&bounds))
                    .filter(|(_, (at, bound))| {
                        bound.is_nan() || distance(values[**at].abs(), **bound) <= exclusion.nearest
                    })
                    .map(|(row, _)| row)
                    .collect();
                if kept.len() == left.len() {
                    return Ok(None);
                }
                left = kept.iter().map(|row| left[*row as usize]).collect();
                Ok(Some(kept))
            })?,
        };
        Ok(match pulled {
            Some(gradients) => {
                let gradients = rows(&gradients.flatten_from(2)?.squeeze(0)?)?;
                left.into_iter().zip(gradients).collect()
            }
            None => Vec::new(),
        })
    }
}

impl Exclusion<'_> {
    /// Upper bounds on the lengths of the gradients that are being pulled.
    fn bounds(&self, reached: &[Reached<'_>]) -> loclin_models::Result<Vec<f64>> {
        let mut bounds = Vec::new();
        for Reached { node, cotangents } in reached {
            let squares = cotangents.flatten_from(2)?.sqr()?.sum(D::Minus1)?;
            let squares = squares
                .to_dtype(DType::F64)?
                .flatten_all()?
                .to_vec1::<f64>()?;
            bounds.resize(squares.len(), 0.0);
            let terms = squares
                .iter()
                .map(|square| square.sqrt() * self.lipschitz[*node]);
            bounds
                .iter_mut()
                .zip(terms)
                .for_each(|(bound, term)| *bound += term);
        }
        Ok(bounds)
    }
}

/// The nearest neuron so far; of equal ones the first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nearest {
    pub(crate) distance: f64,
    pub(crate) at: Option<usize>,
}

impl Default for Nearest {
    fn default() -> Self {
        Self {
            distance: f64::INFINITY,
            at: None,
        }
    }
}

impl Nearest {
    fn see(&mut self, distance: f64, at: usize) {
        let tie = distance == self.distance && self.at.is_some_and(|other| at < other);
        if distance < self.distance || tie {
            *self = Self {
                distance,
                at: Some(at),
            };
        }
    }
}
