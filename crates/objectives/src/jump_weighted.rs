//! ROLL in which each neuron counts as much as crossing its boundary changes the gradient of a class.
//!
//! ROLL moves all boundaries away alike. Behind most of them the gradient that a user reads, that of one class's output,
//! is nearly the same. Where neuron `j` alone changes sides it changes by `c_j grad z_j`, `c_j` being what the class's
//! cotangent makes of the step in slope ([`Trace::pull_slope_changes`]). So the weight of neuron `j` is
//! `w_j = |c_j| ||grad z_j||_2`, the length of that change, divided by the mean over the neurons of the input.

use crate::{
    Error, Result,
    error::check_c,
    neuron_loss::{hinges, squared_derivatives, squared_gradient_norms},
    sampled::signs_like,
    task::one_of_each,
};
use candle_core::Tensor;
use loclin_models::Trace;
use loclin_tensor::safe_divide;
use rand::Rng;

/// The mean over neurons of `w_j (||grad z_j||_2^2 + c max(0, 1 - |z_j|))`, averaged over the batch: [`crate::roll`] with
/// `gamma = 100` and weights `w_j`, proportional to `|c_j| ||grad z_j||_2`, of mean 1 for each input.
///
/// `classes` says which output's gradient counts: labels, or predictions. The weights are constants in the
/// differentiation, as the pattern is. An input at which no crossing changes the gradient has the weights of ROLL, all 1.
///
/// # Shapes
/// The trace of `B` inputs and `classes` `[B]`, integers below the number of outputs, give a scalar `[]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_objectives::{jump_weighted, roll, Gamma, RollConfig};
///
/// let config = Mlp { inputs: vec![3], hidden: vec![1], outputs: 2, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
/// let trace = network.trace(&Tensor::new(&[[0.5, -0.5, 1.0]], &Device::Cpu)?)?;
/// let classes = Tensor::new(&[1u32], &Device::Cpu)?;
/// // A single neuron has weight 1.
/// let weighted = jump_weighted(&trace, &classes, 1.0)?.to_scalar::<f64>()?;
/// let all_alike = roll(&trace, RollConfig { c: 1.0, gamma: Gamma::Percent(100.0) })?.to_scalar::<f64>()?;
/// assert!((weighted - all_alike).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A `c` out of range, classes that are not those of the outputs, a network without neurons.
pub fn jump_weighted(trace: &Trace, classes: &Tensor, c: f64) -> Result<Tensor> {
    check_c(c)?;
    let norms = squared_gradient_norms(trace)?;
    let weights = weights(&slope_changes(trace, classes)?, &norms)?;
    mean(&weights, &norms, trace, c)
}

/// [`jump_weighted`] by two random directions of signs for each input, drawn from `rng`, in place of all gradients.
///
/// With `t_j = grad z_j . v`, the square of `t_j` along the first direction stands for `||grad z_j||_2^2` in the loss, and `|t_j|`
/// along the second for `||grad z_j||_2` in the weight. As they are independent, the estimate is unbiased for the objective with the
/// weights drawn. Those are not the exact ones: before they are divided by their mean, their expectation is between `sqrt(1/2)` and 1 times
/// the exact weight (Khintchine's inequality; Szarek, 1976), and near `sqrt(2/pi)` times it for every neuron whose gradient is spread over
/// many coordinates, a factor that the division takes away. The hinge is exact, but for its weight.
///
/// # Shapes
/// Those of [`jump_weighted`].
///
/// # Errors
/// Those of [`jump_weighted`].
pub fn jump_weighted_sampled(
    trace: &Trace,
    classes: &Tensor,
    c: f64,
    rng: &mut impl Rng,
) -> Result<Tensor> {
    check_c(c)?;
    let along = |rng: &mut _| squared_derivatives(trace, &signs_like(trace, 1, rng)?);
    let norms = along(rng)?;
    // Kept for its values alone: what was recorded on the way is dropped here, before the next pass begins.
    let lengths = along(rng)?.detach();
    let weights = weights(&slope_changes(trace, classes)?, &lengths)?;
    mean(&weights, &norms, trace, c)
}

/// The mean over inputs and neurons of `weights * (norms + c * hinge)`.
fn mean(weights: &Tensor, norms: &Tensor, trace: &Trace, c: f64) -> Result<Tensor> {
    let losses = (norms + (hinges(trace)? * c)?)?;
    Ok((losses * weights)?.mean_all()?)
}

/// `|c_j| sqrt(squared_j)`, `[B, |I|]`, divided by the mean over each input's neurons; all 1 where that is 0.
fn weights(changes: &Tensor, squared: &Tensor) -> Result<Tensor> {
    let weights = (changes.abs()? * squared.detach().sqrt()?)?;
    let means = weights.mean_keepdim(1)?.broadcast_as(weights.shape())?;
    Ok(safe_divide(&weights, &means, 1.0)?)
}

/// By what the gradient of the class's output changes at each neuron's boundary, in multiples of the neuron's own gradient and but for the
/// sign: `c_j` of all neurons, `[B, |I|]`, a constant.
fn slope_changes(trace: &Trace, classes: &Tensor) -> Result<Tensor> {
    let network = trace.network();
    let cotangents = one_of_each(trace, classes)?;
    let mut found: Vec<Option<Tensor>> = vec![None; network.nodes().len()];
    trace.pull_slope_changes(&cotangents, |node, changes| {
        found[node] = Some(changes.squeeze(1)?.detach());
        Ok(())
    })?;
    let ranges = trace.neuron_ranges()?;
    let of_range = |range: &loclin_models::NeuronRange| -> Result<Tensor> {
        let shape = (trace.batch(), range.count);
        Ok(match found[range.node].take() {
            Some(changes) => changes.broadcast_as(shape)?,
            // The output does not depend on the node.
            None => Tensor::zeros(shape, network.dtype(), network.device())?,
        })
    };
    let parts: Vec<Tensor> = ranges.iter().map(of_range).collect::<Result<_>>()?;
    match parts.is_empty() {
        true => Err(Error::NoNeurons),
        false => Ok(Tensor::cat(&parts, 1)?),
    }
}
