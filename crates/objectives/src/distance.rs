//! Distance regularisation (Eq. 4).

use crate::{
    Result,
    neuron_loss::{distances_to_zero, squared_gradient_norms},
};
use candle_core::{D, Tensor};
use loclin_models::Trace;
use loclin_tensor::{safe_divide, safe_sqrt};

/// A distance that no real boundary has: neurons without a gradient never are the nearest one.
const NEVER: f64 = 1e30;

/// The regulariser of Eq. 4, `-min over neurons of |z| / ||grad z||_2`, averaged over the batch: a scalar to be
/// added to the task loss times `lambda`. Rigid (one neuron for each input learns) and non-smooth; the paper
/// relaxes it to [`crate::relaxed`] and [`crate::roll`].
///
/// Neurons whose gradient vanishes do not count; an input with no other neuron contributes 0.
///
/// # Shapes
/// The trace of `B` inputs gives a scalar `[]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![8], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
/// let trace = network.trace(&Tensor::new(&[[0.5, -0.5]], &Device::Cpu)?)?;
/// assert!(loclin_objectives::distance(&trace)?.to_scalar::<f64>()? < 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A network without neurons.
pub fn distance(trace: &Trace) -> Result<Tensor> {
    let lengths = safe_sqrt(&squared_gradient_norms(trace)?)?;
    let distances = safe_divide(&distances_to_zero(trace)?, &lengths, NEVER)?;
    // One minimum for each input, the first of equal ones, so that the gradient goes to one neuron.
    let nearest = distances.detach().argmin_keepdim(D::Minus1)?;
    let least = distances.gather(&nearest, D::Minus1)?;
    // Were an input without any boundary to count as far from one, it would drown the others, and a dead network
    // would have the least loss of all.
    let bounded = least.detach().lt(NEVER)?.to_dtype(least.dtype())?;
    Ok((least * bounded)?.mean_all()?.neg()?)
}
