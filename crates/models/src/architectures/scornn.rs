//! The scaled Cayley orthogonal recurrent network (scoRNN; Helfrich, Willmott and Ye, ICML 2018).

use super::rnn::{Rnn, RnnConfig};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use candle_nn::{Init, VarBuilder};
use loclin_tensor::Parameters;
use loclin_tensor::random;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Separates the draws of initial angles from every other use of the same seed.
const DOMAIN: u64 = u64::from_le_bytes(*b"scornn-t");

/// Hyper-parameters of a [`ScoRnn`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoRnnConfig {
    /// Number of channels of a time step; the paper's Japanese Vowels: 12.
    pub inputs: usize,
    /// Number of hidden units; the paper: 512.
    pub hidden: usize,
    /// How many diagonal entries of `D` are -1, at most `hidden`: a hyper-parameter of scoRNN, chosen by
    /// validation; `hidden / 2` is a common choice.
    pub negative: usize,
    /// Number of outputs; the paper: 9.
    pub outputs: usize,
    /// Slope of the LeakyReLU for negative pre-activations, finite.
    #[serde(alias = "leak")]
    pub negative_slope: f64,
}

/// `h_t = phi(U x_t + b + W h_{t-1})` from `h_0 = 0`, and a linear read-out of the last state, where
/// `W = (I + A)^{-1} (I - A) D` is orthogonal: `A` is skew-symmetric and `D` diagonal with entries +-1.
///
/// `W` is a function of the parameter `recurrent.skew` (of which only the part below the diagonal counts:
/// `A = L - L^T`), differentiable in it; an optimiser's step on it keeps `W` orthogonal, which is the update of the
/// paper. The other parameters are `encoder.weight`, `encoder.bias`, `output.weight` and `output.bias`.
///
/// [`ScoRnn::rnn`] is the recurrent network, from which one is made for each length of sequence. `W` enters it as the
/// ordinary weight `recurrent.weight`, computed when it is made: after a step of an optimiser make it anew.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Module, architectures::{ScoRnn, ScoRnnConfig}};
///
/// let config = ScoRnnConfig { inputs: 12, hidden: 16, negative: 8, outputs: 9, negative_slope: 0.1 };
/// let (rnn, parameters) = ScoRnn::seeded(config, 0, DType::F64, &Device::Cpu)?;
/// let sequences = Tensor::ones((2, 7, 12), DType::F64, &Device::Cpu)?;
/// assert_eq!(rnn.rnn()?.network(7)?.forward(&sequences)?.dims(), [2, 9]);
/// assert_eq!(parameters.len(), 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ScoRnn {
    config: ScoRnnConfig,
    skew: Tensor,
    /// Input and read-out parameters by name.
    others: HashMap<String, Tensor>,
    dtype: DType,
    device: Device,
}

impl ScoRnn {
    /// Parameters from `vars`; where it initialises, `A = 0` and so `W = D`, which is *not* scoRNN's initialisation:
    /// see [`ScoRnn::seeded`].
    ///
    /// # Errors
    /// Sizes of 0, more negative entries than hidden units, and parameters that `vars` lacks or has in another shape.
    pub fn new(config: ScoRnnConfig, vars: VarBuilder) -> Result<Self> {
        let ScoRnnConfig {
            inputs,
            hidden,
            negative,
            outputs,
            ..
        } = config;
        if [inputs, hidden, outputs].contains(&0) || negative > hidden {
            return Err(Error::Config {
                field: "scornn",
                cause: format!(
                    "needs positive sizes and at most as many negative entries as hidden units, found {config:?}"
                ),
            });
        }
        let skew =
            vars.pp("recurrent")
                .get_with_hints((hidden, hidden), "skew", Init::Const(0.0))?;
        // The parameters of a network of one step, without recurrence, are the others.
        let network = config.recurrence().spec(1)?.build(vars.clone())?;
        Ok(Self {
            config,
            skew,
            others: network.parameters().into_iter().collect(),
            dtype: vars.dtype(),
            device: vars.device().clone(),
        })
    }

