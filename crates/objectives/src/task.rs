//! The task loss of each input, and its gradient in the input: what objectives about attributions are made of.
//!
//! With a fixed pattern the gradient is `J^T (p - y)`, `p` being the softmax of the output and `y` the label's row of the identity:
//! one pull, which is an ordinary computation in the weights. So it can be differentiated without a second derivative of the network.

use crate::{Error, Result};
use candle_core::{D, DType, Tensor};
use loclin_models::Trace;
use rand::Rng;

/// Softmax cross entropy of each input with labels `[B]`: `[B]`.
pub(crate) fn cross_entropies(trace: &Trace, labels: &Tensor) -> Result<Tensor> {
    let rows = one_of_each(trace, labels)?.squeeze(1)?;
    Ok((log_probabilities(trace)? * rows)?.sum(D::Minus1)?.neg()?)
}

/// The gradient of each input's softmax cross entropy in the input, `[B, D]`, differentiable in the parameters.
pub(crate) fn loss_gradients(trace: &Trace, labels: &Tensor) -> Result<Tensor> {
    let probabilities = log_probabilities(trace)?.exp()?.unsqueeze(1)?;
    gradients(trace, &(probabilities - one_of_each(trace, labels)?)?)?
        .squeeze(1)
        .map_err(Error::from)
}

/// The same over the probability of all classes but the label's, `[B, D]`: `J^T (q - y)`, `q` being the softmax among the other classes. It points
/// as the gradient does, and is none too small to be computed where the label is almost certain. 0 for a network with one output.
pub(crate) fn loss_directions(trace: &Trace, labels: &Tensor) -> Result<Tensor> {
    let label = one_of_each(trace, labels)?;
    let output = trace.output().unsqueeze(1)?;
    // Far below all others, and a constant.
    let others = ((label.affine(-1.0, 1.0)? * output)? + (&label * -OUTSIDE)?)?;
    let shares = below_largest(&others)?.exp()?;
    let shares = shares.broadcast_div(&shares.sum_keepdim(D::Minus1)?)?;
    gradients(trace, &(shares - label)?)?
        .squeeze(1)
        .map_err(Error::from)
}

/// Further below other logits than any that a softmax sees.
const OUTSIDE: f64 = 1e30;

/// Cotangents `[B, K, L]` of the output as gradients in the input, `[B, K, D]`.
pub(crate) fn gradients(trace: &Trace, cotangents: &Tensor) -> Result<Tensor> {
    let pulled = trace.pull(cotangents)?.flatten_from(2)?;
    let (_, count, size) = pulled.dims3()?;
    Ok(pulled.broadcast_as((trace.batch(), count, size))?)
}

/// Cotangents of the output, `[B, 1, L]`: 1 for the class of each input, 0 for the others.
pub(crate) fn one_of_each(trace: &Trace, classes: &Tensor) -> Result<Tensor> {
    let (network, batch) = (trace.network(), trace.batch());
    let outputs = network.output_size();
    let refused = |found: String| Error::Config {
        field: "classes",
        expected: format!("{batch} numbers below {outputs}, the number of outputs"),
        found,
    };
    let read = classes.to_dtype(DType::U32)?.to_vec1::<u32>()?;
    if read.len() != batch {
        return Err(refused(format!("{} numbers", read.len())));
    }
    let mut rows = vec![0.0f64; batch * outputs];
    for (row, class) in rows.chunks_exact_mut(outputs).zip(read) {
        let entry = row.get_mut(class as usize);
        *entry.ok_or_else(|| refused(class.to_string()))? = 1.0;
    }
    let rows = Tensor::from_vec(rows, (batch, 1, outputs), network.device())?;
    Ok(rows.to_dtype(network.dtype())?)
}

/// The trace of the same network, with the same statistics of batch normalisations, at inputs moved by `[B, D]`, constants.
pub(crate) fn moved(trace: &Trace, inputs: &Tensor, by: &Tensor) -> Result<Trace> {
    let moved = (inputs + by.detach().reshape(inputs.shape())?)?;
    Ok(trace.network().trace(&moved.detach())?)
}

/// Uniform moves of at most `radius` in every coordinate: `[B, D]`.
pub(crate) fn uniform_moves(trace: &Trace, radius: f64, rng: &mut impl Rng) -> Result<Tensor> {
    let network = trace.network();
    let shape = (trace.batch(), network.input_size());
    let one = || radius * (2.0 * rng.random::<f64>() - 1.0);
    let moves: Vec<f64> = std::iter::repeat_with(one)
        .take(shape.0 * shape.1)
        .collect();
    Ok(Tensor::from_vec(moves, shape, network.device())?.to_dtype(network.dtype())?)
}

/// An error unless the number is finite and above 0.
pub(crate) fn check_positive(field: &'static str, number: f64) -> Result<()> {
    match number > 0.0 && number.is_finite() {
        true => Ok(()),
        false => Err(Error::Config {
            field,
            expected: "a finite number above 0".into(),
            found: number.to_string(),
        }),
    }
}

fn log_probabilities(trace: &Trace) -> Result<Tensor> {
    let shifted = below_largest(trace.output())?;
    let total = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    Ok(shifted.broadcast_sub(&total)?)
}

/// Logits less the largest of their row, which softmax does not see: their exponentials do not overflow.
fn below_largest(logits: &Tensor) -> Result<Tensor> {
    Ok(logits.broadcast_sub(&logits.detach().max_keepdim(D::Minus1)?)?)
}
