//! Gradients in row-major order.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor, WithDType, bail};

use crate::{Result, own_loops};

/// The tensor in row-major order: itself, or a copy.
///
/// The gradient of a layer's weight usually arrives transposed, because the
/// layer multiplies by the transpose of its weight. Candle copies it one
/// element per row at a time, missing the cache each time; a transposed matrix
/// on the CPU is therefore copied in tiles here.
pub(super) fn row_major(tensor: &Tensor) -> Result<Tensor> {
    if tensor.is_contiguous() {
        return Ok(tensor.clone());
    }
    if own_loops::serve(tensor.device()) && tensor.rank() == 2 && tensor.is_fortran_contiguous() {
        return Ok(tensor.apply_op1_no_bwd(&Transposed)?);
    }
    Ok(tensor.contiguous()?)
}

/// The row-major copy of a column-major matrix.
struct Transposed;

impl CustomOp1 for Transposed {
    fn name(&self) -> &'static str {
        "row-major"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let copy = match storage {
            CpuStorage::F32(values) => CpuStorage::F32(copy(values, layout)?),
            CpuStorage::F64(values) => CpuStorage::F64(copy(values, layout)?),
            CpuStorage::F16(values) => CpuStorage::F16(copy(values, layout)?),
            CpuStorage::BF16(values) => CpuStorage::BF16(copy(values, layout)?),
            _ => bail!("row-major: expected a floating-point matrix"),
        };
        Ok((copy, layout.shape().clone()))
    }
}

/// The side of a tile: 16 single-precision numbers fill a cache line.
const TILE: usize = 16;

fn copy<T: WithDType>(values: &[T], layout: &Layout) -> candle_core::Result<Vec<T>> {
    let (rows, columns) = layout.shape().dims2()?;
    let mut copy = vec![T::zero(); rows * columns];
    if copy.is_empty() {
        return Ok(copy);
    }
    let values = &values[layout.start_offset()..];
    for (band, target) in copy.chunks_mut(TILE * columns).enumerate() {
        let first_row = band * TILE;
        let height = target.len() / columns;
        for first_column in (0..columns).step_by(TILE) {
            for column in first_column..columns.min(first_column + TILE) {
                let start = column * rows + first_row;
                let source = &values[start..start + height];
                for (row, &value) in source.iter().enumerate() {
                    target[row * columns + column] = value;
                }
            }
        }
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, IndexOp};
    use proptest::prelude::*;

    proptest! {
        /// Offsets, edges of tiles and every kind of layout: the values and
        /// their places are those of the tensor.
        #[test]
        fn the_copy_equals_the_tensor(
            rows in 1usize..50,
            columns in 1usize..50,
            skipped in 0usize..3,
            single in any::<bool>(),
        ) {
            let dtype = if single { DType::F32 } else { DType::F64 };
            let count = (skipped + columns) * rows;
            let base = Tensor::arange(0.0, count as f64, &Device::Cpu)?
                .to_dtype(dtype)?
                .reshape((skipped + columns, rows))?;
            for view in [base.i(skipped..)?.t()?, base.i(skipped..)?, base.i((skipped.., 0..1))?] {
                let copy = row_major(&view)?;
                prop_assert!(copy.is_contiguous());
                prop_assert_eq!(copy.dims(), view.dims());
                let expected = view.to_dtype(DType::F64)?.to_vec2::<f64>()?;
                prop_assert_eq!(copy.to_dtype(DType::F64)?.to_vec2::<f64>()?, expected);
            }
        }
    }
}
