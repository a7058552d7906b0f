//! Piecewise-linear operators.

use super::dyadic::Dyadic;
use super::error::{ExactError, Result};
use super::matrix::size;
use super::number::{Number, Total};
use loclin_models::Alternatives;
use std::cmp::Ordering;

/// What an operator selects from.
#[derive(Debug)]
pub(super) enum Choices {
    Lines(Lines),
    /// Groups of entries.
    Largest(Vec<Vec<u32>>),
}

/// Continuous piecewise-linear functions with common breakpoints.
#[derive(Debug)]
pub(super) struct Lines {
    breakpoints: Vec<Dyadic>,
    /// Slopes, and the values at the breakpoints: of all entries, or of each.
    functions: Vec<(Vec<Dyadic>, Vec<Dyadic>)>,
}

/// What was selected at an operand.
#[derive(Debug)]
pub(super) enum Selected {
    /// The slope of each entry; between two where the piece is undecided.
    Slopes(Vec<Number>),
    /// For each group, the entries that can be its largest, the selected one first.
    Entries(Vec<Vec<u32>>),
}

/// A neuron as a function of the operand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// An entry minus a constant.
    Entry(usize),
    /// An entry minus another.
    Difference(usize, usize),
    /// The same, where it is undecided which entry of the group is the largest: perhaps the neuron is another difference.
    Open(usize, usize),
}

impl Choices {
    /// Those of the operator of a node.
    ///
    /// # Errors
    /// Numbers that are not finite, or that do not fit each other or the shapes.
    pub(super) fn of(
        node: &str,
        alternatives: Alternatives,
        operand: &[usize],
        output: &[usize],
    ) -> Result<Self> {
        let (entries, units) = (size(operand), size(output));
        let fits = match &alternatives {
            Alternatives::Lines {
                breakpoints,
                slopes,
                ..
            } => {
                !breakpoints.is_empty()
                    && breakpoints.windows(2).all(|pair| pair[0] < pair[1])
                    && (slopes.len() == 1 || slopes.len() == entries)
                    && slopes.iter().all(|s| s.len() == breakpoints.len() + 1)
                    && units == entries
            }
            Alternatives::Largest(groups) => {
                let inside = |group: &Vec<u32>| {
                    !group.is_empty() && group.iter().all(|entry| (*entry as usize) < entries)
                };
                groups.len() == units && groups.iter().all(inside)
            }
        };
        if !fits {
            return Err(ExactError::unknown(node, "alternatives that do not fit"));
        }
        Ok(match alternatives {
            Alternatives::Lines {
                breakpoints,
                slopes,
                anchor,
            } => Self::Lines(Lines::of(node, &breakpoints, &slopes, anchor)?),
            Alternatives::Largest(groups) => Self::Largest(groups),
        })
    }

    /// How many neurons an operand with so many entries has.
    pub(super) fn neurons(&self, entries: usize) -> usize {
        self.units(entries).iter().map(|pieces| pieces - 1).sum()
    }

    /// For each unit of an operand with so many entries the number of pieces that it can choose from.
    pub(super) fn units(&self, entries: usize) -> Vec<usize> {
        match self {
            Self::Lines(lines) => vec![lines.breakpoints.len() + 1; entries],
            Self::Largest(groups) => groups.iter().map(Vec::len).collect(),
        }
    }

    /// The values and what was selected; the neurons, in the operator's order, go to `neurons`.
    pub(super) fn apply(
        &self,
        operand: &[Number],
        neurons: &mut Vec<(Place, Number)>,
    ) -> (Vec<Number>, Selected) {
        match self {
            Self::Lines(lines) => {
                lines.neurons(operand, neurons);
                let entries = operand.iter().enumerate();
                let (values, slopes) = entries.map(|(i, z)| lines.at(i, z)).unzip();
                (values, Selected::Slopes(slopes))
            }
            Self::Largest(groups) => {
                let (mut values, mut entries) = (Vec::new(), Vec::new());
                for group in groups {
                    let candidates = candidates(group, operand);
                    let best = candidates[0] as usize;
                    for other in group.iter().map(|i| *i as usize).filter(|i| *i != best) {
                        let difference = operand[best].minus(&operand[other]);
                        neurons.push(match candidates.len() {
                            1 => (Place::Difference(best, other), difference),
                            _ => (Place::Open(best, other), difference),
                        });
                    }
                    values.push(largest(&candidates, operand));
                    entries.push(candidates);
                }
                (values, Selected::Entries(entries))
            }
        }
    }

