//! Radii that are claimed of balls cut with a domain: of each neuron whether its value can reach 0 in such a ball.
//!
//! In the ball of the claimed radius the neuron's value is lowered most by moves that are found by bisection. What they lower it
//! by, rounded down, refutes the claim where it is enough; an upper bound of what any moves can lower it by, rounded up, proves
//! it where it is not. Nothing is shared with the ways that `certify` takes.

use loclin_regions::{Domain, Norm};
use loclin_tensor::rounding::{SMALLEST, down, largest, length_up, relative, sum_up, up, up_by};

/// A number is at least the first and at most the second.
pub(super) type Between = (f64, f64);

/// Refutations are tried at a radius that is smaller by this part.
const NEARER: f64 = 1.0 - 1e-12;

/// Larger radii are taken for this when they are to be refuted.
const FAR: f64 = 1e100;

/// Steps of a bisection.
const STEPS: usize = 120;

/// A neuron at an input within a domain.
pub(super) struct Cut<'a> {
    /// Its value, and a bound of its error.
    pub(super) value: (f64, f64),
    /// Its gradient, and a bound of the l1 norm of its error.
    pub(super) gradient: (&'a [f64], f64),
    pub(super) x: &'a [f64],
    pub(super) domain: &'a Domain,
}

/// A number that moves the value towards 0: how fast, and how far it may move, at least and at most.
type Mover = (f64, Between);

impl Cut<'_> {
    /// The distance of the neuron's boundary, as far as it matters for a claim, given bounds that know no domain.
    pub(super) fn distance(&self, (low, _): Between, norm: Norm, claimed: f64) -> Between {
        let (z, error) = self.value;
        if low >= claimed || claimed.is_nan() {
            return (low, f64::INFINITY);
        }
        let movers = self.movers();
        let mut between = (low, f64::INFINITY);
        if self.lowered_at_most(&movers, norm, claimed) < down(z.abs() - error) {
            between.0 = claimed;
        }
        let nearer = claimed.min(FAR) * NEARER;
        let moves = moves(&movers, norm, nearer, |(low, _)| low);
        let sum: f64 = movers.iter().zip(&moves).map(|((g, _), d)| g * d).sum();
        let longest = largest(&moves);
        let vanished = moves.len() as f64 * SMALLEST;
        let lowered = down(sum * (1.0 - relative(moves.len() + 2)) - vanished);
        let certain = down(z.abs() - error) > 0.0;
        let lowered = down(lowered - up_by(self.gradient.1 * longest, 1));
        if certain && lowered > up(z.abs() + error) {
            between.1 = length_up_in(norm, &moves);
        }
        between
    }

    fn movers(&self) -> Vec<Mover> {
        let (z, (gradient, _)) = (self.value.0, self.gradient);
        let ends = self.domain.low().iter().zip(self.domain.high());
        let of = |((g, x), (low, high)): ((&f64, &f64), (&f64, &f64))| {
            let way = match (*g > 0.0) == (z > 0.0) {
                true => x - low,
                false => high - x,
            };
            let between = match way > 0.0 {
                true => (down(way), up(way)),
                false => (0.0, 0.0),
            };
            (*g != 0.0 && way > 0.0).then_some((g.abs(), between))
        };
        gradient
            .iter()
            .zip(self.x)
            .zip(ends)
            .filter_map(of)
            .collect()
    }

    /// At least what any moves in the ball can lower the value by: by weak duality, for parts of the slopes that the ball stops.
    fn lowered_at_most(&self, movers: &[Mover], norm: Norm, t: f64) -> f64 {
        let ends = self.domain.low().iter().zip(self.domain.high());
        let longest = ends.map(|(low, high)| up(high - low)).fold(0.0, f64::max);
        let error = match self.gradient.1 == 0.0 {
            true => 0.0,
            false => up_by(self.gradient.1 * longest.min(t), 1),
        };
        let moved = moves(movers, norm, t, |(_, high)| high);
        // How fast those move that the domain does not stop: the dual of the ball's constraint.
        let free = movers.iter().zip(&moved).filter(|((_, (_, r)), d)| *d < r);
        let rate = |((g, _), d): (&Mover, &f64)| match norm {
            Norm::L1 => *g,
            Norm::LINF => 0.0,
            norm => g / d.powf(norm.p() - 1.0),
        };
        let rates = free.map(|(mover, d)| rate((mover, d)));
        let rate = rates.filter(|rate| rate.is_finite()).fold(0.0, f64::max);
        let part = |((g, (_, r)), d): (&Mover, &f64)| {
            let part = match norm {
                _ if d < r => *g,
                Norm::L1 => rate,
                Norm::LINF => 0.0,
                norm => rate * r.powf(norm.p() - 1.0),
            };
            part.min(*g)
        };
        let parts: Vec<f64> = movers.iter().zip(&moved).map(part).collect();
        let both = movers.iter().zip(&parts).filter(|((g, _), part)| g > part);
        let stopped: Vec<f64> = both
            .map(|((g, (_, r)), part)| up_by((g - part) * r, 2))
            .collect();
        let length = length_up_in(norm.dual(), &parts);
        let by_ball = if length == 0.0 {
            0.0
        } else {
            up_by(length * t, 1)
        };
        up_by(sum_up(&stopped) + by_ball + error, 3)
    }
}

/// The moves of length `t` that lower the value most, rounded to whatever side.
fn moves(movers: &[Mover], norm: Norm, t: f64, room: fn(Between) -> f64) -> Vec<f64> {
    if norm == Norm::L1 {
        let mut order: Vec<usize> = (0..movers.len()).collect();
        order.sort_by(|a, b| movers[*b].0.total_cmp(&movers[*a].0));
        let (mut moves, mut left) = (vec![0.0; movers.len()], t);
        for at in order {
            moves[at] = room(movers[at].1).min(left);
            left -= moves[at];
        }
        return moves;
    }
    let steepest = movers.iter().map(|(g, _)| *g).fold(0.0, f64::max);
    let pace = |tau: f64| -> Vec<f64> {
        let of = |(g, way): &Mover| {
            let weight = match norm {
                Norm::LINF => 1.0,
                Norm::L2 => g / steepest,
                norm => (g / steepest).powf(1.0 / (norm.p() - 1.0)),
            };
            (tau * weight).min(room(*way))
        };
        movers.iter().map(of).collect()
    };
    // Beyond `t` times a power of two nothing moves further.
    let (mut low, mut high) = (0.0, 1.0);
    while norm.of(&pace(high)) < t && high < 1e300 {
        high *= 16.0;
    }
    for _ in 0..STEPS {
        let middle = 0.5 * (low + high);
        match norm.of(&pace(middle)) <= t {
            true => low = middle,
            false => high = middle,
        }
    }
    pace(low)
}

/// At least the norm of a vector.
fn length_up_in(norm: Norm, vector: &[f64]) -> f64 {
    match norm.p() {
        1.0 => sum_up(vector),
        2.0 => length_up(vector),
        f64::INFINITY => largest(vector),
        p => {
            let slack = relative(vector.len() + 64 + (8.0 * p).min(1e15) as usize);
            up(norm.of(vector) * (1.0 + slack))
        }
    }
}
