//! The regions that a straight segment crosses, each with its exact ends.
//!
//! A point of the segment gives the whole piece of it that lies in the point's region, by the directional margins
//! forward and backward. What is left of the segment on both sides is probed in its middle, and so on, until nothing
//! is left: one linearisation for each region, all gaps of a round in one batch, and no step "just behind" a boundary
//! whose length would have to be guessed. Several neurons whose slopes change at one place leave no gap between their pieces; a
//! neuron at exactly 0 cuts the gap in two there.

use crate::{Budget, Error, Linearization, Linearizer, Result, patterns};
use candle_core::{DType, Tensor};
use loclin_models::Network;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How a segment is walked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Walk {
    /// Pieces shorter than this share of the segment belong to a neighbour; the default `1e-13` is a few hundred
    /// roundings of a breakpoint's position. Positive, below 1.
    pub shortest: f64,
    /// Most linearisations; the default is a million. A segment that crosses more regions is an error.
    pub probes: usize,
    /// Points linearised at once; the default is 64.
    pub batch: usize,
    /// Memory for tangents.
    pub budget: Budget,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            shortest: 1e-13,
            probes: 1_000_000,
            batch: 64,
            budget: Budget::default(),
        }
    }
}

/// A piece of a segment inside one region: from `start` to `end`, as shares of the segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    /// Where it begins, in [0, 1].
    pub start: f64,
    /// Where it ends, above `start`.
    pub end: f64,
    /// Stands for the activation pattern: the same for two pieces of one region.
    pub pattern: u64,
}

impl Piece {
    /// Its share of the segment.
    pub fn length(&self) -> f64 {
        self.end - self.start
    }
}

/// Walks from `from` to `to` `[in...]` and returns the pieces in order: they tile [0, 1], and neighbours lie in
/// different regions.
///
/// `visit(here, parts)` sees the parts found, in a fixed order but not in that of the segment: `here` is linearised in
/// float64 at a batch of points, and point `k` lies in part `k` (whose length may be 0). All parts together tile [0, 1].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::segment::{Walk, walk};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
/// let [from, to] = [[-1.0, 2.0], [1.5, -1.0]].map(|x| Tensor::new(&x, &Device::Cpu).unwrap());
/// let pieces = walk(&network, &from, &to, Walk::default(), |_, _| Ok(()))?;
/// assert_eq!((pieces[0].start, pieces[pieces.len() - 1].end), (0.0, 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Shapes that are not the network's, more regions than [`Walk::probes`], and what `visit` returns.
pub fn walk(
    network: &Network,
    from: &Tensor,
    to: &Tensor,
    config: Walk,
    mut visit: impl FnMut(&Linearization, &[Piece]) -> Result<()>,
) -> Result<Vec<Piece>> {
    check(&config)?;
    let network = network.to(DType::F64, network.device())?;
    let linearizer = Linearizer::new(&network, config.budget)?;
    let from = from.detach().to_dtype(DType::F64)?.unsqueeze(0)?;
    let direction = (to.detach().to_dtype(DType::F64)?.unsqueeze(0)? - &from)?;
    let tangent = direction.unsqueeze(1)?;
    let mut pieces: Vec<Piece> = Vec::new();
    let mut gaps = vec![(0.0, 1.0)];
    let mut probes = 0;
    while !gaps.is_empty() {
        let mut next = Vec::new();
        for gaps in gaps.chunks(config.batch) {
            probes += gaps.len();
            if probes > config.probes {
                let cause = format!(
                    "the segment crosses more regions than {} probes can find",
                    config.probes
                );
                return Err(Error::Argument {
                    what: "segment",
                    cause,
                });
            }
            let middles: Vec<f64> = gaps.iter().map(|(a, b)| 0.5 * (a + b)).collect();
            let steps = [
                &[gaps.len()],
                vec![1; network.input_shape().len()].as_slice(),
            ]
            .concat();
            let steps = Tensor::new(&middles[..], network.device())?.reshape(steps)?;
            let points = direction.broadcast_mul(&steps)?.broadcast_add(&from)?;
            let here = linearizer.at(&points)?;
            let (backward, forward) = here.line_margins(&tangent)?;
            let patterns = patterns(here.trace())?;
            let mut parts = Vec::with_capacity(gaps.len());
            for (k, &(a, b)) in gaps.iter().enumerate() {
                // The ends of the piece; the gap's own where what is left is too short to look at.
                let start = middles[k] - backward[k];
                let start = if start - a <= config.shortest {
                    a
                } else {
                    start
                };
                let end = middles[k] + forward[k];
                let end = if b - end <= config.shortest { b } else { end };
                let mut hasher = DefaultHasher::new();
                patterns[k].hash(&mut hasher);
                parts.push(Piece {
                    start,
                    end: end.max(start),
                    pattern: hasher.finish(),
                });
                next.extend([(a, start), (end, b)].iter().filter(|(a, b)| b > a));
            }
            visit(&here, &parts)?;
            pieces.extend(parts.into_iter().filter(|part| part.length() > 0.0));
        }
        gaps = next;
    }
    pieces.sort_by(|a, b| a.start.total_cmp(&b.start));
    pieces.dedup_by(|next, last| {
        let same = next.pattern == last.pattern;
        if same {
            last.end = next.end;
        }
        same
    });
    Ok(pieces)
}

fn check(config: &Walk) -> Result<()> {
    let is_step = config.shortest > 0.0 && config.shortest < 1.0;
    if !is_step || config.batch == 0 {
        let cause = format!("needs 0 < shortest < 1 and batch > 0, found {config:?}");
        return Err(Error::Argument {
            what: "walk",
            cause,
        });
    }
    Ok(())
}
