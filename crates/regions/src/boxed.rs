//! Distances to a neuron's boundary within the domain of the inputs.
//!
//! A point of the domain within `t` of the input lowers `|z|` by at most the largest `sum |g_i| d_i` over `0 <= d_i <= r_i`,
//! `||d||_p <= t`, where `r_i` is the room towards the side that lowers it. The distance is the `t` at which that reaches
//! `|z|`; if it never does, the neuron does not limit.
//!
//! *How it is found.* The nearest such point is `d_i = min(tau w_i, r_i)`, `w_i = |g_i|^(q-1)` (1 for l_inf, `|g_i|` for l2), so
//! that `sum |g_i| d_i` is concave and piecewise linear in `tau`: Newton's method solves it in a few passes (their number
//! grows with the digits alone: Radzik, "Newton's method for fractional combinatorial optimization", 1992). In l1 the
//! steepest numbers move first, down to one that is selected in linear time.
//!
//! *How it is proved.* By duality, whatever was found: for every split `|g| = a + b` into parts that are not negative,
//! `sum |g_i| d_i <= sum a_i r_i + ||b||_q t`. So `(|z| - sum a_i r_i) / ||b||_q`, rounded down, is at most the distance. The best
//! split keeps of each number that has come to its end the part `b_i = (r_i / tau)^(p-1)`.

use crate::{Norm, room::Room};
use loclin_tensor::rounding::{SMALLEST, down, product_up, quotient_down, relative, up, up_by};

/// A neuron, as far as its boundary is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Boundary<'a> {
    /// The part of its value that rounding cannot have made, with its sign; 0 where the side is undecided.
    pub(crate) value: f64,
    /// At least the absolute value of each number of its gradient but for the error, with its sign.
    pub(crate) gradient: &'a [f64],
    /// Bounds of the gradient's error, in the dual norm and in l1.
    pub(crate) errors: [f64; 2],
}

/// A number of the input that moves the neuron's value towards 0.
#[derive(Debug, Clone, Copy)]
struct Mover {
    /// How fast, positive.
    slope: f64,
    /// How far it may move.
    room: f64,
}

/// At most the distance to the neuron's boundary within the room; infinite where the domain ends before.
pub(crate) fn distance(neuron: &Boundary<'_>, room: &Room, norm: Norm) -> f64 {
    let z = neuron.value.abs();
    let mut movers = movers(neuron.value, neuron.gradient, room);
    let [error, in_l1] = neuron.errors;
    let drift = product_up(&[in_l1, room.most]);
    if z == 0.0 {
        let still = movers.is_empty() && drift == 0.0;
        return if still { f64::INFINITY } else { 0.0 };
    }
    let ends = movers.iter().map(|mover| mover.slope * mover.room).sum();
    let ends = up_by(ends, movers.len() + 1);
    if z == f64::INFINITY || up(ends + drift) < z {
        return f64::INFINITY;
    }
    // Where only the error reaches the boundary.
    let all_ended = quotient_down(down(z - ends), error);
    let whole: Vec<f64> = movers.iter().map(|mover| mover.slope).collect();
    let plain = proved(z, &movers, &whole, error, norm);
    let parts = parts(&mut movers, z, norm);
    let proved = proved(z, &movers, &parts, error, norm);
    plain.max(proved).max(all_ended)
}

/// At least the distance to the boundary of a neuron whose value is at most `value`, whose gradient is within `error` of the given
/// one in l1, and which may move as far as a narrower room says; infinite where that is not found.
pub(crate) fn distance_above(
    value: f64,
    (gradient, error): (&[f64], f64),
    room: &Room,
    norm: Norm,
) -> f64 {
    let target = value.abs();
    let mut movers = movers(value, gradient, room);
    let mut longest = 0.0;
    for doublings in 0..40 {
        let slack = 2f64.powi(doublings - 50);
        let wanted = target * (1.0 + slack) + 2.0 * error * longest;
        let moved = moves(&mut movers, wanted, norm);
        let terms = movers.iter().zip(&moved);
        let sum: f64 = terms.map(|(mover, d)| mover.slope * d).sum();
        longest = moved.iter().copied().fold(0.0, f64::max);
        let vanished = movers.len() as f64 * SMALLEST;
        let lowered = down(sum * (1.0 - relative(movers.len() + 2)) - vanished);
        let reached = lowered - up_by(error * longest, 1);
        if down(reached) >= target {
            return norm.of_up(&moved);
        }
    }
    f64::INFINITY
}

/// The numbers that move the value towards 0; away from it on either side where it is 0.
fn movers(value: f64, gradient: &[f64], room: &Room) -> Vec<Mover> {
    let of = |(at, slope): (usize, &f64)| {
        let room = match value == 0.0 {
            true => room.longer_way(at),
            false => room.way(at, (*slope > 0.0) != (value > 0.0)),
        };
        let slope = slope.abs();
        (slope > 0.0 && room > 0.0).then_some(Mover { slope, room })
    };
    gradient.iter().enumerate().filter_map(of).collect()
}

