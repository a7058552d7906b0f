//! Arrays and words as the library takes them.

use anyhow::bail;
use candle_core::{DType, Device, Tensor};
use loclin::regions::{Domain, Norm};
use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::Arc;

/// A contiguous array of numbers; Python has converted all other kinds.
#[derive(FromPyObject)]
pub(crate) enum Array<'py> {
    /// In float64.
    Double(PyReadonlyArrayDyn<'py, f64>),
    /// In float32.
    Single(PyReadonlyArrayDyn<'py, f32>),
}

impl Array<'_> {
    /// A copy as a tensor in float64: the only one that is made of inputs.
    ///
    /// # Errors
    /// An array that is not contiguous.
    pub(crate) fn tensor(&self) -> PyResult<Tensor> {
        let failed = |error: candle_core::Error| PyValueError::new_err(error.to_string());
        let (numbers, shape) = match self {
            Self::Double(array) => (array.as_slice()?.to_vec(), array.shape().to_vec()),
            Self::Single(array) => {
                let numbers = array.as_slice()?.iter().map(|value| f64::from(*value));
                (numbers.collect(), array.shape().to_vec())
            }
        };
        Tensor::from_vec(numbers, shape, &Device::Cpu).map_err(failed)
    }
}

/// The lower and upper ends of a domain.
pub(crate) type Ends = (Vec<f64>, Vec<f64>);

/// The domain with these ends.
///
/// # Errors
/// Ends that are no domain.
pub(crate) fn domain(ends: Option<Ends>) -> anyhow::Result<Option<Arc<Domain>>> {
    let domain = ends.map(|(low, high)| Domain::new(low, high));
    Ok(domain.transpose()?.map(Arc::new))
}

/// The norms with these `p`.
///
/// # Errors
/// A `p` below 1, or not a number.
pub(crate) fn norms(orders: &[f64]) -> anyhow::Result<Vec<Norm>> {
    orders.iter().map(|p| Ok(Norm::new(*p)?)).collect()
}

/// A type of numbers by its short name.
///
/// # Errors
/// Another name.
pub(crate) fn dtype(name: &str) -> anyhow::Result<DType> {
    Ok(match name {
        "f64" => DType::F64,
        "f32" => DType::F32,
        "f16" => DType::F16,
        "bf16" => DType::BF16,
        _ => bail!("deployed: expected f32, f16 or bf16, found {name:?}"),
    })
}

/// The batches of so many inputs, of at most `size`.
pub(crate) fn batches(inputs: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    let size = size.max(1);
    (0..inputs)
        .step_by(size)
        .map(move |start| (start, size.min(inputs - start)))
}
