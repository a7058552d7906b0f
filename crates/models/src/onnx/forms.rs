//! Values as weighted sums of others, number by number: what a selection must know to be continuous.

use super::{message::Node, translator::Translator, value::Value};
use crate::{error::Result, operator::Operator, spec::OperatorSpec};
use candle_core::{DType, Device, Tensor};
use dashu_ratio::RBig;
use std::{collections::BTreeMap, sync::Arc};

/// So many operators are looked through.
const DEPTH: usize = 6;

/// A number for each number of a value, or one for all. None is rounded.
type Numbers = Vec<RBig>;

/// Numbers of a node, and how they are moved, each step as its specification is written.
type Base = (usize, Vec<String>);

/// For each number of a value: weights of the numbers that other nodes, moved, have in its place, and what is added.
#[derive(Debug, Clone)]
pub(super) struct Form {
    weights: BTreeMap<Base, Numbers>,
    constant: Numbers,
}

impl Form {
    fn constant(constant: Numbers) -> Self {
        let weights = BTreeMap::new();
        Self { weights, constant }
    }

    /// A node's numbers themselves.
    fn node(index: usize) -> Self {
        let mut form = Self::constant(vec![RBig::ZERO]);
        form.weights.insert((index, Vec::new()), vec![RBig::ONE]);
        form
    }

    /// Whether all that it holds is the same for all numbers.
    fn is_uniform(&self) -> bool {
        self.weights
            .values()
            .chain([&self.constant])
            .all(|own| own.len() == 1)
    }

    /// Moved by a step whose results are the numbers `sources` of its operand, which nobody reads of a uniform one.
    fn moved(self, step: &str, sources: &[usize]) -> Self {
        let moved = |numbers: Numbers| match numbers.len() {
            1 => numbers,
            _ => sources.iter().map(|from| numbers[*from].clone()).collect(),
        };
        let weights = self.weights.into_iter().map(|((node, mut steps), own)| {
            steps.push(step.into());
            ((node, steps), moved(own))
        });
        Self {
            weights: weights.collect(),
            constant: moved(self.constant),
        }
    }

    /// How many numbers it holds.
    fn len(&self) -> usize {
        let all = self.weights.values().chain([&self.constant]);
        all.map(Vec::len).sum()
    }

    /// Whether it is a node's numbers themselves, or a constant.
    pub(super) fn is_plain(&self) -> bool {
        let is = |all: &Numbers, number: &RBig| all.iter().all(|own| own == number);
        match self.weights.len() {
            0 => true,
            1 => {
                is(&self.constant, &RBig::ZERO)
                    && self.weights.values().all(|own| is(own, &RBig::ONE))
            }
            _ => false,
        }
    }

    fn plus(mut self, other: &Self) -> Self {
        self.constant = both(&self.constant, &other.constant, |a, b| a + b);
        for (base, weights) in &other.weights {
            let own = self.weights.remove(base).unwrap_or(vec![RBig::ZERO]);
            let sum = both(&own, weights, |a, b| a + b);
            self.weights.insert(base.clone(), sum);
        }
        self
    }

    /// This less another.
    pub(super) fn minus(self, other: &Self) -> Self {
        self.plus(&other.clone().each(&vec![-RBig::ONE], |a, b| a * b))
    }

    /// Each number by `of` with one of a constant.
    fn each(mut self, numbers: &Numbers, of: fn(&RBig, &RBig) -> RBig) -> Self {
        for own in self.weights.values_mut().chain([&mut self.constant]) {
            *own = both(own, numbers, of);
        }
        self
    }

    /// The factors by which this is a multiple of `other`, one for each number or one for all; `None` if it is none.
    pub(super) fn multiple_of(&self, other: &Self) -> Option<Numbers> {
        let zero = vec![RBig::ZERO];
        let bases = self.weights.keys().chain(other.weights.keys());
        let of = |form: &'_ Self, base: &Base| form.weights.get(base).unwrap_or(&zero).clone();
        let mut pairs = vec![(self.constant.clone(), other.constant.clone())];
        pairs.extend(bases.map(|base| (of(self, base), of(other, base))));
        let lengths = pairs.iter().flat_map(|(a, b)| [a.len(), b.len()]);
        let count = lengths.max().unwrap_or(1);
        let factor = |i: usize| {
            let mut own = pairs.iter().map(|(a, b)| (at(a, i), at(b, i)));
            let known = own.clone().find(|(_, b)| !b.is_zero());
            let factor = known.map_or(RBig::ZERO, |(a, b)| a / b);
            own.all(|(a, b)| *a == b * &factor).then_some(factor)
        };
        (0..count).map(factor).collect()
    }
}

/// Number `i`, where there may be one for all.
fn at(numbers: &Numbers, i: usize) -> &RBig {
    &numbers[if numbers.len() == 1 { 0 } else { i }]
}

fn both(a: &Numbers, b: &Numbers, of: fn(&RBig, &RBig) -> RBig) -> Numbers {
    (0..a.len().max(b.len()))
        .map(|i| of(at(a, i), at(b, i)))
        .collect()
}

