//! Gradients averaged over noise around an input.

use crate::{Budget, Error, Linearizer, Result, host::rows};
use candle_core::{DType, Tensor};
use loclin_models::Network;
use loclin_tensor::random;

/// How gradients are averaged (SmoothGrad, Smilkov et al. 2017).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Noisy copies of the input, at least 1.
    pub samples: usize,
    /// Standard deviation of the Gaussian noise, in raw input units, at least 0.
    pub deviation: f64,
    /// Where the noise comes from: the same seed gives the same noise.
    pub seed: u64,
}

/// The mean gradient of an output over noisy copies of the input `x` `[in...]`, `[D]` in row-major order.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::Budget;
/// use loclin_regions::attribution::{Noise, smooth_gradients};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![8], outputs: 3, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
/// let noise = Noise { samples: 50, deviation: 0.15, seed: 0 };
/// let mean = smooth_gradients(&network, &Tensor::new(&[0.3, -0.2], &Device::Cpu)?, 1, noise, Budget::default())?;
/// assert_eq!(mean.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// No samples, a deviation that is negative or not finite, an input or output that the network does not have.
pub fn smooth_gradients(
    network: &Network,
    x: &Tensor,
    output: u32,
    noise: Noise,
    budget: Budget,
) -> Result<Vec<f64>> {
    let Noise {
        samples,
        deviation,
        seed,
    } = noise;
    let refuse = |what: &'static str, cause: String| Err(Error::Argument { what, cause });
    if samples == 0 {
        return refuse("samples", "0; must be at least 1".into());
    }
    if !(deviation.is_finite() && deviation >= 0.0) {
        return refuse("deviation", format!("{deviation}; must be at least 0"));
    }
    let centre = x.to_dtype(DType::F64)?.unsqueeze(0)?;
    let linearizer = Linearizer::new(network, budget)?;
    let mut mean = vec![0.0; network.input_size()];
    for first in (0..samples).step_by(AT_ONCE) {
        let count = AT_ONCE.min(samples - first);
        let shape = [&[count], x.dims()].concat();
        let rng = &mut random::stream(seed, &[first as u64]);
        let noise = random::normal(rng, shape, DType::F64, x.device())?;
        let points = (noise * deviation)?.broadcast_add(&centre)?;
        let here = linearizer.at(&points)?;
        let gradients = here.output_gradients(&vec![output; count])?;
        for gradient in rows(&gradients)? {
            let sum = mean.iter_mut().zip(gradient);
            sum.for_each(|(sum, derivative)| *sum += derivative / samples as f64);
        }
    }
    Ok(mean)
}

/// Copies in one batch.
const AT_ONCE: usize = 64;
