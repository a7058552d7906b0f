//! What rounding left open, decided by exact arithmetic where that is affordable.

use crate::{
    Domain, Linearization, Margins, Norm, Position, Result, Rows,
    equal::EqualNeurons,
    exact::{Exact, ExactPoint, RadiusBounds},
    prepared::EXACT,
};
use candle_core::{DType, Tensor};
use loclin_models::{
    ActivationRecord, Alternatives, NeuronRange, Operator, Trace, operator::UnitPiece,
};
use loclin_tensor::rounding::{SMALLEST, UNIT, leaves_undecided, up};
use rayon::prelude::*;
use std::cmp::Ordering;

/// Neurons at 0 whose gradients are asked for.
const FEW: usize = 8;

/// The inputs with a neuron whose side of 0 is open.
pub(crate) fn open(values: &Rows, errors: &Rows) -> Vec<usize> {
    let has = |input: &usize| {
        let mut both = values[*input].iter().zip(&errors[*input]);
        both.any(|(z, error)| leaves_undecided(*z, *error))
    };
    (0..values.len()).filter(has).collect()
}

/// Puts exact values in the place of those whose side is undecided, and bounds of the errors that these still have: of each of the
/// `open` inputs whose recorded pattern is one of its own. Where exact arithmetic finds units on other pieces, `trace` is turned to the
/// input's own pattern first, and neurons that are `equal` there are found again; where that cannot be, all stays as it is.
///
/// # Errors
/// A tensor computation that fails.
pub(crate) fn decide(
    exact: &Exact,
    inputs: &Tensor,
    trace: &mut Trace,
    open: &[usize],
    (values, errors): (&mut Rows, &mut Rows),
    equal: &mut EqualNeurons,
) -> Result<Decisions> {
    let mut decisions = Decisions::none(values.len());
    if exact.neurons() != values.width() {
        return Ok(decisions);
    }
    let ranges = trace.neuron_ranges()?;
    let x = Rows::of_tensor(&inputs.flatten_from(1)?)?;
    let mut left = open.to_vec();
    // Once as recorded, and once more where a side was turned.
    for round in 0..2 {
        let recorded = left.iter().map(|input| pieces(trace, *input));
        let recorded = recorded.collect::<Result<Vec<_>>>()?;
        let found: Vec<Option<Found>> = left
            .par_iter()
            .zip(&recorded)
            .map(|(input, pieces)| {
                of_input(exact, &x[*input], pieces, &values[*input], &errors[*input])
            })
            .collect();
        let mut again = Vec::new();
        for ((&input, found), pieces) in left.iter().zip(found).zip(&recorded) {
            match found {
                Some(Found::Decided(all)) => {
                    for own in all {
                        values.row_mut(input)[own.at] = own.value;
                        errors.row_mut(input)[own.at] = own.error;
                        decisions.constants[input].extend(own.is_constant.then_some(own.at));
                    }
                }
                Some(Found::Turned(own)) if round == 0 => {
                    let units = changes(&ranges, input, pieces, &own);
                    if let Some(own) = trace.turned(&units)? {
                        *trace = own;
                        equal.forget(input, (&mut *values, &mut *errors));
                        let neurons = neurons_of_units(trace, &ranges, &units)?;
                        move_values(trace, input, &neurons, (&mut *values, &mut *errors))?;
                        equal.find_again(input, trace, (&mut *values, &mut *errors))?;
                        decisions.turned.push(input);
                        again.push(input);
                    }
                }
                _ => {}
            }
        }
        left = again;
    }
    Ok(decisions)
}

/// What [`decide`] found beside values and errors.
pub(crate) struct Decisions {
    /// For each input the neurons at 0 whose gradient is exactly 0.
    pub(crate) constants: Vec<Vec<usize>>,
    /// The inputs whose recorded pattern was not their own.
    pub(crate) turned: Vec<usize>,
}

impl Decisions {
    /// Nothing, of so many inputs.
    pub(crate) fn none(inputs: usize) -> Self {
        Self {
            constants: vec![Vec::new(); inputs],
            turned: Vec::new(),
        }
    }
}

/// The units of an input whose own pieces are not the recorded ones, by their nodes.
fn changes(
    ranges: &[NeuronRange],
    input: usize,
    recorded: &[Vec<u32>],
    own: &[Vec<u32>],
) -> Vec<(usize, UnitPiece)> {
    let nodes = ranges.iter().zip(recorded.iter().zip(own));
    let of_node = |(range, (recorded, own)): (&NeuronRange, (&Vec<u32>, &Vec<u32>))| {
        let node = range.node;
        let both = recorded.iter().zip(own).enumerate();
        let changed = both.filter(|(_, (recorded, own))| recorded != own);
        let of_unit = |(unit, (_, piece)): (usize, (&u32, &u32))| {
            let piece = *piece;
            (node, UnitPiece { input, unit, piece })
        };
        changed.map(of_unit).collect::<Vec<_>>()
    };
    nodes.flat_map(of_node).collect()
}