impl<'a> Translator<'a> {
    /// The form of a value, given the shape of one input.
    pub(super) fn form(&mut self, node: &Node<'a>, value: &Value, own: &[usize]) -> Result<Form> {
        match value {
            Value::Constant(constant) if constant.len() == 1 => {
                Ok(Form::constant(exact(node, &constant.as_floats())?))
            }
            Value::Constant(constant) => {
                self.spend(node, own.iter().product())?;
                let whole = node.check(constant.broadcast_to(own))?;
                let numbers = exact(node, &whole.as_floats())?;
                Ok(Form::constant(numbers))
            }
            Value::Dynamic(dynamic) => self.form_of(node, dynamic.node, DEPTH),
            _ => Err(node.error("selects between results of comparisons: not continuous")),
        }
    }

    fn form_of(&mut self, node: &Node<'a>, index: usize, depth: usize) -> Result<Form> {
        let (operator, operands) = self.nodes().get(index);
        let (operands, shape) = (operands.to_vec(), self.nodes().shape(index).to_vec());
        let spec = operator.spec().filter(|_| depth > 0);
        let parameter = operator
            .parameters()
            .first()
            .map(|(_, tensor)| (*tensor).clone());
        self.spend(
            node,
            parameter_length(spec.as_ref(), parameter.as_ref(), &shape),
        )?;
        let form = match (spec, parameter) {
            (Some(spec), _) if is_move(&spec) => {
                let below = self.form_of(node, operands[0], depth - 1)?;
                let sources = match below.is_uniform() {
                    true => Vec::new(),
                    false => self.sources(node, index)?,
                };
                let step = format!("{spec:?}");
                self.spend(node, step.len())?;
                below.moved(&step, &sources)
            }
            (Some(OperatorSpec::Add), _) => {
                let mut sum = Form::constant(vec![RBig::ZERO]);
                for operand in operands {
                    sum = sum.plus(&self.form_of(node, operand, depth - 1)?);
                }
                sum
            }
            (Some(OperatorSpec::Scale { .. }), Some(scale)) => {
                let below = self.form_of(node, operands[0], depth - 1)?;
                below.each(&whole(node, &scale, &shape)?, |a, b| a * b)
            }
            (Some(OperatorSpec::Divide { .. }), Some(divisor)) => {
                let below = self.form_of(node, operands[0], depth - 1)?;
                let divisor = whole(node, &divisor, &shape)?;
                match divisor.iter().any(RBig::is_zero) {
                    true => Form::node(index),
                    false => below.each(&divisor, |a, b| a / b),
                }
            }
            (Some(OperatorSpec::Translate { .. }), Some(shift)) => {
                let below = self.form_of(node, operands[0], depth - 1)?;
                below.plus(&Form::constant(whole(node, &shift, &shape)?))
            }
            (Some(OperatorSpec::Reshape { .. } | OperatorSpec::Flatten), _) => {
                self.form_of(node, operands[0], depth - 1)?
            }
            _ => Form::node(index),
        };
        self.spend(node, form.len())?;
        Ok(form)
    }

    /// Of which entry of its operand each entry of a node's result is the number, which moves them to other places.
    fn sources(&mut self, node: &Node<'a>, index: usize) -> Result<Vec<usize>> {
        let (operator, operands) = self.nodes().get(index);
        let Operator::Affine(operator) = operator else {
            return Err(node.error("moves numbers by another operator"));
        };
        let operator = Arc::clone(operator);
        let from = self.nodes().shape(operands[0]).to_vec();
        let count = from.iter().product();
        self.spend(node, count)?;
        let places: Vec<f64> = (0..count).map(|place| place as f64).collect();
        let places = Tensor::from_vec(places, [&[1, 1], &from[..]].concat(), &Device::Cpu)?;
        let places = operator.push(&[&places])?.flatten_all()?.to_vec1::<f64>()?;
        Ok(places.iter().map(|place| *place as usize).collect())
    }
}

/// Whether an operator does nothing but put numbers of its one operand in other places: all that it gives are such.
pub(super) fn is_move(spec: &OperatorSpec) -> bool {
    match spec {
        OperatorSpec::Transpose { .. } | OperatorSpec::Slice { .. } => true,
        OperatorSpec::Resample { rows, .. } => rows.are_copies(),
        _ => false,
    }
}

/// How many numbers [`whole`] makes of an operator's parameter; 1 where it is not read.
pub(super) fn parameter_length(
    spec: Option<&OperatorSpec>,
    parameter: Option<&Tensor>,
    shape: &[usize],
) -> usize {
    let is_read = matches!(
        spec,
        Some(
            OperatorSpec::Scale { .. }
                | OperatorSpec::Divide { .. }
                | OperatorSpec::Translate { .. }
        )
    );
    match parameter.filter(|own| is_read && own.elem_count() != 1) {
        Some(_) => shape.iter().product(),
        None => 1,
    }
}

/// A constant's numbers, repeated to a shape; one stays one.
pub(super) fn whole(node: &Node<'_>, constant: &Tensor, shape: &[usize]) -> Result<Numbers> {
    let constant = constant.to_dtype(DType::F64)?;
    let whole = match constant.elem_count() {
        1 => constant,
        _ => constant.broadcast_as(shape)?,
    };
    exact(node, &whole.flatten_all()?.to_vec1()?)
}

/// Floats as they are; one for all of equal ones.
fn exact(node: &Node<'_>, numbers: &[f64]) -> Result<Numbers> {
    let number = |x: &f64| {
        RBig::try_from(*x).map_err(|_| node.error(format!("selects by {x}, which is no number")))
    };
    match numbers {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => Ok(vec![number(first)?]),
        _ => numbers.iter().map(number).collect(),
    }
}
