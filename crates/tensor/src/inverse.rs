//! The inverse of a matrix, differentiable, which Candle lacks.

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor};

use crate::{Error, Result};

/// The inverse of a square matrix `[n, n]` in single or double precision.
///
/// Computed on the host in double precision by Gauss-Jordan elimination with partial pivoting: `n^3`
/// multiply-adds, a tenth of a second for `n = 512`. The gradient is the analytic one,
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

/// Gauss-Jordan elimination in place: column `k` of the inverse takes the place of the eliminated column `k`.
fn invert(mut matrix: Vec<f64>, n: usize, shape: &Shape) -> candle_core::Result<Vec<f64>> {
    let mut swaps = Vec::with_capacity(n);
    for k in 0..n {
        let size = |row: &usize| matrix[row * n + k].abs();
        let pivot = (k..n)
            .max_by(|a, b| size(a).total_cmp(&size(b)))
            .filter(|row| size(row).is_normal());
        let Some(pivot) = pivot else {
            return Err(candle_core::Error::wrap(Error::Inverse {
                shape: shape.clone(),
                cause: format!("column {k} has no pivot: the matrix is singular or not finite"),
            }));
        };
        swaps.push(pivot);
        if pivot != k {
            let (upper, lower) = matrix.split_at_mut(pivot * n);
            upper[k * n..(k + 1) * n].swap_with_slice(&mut lower[..n]);
        }
        let row = &mut matrix[k * n..(k + 1) * n];
        let divisor = std::mem::replace(&mut row[k], 1.0);
        row.iter_mut().for_each(|v| *v /= divisor);
        let row = row.to_vec();
        for (i, other) in matrix.chunks_exact_mut(n).enumerate() {
            if i != k {
                let factor = std::mem::replace(&mut other[k], 0.0);
                other
                    .iter_mut()
                    .zip(&row)
                    .for_each(|(v, r)| *v -= factor * r);
            }
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
