//! The approximate objective: squared derivatives along random directions in place of all gradients (Eq. 10).

use crate::{
    Error, Result, engines,
    error::check_c,
    neuron_loss::{mean_hinge, mean_squared_derivative, squared_derivatives},
};
use candle_core::Tensor;
use loclin_models::Trace;
use loclin_regions::unit_tangents;
use rand::{Rng, seq::index};

/// Hyper-parameters of [`sampled`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampledConfig {
    /// `C >= 0`, the weight of the hinge against the squared gradient.
    pub c: f64,
    /// The directions.
    pub probes: Probes,
}

/// Directions in the input along which derivatives are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probes {
    /// This many for each input, 1 or more, all coordinates +1 or -1 at random. Inputs have their own: their errors
    /// are independent and average out over the batch, so that one for each is enough. In a fully connected chain
    /// the first layer, whose neurons have one gradient for all inputs, is exact.
    Signs(usize),
    /// The paper's: `D'` axes drawn without replacement and shared by the batch, 1 to `D`, the sum of squares times
    /// `D / D'`; exact for `D' = D`. The paper takes `D / 256` on MNIST (3) and 120 for each channel on Caltech-256.
    Axes(usize),
}

/// [`crate::roll`] with `gamma = 100`, its mean of `||grad z||_2^2` estimated by squared derivatives along random
/// directions, drawn from `rng`. Unbiased. The hinge is exact.
///
/// For a fixed input, the estimate along `v` with coordinates +1 and -1 is `v^T A v` for `A = sum grad z grad z^T`
/// over neurons: its mean is the trace of `A`, its variance `2 sum over k != l of A_kl^2`. Along one axis it is
/// `D A_kk`, which varies as much as the input's coordinates differ in importance.
///
/// # Shapes
/// The trace of `B` inputs gives a scalar `[]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_tensor::random::stream;
/// use loclin_models::{Mlp, Parameters};
/// use loclin_objectives::{roll, sampled, Gamma, Probes, RollConfig, SampledConfig};
///
/// let config = Mlp { inputs: vec![3], hidden: vec![8], outputs: 2, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
/// let trace = network.trace(&Tensor::new(&[[0.5, -0.5, 1.0]], &Device::Cpu)?)?;
/// let exact = roll(&trace, RollConfig { c: 1.0, gamma: Gamma::Percent(100.0) })?.to_scalar::<f64>()?;
/// for probes in [Probes::Axes(3), Probes::Signs(1)] {
///     let one = sampled(&trace, SampledConfig { c: 1.0, probes }, &mut stream(0, &[]))?;
///     // All axes are exact, and so is the first and only hidden layer.
///     assert!((one.to_scalar::<f64>()? - exact).abs() < 1e-12);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A hyper-parameter out of range, a network without neurons.
pub fn sampled(trace: &Trace, config: SampledConfig, rng: &mut impl Rng) -> Result<Tensor> {
    sampled_together(&[trace], config, rng)
}

/// [`sampled`] over the inputs of several traces, such as sequences of different lengths
/// ([`loclin_models::architectures::Rnn::traces`]): the mean over all inputs, each by the mean over its own neurons, drawn trace by
/// trace. A scalar `[]`. Random directions through one recurrence at several lengths are pushed together.
///
/// # Errors
/// Those of [`sampled`], and no trace.
pub fn sampled_together(
    traces: &[&Trace],
    config: SampledConfig,
    rng: &mut impl Rng,
) -> Result<Tensor> {
    check_c(config.c)?;
    let norms = match config.probes {
        Probes::Axes(count) => {
            mean_over_inputs(traces, size, |_, trace| along_axes(trace, count, rng))?
        }
        Probes::Signs(count) => along_signs(traces, count, rng)?,
    };
    let hinges = mean_over_inputs(traces, size, |_, trace| mean_hinge(trace, None))?;
    Ok((norms + (hinges * config.c)?)?)
}

fn size(trace: &&Trace) -> usize {
    trace.batch()
}

/// Means over the inputs of each part as one over all inputs: an input counts the same whatever part it is in. `size` is how many inputs a part
/// has, and `mean` is given a part's number and the part.
///
/// # Errors
/// Those of `mean`, and no part.
pub fn mean_over_inputs<T, E: From<candle_core::Error>>(
    parts: &[T],
    size: impl Fn(&T) -> usize,
    mut mean: impl FnMut(usize, &T) -> std::result::Result<Tensor, E>,
) -> std::result::Result<Tensor, E> {
    if let [part] = parts {
        return mean(0, part);
    }
    let all: usize = parts.iter().map(&size).sum();
    let mut sum: Option<Tensor> = None;
    for (at, part) in parts.iter().enumerate() {
        let own = (mean(at, part)? * (size(part) as f64 / all as f64))?;
        sum = Some(match sum {
            Some(sum) => (sum + own)?,
            None => own,
        });
    }
    let none = || candle_core::Error::Msg("a mini-batch without inputs".into()).into();
    sum.ok_or_else(none)
}

fn along_axes(trace: &Trace, count: usize, rng: &mut impl Rng) -> Result<Tensor> {
    let network = trace.network();
    let size = network.input_size();
    if !(1..=size).contains(&count) {
        return Err(Error::Config {
            field: "axes",
            expected: format!("1 to {size}, the input's size"),
            found: count.to_string(),
        });
    }
    // Sorted, so that the sum does not depend on the order of the draw.
    let mut chosen = index::sample(rng, size, count).into_vec();
    chosen.sort_unstable();
    let axes = unit_tangents(network, &chosen)?;
    Ok((squared_derivatives(trace, &axes)?.mean_all()? * (size as f64 / count as f64))?)
}

fn along_signs(traces: &[&Trace], count: usize, rng: &mut impl Rng) -> Result<Tensor> {
    if count == 0 {
        return Err(Error::Config {
            field: "signs",
            expected: "1 or more".into(),
            found: count.to_string(),
        });
    }
    let signs = traces.iter().map(|trace| signs_like(trace, count, rng));
    let signs = signs.collect::<Result<Vec<_>>>()?;
    if let Some(mean) = engines::mean_along(traces, &signs)? {
        return Ok(mean);
    }
    mean_over_inputs(traces, size, |at, trace| {
        mean_squared_derivative(trace, &signs[at], engines::first_layer(trace)?)
    })
}

/// `count` directions for each input of a trace, all coordinates +1 or -1 at random: `[B, count, in...]`.
pub(crate) fn signs_like(trace: &Trace, count: usize, rng: &mut impl Rng) -> Result<Tensor> {
    let network = trace.network();
    let shape = [&[trace.batch(), count], network.input_shape()].concat();
    let signs = signs(shape.iter().product(), rng);
    Ok(Tensor::from_vec(signs, shape, network.device())?.to_dtype(network.dtype())?)
}

/// The bits of 1.0, and of the sign, in single precision.
const ONE: u32 = 1.0_f32.to_bits();
const SIGN: u32 = 1 << 31;

/// `n` numbers +1 or -1.
fn signs(n: usize, rng: &mut impl Rng) -> Vec<f32> {
    let mut signs = Vec::with_capacity(n.next_multiple_of(64));
    while signs.len() < n {
        let word: u64 = rng.random();
        // A set bit is +1; the sign bit of a float is the other way round.
        signs.extend((0..64).map(|bit| f32::from_bits(ONE | (((!word >> bit) & 1) as u32 * SIGN))));
    }
    signs.truncate(n);
    signs
}
