//! Weighted sums of entries along one dimension.

use super::layout::{refuse, single, times};
use crate::{
    error::Error,
    operator::{Affine, Evaluation, Made, Magnitude, ShapeResult},
    sparse_rows::SparseRows,
    spec::OperatorSpec,
};
use candle_core::{DType, Result, Tensor};
use loclin_tensor::rounding::unit;
use std::sync::Arc;

/// Up to so many terms a sum is made of one gather for each term.
const FEW_TERMS: usize = 8;
/// Up to so many numbers the sums are a product with a dense matrix.
const DENSE: usize = 1 << 20;

/// Each entry along one dimension of the result is a weighted sum of entries along that dimension of the operand: a
/// sparse matrix applied to one dimension.
///
/// Slices with steps, gathers, tiles, paddings of every kind, resizing, cumulative sums and means over a dimension are
/// such maps, as is every selection from a flattened input.
#[derive(Debug, Clone)]
pub struct Resample {
    axis: usize,
    rows: SparseRows,
    columns: SparseRows,
}

impl Resample {
    /// Along dimension `axis` of an input; the batch is not counted.
    ///
    /// # Errors
    /// [`Error::Config`] for rows that are no sparse matrix with at least one row.
    pub fn new(axis: usize, rows: SparseRows) -> crate::error::Result<Self> {
        rows.check().map_err(|cause| Error::Config {
            field: "resample",
            cause,
        })?;
        let columns = rows.transposed();
        Ok(Self {
            axis,
            rows,
            columns,
        })
    }
}

impl Affine for Resample {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Resample {
            axis: self.axis,
            rows: self.rows.clone(),
        })
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        let shape = single(operands)?;
        if shape.get(self.axis) != Some(&self.rows.inputs) {
            let expected = format!(
                "with {} entries in dimension {}",
                self.rows.inputs, self.axis
            );
            return refuse(expected, shape);
        }
        let mut output = shape.to_vec();
        output[self.axis] = self.rows.len();
        Ok(output)
    }

    fn made(&self) -> Made {
        match self.rows.longest() <= 1 && self.rows.weights.is_empty() {
            true => Made::Moved,
            false => Made::Mixed,
        }
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        apply(tangents[0], self.axis + 2, &self.rows)
    }

    fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        Ok(vec![apply(cotangent, self.axis + 2, &self.columns)?])
    }

    fn workspace(&self, operands: &[&[usize]], output: &[usize]) -> usize {
        // What is gathered: a copy of either side, or every term of every sum.
        let size = |shape: &[usize]| shape.iter().fold(1usize, |n, d| n.saturating_mul(*d));
        let operand = operands.first().map_or(0, |shape| size(shape));
        let inner = operand / self.rows.inputs;
        let most = operand.max(size(output));
        most.max(inner.saturating_mul(self.rows.sources.len()))
            .saturating_mul(2)
    }

    fn magnitude(
        &self,
        _operands: &[&[usize]],
        _output: &[usize],
    ) -> crate::error::Result<Option<Magnitude>> {
        let longest = self.rows.longest().max(self.columns.longest());
        let copies = self.rows.weights.is_empty();
        Ok(Some(Magnitude {
            operator: Arc::new(Self {
                axis: self.axis,
                rows: self.rows.absolute(),
                columns: self.columns.absolute(),
            }),
            rounded_coefficients: if copies { 0 } else { 4 },
            // A copy is exact; a weight is rounded to the network's numbers, and so is its product.
            roundings: match (longest, copies) {
                (0 | 1, true) => 0,
                (n, _) => n + 3,
            },
        }))
    }

    fn evaluation(&self, _: &[&[usize]], dtype: DType) -> crate::error::Result<Evaluation> {
        let (rows, terms) = (&self.rows, self.rows.terms as usize);
        Ok(Evaluation {
            roundings: if terms == 0 { 0 } else { terms + 3 },
            partial: match rows.weights.is_empty() {
                true => 1.0,
                false => terms.max(1) as f64,
            },
            fits: 2f64.powi(-(rows.digits.min(1000) as i32)) >= unit(dtype),
            ..Evaluation::default()
        })
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        // ||A||_2^2 <= ||A||_1 ||A||_inf.
        let square = self.rows.largest_sum() * self.columns.largest_sum();
        Ok(bounds[0] * square.sqrt())
    }
}

