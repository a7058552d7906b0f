//! Sums that an engine computes beside the tensor library, as scalars with analytic gradients.

use crate::Result;
use candle_core::Tensor;
use loclin_models::{ActivationRecord, Trace};
use loclin_tensor::{
    product::{self, Real},
    with_gradients,
};

/// The slopes of each piecewise-linear node at all inputs, row-major `[B, units]`.
pub(crate) fn slopes<T: Real>(trace: &Trace) -> Result<Vec<Vec<T>>> {
    let read = trace.records().map(|record| {
        let slopes = slopes_of(record)?.flatten_all()?.to_dtype(T::DTYPE)?;
        slopes.to_vec1::<T>()
    });
    Ok(read.collect::<candle_core::Result<_>>()?)
}

/// The slopes that an activation recorded, `[B, in...]`.
pub(crate) fn slopes_of(record: &ActivationRecord) -> candle_core::Result<&Tensor> {
    let found = record.slopes()?;
    found.ok_or_else(|| candle_core::Error::Msg("an activation without recorded slopes".into()))
}

/// Whether any of the parameters is being differentiated in.
pub(crate) fn is_tracked(parameters: &[Tensor]) -> bool {
    parameters.iter().any(Tensor::track_op)
}

/// `factor` times a sum as a scalar `[]`. `compute` is given the parameters, row-major, and gives the sum and `factor`
/// times its gradients in them, which may be left out where the parameters are not tracked.
pub(crate) fn scalar<T: Real>(
    parameters: &[Tensor],
    factor: f64,
    compute: impl FnOnce(Vec<&[T]>) -> loclin_tensor::Result<(f64, Vec<Vec<T>>)>,
) -> Result<Tensor> {
    let detached = parameters
        .iter()
        .map(|parameter| parameter.detach().contiguous())
        .collect::<candle_core::Result<Vec<_>>>()?;
    let storages: Vec<_> = detached.iter().map(Tensor::storage_and_layout).collect();
    let slices = storages
        .iter()
        .map(|(storage, layout)| product::slice(storage, layout))
        .collect::<loclin_tensor::Result<Vec<&[T]>>>()?;
    let (sum, gradients) = compute(slices)?;
    if !is_tracked(parameters) {
        let device = detached[0].device();
        return Ok(Tensor::new(sum * factor, device)?.to_dtype(T::DTYPE)?);
    }
    let parts = parameters
        .iter()
        .zip(gradients)
        .map(|(parameter, gradient)| {
            let gradient = product::tensor(gradient, parameter.dims())?;
            Ok((parameter.clone(), gradient))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(with_gradients(sum * factor, &parts)?)
}
