//! The regions that a straight segment crosses, and what is proved of where it crosses from one to the next.
//!
//! A point of the segment gives the whole piece of it that lies in the point's region, by the directional margins
//! forward and backward. What is left of the segment on both sides is probed in its middle, and so on, until nothing
//! is left: one linearisation for each region, all gaps of a round in one batch, and no step "just behind" a boundary
//! whose length would have to be guessed. Several neurons whose slopes change at one place leave no gap between their pieces; a
//! neuron at 0, or so near that its side is undecided, cuts the gap in two there.
//!
//! Where pieces meet is rounded. So each point also gives the part of its piece that is proved, with bounds of all rounding
//! errors (`line.rs`): the true boundaries lie in the brackets between those parts, [`Breakpoint`].

use crate::{
    ActivationPattern, Budget, Error, Guarantee, Linearization, Linearizer, Result,
    brackets::{Proven, breakpoints},
    line::{Line, Steps},
    patterns,
};
use candle_core::{DType, Tensor};
use loclin_models::Network;
use loclin_tensor::rounding::{down, up};
use std::collections::HashMap;

pub use crate::brackets::Breakpoint;

/// So many inputs for each piece that was found, and one in as many of all that may be looked at, may have a piece of length 0: where there
/// are more, rounding hides what the segment crosses.
const LOST: usize = 100;

/// How a segment is walked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Walk {
    /// Pieces shorter than this share of the segment belong to a neighbour; the default `1e-13` is a few hundred
    /// roundings of a breakpoint's position. Positive, below 1. What is proved does not depend on it: such a piece lies
    /// in a bracket. The same holds of pieces that rounding hides, as of a segment so short that values do not change in most of their
    /// digits.
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

/// What was found along a segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// The pieces in order: they tile [0, 1], and neighbours lie in different regions.
    pub pieces: Vec<Piece>,
    /// Where the segment crosses from region to region: every boundary on it lies in one of these brackets, in their order.
    pub breakpoints: Vec<Breakpoint>,
    /// What is claimed of the pieces: proved if each has a part that is. What [`Segment::breakpoints`] says holds in any
    /// case; where nothing is proved, one bracket is the whole segment.
    pub guarantee: Guarantee,
}

/// A piece of a segment inside one region: from `start` to `end`, as shares of the segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    /// Where it begins, in [0, 1], but for rounding.
    pub start: f64,
    /// Where it ends, above `start`, but for rounding.
    pub end: f64,
    /// Stands for the activation pattern: the same for two pieces of one region.
    pub pattern: u64,
    /// Between these two all neurons that the segment moves certainly keep the sides that the pattern says, and so the
    /// derivatives by what changes along the segment are constant; `None` where nothing is proved.
    pub proved: Option<[f64; 2]>,
}

impl Piece {
    /// Its share of the segment.
    pub fn length(&self) -> f64 {
        self.end - self.start
    }
}

/// Walks from `from` to `to` `[in...]`.
///
/// `visit(here, parts)` sees the parts found, in a fixed order but not in that of the segment: `here` is linearised in
/// float64 at a batch of points, and point `k` lies in part `k` (whose length may be 0). All parts together tile [0, 1].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::{Guarantee, segment::{Walk, walk}};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
/// let [from, to] = [[-1.0, 2.0], [1.5, -1.0]].map(|x| Tensor::new(&x, &Device::Cpu).unwrap());
/// let found = walk(&network, &from, &to, Walk::default(), |_, _| Ok(()))?;
/// let pieces = &found.pieces;
/// assert_eq!((pieces[0].start, pieces[pieces.len() - 1].end), (0.0, 1.0));
/// assert_eq!((found.guarantee, found.breakpoints.len()), (Guarantee::Proved, pieces.len() - 1));
/// assert!(found.breakpoints.iter().all(|at| at.width() < 1e-12));
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
    visit: impl FnMut(&Linearization, &[Piece]) -> Result<()>,
) -> Result<Segment> {
    let network = network.to(DType::F64, network.device())?;
    let linearizer = Linearizer::new(&network, config.budget)?;
    walk_by(&linearizer, (from, to), config, visit)
}