/// The rows applied to dimension `axis` of `x`.
fn apply(x: &Tensor, axis: usize, rows: &SparseRows) -> Result<Tensor> {
    let longest = rows.longest();
    if longest <= FEW_TERMS {
        let mut total = term(x, axis, rows, 0)?;
        for place in 1..longest {
            total = (total + term(x, axis, rows, place)?)?;
        }
        return Ok(total);
    }
    if rows.inputs.saturating_mul(rows.len()) <= DENSE {
        let last = x.rank() - 1;
        let matrix = dense(rows, x)?;
        let turned = x.transpose(axis, last)?.contiguous()?;
        return times(&turned, &matrix)?.transpose(axis, last)?.contiguous();
    }
    let owners: Vec<u32> = (0..rows.len() as u32)
        .flat_map(|row| rows.span(row as usize).map(move |_| row))
        .collect();
    let sources = Tensor::new(&rows.sources[..], x.device())?;
    let terms = x.contiguous()?.index_select(&sources, axis)?;
    let terms = weighted(terms, axis, &rows.weights)?;
    let mut shape = x.dims().to_vec();
    shape[axis] = rows.len();
    let owners = Tensor::new(owners, x.device())?;
    Tensor::zeros(shape, x.dtype(), x.device())?.index_add(&owners, &terms.contiguous()?, axis)
}

/// Term number `place` of every sum, 0 where a sum has fewer.
fn term(x: &Tensor, axis: usize, rows: &SparseRows, place: usize) -> Result<Tensor> {
    let none = rows.inputs as u32;
    let spans = || (0..rows.len()).map(|row| rows.span(row).nth(place));
    let sources: Vec<u32> = spans()
        .map(|entry| entry.map_or(none, |entry| rows.sources[entry]))
        .collect();
    let x = match sources.contains(&none) {
        true => x.pad_with_zeros(axis, 0, 1)?,
        false => x.clone(),
    };
    let sources = Tensor::new(sources, x.device())?;
    let picked = x.contiguous()?.index_select(&sources, axis)?;
    if rows.weights.is_empty() {
        return Ok(picked);
    }
    let weights: Vec<f64> = spans()
        .map(|entry| entry.map_or(0.0, |entry| rows.weights[entry]))
        .collect();
    weighted(picked, axis, &weights)
}

/// `x` times a weight for each entry of dimension `axis`; as it is without weights.
fn weighted(x: Tensor, axis: usize, weights: &[f64]) -> Result<Tensor> {
    if weights.is_empty() {
        return Ok(x);
    }
    let mut shape = vec![1; x.rank()];
    shape[axis] = weights.len();
    let weights = Tensor::from_slice(weights, shape, x.device())?.to_dtype(x.dtype())?;
    x.broadcast_mul(&weights)
}

/// The transposed matrix `[inputs, rows]` in the dtype and on the device of `like`.
fn dense(rows: &SparseRows, like: &Tensor) -> Result<Tensor> {
    let mut values = vec![0f64; rows.inputs * rows.len()];
    for row in 0..rows.len() {
        for entry in rows.span(row) {
            values[rows.sources[entry] as usize * rows.len() + row] += rows.weight(entry);
        }
    }
    let matrix = Tensor::from_vec(values, (rows.inputs, rows.len()), like.device())?;
    match like.dtype() {
        DType::F64 => Ok(matrix),
        dtype => matrix.to_dtype(dtype),
    }
}
