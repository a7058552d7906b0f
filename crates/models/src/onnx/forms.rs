//! Values as weighted sums of others, number by number: what a selection must know to be continuous.

use super::{message::Node, translator::Translator, value::Value};
use crate::{error::Result, spec::OperatorSpec};
use candle_core::{DType, Tensor};
use std::collections::BTreeMap;

/// So many operators are looked through.
const DEPTH: usize = 6;

/// For each number of a value: weights of the numbers in its place of other nodes, and what is added.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) weights: BTreeMap<usize, Vec<f64>>,
    pub(super) constant: Vec<f64>,
}

impl Form {
    fn constant(values: Vec<f64>) -> Self {
        Self {
            weights: BTreeMap::new(),
            constant: values,
        }
    }

    /// This plus `factor` times another of the same size.
    pub(super) fn plus(mut self, other: &Self, factor: f64) -> Self {
        let add = |to: &mut Vec<f64>, from: &[f64]| {
            to.iter_mut().zip(from).for_each(|(a, b)| *a += factor * b);
        };
        add(&mut self.constant, &other.constant);
        for (base, weights) in &other.weights {
            let zeros = || vec![0.0; weights.len()];
            add(self.weights.entry(*base).or_insert_with(zeros), weights);
        }
        self
    }

    fn times(mut self, factors: &[f64]) -> Self {
        let lists = self.weights.values_mut().chain([&mut self.constant]);
        for list in lists {
            list.iter_mut().zip(factors).for_each(|(a, b)| *a *= b);
        }
        self
    }

    /// The weights and what is added, for number `i`.
    fn at(&self, base: Option<usize>, i: usize) -> f64 {
        match base {
            Some(base) => self.weights.get(&base).map_or(0.0, |weights| weights[i]),
            None => self.constant[i],
        }
    }

    /// For each number the factor by which this is a multiple of `other`; `None` if it is none.
    pub(super) fn multiple_of(&self, other: &Self) -> Option<Vec<f64>> {
        let bases = self.weights.keys().chain(other.weights.keys());
        let bases: Vec<Option<usize>> = bases.map(|base| Some(*base)).chain([None]).collect();
        let factor = |i: usize| {
            let known = bases.iter().find(|base| other.at(**base, i) != 0.0);
            let factor = known.map_or(0.0, |base| self.at(*base, i) / other.at(*base, i));
            let close = bases.iter().all(|base| {
                let (a, b) = (self.at(*base, i), factor * other.at(*base, i));
                // What a division and a product may do.
                (a - b).abs() <= 4.0 * f64::EPSILON * a.abs().max(b.abs())
            });
            (close && factor.is_finite()).then_some(factor)
        };
        (0..self.constant.len()).map(factor).collect()
    }
}

impl<'a> Translator<'a> {
    /// The form of a value, given the shape of one input.
    pub(super) fn form(&mut self, node: &Node<'a>, value: &Value, own: &[usize]) -> Result<Form> {
        let count = own.iter().product();
        self.spend(node, count)?;
        match value {
            Value::Constant(constant) => {
                let whole = node.check(constant.broadcast_to(own))?;
                Ok(Form::constant(whole.as_floats()))
            }
            Value::Dynamic(dynamic) => self.form_of(node, dynamic.node, count, DEPTH),
            _ => Err(node.error("selects between results of comparisons: not continuous")),
        }
    }

    fn form_of(
        &mut self,
        node: &Node<'a>,
        index: usize,
        count: usize,
        depth: usize,
    ) -> Result<Form> {
        self.spend(node, count)?;
        let (operator, operands) = self.nodes().get(index);
        let (operands, shape) = (operands.to_vec(), self.nodes().shape(index).to_vec());
        let spec = operator.spec().filter(|_| depth > 0);
        let parameter = operator
            .parameters()
            .first()
            .map(|(_, tensor)| (*tensor).clone());
        match (spec, parameter) {
            (Some(OperatorSpec::Add), _) => {
                let mut sum = Form::constant(vec![0.0; count]);
                for operand in operands {
                    sum = sum.plus(&self.form_of(node, operand, count, depth - 1)?, 1.0);
                }
                Ok(sum)
            }
            (Some(OperatorSpec::Scale { .. }), Some(scale)) => {
                let below = self.form_of(node, operands[0], count, depth - 1)?;
                Ok(below.times(&whole(&scale, &shape)?))
            }
            (Some(OperatorSpec::Divide { .. }), Some(divisor)) => {
                let below = self.form_of(node, operands[0], count, depth - 1)?;
                Ok(below.times(&whole(&divisor.recip()?, &shape)?))
            }
            (Some(OperatorSpec::Translate { .. }), Some(shift)) => {
                let below = self.form_of(node, operands[0], count, depth - 1)?;
                Ok(below.plus(&Form::constant(whole(&shift, &shape)?), 1.0))
            }
            (Some(OperatorSpec::Reshape { .. } | OperatorSpec::Flatten), _) => {
                self.form_of(node, operands[0], count, depth - 1)
            }
            (_, _) => {
                let mut form = Form::constant(vec![0.0; count]);
                form.weights.insert(index, vec![1.0; count]);
                Ok(form)
            }
        }
    }
}

/// A constant's numbers, repeated to a shape.
fn whole(constant: &Tensor, shape: &[usize]) -> Result<Vec<f64>> {
    let whole = constant.to_dtype(DType::F64)?.broadcast_as(shape)?;
    Ok(whole.flatten_all()?.to_vec1()?)
}
