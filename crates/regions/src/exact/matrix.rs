//! An affine operator as a sparse matrix, read out of its own readings.

use super::dyadic::Dyadic;
use super::error::{ExactError, Result};
use super::number::{Number, Total};
use candle_core::{DType, Device, Tensor};
use loclin_models::Affine;
use loclin_tensor::rounding::{SMALLEST, relative};
use rayon::prelude::*;
use std::ops::Range;

/// How many numbers a push of unit tangents may have at a time.
const AT_ONCE: usize = 1 << 22;

/// Weighted sums of the entries of all operands, one after the other, with constants.
#[derive(Debug)]
pub(super) struct Matrix {
    /// Where each row begins among `columns` and `weights`, and where the last one ends.
    starts: Vec<usize>,
    columns: Vec<u32>,
    weights: Vec<f64>,
    /// What each weight can be off by, relative to it; `None` where all are exact.
    relative: Option<Dyadic>,
    offsets: Vec<Number>,
}

impl Matrix {
    /// That of the operator of a node, for one input.
    pub(super) fn read(
        node: &str,
        operator: &dyn Affine,
        operands: &[&[usize]],
        output: &[usize],
    ) -> Result<Self> {
        let Some(magnitude) = operator.magnitude(operands, output)? else {
            let cause = format!("how `{}` rounds", operator.kind());
            return Err(ExactError::unknown(node, cause));
        };
        let rounded = magnitude.rounded_coefficients;
        let height = size(output);
        let mut entries: Vec<(u32, u32, f64)> = Vec::new();
        let mut before = 0;
        for (slot, shape) in operands.iter().enumerate() {
            let width = size(shape);
            let step = (AT_ONCE / (width + height).max(1)).max(1);
            for start in (0..width).step_by(step) {
                let units = start..(start + step).min(width);
                let pushed = push_units(operator, operands, slot, units.clone())?;
                for (unit, column) in units.zip(pushed.chunks(height.max(1))) {
                    for (row, weight) in column.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                        finite(node, *weight)?;
                        if rounded > 0 && weight.is_subnormal() {
                            return Err(ExactError::unknown(node, "a coefficient near 0"));
                        }
                        entries.push((row as u32, (before + unit) as u32, *weight));
                    }
                }
            }
            before += width;
        }
        let mut read = Self::of_entries(entries, height);
        read.relative = match rounded {
            0 => None,
            n => Dyadic::of(relative(n)),
        };
        let offsets =
            numbers(&operator.value(&zeros(operands)?.iter().collect::<Vec<_>>(), output)?)?;
        let errors = match (rounded, magnitude.operator.offset(output)?) {
            (0, _) | (_, None) => vec![0.0; height],
            (n, Some(offset)) => {
                let shape = [&[1], output].concat();
                let sizes = numbers(&offset.broadcast_as(shape)?)?;
                // The sum of absolute values is itself rounded.
                let error = |size: f64| size * relative(n + 8) + n as f64 * SMALLEST;
                sizes.into_iter().map(error).collect()
            }
        };
        for (offset, error) in offsets.into_iter().zip(errors) {
            let (offset, error) = (finite(node, offset)?, finite(node, error)?);
            read.offsets.push(match error.is_zero() {
                true => Number::exact(offset),
                false => Number::within(offset, &error),
            });
        }
        Ok(read)
    }

    /// Entries (row, column, weight) in any order.
    fn of_entries(entries: Vec<(u32, u32, f64)>, height: usize) -> Self {
        let mut starts = vec![0; height + 1];
        for (row, ..) in &entries {
            starts[*row as usize + 1] += 1;
        }
        for row in 0..height {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let (mut columns, mut weights) = (vec![0; entries.len()], vec![0.0; entries.len()]);
        for (row, column, weight) in entries {
            let at = &mut next[row as usize];
            (columns[*at], weights[*at]) = (column, weight);
            *at += 1;
        }
        Self {
            starts,
            columns,
            weights,
            relative: None,
            offsets: Vec::with_capacity(height),
        }
    }

    /// How many weights are not 0.
    pub(super) fn weights(&self) -> usize {
        self.weights.len()
    }

    /// The result, given the entries of all operands.
    pub(super) fn apply(&self, operands: &[&Number]) -> Vec<Number> {
        let row = |row: usize| {
            let mut total = Total::default();
            total.add(&self.offsets[row]);
            for (column, weight) in self.row(row) {
                let x = operands[column];
                if !x.is_zero() {
                    total.add_product(&self.coefficient(weight), x);
                }
            }
            total.number()
        };
        (0..self.offsets.len()).into_par_iter().map(row).collect()
    }

    /// Adds the transpose's result to sums, one for each entry of the operands.
    pub(super) fn pull(&self, cotangents: &[Number], sums: &mut [Total]) {
        for (row, cotangent) in cotangents.iter().enumerate() {
            if cotangent.is_zero() {
                continue;
            }
            for (column, weight) in self.row(row) {
                sums[column].add_product(&self.coefficient(weight), cotangent);
            }
        }
    }

    fn row(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        let span = self.starts[row]..self.starts[row + 1];
        let columns = self.columns[span.clone()].iter().map(|c| *c as usize);
        columns.zip(self.weights[span].iter().copied())
    }

    fn coefficient(&self, weight: f64) -> Number {
        // Finite: it was looked at when it was read.
        let weight = Dyadic::of(weight).unwrap_or(Dyadic::ZERO);
        match &self.relative {
            None => Number::exact(weight),
            Some(relative) => {
                let error = weight.absolute().times(relative);
                Number::within(weight, &error)
            }
        }
    }
}

/// How many entries a shape has.
pub(super) fn size(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The images of unit tangents of one operand, one after the other.
fn push_units(
    operator: &dyn Affine,
    operands: &[&[usize]],
    slot: usize,
    units: Range<usize>,
) -> Result<Vec<f64>> {
    let count = units.len();
    let mut tangents = Vec::with_capacity(operands.len());
    for (other, shape) in operands.iter().enumerate() {
        let width = size(shape);
        let mut values = vec![0.0; count * width];
        if other == slot {
            for (k, unit) in units.clone().enumerate() {
                values[k * width + unit] = 1.0;
            }
        }
        let shape = [&[1, count], *shape].concat();
        tangents.push(Tensor::from_vec(values, shape, &Device::Cpu)?);
    }
    numbers(&operator.push(&tangents.iter().collect::<Vec<_>>())?)
}

/// Operands of one input that are 0.
fn zeros(operands: &[&[usize]]) -> Result<Vec<Tensor>> {
    let one = |shape: &&[usize]| {
        let shape = [&[1], *shape].concat();
        Ok(Tensor::zeros(shape, DType::F64, &Device::Cpu)?)
    };
    operands.iter().map(one).collect()
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.flatten_all()?.to_vec1::<f64>()?)
}

fn finite(node: &str, value: f64) -> Result<Dyadic> {
    Dyadic::of(value).ok_or_else(|| ExactError::NotFinite {
        place: format!("node `{node}`"),
        value,
    })
}
