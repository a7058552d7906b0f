//! Piecewise-linear operators as activations and maxima.

use super::layout::{indices, ravel, size, under};
use super::map::Map;
use super::number::{Rational, exact};
use super::parameters::{Parameters, Unsupported};
use loclin_models::operators::OperatorSpec;

/// The map of a piecewise-linear operator, given the shapes of its operand and of its result.
pub(super) fn map(
    spec: &OperatorSpec,
    parameters: &Parameters,
    operand: &[usize],
    shape: &[usize],
) -> Result<Map, Unsupported> {
    let number = |value: &f64| exact(*value).ok_or(Unsupported::NotFinite(*value));
    Ok(match spec {
        OperatorSpec::Activation {
            breakpoints,
            slopes,
            anchor,
        } => Map::Activation {
            breakpoints: breakpoints.iter().map(number).collect::<Result<_, _>>()?,
            slopes: vec![slopes.iter().map(number).collect::<Result<_, _>>()?],
            anchor: number(anchor)?,
        },
        OperatorSpec::MaxPool2d { window } => {
            let group = |i: Vec<usize>| {
                under(window, operand, i[1], i[2])
                    .into_iter()
                    .map(|(_, _, row, column)| ravel(&[i[0], row, column], operand))
                    .collect()
            };
            Map::Largest(indices(shape).map(group).collect())
        }
        OperatorSpec::Maxout { pieces } => {
            let inner = size(&operand[1..]);
            let group = |i: usize| {
                let (channel, rest) = (i / inner, i % inner);
                let entry = |piece| (channel * pieces + piece) * inner + rest;
                (0..*pieces).map(entry).collect()
            };
            Map::Largest((0..size(shape)).map(group).collect())
        }
        OperatorSpec::Prelu { channels } => {
            let (_, weight) = parameters.get("weight")?;
            let inner = size(&operand[1..]);
            let slopes = |channel: usize| vec![weight[channel].clone(), Rational::ONE];
            Map::Activation {
                breakpoints: vec![Rational::ZERO],
                slopes: match channels {
                    1 => vec![slopes(0)],
                    _ => (0..size(operand)).map(|i| slopes(i / inner)).collect(),
                },
                anchor: Rational::ZERO,
            }
        }
        other => return Err(Unsupported::Operator(other.kind())),
    })
}
