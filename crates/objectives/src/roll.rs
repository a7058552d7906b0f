//! Robust local linearity, ROLL (Eq. 9).

use crate::{
    Error, Result, engines,
    error::check_c,
    neuron_loss::{mean_hinge, tsvm_losses},
};
use candle_core::Tensor;
use loclin_models::Trace;
use loclin_tensor::top_k_mask;
use std::{fmt, str::FromStr};

/// How many neurons of an input learn: `I_gamma(x)` of Eq. 9.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gamma {
    /// The `gamma` percent with the largest TSVM loss, `0 < gamma <= 100`, rounded up to a whole number of
    /// neurons. 100 is the mean over all of them, the paper's best.
    Percent(f64),
    /// The one with the largest loss.
    Max,
}

/// Hyper-parameters of [`roll`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RollConfig {
    /// `C >= 0`, the weight of the hinge `max(0, 1 - |z|)` against the squared gradient; the paper's range on
    /// MNIST is 2^-2 to 2^3.
    pub c: f64,
    /// How many neurons learn.
    pub gamma: Gamma,
}

/// The regulariser of Eq. 9: the mean over `I_gamma(x)` of `||grad z||_2^2 + C max(0, 1 - |z|)`, averaged over
/// the batch: a scalar to be added to the task loss times `lambda`.
///
/// The choice of `I_gamma(x)` and the activation pattern are constants in the differentiation; parameter
/// gradients flow through `z` and `grad z`.
///
/// # Shapes
/// The trace of `B` inputs gives a scalar `[]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_nn::loss::cross_entropy;
/// use loclin_models::{Mlp, Parameters};
/// use loclin_objectives::{roll, Gamma, RollConfig};
///
/// let parameters = Parameters::seeded(0);
/// let config = Mlp { inputs: vec![2], hidden: vec![8], outputs: 2, negative_slope: 0.0 };
/// let network = config.build(parameters.builder(DType::F64, &Device::Cpu))?;
/// let x = Tensor::new(&[[0.5, -0.5], [1.0, 0.2]], &Device::Cpu)?;
/// let y = Tensor::new(&[0u32, 1], &Device::Cpu)?;
///
/// let trace = network.trace(&x)?;
/// let regulariser = roll(&trace, RollConfig { c: 0.25, gamma: Gamma::Percent(100.0) })?;
/// let loss = (cross_entropy(trace.output(), &y)? + (2.0 * regulariser)?)?;
/// let gradients = loss.backward()?;
/// assert!(parameters.named().iter().all(|(_, variable)| gradients.get(variable).is_some()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A hyper-parameter out of range, a network without neurons.
pub fn roll(trace: &Trace, config: RollConfig) -> Result<Tensor> {
    check_c(config.c)?;
    if config.gamma.percent()? == Some(100.0)
        && let Some(norms) = engines::mean_squared_norms(trace)?
    {
        let neurons: usize = trace.neuron_ranges()?.iter().map(|range| range.count).sum();
        return Ok(((norms / neurons as f64)? + (mean_hinge(trace, None)? * config.c)?)?);
    }
    let losses = tsvm_losses(trace, config.c)?;
    let (batch, neurons) = losses.dims2()?;
    let count = config.gamma.of(neurons)?;
    if count == neurons {
        return Ok(losses.mean_all()?);
    }
    let mask = top_k_mask(&losses.detach(), count)?;
    Ok(((losses * mask)?.sum_all()? / (batch * count) as f64)?)
}

impl Gamma {
    /// How many of so many neurons, at least one.
    pub(crate) fn of(self, neurons: usize) -> Result<usize> {
        Ok(match self.percent()? {
            // The product first: 0.07 * 100 is more than 7, and would be rounded up to 8.
            Some(gamma) => ((gamma * neurons as f64 / 100.0).ceil() as usize).clamp(1, neurons),
            None => 1,
        })
    }

    /// The percentage in (0, 100], or `None` for the single largest.
    fn percent(self) -> Result<Option<f64>> {
        match self {
            Self::Max => Ok(None),
            Self::Percent(gamma) if gamma > 0.0 && gamma <= 100.0 => Ok(Some(gamma)),
            Self::Percent(gamma) => Err(Error::Config {
                field: "gamma",
                expected: "a number in (0, 100] or `max`".into(),
                found: gamma.to_string(),
            }),
        }
    }
}

impl FromStr for Gamma {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let gamma = if text == "max" {
            Self::Max
        } else {
            Self::Percent(text.parse().unwrap_or(f64::NAN))
        };
        gamma.percent().map(|_| gamma).map_err(|_| Error::Config {
            field: "gamma",
            expected: "a number in (0, 100] or `max`".into(),
            found: format!("`{text}`"),
        })
    }
}

impl fmt::Display for Gamma {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Percent(gamma) => gamma.fmt(f),
        }
    }
}
