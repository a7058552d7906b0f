//! Distances within a domain, without rounding.
//!
//! The nearest point of the domain at which a neuron is 0 is known up to one number: in l1 the steepest numbers of the input
//! move to their ends first; in l2 number `i` moves by `min(tau |g_i|, r_i)`, in l_inf by `min(tau, r_i)`. In the order in which
//! they come to their ends, exact sums decide which have.

use super::dyadic::{Dyadic, Sum};
use super::error::{ExactError, Result};
use super::number::Number;
use super::quotient::{Side, float, quotient};
use crate::boxed::{self, Boundary};
use crate::room::Room;
use crate::{Domain, Norm};
use std::cmp::Ordering;

/// How far each number of an input may move, `[down, up]`; `None` for as far as it likes.
pub(super) type Ways = Vec<[Option<Dyadic>; 2]>;

/// The ways of an input within a domain.
pub(super) fn ways(domain: &Domain, x: &[Dyadic]) -> Result<Ways> {
    if x.len() != domain.size() {
        let (expected, found) = (domain.size(), x.len());
        return Err(ExactError::Input { expected, found });
    }
    let ends = domain.low().iter().zip(domain.high());
    let of = |(number, (x, (low, high))): (usize, (&Dyadic, (&f64, &f64)))| {
        let [down, up] = [low, high].map(|end| Dyadic::of(*end).map(|end| x.minus(&end)));
        let up = up.map(|way| way.negated());
        let empty = *low == f64::INFINITY || *high == f64::NEG_INFINITY;
        let outside = [&down, &up]
            .into_iter()
            .flatten()
            .any(|way| way.sign().is_lt());
        match empty || outside {
            true => Err(ExactError::Outside {
                number,
                value: float(x, Side::Down),
                low: *low,
                high: *high,
            }),
            false => Ok([down, up]),
        }
    };
    x.iter().zip(ends).enumerate().map(of).collect()
}

/// A number of the input that moves a neuron's value towards 0.
struct Mover {
    slope: Dyadic,
    /// `None` for as far as it likes.
    room: Option<Dyadic>,
}

/// Floats on both sides of a distance.
pub(super) struct Between {
    /// At most it.
    pub(super) lower: f64,
    /// At least it.
    pub(super) upper: f64,
    /// The largest that may be at most it.
    pub(super) largest: f64,
}

/// The distance to the boundary of a neuron with this value and gradient.
pub(super) fn distance(z: &Number, gradient: &[Number], ways: &Ways, norm: Norm) -> Between {
    let side = z.sign();
    let movers = |most: bool| -> Vec<Mover> {
        let of = |(g, ways): (&Number, &[Option<Dyadic>; 2])| {
            let slope = g.absolute();
            let slope = if most { slope.high() } else { slope.low() };
            let [down, up] = ways;
            let room = match (side, g.sign()) {
                (Some(side), Some(rising)) if side.is_ne() => match side == rising {
                    true => down.clone(),
                    false => up.clone(),
                },
                // Either way, whichever is longer or shorter.
                (Some(Ordering::Equal), _) => longer(down, up),
                _ if most => longer(down, up),
                _ => shorter(down, up),
            };
            let still = slope.is_zero() || room.as_ref().is_some_and(Dyadic::is_zero);
            let slope = slope.clone();
            (!still).then_some(Mover { slope, room })
        };
        gradient.iter().zip(ways).filter_map(of).collect()
    };
    let z = z.absolute();
    let (above, below) = (movers(true), movers(false));
    if !matches!(norm.p(), 1.0 | 2.0 | f64::INFINITY) {
        return by_powers(&z, &above, &below, norm);
    }
    let near = crossing(z.low(), above, norm);
    let far = crossing(z.high(), below, norm);
    Between {
        lower: near.map_or(f64::INFINITY, |near| near.float(Side::Down)),
        upper: far
            .as_ref()
            .map_or(f64::INFINITY, |far| far.float(Side::Up)),
        largest: far.map_or(f64::INFINITY, |far| far.float(Side::Down)),
    }
}

fn longer(a: &Option<Dyadic>, b: &Option<Dyadic>) -> Option<Dyadic> {
    a.as_ref().zip(b.as_ref()).map(|(a, b)| a.max(b).clone())
}

