//! The scaled Cayley orthogonal recurrent network (scoRNN; Helfrich, Willmott and Ye, ICML 2018).

use super::GraphSpec;
use crate::{
    Error, Network, NetworkSpec, Parameters, Result, network::INPUT, operators::OperatorSpec,
};
use candle_core::{DType, Device, Tensor};
use candle_ext::random;
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

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
    pub leak: f64,
}

/// `h_t = phi(U x_t + b + W h_{t-1})` from `h_0 = 0`, and a linear read-out of the last state, where
/// `W = (I + A)^{-1} (I - A) D` is orthogonal: `A` is skew-symmetric and `D` diagonal with entries +-1.
///
/// `W` is a function of the parameter `recurrent.skew` (of which only the part below the diagonal counts:
/// `A = L - L^T`), differentiable in it; an optimiser's step on it keeps `W` orthogonal, which is the update of the
/// paper. The other parameters are `encoder.weight`, `encoder.bias`, `output.weight` and `output.bias`.
///
/// A network is made for each length of sequence, [`ScoRnn::network`]. It takes inputs `[length, inputs]`, and a
/// neuron of it is a hidden unit at a time step; its steps share their parameters. `W` enters it as the ordinary
/// weight `recurrent.weight`, computed when the network is made: after a step of an optimiser make it anew.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use roll_models::{Module, architectures::{ScoRnn, ScoRnnConfig}};
///
/// let config = ScoRnnConfig { inputs: 12, hidden: 16, negative: 8, outputs: 9, leak: 0.1 };
/// let (rnn, parameters) = ScoRnn::seeded(config, 0, DType::F64, &Device::Cpu)?;
/// let sequences = Tensor::ones((2, 7, 12), DType::F64, &Device::Cpu)?;
/// assert_eq!(rnn.network(7)?.forward(&sequences)?.dims(), [2, 9]);
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
        let network = config.spec(1)?.build(vars.clone())?;
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
    /// inversion ([`candle_ext::inverse`]) and one product.
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
            candle_ext::inverse(&(&identity + &skew)?).map_err(candle_core::Error::wrap)?;
        let signs: Vec<f64> = (0..n)
            .map(|i| if i < self.config.negative { -1.0 } else { 1.0 })
            .collect();
        let signs = Tensor::new(signs, &self.device)?.to_dtype(self.dtype)?;
        let cayley = inverse.matmul(&(identity - skew)?)?;
        Ok(cayley.broadcast_mul(&signs)?)
    }

    /// The network for sequences of `length` steps, at least 1.
    pub fn network(&self, length: usize) -> Result<Network> {
        self.unrolled(&self.recurrent_weight()?, length)
    }

    /// The networks for several lengths; `W` is computed once for all.
    pub fn networks(
        &self,
        lengths: impl IntoIterator<Item = usize>,
    ) -> Result<BTreeMap<usize, Network>> {
        let weight = self.recurrent_weight()?;
        let one = |length| Ok((length, self.unrolled(&weight, length)?));
        lengths.into_iter().map(one).collect()
    }

    fn unrolled(&self, weight: &Tensor, length: usize) -> Result<Network> {
        let mut tensors = self.others.clone();
        tensors.insert("recurrent.weight".into(), weight.clone());
        let vars = VarBuilder::from_tensors(tensors, self.dtype, &self.device);
        self.config.spec(length)?.build(vars)
    }
}

impl ScoRnnConfig {
    /// The graph for sequences of `length` steps. Nodes are `step.t`, `encoder.t`, `recurrent.t`, `sum.t` and `state.t`
    /// for `t` from 0, and `output`; the first ones of `encoder` and `recurrent`, which own the parameters, have no
    /// number.
    pub fn spec(&self, length: usize) -> Result<NetworkSpec> {
        if length == 0 {
            return Err(Error::Config {
                field: "length",
                cause: "a sequence of 0 steps; at least 1".into(),
            });
        }
        let linear = |inputs, outputs, bias| OperatorSpec::Linear {
            inputs,
            outputs,
            bias,
        };
        let recurrent = linear(self.hidden, self.hidden, false);
        let mut graph = GraphSpec::new(&[length, self.inputs]);
        let mut state: Option<String> = None;
        for t in 0..length {
            let node = |part: &str| format!("{part}.{t}");
            let step = OperatorSpec::Select { axis: 0, index: t };
            let x = graph.add(node("step"), step, &[INPUT]);
            let input = linear(self.inputs, self.hidden, true);
            let mut z = graph.share("encoder", node("encoder"), input, &[&x]);
            if let Some(previous) = state {
                let fed = graph.share(
                    "recurrent",
                    node("recurrent"),
                    recurrent.clone(),
                    &[&previous],
                );
                z = graph.add(node("sum"), OperatorSpec::Add, &[&z, &fed]);
            }
            state = Some(graph.add(node("state"), OperatorSpec::leaky_relu(self.leak), &[&z]));
        }
        let last = graph.last();
        graph.add("output", linear(self.hidden, self.outputs, true), &[&last]);
        Ok(graph.finish())
    }
}