    /// The pieces that an operand is on by what was selected and by the `sides` of its neurons, where both leave no choice; else, where it
    /// may be one of them, the `recorded` one.
    pub(super) fn pieces(
        &self,
        selected: &Selected,
        sides: &[Option<Ordering>],
        recorded: &[u32],
    ) -> Vec<u32> {
        match (self, selected) {
            (Self::Largest(groups), Selected::Entries(entries)) => {
                let both = groups.iter().zip(entries).zip(recorded);
                let piece = |((group, candidates), recorded): ((&Vec<u32>, &Vec<u32>), &u32)| {
                    let is = |piece: &u32| candidates.contains(&group[*piece as usize]);
                    let first = || group.iter().position(|entry| *entry == candidates[0]);
                    match candidates.len() > 1 && is(recorded) {
                        true => *recorded,
                        false => first().map_or(*recorded, |piece| piece as u32),
                    }
                };
                both.map(piece).collect()
            }
            _ => {
                // Neurons of the first breakpoint come first.
                let entries = recorded.len().max(1);
                let piece = |(unit, recorded): (usize, &u32)| {
                    let own = sides[unit..].iter().step_by(entries).zip(1u32..);
                    let above = own.filter(|(side, piece)| match side {
                        Some(side) => side.is_ge(),
                        None => recorded >= piece,
                    });
                    above.count() as u32
                };
                recorded.iter().enumerate().map(piece).collect()
            }
        }
    }

    /// [`Choices::apply`] on given pieces, each below its number in [`Choices::units`], whether the operand is on them or not. A value
    /// holds what the other pieces have there, too, that the operand's interval leaves open.
    pub(super) fn apply_pieces(
        &self,
        operand: &[Number],
        pieces: &[u32],
        neurons: &mut Vec<(Place, Number)>,
    ) -> (Vec<Number>, Selected) {
        match self {
            Self::Lines(lines) => {
                lines.neurons(operand, neurons);
                let units = operand.iter().zip(pieces).enumerate();
                let on = units.map(|(i, (z, piece))| lines.on(i, z, *piece as usize));
                let (values, slopes) = on.unzip();
                (values, Selected::Slopes(slopes))
            }
            Self::Largest(groups) => {
                let (mut values, mut entries) = (Vec::new(), Vec::new());
                for (group, piece) in groups.iter().zip(pieces) {
                    let selected = group[*piece as usize];
                    let own = selected as usize;
                    for other in group.iter().map(|i| *i as usize).filter(|i| *i != own) {
                        let difference = operand[own].minus(&operand[other]);
                        neurons.push((Place::Difference(own, other), difference));
                    }
                    let open = group.iter().map(|i| &operand[*i as usize]);
                    let open = open.filter(|other| {
                        !(other.is_exact() && operand[own].is_exact())
                            && other.high() >= operand[own].low()
                            && operand[own].high() >= other.low()
                    });
                    let hull = |hull: Number, other: &Number| hull.hull(other);
                    values.push(open.fold(operand[own].clone(), hull));
                    entries.push(vec![selected]);
                }
                (values, Selected::Entries(entries))
            }
        }
    }
}

impl Lines {
    /// The neurons of an operand: each entry minus each breakpoint.
    fn neurons(&self, operand: &[Number], neurons: &mut Vec<(Place, Number)>) {
        for t in &self.breakpoints {
            let t = Number::exact(t.negated());
            let entries = operand.iter().enumerate();
            neurons.extend(entries.map(|(i, z)| (Place::Entry(i), z.plus(&t))));
        }
    }

    /// Value and slope of entry `i` at `z` on one piece, extended to all numbers.
    fn on(&self, i: usize, z: &Number, piece: usize) -> (Number, Number) {
        let (slopes, heights) = self.functions.get(i).unwrap_or(&self.functions[0]);
        let from = piece.saturating_sub(1);
        let start = Number::exact(self.breakpoints[from].clone());
        let slope = Number::exact(slopes[piece].clone());
        let rise = z.minus(&start).times(&slope);
        let value = Number::exact(heights[from].clone()).plus(&rise);
        // Of an interval that holds a breakpoint it is not known which piece its number is on.
        let inside = |t: &Dyadic| z.low() <= t && t <= z.high();
        let value = match !z.is_exact() && self.breakpoints.iter().any(inside) {
            true => value.hull(&self.at(i, z).0),
            false => value,
        };
        (value, slope)
    }