/// [`walk`] of a network in float64 that is prepared.
pub(crate) fn walk_by(
    linearizer: &Linearizer,
    (from, to): (&Tensor, &Tensor),
    config: Walk,
    mut visit: impl FnMut(&Linearization, &[Piece]) -> Result<()>,
) -> Result<Segment> {
    check(&config)?;
    let linearizer = &linearizer.by_absolute_values();
    let line = Line::new(linearizer, from, to)?;
    let mut found = Found::default();
    let mut gaps = vec![Gap {
        ends: (0.0, 1.0),
        is_half: false,
    }];
    let (mut probes, mut lost) = (0, 0);
    while !gaps.is_empty() {
        let mut next = Vec::new();
        for gaps in gaps.chunks(config.batch) {
            probes += gaps.len();
            if probes > config.probes {
                let cause = format!(
                    "the segment crosses more regions than {} probes can find",
                    config.probes
                );
                return Err(refused(cause));
            }
            if lost > config.probes / LOST + LOST * (found.pieces.len() + 1) {
                let cause = format!(
                    "it cannot be divided into regions: {lost} of its inputs have boundaries at no distance on both sides, as computed; a \
                     longer segment, or smaller weights, may help"
                );
                return Err(refused(cause));
            }
            let middles: Vec<f64> = gaps.iter().map(Gap::middle).collect();
            let here = linearizer.at(&line.points(&middles)?)?;
            let steps = here.steps_along(&line)?;
            let mut parts = Vec::with_capacity(gaps.len());
            let probes = gaps.iter().zip(middles).zip(steps);
            for (((gap, middle), steps), pattern) in probes.zip(patterns(here.trace())?) {
                let shortest = config.shortest;
                let is_cut = steps.is_between && !gap.is_half && gap.is_long(shortest);
                let part = found.add(gap.ends, middle, steps, pattern, is_cut, shortest);
                let left = [(gap.ends.0, part.start), (part.end, gap.ends.1)];
                let left = left.iter().filter(|(a, b)| b > a);
                next.extend(left.map(|ends| Gap {
                    ends: *ends,
                    is_half: is_cut,
                }));
                parts.push(part);
            }
            visit(&here, &parts)?;
            let all = parts.len() + found.pieces.len();
            let long = parts.into_iter().filter(|part| part.length() > 0.0);
            found.pieces.extend(long);
            lost += all - found.pieces.len();
        }
        gaps = next;
    }
    Ok(found.finish())
}

fn refused(cause: String) -> Error {
    Error::Argument {
        what: "segment",
        cause,
    }
}

/// What is left of a segment, as shares of it.
struct Gap {
    ends: (f64, f64),
    /// Whether it has been cut in two because nothing could be proved at its middle: that is tried once.
    is_half: bool,
}

impl Gap {
    fn middle(&self) -> f64 {
        0.5 * (self.ends.0 + self.ends.1)
    }

    /// Whether its halves are longer than `shortest`.
    fn is_long(&self, shortest: f64) -> bool {
        self.ends.1 - self.ends.0 > 2.0 * shortest
    }
}

/// What is known of a segment so far.
#[derive(Default)]
struct Found {
    pieces: Vec<Piece>,
    proven: Vec<Proven>,
    /// The number of each pattern, in the order of their coming.
    patterns: HashMap<ActivationPattern, u64>,
}

impl Found {
    /// The part of a gap that a point in its middle is in: the point alone if the gap is cut there.
    fn add(
        &mut self,
        (a, b): (f64, f64),
        middle: f64,
        steps: Steps,
        pattern: ActivationPattern,
        is_cut: bool,
        shortest: f64,
    ) -> Piece {
        let next = self.patterns.len() as u64;
        let pattern = *self.patterns.entry(pattern).or_insert(next);
        if is_cut {
            return Piece {
                start: middle,
                end: middle,
                pattern,
                proved: None,
            };
        }
        // Where rounding hides a boundary around the point, nothing is found by looking for it there.
        let step = |side: usize| {
            let (plain, hidden) = (steps.plain[side], steps.hidden[side]);
            if plain <= shortest && hidden > shortest {
                hidden
            } else {
                plain
            }
        };
        // The ends of the piece; the gap's own where what is left is too short to look at.
        let start = middle - step(0);
        let start = if start - a <= shortest { a } else { start };
        let end = middle + step(1);
        let end = if b - end <= shortest { b } else { end };
        let end = end.max(start);
        // Of this part alone: what lies beyond it is told of by others.
        let low = up(middle - steps.proved[0]).max(start);
        let high = down(middle + steps.proved[1]).min(end);
        let is_proved = steps.proved[0].min(steps.proved[1]) > 0.0 && low < high;
        if is_proved {
            self.proven.push(Proven {
                low,
                high,
                pattern,
                others: [up(middle - steps.others[0]), down(middle + steps.others[1])],
            });
        }
        Piece {
            start,
            end,
            pattern,
            proved: is_proved.then_some([low, high]),
        }
    }

    fn finish(self) -> Segment {
        let mut pieces = self.pieces;
        pieces.sort_by(|a, b| a.start.total_cmp(&b.start));
        pieces.dedup_by(|next, last| {
            let same = next.pattern == last.pattern;
            if same {
                last.end = next.end;
                // A region is convex: what lies between two points of it does, too.
                last.proved = match (last.proved, next.proved) {
                    (Some([low, _]), Some([_, high])) => Some([low, high]),
                    (last, next) => last.or(next),
                };
            }
            same
        });
        let guarantee = match pieces.iter().all(|piece| piece.proved.is_some()) {
            true => Guarantee::Proved,
            false => Guarantee::Estimate,
        };
        Segment {
            pieces,
            breakpoints: breakpoints(self.proven),
            guarantee,
        }
    }
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
