//! Fast engines, and the one place where one is chosen.
//!
//! An engine knows an architecture and finds the same numbers faster. Everything outside this folder works for every
//! network, and asks here first: `None` says that no engine does it.

mod chain;

use crate::{
    Norm, Result, Rows,
    local_errors::{ForwardPass, LocalErrors, Values},
    nearest::{Found, Nearest},
    room::Within,
};
use candle_core::{DType, Tensor};
use loclin_models::{Network, Trace};
use loclin_tensor::own_loops;
use std::fmt;

/// The engine that works for a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// For fully connected chains on the CPU, in float32 or float64: forward pass by layers, and a pruned search for
    /// margins in l1, l2 and l_inf and along the axes.
    Chain,
    /// For every network: its operators' own readings.
    General,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chain => "fully connected chain",
            Self::General => "operator by operator",
        })
    }
}

/// An engine ready to work.
#[derive(Debug)]
pub(crate) struct Prepared(Ready);

#[derive(Debug)]
enum Ready {
    /// Of a network in float32, with the chain of its float64 copy.
    F32(Box<chain::Prepared<f32>>),
    /// Of a network in float64.
    F64(Box<chain::Prepared<f64>>),
    /// None.
    General,
}

impl Prepared {
    /// Chooses the engine of `network`, whose float64 copy is `precise`.
    pub(crate) fn new(network: &Network, precise: &Network) -> Self {
        if !own_loops::serve(network.device()) {
            return Self(Ready::General);
        }
        let chains = network.structure().chain().zip(precise.structure().chain());
        Self(match (chains, network.dtype()) {
            (Some((own, precise)), DType::F32) => {
                Ready::F32(Box::new(chain::Prepared::new(own.clone(), precise.clone())))
            }
            (Some((own, precise)), DType::F64) => {
                Ready::F64(Box::new(chain::Prepared::new(own.clone(), precise.clone())))
            }
            _ => Ready::General,
        })
    }

    /// Which engine that is.
    pub(crate) fn kind(&self) -> Engine {
        match &self.0 {
            Ready::General => Engine::General,
            _ => Engine::Chain,
        }
    }

    /// The trace of `network` at `inputs` `[B, in...]` in float64, the values of its neurons, `[B, |I|]`, and for a network
    /// in float64 bounds of their errors, and where these arise.
    pub(crate) fn forward(
        &self,
        network: &Network,
        inputs: &Tensor,
    ) -> Result<Option<ForwardPass>> {
        match &self.0 {
            _ if !own_loops::serve(inputs.device()) => Ok(None),
            Ready::F32(chain) => chain.forward(network, inputs).map(Some),
            Ready::F64(chain) => chain.forward(network, inputs).map(Some),
            Ready::General => Ok(None),
        }
    }

    /// The values of the neurons at one input `[1, in...]` in float64 with their errors, and where these arise, found with
    /// more digits than [`Prepared::forward`] has; `None` if that cannot be, or a neuron is on another side than `recorded`.
    pub(crate) fn sharper(
        &self,
        input: &Tensor,
        recorded: &[f64],
    ) -> Result<Option<(Rows, Rows, LocalErrors)>> {
        match &self.0 {
            Ready::F64(chain) => chain.sharper(input, recorded),
            _ => Ok(None),
        }
    }

    /// Whether there is a search for margins in these norms.
    pub(crate) fn searches(&self, norms: &[Norm]) -> bool {
        let known = |norm: &Norm| [Norm::L1, Norm::L2, Norm::LINF].contains(norm);
        self.kind() == Engine::Chain && norms.iter().all(known)
    }

    /// The nearest boundary of each input in each of `norms`, given the trace, the neurons' values, and the domain if there is
    /// one; `None` also where a gradient that matters overflows.
    pub(crate) fn margins(
        &self,
        trace: &Trace,
        values: (Values<'_>, Option<&Within>),
        norms: &[Norm],
    ) -> Result<Option<Vec<Vec<Found>>>> {
        match &self.0 {
            _ if !self.searches(norms) => Ok(None),
            Ready::F32(chain) => chain.margins(trace, values, norms),
            Ready::F64(chain) => chain.margins(trace, values, norms),
            Ready::General => Ok(None),
        }
    }

    /// The first boundaries of each input along the `2D` signed axes; `None` as of [`Prepared::margins`].
    pub(crate) fn axes(
        &self,
        trace: &Trace,
        values: Values<'_>,
    ) -> Result<Option<Vec<Vec<Nearest>>>> {
        match &self.0 {
            Ready::F32(chain) => chain.axes(trace, values),
            Ready::F64(chain) => chain.axes(trace, values),
            Ready::General => Ok(None),
        }
    }
}
