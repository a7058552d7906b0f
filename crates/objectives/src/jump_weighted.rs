//! ROLL in which each neuron counts as much as crossing its boundary changes the gradient of a class.
//!
//! ROLL moves all boundaries away alike. Behind most of them the gradient that a user reads, that of one class's output,
//! is nearly the same. Where neuron `j` alone changes sides it changes by `c_j grad z_j`, `c_j` being what the class's
//! cotangent makes of the step in slope ([`Trace::pull_slope_changes`]). So the weight of neuron `j` is
//! `w_j = |c_j| ||grad z_j||_2`, the length of that change, divided by the mean over the neurons of the input.

use crate::{
    Error, Result,
    error::check_c,
    neuron_loss::{hinges, mean_hinge, squared_gradient_norms},
    sampled::signs_like,
    task::one_of_each,
};
use candle_core::Tensor;
use loclin_models::{NeuronRange, Trace};
use loclin_tensor::weighted_sum_of_squares;
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
    let changes = Tensor::cat(&slope_changes(trace, classes)?, 1)?;
    let weights = weights(&[changes], &[norms.detach().sqrt()?])?;
    let losses = (norms + (hinges(trace)? * c)?)?;
    Ok((losses * &weights[0])?.mean_all()?)
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
    let signs = signs_like(trace, 1, rng)?;
    let lengths = lengths_along(trace, &signs_like(trace, 1, rng)?)?;
    let weights = weights(&slope_changes(trace, classes)?, &lengths)?;
    let mut squares: Option<Tensor> = None;
    let mut of_node = weights.iter();
    trace.push_unshaped(&signs, |_, derivatives| {
        let Some(weights) = of_node.next() else {
            return Ok(());
        };
        let derivatives = each_input(derivatives, trace.batch())?;
        let own = weighted_sum_of_squares(&derivatives, weights);
        let own = own.map_err(candle_core::Error::wrap)?;
        squares = Some(match squares.take() {
            Some(squares) => (squares + own)?,
            None => own,
        });
        Ok(())
    })?;
    let count: usize = weights.iter().map(Tensor::elem_count).sum();
    let squares = (squares.ok_or(Error::NoNeurons)? / count as f64)?;
    Ok((squares + (mean_hinge(trace, Some(&weights))? * c)?)?)
}

/// `|grad z . v|` of each node's neurons for directions `v` `[B, 1, in...]`, `[B, m]`, constants.
fn lengths_along(trace: &Trace, directions: &Tensor) -> Result<Vec<Tensor>> {
    let mut lengths = Vec::new();
    trace.push(directions, |_, derivatives| {
        let own = derivatives.detach().abs()?.squeeze(1)?;
        lengths.push(each_input(own, trace.batch())?);
        Ok(())
    })?;
    Ok(lengths)
}

/// What is there once for all inputs, for each of them.
fn each_input(of_all: Tensor, batch: usize) -> candle_core::Result<Tensor> {
    match of_all.dim(0)? == batch {
        true => Ok(of_all),
        false => of_all.broadcast_as([&[batch], &of_all.dims()[1..]].concat()),
    }
}

/// `|c_j| length_j` of each node's neurons, `[B, m]`, divided by the mean over all of an input's neurons; all 1 where that is 0.
fn weights(changes: &[Tensor], lengths: &[Tensor]) -> Result<Vec<Tensor>> {
    let pairs = changes.iter().zip(lengths);
    let weights = pairs.map(|(changes, lengths)| (changes.abs()? * lengths)?.contiguous());
    let weights: Vec<Tensor> = weights.collect::<candle_core::Result<_>>()?;
    let mut sums: Option<Tensor> = None;
    let mut count = 0;
    for own in &weights {
        let sum = own.sum_keepdim(1)?;
        count += own.dim(1)?;
        sums = Some(match sums {
            Some(sums) => (sums + sum)?,
            None => sum,
        });
    }
    let means = (sums.ok_or(Error::NoNeurons)? / count as f64)?;
    let none = means.eq(0.0)?.to_dtype(means.dtype())?;
    // No number is divided by 0, and where all are 0 each becomes 1.
    let divisors = (&means + &none)?;
    let weights = weights
        .iter()
        .map(|own| own.broadcast_div(&divisors)?.broadcast_add(&none));
    Ok(weights.collect::<candle_core::Result<_>>()?)
}

/// By what the gradient of the class's output changes at each neuron's boundary, in multiples of the neuron's own gradient and but for the
/// sign: `c_j` of each node's neurons, `[B, m]`, constants.
fn slope_changes(trace: &Trace, classes: &Tensor) -> Result<Vec<Tensor>> {
    let network = trace.network();
    let cotangents = one_of_each(trace, classes)?;
    let mut found: Vec<Option<Tensor>> = vec![None; network.nodes().len()];
    trace.pull_slope_changes(&cotangents, |node, changes| {
        found[node] = Some(changes.squeeze(1)?.detach());
        Ok(())
    })?;
    let ranges = trace.neuron_ranges()?;
    let of_range = |range: &NeuronRange| -> Result<Tensor> {
        Ok(match found[range.node].take() {
            Some(changes) => each_input(changes, trace.batch())?,
            // The output does not depend on the node.
            None => {
                let shape = (trace.batch(), range.count);
                Tensor::zeros(shape, network.dtype(), network.device())?
            }
        })
    };
    match ranges.is_empty() {
        true => Err(Error::NoNeurons),
        false => ranges.iter().map(of_range).collect(),
    }
}