/// The neurons of each of these units.
fn neurons_of_units(
    trace: &Trace,
    ranges: &[NeuronRange],
    units: &[(usize, UnitPiece)],
) -> Result<Vec<Vec<usize>>> {
    let nodes = trace.network().nodes();
    let mut all = Vec::new();
    for range in ranges {
        let own = units.iter().filter(|(node, _)| *node == range.node);
        let own: Vec<usize> = own.map(|(_, unit)| unit.unit).collect();
        let node = &nodes[range.node];
        let (Operator::PiecewiseLinear(operator), [operand], false) =
            (&node.operator, &node.operands[..], own.is_empty())
        else {
            continue;
        };
        let operand = &nodes[*operand].shape;
        match operator.alternatives(operand)? {
            // A group of `n` entries has `n - 1` neurons.
            Some(Alternatives::Largest(groups)) => {
                let mut starts = vec![range.start];
                for group in &groups {
                    starts.push(starts[starts.len() - 1] + group.len() - 1);
                }
                all.extend(
                    own.into_iter()
                        .map(|unit| (starts[unit]..starts[unit + 1]).collect()),
                );
            }
            // A neuron for each breakpoint; those of the first come first.
            _ => {
                let entries = operand.iter().product();
                let end = range.start + range.count;
                let of_unit = |unit| (range.start + unit..end).step_by(entries).collect();
                all.extend(own.into_iter().map(of_unit));
            }
        }
    }
    Ok(all)
}

/// Takes the values of the neurons of turned units from the trace. They are differences of two of the unit's recorded ones at most, or as near
/// to 0 as can be where the recorded one was within its error.
fn move_values(
    trace: &Trace,
    input: usize,
    units: &[Vec<usize>],
    (values, errors): (&mut Rows, &mut Rows),
) -> Result<()> {
    let Some(new) = trace.narrow(input, 1)?.pre_activations()? else {
        return Ok(());
    };
    let new = new.get(0)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    for neurons in units {
        let own = neurons.iter().map(|at| errors[input][*at]);
        let most = own.fold(0.0, |most: f64, error| match error.is_nan() {
            true => f64::INFINITY,
            false => most.max(error),
        });
        for &at in neurons {
            let rounded = 4.0 * UNIT * new[at].abs() + SMALLEST;
            values.row_mut(input)[at] = new[at];
            errors.row_mut(input)[at] = up(up(2.0 * most) + up(rounded));
        }
    }
    Ok(())
}

/// The pieces of each piecewise-linear node at an input.
fn pieces(trace: &Trace, input: usize) -> Result<Vec<Vec<u32>>> {
    let of = |record: &ActivationRecord| -> Result<Vec<u32>> {
        let pieces = record.pieces()?.get(input)?.to_dtype(DType::U32)?;
        Ok(pieces.flatten_all()?.to_vec1()?)
    };
    trace.records().map(of).collect()
}

/// What exact arithmetic says of an input.
enum Found {
    /// That its pattern is the recorded one, and of open neurons their values.
    Decided(Vec<Decided>),
    /// That it is not, and its own pieces.
    Turned(Vec<Vec<u32>>),
}

/// A neuron's value, and a bound of its error.
struct Decided {
    at: usize,
    value: f64,
    error: f64,
    /// Whether it is 0, as is its gradient.
    is_constant: bool,
}

