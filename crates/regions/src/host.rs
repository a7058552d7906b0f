//! Tangents on the host, reduced in one pass over memory.
//!
//! Candle's own reductions over a middle dimension are serial and allocate; a margin needs one reading of
//! the tangents, parallel over inputs.

use crate::Result;
use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use rayon::prelude::*;

/// Reads tangents `[B or 1, K, m]` row by row: `visit(result, k, row)` sees the `m` numbers of tangent `k` of
/// the input that `result` belongs to. Inputs in parallel, the rows of one input in order.
pub(crate) fn for_each_row<R: Send>(
    tangents: &Tensor,
    results: &mut [R],
    visit: impl Fn(&mut R, usize, &[f64]) + Sync,
) -> Result<()> {
    let (batch, count, width) = tangents.dims3()?;
    let dtype = if tangents.dtype() == DType::F64 {
        DType::F64
    } else {
        DType::F32
    };
    let tangents = tangents
        .to_device(&Device::Cpu)?
        .to_dtype(dtype)?
        .contiguous()?;
    let (storage, layout) = tangents.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Ok(());
    };
    let block = |input: usize| {
        let start = layout.start_offset() + if batch == 1 { 0 } else { input * count * width };
        start..start + count * width
    };
    results
        .par_iter_mut()
        .enumerate()
        .for_each(|(input, result)| match storage {
            CpuStorage::F32(values) => {
                let mut buffer = vec![0.0; width];
                for (k, row) in values[block(input)].chunks_exact(width).enumerate() {
                    buffer
                        .iter_mut()
                        .zip(row)
                        .for_each(|(b, v)| *b = f64::from(*v));
                    visit(result, k, &buffer);
                }
            }
            CpuStorage::F64(values) => {
                values[block(input)]
                    .chunks_exact(width)
                    .enumerate()
                    .for_each(|(k, row)| visit(result, k, row));
            }
            _ => {}
        });
    Ok(())
}

/// A `[B, n]` tensor as rows of `f64`.
pub(crate) fn rows(tensor: &Tensor) -> Result<Vec<Vec<f64>>> {
    Ok(tensor.to_dtype(DType::F64)?.to_vec2()?)
}
