//! The approximate objective: random input axes (Eq. 10).

use crate::{
    Error, Result,
    error::check_c,
    neuron_loss::{hinges, squared_derivatives},
};
use candle_core::Tensor;
use rand::{Rng, seq::index};
use roll_models::Trace;
use roll_regions::unit_tangents;

/// Hyper-parameters of [`sampled`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampledConfig {
    /// `C >= 0`, the weight of the hinge against the squared gradient.
    pub c: f64,
    /// `D'`, the number of axes, 1 to `D`; the paper takes `D / 256` on MNIST (3) and 120 for each channel on
    /// Caltech-256.
    pub axes: usize,
}

/// The regulariser of Eq. 10: [`crate::roll`] with `gamma = 100`, its sum of squared derivatives over all `D`
/// axes replaced by `D / D'` times that over `D'` random ones, drawn from `rng` uniformly without replacement
/// and shared by the batch. Unbiased; exact for `D' = D`. The hinge is exact.
///
/// # Shapes
/// The trace of `B` inputs gives a scalar `[]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_ext::random::stream;
/// use roll_models::{FcConfig, Parameters};
/// use roll_objectives::{roll, sampled, Gamma, RollConfig, SampledConfig};
///
/// let config = FcConfig { inputs: vec![3], hidden: vec![8], outputs: 2, leak: 0.0 };
/// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
/// let trace = network.trace(&Tensor::new(&[[0.5, -0.5, 1.0]], &Device::Cpu)?)?;
/// let all = sampled(&trace, SampledConfig { c: 1.0, axes: 3 }, &mut stream(0, &[]))?;
/// let exact = roll(&trace, RollConfig { c: 1.0, gamma: Gamma::Percent(100.0) })?;
/// assert!((all.to_scalar::<f64>()? - exact.to_scalar::<f64>()?).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sampled(trace: &Trace, config: SampledConfig, rng: &mut impl Rng) -> Result<Tensor> {
    check_c(config.c)?;
    let network = trace.network();
    let size = network.input_size();
    if !(1..=size).contains(&config.axes) {
        let found = config.axes.to_string();
        return Err(Error::Config {
            field: "axes",
            expected: format!("1 to {size}, the input's size"),
            found,
        });
    }
    // Sorted, so that the sum does not depend on the order of the draw.
    let mut chosen = index::sample(rng, size, config.axes).into_vec();
    chosen.sort_unstable();
    let axes = unit_tangents(network, &chosen)?;
    let norms =
        (squared_derivatives(trace, &axes)?.mean_all()? * (size as f64 / config.axes as f64))?;
    Ok((norms + (hinges(trace)?.mean_all()? * config.c)?)?)
}