/// What exact arithmetic says of the open neurons of one input; `None` where it leaves that open.
fn of_input(
    exact: &Exact,
    x: &[f64],
    pieces: &[Vec<u32>],
    values: &[f64],
    errors: &[f64],
) -> Option<Found> {
    let here = exact.at_pattern(x, pieces).ok()?;
    if is_turned(&here, values) {
        // Behind a wrong piece values are not the input's: all are asked again, on the pieces that it is on.
        return Some(Found::Turned(exact.at(x).ok()?.pieces(pieces)));
    }
    let mut decided = Vec::new();
    // Where a neuron at 0 moves, regions meet anyway: others are not looked at.
    let mut left = EXACT / exact.gradient_cost().max(1);
    let mut is_constant = |at: usize| {
        let is = left > 0 && !here.moves(at, false);
        left = if is { left - 1 } else { 0 };
        is
    };
    for (at, (z, error)) in values.iter().zip(errors).enumerate() {
        let (Some(side), true) = (here.side(at), leaves_undecided(*z, *error)) else {
            continue;
        };
        let number = here.pre_activation(at);
        let (low, high) = (number.lower(), number.upper());
        // The end that is nearer to 0, with the other as its error; a number that no float can tell from 0 stays open.
        let (value, far) = match side {
            Ordering::Less => (high, low),
            _ => (low, high),
        };
        let is_constant = side == Ordering::Equal && is_constant(at);
        if value != 0.0 || side == Ordering::Equal {
            let error = match far == value {
                true => 0.0,
                false => up((far - value).abs()),
            };
            decided.push(Decided {
                at,
                value,
                error,
                is_constant,
            });
        }
    }
    Some(Found::Decided(decided))
}

/// Whether a neuron is on another side than recorded; 0 counts as positive.
fn is_turned(here: &ExactPoint<'_>, values: &[f64]) -> bool {
    (0..values.len()).any(|at| match here.side(at) {
        Some(Ordering::Less) => values[at] >= 0.0,
        Some(_) => values[at] < 0.0,
        None => false,
    })
}

/// What exact arithmetic says of the radii of an input, whatever the recorded pattern.
enum Settled {
    /// It lies on the boundary of this neuron: every radius is 0.
    OnBoundary(usize),
    /// One for each norm.
    Radii(Vec<RadiusBounds>),
}

/// `None` where that takes too much.
fn settled(exact: &Exact, x: &[f64], domain: Option<&Domain>, norms: &[Norm]) -> Option<Settled> {
    let here = exact.at(x).ok()?;
    let here = match domain {
        Some(domain) => here.within(domain).ok()?,
        None => here,
    };
    let mut zeros = (0..here.neurons()).filter(|at| here.pre_activation(*at).is_zero());
    match zeros.by_ref().take(FEW).find(|at| here.moves(*at, false)) {
        Some(at) if here.moves(at, true) => Some(Settled::OnBoundary(at)),
        _ => here.radii(norms, EXACT).ok().map(Settled::Radii),
    }
}

impl Linearization {
    /// Margins of inputs of which rounding leaves undecided whether they are 0, by exact arithmetic where it is affordable.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub(crate) fn settle(&self, norms: &[Norm], margins: &mut [Margins]) -> Result<()> {
        let is_open = |input: &usize| {
            let mut all = margins.iter();
            all.any(|of| of.position[*input] == Position::Undecided)
        };
        let open: Vec<usize> = (0..self.batch()).filter(is_open).collect();
        let exact = match open.is_empty() {
            true => None,
            false => self.prepared.exact(),
        };
        let Some(exact) = exact.filter(|exact| exact.neurons() == self.neurons()) else {
            return Ok(());
        };
        let x = Rows::of_tensor(&self.inputs.flatten_from(1)?)?;
        let domain = self.domain().map(|domain| &**domain);
        let found = open
            .par_iter()
            .map(|input| settled(exact, &x[*input], domain, norms));
        let found: Vec<Option<Settled>> = found.collect();
        for (input, found) in open.into_iter().zip(found) {
            match found {
                None => {}
                Some(Settled::OnBoundary(at)) => {
                    let position = self.on_boundary_of(at)?;
                    for of in margins.iter_mut() {
                        of.radius[input] = 0.0;
                        of.limiting[input] = self.neuron(at);
                        of.position[input] = position;
                    }
                }
                Some(Settled::Radii(radii)) => {
                    for (of, radius) in margins.iter_mut().zip(radii) {
                        if radius.lower > of.radius[input] {
                            of.radius[input] = radius.lower;
                            of.limiting[input] = radius.limiting.and_then(|at| self.neuron(at));
                            of.position[input] = Position::Inside;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Where an input is that lies exactly on the boundary of the neuron at a position.
    pub(crate) fn on_boundary_of(&self, at: usize) -> Result<Position> {
        let nodes = self.network().nodes();
        let node = self.neuron(at).and_then(|neuron| nodes.get(neuron.node));
        let Some((Operator::PiecewiseLinear(operator), [operand])) =
            node.map(|node| (&node.operator, &node.operands[..]))
        else {
            return Ok(Position::Boundary);
        };
        Ok(match operator.alternatives(&nodes[*operand].shape)? {
            Some(Alternatives::Largest(_)) => Position::Tie,
            _ => Position::Boundary,
        })
    }
}