    fn of(node: &str, breakpoints: &[f64], slopes: &[Vec<f64>], anchor: f64) -> Result<Self> {
        let number = |value: &f64| {
            Dyadic::of(*value).ok_or_else(|| ExactError::NotFinite {
                place: format!("node `{node}`"),
                value: *value,
            })
        };
        let breakpoints: Vec<Dyadic> = breakpoints.iter().map(number).collect::<Result<_>>()?;
        let anchor = number(&anchor)?;
        let function = |slopes: &Vec<f64>| {
            let slopes: Vec<Dyadic> = slopes.iter().map(number).collect::<Result<_>>()?;
            let mut heights = vec![anchor.clone()];
            for (pair, slope) in breakpoints.windows(2).zip(&slopes[1..]) {
                let rise = pair[1].minus(&pair[0]).times(slope);
                let height = heights.last().map_or(rise.clone(), |last| last.plus(&rise));
                heights.push(height);
            }
            Ok((slopes, heights))
        };
        let functions = slopes.iter().map(function).collect::<Result<_>>()?;
        Ok(Self {
            breakpoints,
            functions,
        })
    }

    /// Value and slope of entry `i` at `z`.
    fn at(&self, i: usize, z: &Number) -> (Number, Number) {
        let (slopes, heights) = self.functions.get(i).unwrap_or(&self.functions[0]);
        let piece = |z: &Dyadic| self.breakpoints.iter().filter(|t| *z >= **t).count();
        let value = |z: &Dyadic| {
            let piece = piece(z);
            let from = piece.saturating_sub(1);
            let along = z.minus(&self.breakpoints[from]).times(&slopes[piece]);
            Number::exact(heights[from].plus(&along))
        };
        let (first, last) = (piece(z.low()), piece(z.high()));
        let ends = match z.is_exact() {
            true => value(z.low()),
            false => value(z.low()).hull(&value(z.high())),
        };
        let inside = heights[first..last].iter().cloned().map(Number::exact);
        let slope = slopes[first..=last].iter().cloned().map(Number::exact);
        (
            inside.fold(ends, |hull, height| hull.hull(&height)),
            slope
                .reduce(|hull, slope| hull.hull(&slope))
                .unwrap_or(Number::ZERO),
        )
    }
}

/// The entries of a group that can be its largest, first the one with the largest lower bound, of equal ones the first. Among exact
/// numbers it is the only one.
fn candidates(group: &[u32], operand: &[Number]) -> Vec<u32> {
    let low = |i: u32| operand[i as usize].low();
    let best = group[1..].iter().fold(
        group[0],
        |best, &i| {
            if low(i) > low(best) { i } else { best }
        },
    );
    let mut candidates = vec![best];
    let others = group.iter().copied().filter(|i| {
        let other = &operand[*i as usize];
        let both_exact = other.is_exact() && operand[best as usize].is_exact();
        *i != best && !both_exact && other.high() >= low(best)
    });
    candidates.extend(others);
    candidates
}

fn largest(candidates: &[u32], operand: &[Number]) -> Number {
    let low = operand[candidates[0] as usize].low().clone();
    let highs = candidates.iter().map(|i| operand[*i as usize].high());
    let high = highs.fold(low.clone(), |most, high| most.max(high.clone()));
    Number::between(low, high)
}

impl Selected {
    /// Adds what cotangents of the output become to sums, one for each entry of the operand.
    pub(super) fn pull(&self, cotangents: &[Number], sums: &mut [Total]) {
        match self {
            Self::Slopes(slopes) => {
                for ((sum, slope), cotangent) in sums.iter_mut().zip(slopes).zip(cotangents) {
                    sum.add_product(slope, cotangent);
                }
            }
            Self::Entries(groups) => {
                for (group, cotangent) in groups.iter().zip(cotangents) {
                    match &group[..] {
                        [only] => sums[*only as usize].add(cotangent),
                        several => {
                            let any = cotangent.hull(&Number::ZERO);
                            several
                                .iter()
                                .for_each(|entry| sums[*entry as usize].add(&any));
                        }
                    }
                }
            }
        }
    }
}

impl Place {
    /// Whether the neuron is certainly this one.
    pub(super) fn is_certain(self) -> bool {
        !matches!(self, Self::Open(..))
    }

    /// Adds the neuron's gradient with respect to the operand.
    pub(super) fn start(self, sums: &mut [Total]) {
        let one = Number::exact(Dyadic::new(1.into(), 0));
        match self {
            Self::Entry(i) => sums[i].add(&one),
            Self::Difference(i, j) | Self::Open(i, j) => {
                sums[i].add(&one);
                sums[j].add(&one.negated());
            }
        }
    }
}