    /// With scoRNN's initialisation, and the store of its parameters: `A` is block diagonal with blocks
    /// `[[0, s], [-s, 0]]`, `s = sqrt((1 - cos t) / (1 + cos t))`, `t` uniform in `[0, pi/2]`, so that the blocks
    /// of `(I + A)^{-1} (I - A)` are rotations by `t`; the other layers as PyTorch's default.
    ///
    /// # Errors
    /// Those of [`ScoRnn::new`].
    pub fn seeded(
        config: ScoRnnConfig,
        seed: u64,
        dtype: DType,
        device: &Device,
    ) -> Result<(Self, Parameters)> {
        let parameters = Parameters::seeded(seed);
        let rnn = Self::new(config, parameters.builder(dtype, device))?;
        let n = rnn.config.hidden;
        let draws = random::uniform(
            &mut random::stream(seed, &[DOMAIN]),
            n / 2,
            DType::F64,
            &Device::Cpu,
        );
        let draws = draws.map_err(candle_core::Error::wrap)?;
        let mut skew = vec![0.0; n * n];
        for (block, u) in draws.to_vec1::<f64>()?.into_iter().enumerate() {
            // sqrt((1 - cos t) / (1 + cos t)) = tan(t / 2) for these t.
            let s = (u * std::f64::consts::FRAC_PI_4).tan();
            skew[(2 * block + 1) * n + 2 * block] = -s;
        }
        let skew = Tensor::from_vec(skew, (n, n), device)?.to_dtype(dtype)?;
        for (name, variable) in parameters.named() {
            if name == "recurrent.skew" {
                variable.set(&skew)?;
            }
        }
        Ok((rnn, parameters))
    }

    /// Hyper-parameters.
    pub fn config(&self) -> &ScoRnnConfig {
        &self.config
    }

    /// `W = (I + A)^{-1} (I - A) D`, `[hidden, hidden]`, orthogonal, differentiable in `recurrent.skew`: one
    /// inversion ([`loclin_tensor::inverse`]).
    ///
    /// # Errors
    /// A matrix that cannot be inverted, and a tensor computation that fails.
    pub fn recurrent_weight(&self) -> Result<Tensor> {
        let n = self.config.hidden;
        let below: Vec<f64> = (0..n * n)
            .map(|i| f64::from(u8::from(i % n < i / n)))
            .collect();
        let below = Tensor::from_vec(below, (n, n), &self.device)?.to_dtype(self.dtype)?;
        let lower = (&self.skew * below)?;
        let skew = (&lower - lower.t()?)?;
        let identity = Tensor::eye(n, self.dtype, &self.device)?;
        let inverse =
            loclin_tensor::inverse(&(&identity + &skew)?).map_err(candle_core::Error::wrap)?;
        let signs: Vec<f64> = (0..n)
            .map(|i| if i < self.config.negative { -1.0 } else { 1.0 })
            .collect();
        let signs = Tensor::new(signs, &self.device)?.to_dtype(self.dtype)?;
        // (I + A)^{-1} (I - A) = (I + A)^{-1} (2 I - (I + A)).
        let cayley = ((inverse * 2.0)? - identity)?;
        Ok(cayley.broadcast_mul(&signs)?)
    }

    /// The recurrent network with the present `W`, for sequences of any length, differentiable in the parameters.
    ///
    /// # Errors
    /// Those of [`ScoRnn::recurrent_weight`].
    pub fn rnn(&self) -> Result<Rnn> {
        let mut tensors = self.others.clone();
        tensors.insert("recurrent.weight".into(), self.recurrent_weight()?);
        let vars = VarBuilder::from_tensors(tensors, self.dtype, &self.device);
        Rnn::new(self.config.recurrence(), vars)
    }
}

impl ScoRnnConfig {
    /// The recurrence, for which `W` is a matrix like any other.
    pub fn recurrence(&self) -> RnnConfig {
        RnnConfig {
            inputs: self.inputs,
            hidden: self.hidden,
            outputs: self.outputs,
            negative_slope: self.negative_slope,
        }
    }
}
