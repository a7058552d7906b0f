//! The inverse of a matrix, differentiable, which Candle lacks.

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor};

use crate::product::{self, View, Write};
use crate::{Error, Result};

/// The inverse of a square matrix `[n, n]` in single or double precision.
///
/// Computed on the host in double precision by Gauss-Jordan elimination with partial pivoting: `n^3`
/// multiply-adds, nearly all of them in products of matrices. The gradient is the analytic one,
/// `-R^T G R^T` for the inverse `R` and the cotangent `G`, two matrix products.
///
/// # Errors
/// [`Error::Inverse`] if the tensor is no square matrix of floats, or (inside [`Error::Tensor`]) if no pivot of
/// a column differs from 0: the matrix is singular, or not finite.
///
/// ```
/// use candle_core::{Device, Tensor};
/// let matrix = Tensor::new(&[[0.0, 2.0], [1.0, 0.0]], &Device::Cpu)?;
/// let inverse = loclin_tensor::inverse(&matrix)?;
/// assert_eq!(inverse.to_vec2::<f64>()?, [[0.0, 1.0], [0.5, 0.0]]);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn inverse(matrix: &Tensor) -> Result<Tensor> {
    let square = matches!(matrix.dims(), [rows, columns] if rows == columns && *rows > 0);
    if !square || !matches!(matrix.dtype(), DType::F32 | DType::F64) {
        return Err(Error::Inverse {
            shape: matrix.shape().clone(),
            cause: format!(
                "expected a square matrix of f32 or f64, found {:?}",
                matrix.dtype()
            ),
        });
    }
    let host = matrix.to_device(&Device::Cpu)?.contiguous()?;
    let inverse = host.apply_op1(Inverse)?;
    Ok(inverse.to_device(matrix.device())?)
}

struct Inverse;

impl CustomOp1 for Inverse {
    fn name(&self) -> &'static str {
        "inverse"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let shape = layout.shape().clone();
        let (n, _) = shape.dims2()?;
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("inverse of a view that is not contiguous")
        };
        let inverted = match storage {
            CpuStorage::F32(values) => {
                let matrix = values[start..end].iter().map(|v| f64::from(*v)).collect();
                let inverse = invert(matrix, n, &shape)?;
                CpuStorage::F32(inverse.into_iter().map(|v| v as f32).collect())
            }
            CpuStorage::F64(values) => {
                let matrix = values[start..end].to_vec();
                CpuStorage::F64(invert(matrix, n, &shape)?)
            }
            _ => candle_core::bail!("inverse of neither f32 nor f64"),
        };
        Ok((inverted, shape))
    }

    fn bwd(
        &self,
        _matrix: &Tensor,
        inverse: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let transposed = inverse.detach().t()?;
        let gradient = transposed.matmul(cotangent)?.matmul(&transposed)?;
        Ok(Some(gradient.neg()?))
    }
}

/// Columns that are eliminated together: enough for a product of matrices, few enough that the elimination inside them
/// costs little.
const BLOCK: usize = 32;

/// Gauss-Jordan elimination in place, by blocks of columns.
///
/// What the elimination of a block does to a matrix is a product with a matrix that differs from the identity in the
/// block's columns alone. These are what the elimination inside the block leaves in its own place, so that the other
/// columns take one product.
fn invert(mut matrix: Vec<f64>, n: usize, shape: &Shape) -> candle_core::Result<Vec<f64>> {
    let mut swaps = Vec::with_capacity(n);
    for start in (0..n).step_by(BLOCK) {
        let width = BLOCK.min(n - start);
        let columns = start..start + width;
        let mut block: Vec<f64> = matrix
            .chunks_exact(n)
            .flat_map(|row| &row[columns.clone()])
            .copied()
            .collect();
        for k in columns.clone() {
            let Some(pivot) = eliminate(&mut block, width, k, k - start) else {
                return Err(candle_core::Error::wrap(Error::Inverse {
                    shape: shape.clone(),
                    cause: format!("column {k} has no pivot: the matrix is singular or not finite"),
                }));
            };
            swap_rows(&mut matrix, n, k, pivot);
            swaps.push(pivot);
        }
        let rows = &mut matrix[start * n..][..width * n];
        let eliminated = rows.to_vec();
        rows.fill(0.0);
        product::multiply_shared(
            &mut matrix,
            Write::Add,
            1.0,
            View::new(&block, n, width).map_err(candle_core::Error::wrap)?,
            View::new(&eliminated, width, n).map_err(candle_core::Error::wrap)?,
        )
        .map_err(candle_core::Error::wrap)?;
        let rows = matrix.chunks_exact_mut(n);
        for (row, of_block) in rows.zip(block.chunks_exact(width)) {
            row[columns.clone()].copy_from_slice(of_block);
        }
    }
    // Rows swapped before the elimination are columns swapped after it, in reverse.
    for (k, pivot) in swaps.into_iter().enumerate().rev() {
        matrix
            .chunks_exact_mut(n)
            .for_each(|row| row.swap(k, pivot));
    }
    Ok(matrix)
}

/// Eliminates column `j` of a block of columns by the largest entry from row `k` on, which is brought to row `k`; the
/// column of the inverse takes its place. The pivot's former row, or nothing if all are 0 or one is not finite.
fn eliminate(block: &mut [f64], width: usize, k: usize, j: usize) -> Option<usize> {
    let size = |row: &usize| block[row * width + j].abs();
    let pivot = (k..block.len() / width)
        .max_by(|a, b| size(a).total_cmp(&size(b)))
        .filter(|row| size(row).is_normal())?;
    swap_rows(block, width, k, pivot);
    let row = &mut block[k * width..][..width];
    let divisor = std::mem::replace(&mut row[j], 1.0);
    row.iter_mut().for_each(|v| *v /= divisor);
    let row = row.to_vec();
    for (i, other) in block.chunks_exact_mut(width).enumerate() {
        if i != k {
            let factor = std::mem::replace(&mut other[j], 0.0);
            let entries = other.iter_mut().zip(&row);
            entries.for_each(|(v, r)| *v -= factor * r);
        }
    }
    Some(pivot)
}

/// Exchanges row `upper` and row `lower`, which is not above it.
fn swap_rows(matrix: &mut [f64], columns: usize, upper: usize, lower: usize) {
    if upper != lower {
        let (above, below) = matrix.split_at_mut(lower * columns);
        above[upper * columns..][..columns].swap_with_slice(&mut below[..columns]);
    }
}
