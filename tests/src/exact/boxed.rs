//! Radii of balls cut with a box, without rounding: brute force over which numbers of the input have come to their ends.

use super::number::{Rational, absolute, reduced};
use super::point::{Neuron, Point};
use super::radius::{Radii, Radius};

/// How far each number of an input may move, `[down, up]`; `None` for as far as it likes.
pub type Ways = Vec<[Option<Rational>; 2]>;

impl Point {
    /// The radii within a box, given the ways to its ends. A neuron at 0 that can move at all makes the radius 0.
    pub fn radii_within(&self, ways: &Ways) -> Radii {
        let of = |power: u8, distance: fn(&Rational, &[Mover]) -> Option<Rational>| {
            let one = move |neuron: &Neuron| {
                let movers = movers(neuron, ways);
                let z = absolute(&neuron.value);
                match z == Rational::ZERO {
                    true => (!movers.is_empty()).then_some(z),
                    false => distance(&z, &movers),
                }
            };
            Radius::least(power, self.neurons.iter().map(one))
        };
        Radii {
            norms: [of(1, in_l1), of(2, squared_in_l2), of(1, in_linf)],
        }
    }
}

/// How fast a number of the input moves a neuron's value towards 0, and how far it may move.
type Mover = (Rational, Option<Rational>);

fn movers(neuron: &Neuron, ways: &Ways) -> Vec<Mover> {
    let mut movers = Vec::new();
    for (g, [down, up]) in neuron.gradient.iter().zip(ways) {
        let lowers = (g > &Rational::ZERO) == (neuron.value > Rational::ZERO);
        let mut sides = match (neuron.value == Rational::ZERO, lowers) {
            (true, _) => vec![down, up],
            (_, true) => vec![down],
            (_, false) => vec![up],
        };
        sides.retain(|way| way.as_ref() != Some(&Rational::ZERO));
        if *g != Rational::ZERO && !sides.is_empty() {
            movers.push((absolute(g), sides[0].clone()));
        }
    }
    movers
}

fn sum(terms: impl Iterator<Item = Rational>) -> Rational {
    reduced(terms.fold(Rational::ZERO, |sum, term| sum + term))
}

fn least(a: &Rational, room: &Option<Rational>) -> Rational {
    match room {
        Some(room) if room < a => room.clone(),
        _ => a.clone(),
    }
}

/// The largest `z` may be lowered by points whose numbers move by `min(pace(i, tau), room)`, solved for `tau` by trying every
/// place between two ends; then the lengths of the moves.
fn solve(z: &Rational, movers: &[Mover], weight: fn(&Rational) -> Rational) -> Option<Rational> {
    let lowered = |tau: &Rational| {
        sum(movers
            .iter()
            .map(|(slope, room)| slope * least(&(tau * weight(slope)), room)))
    };
    let mut ends: Vec<Rational> = movers
        .iter()
        .filter_map(|(slope, room)| Some(room.as_ref()? / weight(slope)))
        .collect();
    ends.sort();
    let mut before = Rational::ZERO;
    for end in ends {
        let there = lowered(&end);
        if there >= *z {
            let here = lowered(&before);
            if there == here {
                return Some(before);
            }
            return Some(reduced(
                &before + (&end - &before) * (z - &here) / (there - &here),
            ));
        }
        before = end;
    }
    let free = movers.iter().filter(|(_, room)| room.is_none());
    let rate = sum(free.map(|(slope, _)| slope * weight(slope)));
    (rate != Rational::ZERO).then(|| reduced(&before + (z - lowered(&before)) / rate))
}

fn in_linf(z: &Rational, movers: &[Mover]) -> Option<Rational> {
    solve(z, movers, |_| Rational::ONE)
}

fn squared_in_l2(z: &Rational, movers: &[Mover]) -> Option<Rational> {
    let tau = solve(z, movers, Clone::clone)?;
    let moves = movers
        .iter()
        .map(|(slope, room)| least(&(&tau * slope), room));
    Some(sum(moves.map(|d| &d * &d)))
}

/// The fractional knapsack.
fn in_l1(z: &Rational, movers: &[Mover]) -> Option<Rational> {
    let mut order: Vec<&Mover> = movers.iter().collect();
    order.sort_by(|a, b| b.0.cmp(&a.0));
    let (mut length, mut left) = (Rational::ZERO, z.clone());
    for (slope, room) in order {
        let step = least(&(&left / slope), room);
        left = reduced(left - slope * &step);
        length = reduced(length + step);
        if left == Rational::ZERO {
            return Some(length);
        }
    }
    None
}
