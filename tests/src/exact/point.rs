//! Values and gradients at one input.

use super::graph::Graph;
use super::map::{Map, Row};
use super::number::{Rational, exact, sum};
use super::parameters::Unsupported;

/// A neuron at an input: a number whose sign is part of the activation pattern.
#[derive(Debug, Clone)]
pub struct Neuron {
    /// Index of its node.
    pub node: usize,
    /// Its value `z`: a pre-activation minus a breakpoint, or the selected entry minus another.
    pub value: Rational,
    /// `dz/dx`, one number for each number of the input.
    pub gradient: Vec<Rational>,
    /// Whether it counts as positive; a neuron at 0 does.
    pub positive: bool,
}

/// A network at one input.
#[derive(Debug, Clone)]
pub struct Point {
    /// All neurons in the library's order: node by node; of an activation with several breakpoints those of the
    /// first breakpoint first; of a maximum group by group, the others in their order.
    pub neurons: Vec<Neuron>,
    /// The output.
    pub output: Vec<Rational>,
    /// Gradients of the outputs.
    pub output_gradients: Vec<Vec<Rational>>,
}

/// A number with its gradient; an empty gradient is 0.
#[derive(Debug, Clone)]
struct Dual {
    value: Rational,
    gradient: Vec<Rational>,
}

impl Graph {
    /// Evaluates it at an input, with the gradient of every neuron and output.
    ///
    /// # Errors
    /// An input of another size, or with a number that is not finite.
    pub fn at(&self, x: &[f64]) -> Result<Point, Unsupported> {
        let number = |v: &f64| exact(*v).ok_or(Unsupported::NotFinite(*v));
        let numbers: Result<Vec<_>, Unsupported> = x.iter().map(number).collect();
        self.at_rational(&numbers?)
    }

    /// The same at an input of rationals.
    ///
    /// # Errors
    /// An input of another size.
    pub fn at_rational(&self, x: &[Rational]) -> Result<Point, Unsupported> {
        if x.len() != self.inputs {
            let (expected, found) = (self.inputs, x.len());
            return Err(Unsupported::Input { expected, found });
        }
        let unit = |(i, v): (usize, &Rational)| {
            let mut gradient = vec![Rational::ZERO; x.len()];
            gradient[i] = Rational::ONE;
            Dual {
                value: v.clone(),
                gradient,
            }
        };
        let input = x.iter().enumerate().map(unit);
        let mut values: Vec<Vec<Dual>> = vec![input.collect()];
        let mut neurons = Vec::new();
        for (index, (map, operands)) in self.nodes.iter().enumerate() {
            let operands: Vec<&Dual> = operands.iter().flat_map(|i| &values[*i]).collect();
            let mut own = Vec::new();
            values.push(match map {
                Map::Affine(rows) => rows.iter().map(|row| affine(row, &operands)).collect(),
                Map::Activation {
                    breakpoints,
                    slopes,
                    anchor,
                } => activation(breakpoints, slopes, anchor, &operands, &mut own),
                Map::Largest(groups) => largest(groups, &operands, &mut own),
            });
            let neuron = |(dual, positive): (Dual, bool)| Neuron {
                node: index + 1,
                value: dual.value,
                gradient: whole(dual.gradient, self.inputs),
                positive,
            };
            neurons.extend(own.into_iter().map(neuron));
        }
        let output = values.pop().unwrap_or_default();
        Ok(Point {
            neurons,
            output: output.iter().map(|d| d.value.clone()).collect(),
            output_gradients: output
                .into_iter()
                .map(|d| whole(d.gradient, self.inputs))
                .collect(),
        })
    }
}

fn whole(gradient: Vec<Rational>, inputs: usize) -> Vec<Rational> {
    if gradient.is_empty() {
        return vec![Rational::ZERO; inputs];
    }
    gradient
}

fn affine(row: &Row, operands: &[&Dual]) -> Dual {
    if let [(weight, entry)] = &row.terms[..]
        && *weight == Rational::ONE
    {
        return shifted(operands[*entry], &row.offset);
    }
    let terms = row.terms.iter().map(|(w, i)| (w, operands[*i]));
    let value = sum(&row.offset, terms.clone().map(|(w, d)| (w, &d.value)));
    let moving: Vec<(&Rational, &Dual)> = terms
        .filter(|(w, d)| **w != Rational::ZERO && !d.gradient.is_empty())
        .collect();
    let length = moving.first().map_or(0, |(_, d)| d.gradient.len());
    let along = |k| {
        sum(
            &Rational::ZERO,
            moving.iter().map(|(w, d)| (*w, &d.gradient[k])),
        )
    };
    Dual {
        value,
        gradient: (0..length).map(along).collect(),
    }
}

fn shifted(dual: &Dual, by: &Rational) -> Dual {
    Dual {
        value: sum(&dual.value, [(by, &Rational::ONE)].into_iter()),
        gradient: dual.gradient.clone(),
    }
}

/// The values; the neurons are `z - t` for each breakpoint `t`.
fn activation(
    breakpoints: &[Rational],
    slopes: &[Vec<Rational>],
    anchor: &Rational,
    operands: &[&Dual],
    neurons: &mut Vec<(Dual, bool)>,
) -> Vec<Dual> {
    for t in breakpoints {
        let t = -t.clone();
        neurons.extend(operands.iter().map(|z| {
            let neuron = shifted(z, &t);
            let positive = neuron.value >= Rational::ZERO;
            (neuron, positive)
        }));
    }
    let unit = |(i, z): (usize, &&Dual)| {
        let slopes = slopes.get(i).unwrap_or(&slopes[0]);
        let piece = breakpoints.iter().filter(|t| z.value >= **t).count();
        // The line through the value at the breakpoint to the left, or at the first one.
        let mut height = anchor.clone();
        for (pair, slope) in breakpoints
            .windows(2)
            .zip(&slopes[1..])
            .take(piece.max(1) - 1)
        {
            height += (&pair[1] - &pair[0]) * slope;
        }
        let slope = &slopes[piece];
        let from = &breakpoints[piece.max(1) - 1];
        height -= from * slope;
        affine(&Row::line(slope.clone(), i, height), operands)
    };
    operands.iter().enumerate().map(unit).collect()
}

/// The values; the neurons are the differences of the selected entry and the others.
fn largest(
    groups: &[Vec<usize>],
    operands: &[&Dual],
    neurons: &mut Vec<(Dual, bool)>,
) -> Vec<Dual> {
    let minus = -Rational::ONE;
    let mut values = Vec::new();
    for group in groups {
        let first = group[0];
        let best = group[1..].iter().fold(first, |best, &i| {
            match operands[i].value > operands[best].value {
                true => i,
                false => best,
            }
        });
        for &other in group.iter().filter(|i| **i != best) {
            let terms = vec![(Rational::ONE, best), (minus.clone(), other)];
            neurons.push((affine(&Row::sum(terms), operands), true));
        }
        values.push(operands[best].clone());
    }
    values
}