/// At most the distance, by the parts `b` of the slopes: see the head of this file.
fn proved(z: f64, movers: &[Mover], parts: &[f64], error: f64, norm: Norm) -> f64 {
    let (mut ends, mut any) = (0.0, false);
    for (mover, part) in movers.iter().zip(parts) {
        if mover.slope > *part {
            any = true;
            ends += (mover.slope - part) * mover.room;
        }
    }
    // Products may have underflowed.
    let ends = if any {
        up_by(ends, movers.len() + 4)
    } else {
        0.0
    };
    let length = norm.dual().of_up(parts);
    let divisor = match length == 0.0 && error == 0.0 {
        true => 0.0,
        false => up(length + error),
    };
    let dividend = if ends == 0.0 { z } else { down(z - ends) };
    quotient_down(dividend, divisor)
}

/// The parts that prove most, rounded to whatever side.
fn parts(movers: &mut [Mover], z: f64, norm: Norm) -> Vec<f64> {
    if norm == Norm::L1 {
        let least = least_slope(movers, z);
        return movers.iter().map(|mover| mover.slope.min(least)).collect();
    }
    let pace = Pace::of(movers, z, norm);
    movers.iter().map(|mover| pace.part(mover)).collect()
}

/// The nearest point at which the value is lower by `z`, rounded to whatever side.
fn moves(movers: &mut [Mover], z: f64, norm: Norm) -> Vec<f64> {
    if norm == Norm::L1 {
        let least = least_slope(movers, z);
        let steeper = movers.iter().filter(|mover| mover.slope > least);
        let mut left = z - steeper.map(|mover| mover.slope * mover.room).sum::<f64>();
        let mut step = |mover: &Mover| match mover.slope > least {
            true => mover.room,
            false if mover.slope == least => {
                let step = (left / least).clamp(0.0, mover.room);
                left -= step * least;
                step
            }
            false => 0.0,
        };
        return movers.iter().map(&mut step).collect();
    }
    let pace = Pace::of(movers, z, norm);
    movers.iter().map(|mover| pace.step(mover)).collect()
}

/// In l1: the slope of the last mover that is needed if the steepest move first.
fn least_slope(movers: &mut [Mover], z: f64) -> f64 {
    let (mut rest, mut left) = (movers, z);
    while rest.len() > 1 {
        let middle = rest.len() / 2;
        rest.select_nth_unstable_by(middle, |a, b| b.slope.total_cmp(&a.slope));
        let (steeper, others) = rest.split_at_mut(middle);
        let sum: f64 = steeper.iter().map(|mover| mover.slope * mover.room).sum();
        if sum >= left {
            rest = steeper;
        } else {
            left -= sum;
            rest = others;
        }
    }
    rest.first().map_or(0.0, |mover| mover.slope)
}

/// How fast all move at once towards the nearest point of the boundary, in another norm than l1: number `i` by
/// `min(tau (|g_i| / scale)^(q-1), r_i)`.
struct Pace {
    tau: f64,
    scale: f64,
    p: f64,
}

impl Pace {
    /// The pace at which the value is lower by `z`. Those that come to their end are put first.
    fn of(movers: &mut [Mover], z: f64, norm: Norm) -> Self {
        let (mut rest, mut left) = (movers, z);
        loop {
            // Ratios to the steepest that still moves, so that powers do not vanish.
            let scale = rest.iter().fold(0.0, |most: f64, own| own.slope.max(most));
            let mut pace = Self {
                tau: 0.0,
                scale,
                p: norm.p(),
            };
            let terms = rest.iter().map(|own| own.slope / scale * pace.weight(own));
            let total: f64 = terms.sum();
            pace.tau = left / scale / total;
            let (mut ended, mut sum) = (0, 0.0);
            for at in 0..rest.len() {
                if pace.tau * pace.weight(&rest[at]) > rest[at].room {
                    sum += rest[at].slope * rest[at].room;
                    rest.swap(ended, at);
                    ended += 1;
                }
            }
            if ended == 0 || sum >= left {
                return pace;
            }
            if ended == rest.len() {
                // But for rounding the last of them gets there.
                let times = rest.iter().map(|own| own.room / pace.weight(own));
                let finite = times.filter(|time| time.is_finite());
                pace.tau = finite.fold(0.0, f64::max);
                return pace;
            }
            left -= sum;
            rest = &mut rest[ended..];
        }
    }

    /// `(|g_i| / scale)^(q-1)`.
    fn weight(&self, mover: &Mover) -> f64 {
        match self.p {
            2.0 => mover.slope / self.scale,
            f64::INFINITY => 1.0,
            p => (mover.slope / self.scale).powf(1.0 / (p - 1.0)),
        }
    }

    fn step(&self, mover: &Mover) -> f64 {
        (self.tau * self.weight(mover)).min(mover.room)
    }

    /// The part of the slope that the room does not stop.
    fn part(&self, mover: &Mover) -> f64 {
        let share = mover.room / self.tau;
        let part = match self.p {
            2.0 => share * self.scale,
            f64::INFINITY if share < 1.0 => 0.0,
            f64::INFINITY => return mover.slope,
            p => share.powf(p - 1.0) * self.scale,
        };
        part.min(mover.slope)
    }
}
