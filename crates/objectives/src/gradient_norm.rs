//! Input gradient regularisation (Drucker and LeCun, 1992; Ross and Doshi-Velez, 2018).

use crate::{Result, task::loss_gradients};
use candle_core::Tensor;
use loclin_models::Trace;

/// The mean over inputs of `||grad_x l||_2^2`, `l` being an input's softmax cross entropy: a scalar to be added to the task loss times
/// `lambda`.
///
/// Published with double back-propagation. Here the gradient is one pull through the fixed pattern, which is a constant in the
/// differentiation, as it is almost everywhere.
///
/// # Shapes
/// The trace of `B` inputs with labels `[B]` gives a scalar `[]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![8], outputs: 3, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
/// let trace = network.trace(&Tensor::new(&[[0.5, -0.5]], &Device::Cpu)?)?;
/// let label = Tensor::new(&[2u32], &Device::Cpu)?;
/// assert!(loclin_objectives::gradient_norm(&trace, &label)?.to_scalar::<f64>()? > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Labels that are not those of the outputs.
pub fn gradient_norm(trace: &Trace, labels: &Tensor) -> Result<Tensor> {
    let squares = loss_gradients(trace, labels)?.sqr()?.sum(1)?;
    Ok(squares.mean_all()?)
}
