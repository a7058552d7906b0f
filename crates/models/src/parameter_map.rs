//! A change of the parameters of an operator.

use crate::error::Result;
use candle_core::{DType, Device, Tensor};

/// What each parameter becomes in a copy of a network, and the dtype and device of the copy.
///
/// An operator's `map_parameters` hands every parameter to [`ParameterMap::apply`] and makes a new operator of the
/// results. Constants that an operator holds as `f64` and as a tensor are made anew from the `f64`, in
/// [`ParameterMap::dtype`] and on [`ParameterMap::device`], so that a copy in float64 is as exact as the original.
pub struct ParameterMap<'a> {
    dtype: DType,
    device: Device,
    map: &'a mut dyn FnMut(&str, &Tensor) -> Result<Tensor>,
}

impl std::fmt::Debug for ParameterMap<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("ParameterMap");
        shown.field("dtype", &self.dtype);
        shown.field("device", &self.device);
        shown.finish_non_exhaustive()
    }
}

impl<'a> ParameterMap<'a> {
    /// `map` is given the local name of a parameter (`weight`) and its value, and returns the new value, in `dtype` and
    /// on `device`.
    pub fn new(
        dtype: DType,
        device: &Device,
        map: &'a mut dyn FnMut(&str, &Tensor) -> Result<Tensor>,
    ) -> Self {
        Self {
            dtype,
            device: device.clone(),
            map,
        }
    }

    /// The dtype of the new operator.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device of the new operator.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What becomes of the parameter of a local name.
    ///
    /// # Errors
    /// A conversion or a copy between devices that fails.
    pub fn apply(&mut self, name: &str, parameter: &Tensor) -> Result<Tensor> {
        (self.map)(name, parameter)
    }

    /// What becomes of a parameter that is not always there, such as a bias.
    ///
    /// # Errors
    /// Those of [`ParameterMap::apply`].
    pub fn apply_if_any(
        &mut self,
        name: &str,
        parameter: Option<&Tensor>,
    ) -> Result<Option<Tensor>> {
        parameter.map(|own| self.apply(name, own)).transpose()
    }
}