fn shorter(a: &Option<Dyadic>, b: &Option<Dyadic>) -> Option<Dyadic> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b).clone()),
        (way, None) | (None, way) => way.clone(),
    }
}

/// `over / under`, or the root of it.
struct Crossing {
    over: Dyadic,
    under: Dyadic,
    root: bool,
}

impl Crossing {
    fn float(&self, side: Side) -> f64 {
        quotient(&self.over, &self.under, self.root, side)
    }
}

/// The least distance at which the movers have lowered a value by `z`; `None` if they never do.
fn crossing(z: &Dyadic, movers: Vec<Mover>, norm: Norm) -> Option<Crossing> {
    if z.is_zero() {
        let none = Crossing {
            over: Dyadic::ZERO,
            under: Dyadic::of(1.0)?,
            root: false,
        };
        return (!movers.is_empty()).then_some(none);
    }
    match norm {
        Norm::L1 => in_l1(z, movers),
        _ => at_pace(z, movers, norm == Norm::L2),
    }
}

fn in_l1(z: &Dyadic, mut movers: Vec<Mover>) -> Option<Crossing> {
    movers.sort_by(|a, b| b.slope.cmp(&a.slope));
    let (mut left, mut moved) = (z.clone(), Sum::default());
    for Mover { slope, room } in movers {
        let most = room.map(|room| (slope.times(&room), room));
        match most {
            Some((most, room)) if most < left => {
                left = left.minus(&most);
                moved.add(&room);
            }
            _ => {
                let over = moved.total().times(&slope).plus(&left);
                return Some(Crossing {
                    over,
                    under: slope,
                    root: false,
                });
            }
        }
    }
    None
}

/// In l2 (`euclidean`) or l_inf.
fn at_pace(z: &Dyadic, mut movers: Vec<Mover>, euclidean: bool) -> Option<Crossing> {
    let one = Dyadic::of(1.0)?;
    let weight = |mover: &Mover| match euclidean {
        true => mover.slope.clone(),
        false => one.clone(),
    };
    // By the time `room / weight` at which they come to their ends.
    movers.sort_by(|a, b| match (&a.room, &b.room) {
        (Some(of_a), Some(of_b)) => of_a.times(&weight(b)).cmp(&of_b.times(&weight(a))),
        (a, b) => a.is_none().cmp(&b.is_none()),
    });
    let mut total = Sum::default();
    for mover in &movers {
        total.add_product(&mover.slope, &weight(mover));
    }
    let (mut total, mut left, mut squares) = (total.total(), z.clone(), Sum::default());
    for mover in &movers {
        let (slope, weight) = (&mover.slope, weight(mover));
        match &mover.room {
            Some(room) if left.times(&weight) > room.times(&total) => {
                left = left.minus(&slope.times(room));
                total = total.minus(&slope.times(&weight));
                squares.add_product(room, room);
            }
            // The time is `left / total`, and no other comes to its end before.
            _ => {
                let over = match euclidean {
                    true => squares.total().times(&total).plus(&left.times(&left)),
                    false => left,
                };
                return Some(Crossing {
                    over,
                    under: total,
                    root: euclidean,
                });
            }
        }
    }
    None
}

/// Another norm than l1, l2 and l_inf, in floats: a power of float64 is taken to be off by a few units in its last place.
fn by_powers(z: &Number, above: &[Mover], below: &[Mover], norm: Norm) -> Between {
    let floats = |movers: &[Mover], side: Side| -> (Vec<f64>, Room) {
        let way = |mover: &Mover| match &mover.room {
            Some(room) => float(room, side),
            None => f64::INFINITY,
        };
        let slopes = movers.iter().map(|mover| float(&mover.slope, side));
        (slopes.collect(), Room::of(movers.iter().map(way)))
    };
    let (gradient, room) = floats(above, Side::Up);
    let neuron = Boundary {
        value: z.lower(),
        gradient: &gradient,
        errors: [0.0; 2],
    };
    let lower = boxed::distance(&neuron, &room, norm);
    let (gradient, room) = floats(below, Side::Down);
    let upper = match z.is_zero() {
        true if below.is_empty() => f64::INFINITY,
        true => 0.0,
        false => boxed::distance_above(z.upper(), (&gradient, 0.0), &room, norm),
    };
    Between {
        lower,
        upper,
        largest: upper,
    }
}
