//! The certified width of gradients, GradCert (Wicker, Heo, Costabello and Weller, 2023).

use crate::{
    Error, Result, engines,
    task::{check_positive, one_of_each},
};
use candle_core::Tensor;
use loclin_models::Trace;

/// The mean over inputs and coordinates of the width of interval bounds of a class's gradient over the l_inf ball of the radius: a scalar
/// to be added to the task loss times `lambda`. `classes` says whose gradient, that of the output itself: labels, or predictions.
///
/// For fully connected chains. Which units can change sides in the ball is a constant in the differentiation.
///
/// # Shapes
/// The trace of `inputs` `[B, in...]`, these, and classes `[B]` give a scalar `[]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![8], outputs: 3, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
/// let x = Tensor::new(&[[0.5, -0.5]], &Device::Cpu)?;
/// let (trace, class) = (network.trace(&x)?, Tensor::new(&[2u32], &Device::Cpu)?);
/// let width = |radius| loclin_objectives::grad_cert(&trace, &x, &class, radius)?.to_scalar::<f64>().map_err(loclin_objectives::Error::from);
/// // Within its region an input's gradient is constant.
/// assert!(width(1e-9)? < 1e-12 && width(9.0)? > 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A radius that is not above 0, classes that are not those of the outputs, a network that is no fully connected chain.
pub fn grad_cert(trace: &Trace, inputs: &Tensor, classes: &Tensor, radius: f64) -> Result<Tensor> {
    check_positive("radius", radius)?;
    let outputs = one_of_each(trace, classes)?.squeeze(1)?;
    let widths = engines::gradient_widths(trace, &inputs.flatten_from(1)?, &outputs, radius)?;
    let widths = widths.ok_or_else(|| Error::Config {
        field: "network",
        expected: "a fully connected chain".into(),
        found: "another one".into(),
    })?;
    Ok(widths.mean_all()?)
}
