//! Fast engines for the terms of the objectives, and the one place where one is chosen.
//!
//! An engine knows an architecture and finds the same numbers with fewer products. Everything outside this folder works
//! for every network, and asks here first: `None` says that no engine does it.

mod chain;
mod recurrent;

use crate::Result;
use candle_core::{DType, Tensor};
use loclin_models::{FcChain, Network, Recurrence, Structure, Trace};
use loclin_regions::Norm;
use loclin_tensor::own_loops;
use std::fmt;

/// The engine that works for a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// For fully connected chains: shared Gram matrices, and tangents with an analytic backward pass. Where the input
    /// has so few axes that pushing all of them is cheaper, exact objectives do that.
    Chain,
    /// For recurrences: the axes of a time step are pushed from that step on, and directions of sequences of several lengths
    /// together.
    Recurrence,
    /// For every network: its operators' own readings.
    General,
}

impl Engine {
    /// The engine for `network`: one of the fast ones on the CPU, in float32 or float64.
    pub fn of(network: &Network) -> Self {
        match Recognised::of(network) {
            Recognised::Chain(_) => Self::Chain,
            Recognised::Recurrence(_) => Self::Recurrence,
            Recognised::General => Self::General,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chain => "fully connected chain",
            Self::Recurrence => "recurrence",
            Self::General => "operator by operator",
        })
    }
}

/// What a network is, for the engine that is chosen.
enum Recognised<'a> {
    Chain(&'a FcChain),
    Recurrence(&'a Recurrence),
    General,
}

impl<'a> Recognised<'a> {
    fn of(network: &'a Network) -> Self {
        if !own_loops::serve(network.device())
            || !matches!(network.dtype(), DType::F32 | DType::F64)
        {
            return Self::General;
        }
        match network.structure() {
            Structure::Chain(chain) => Self::Chain(chain),
            Structure::Recurrence(recurrence) => Self::Recurrence(recurrence),
            _ => Self::General,
        }
    }
}

/// `sum over neurons of ||grad z||_2^2`, averaged over the batch, as a scalar `[]` with analytic gradients.
pub(crate) fn mean_squared_norms(trace: &Trace) -> Result<Option<Tensor>> {
    let single = trace.network().dtype() == DType::F32;
    match Recognised::of(trace.network()) {
        Recognised::Chain(chain) if chain::is_cheaper(chain)? => match single {
            true => chain::mean_squared_norms::<f32>(trace, chain).map(Some),
            false => chain::mean_squared_norms::<f64>(trace, chain).map(Some),
        },
        Recognised::Recurrence(recurrence) => match single {
            true => recurrent::mean_squared_norms::<f32>(trace, recurrence).map(Some),
            false => recurrent::mean_squared_norms::<f64>(trace, recurrence).map(Some),
        },
        _ => Ok(None),
    }
}

/// `||grad z||_2^2` of all neurons, `[B, |I|]`, with an analytic backward pass.
pub(crate) fn squared_norms(trace: &Trace) -> Result<Option<Tensor>> {
    match (Recognised::of(trace.network()), trace.network().dtype()) {
        (Recognised::Chain(chain), DType::F32) if chain::is_cheaper(chain)? => {
            chain::squared_norms::<f32>(trace, chain).map(Some)
        }
        (Recognised::Chain(chain), _) if chain::is_cheaper(chain)? => {
            chain::squared_norms::<f64>(trace, chain).map(Some)
        }
        _ => Ok(None),
    }
}

/// `||grad z||_q` of the chosen neurons of each input, one after the other, `q` dual to l1 or l_inf, with an analytic backward pass.
/// Neurons are counted through all layers.
pub(crate) fn dual_norms(
    trace: &Trace,
    chosen: Vec<Vec<u32>>,
    norm: Norm,
) -> Result<Option<Tensor>> {
    match (Recognised::of(trace.network()), trace.network().dtype()) {
        (Recognised::Chain(chain), DType::F32) => {
            chain::dual_norms::<f32>(trace, chain, chosen, norm).map(Some)
        }
        (Recognised::Chain(chain), _) => {
            chain::dual_norms::<f64>(trace, chain, chosen, norm).map(Some)
        }
        _ => Ok(None),
    }
}

/// The mean over all inputs of the traces, `count` directions of each, and the input's neurons of `(grad z . v)^2` for directions
/// `v` of norm `sqrt(D)`, those of each trace `[B, count, in...]`; the first layer's neurons of a chain by `||grad z||_2^2`.
pub(crate) fn mean_along(traces: &[&Trace], directions: &[Tensor]) -> Result<Option<Tensor>> {
    let found = traces.iter().map(|trace| Recognised::of(trace.network()));
    let found: Vec<Recognised> = found.collect();
    let single = |trace: &Trace| trace.network().dtype() == DType::F32;
    if let ([trace], [Recognised::Chain(chain)], [directions]) = (traces, &found[..], directions) {
        let mean = match single(trace) {
            true => chain::mean_along::<f32>(trace, chain, directions),
            false => chain::mean_along::<f64>(trace, chain, directions),
        };
        return mean.map(Some);
    }
    let recurrences = found.iter().map(|found| match found {
        Recognised::Recurrence(recurrence) => Some(*recurrence),
        _ => None,
    });
    let Some(recurrences) = recurrences.collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    match recurrent::Shared::of(&recurrences) {
        Some(shared) if single(traces[0]) => {
            recurrent::mean_along::<f32>(traces, shared, directions).map(Some)
        }
        Some(shared) => recurrent::mean_along::<f64>(traces, shared, directions).map(Some),
        None => Ok(None),
    }
}

/// The sum over the first layer's neurons of `||grad z||_2^2`, which is the same at all inputs, a scalar `[]`; of chains on any
/// device and in any type.
pub(crate) fn first_layer(trace: &Trace) -> Result<Option<Tensor>> {
    match trace.network().structure() {
        Structure::Chain(chain) => chain::first_layer(chain),
        _ => Ok(None),
    }
}

/// The widths of interval bounds of each input's gradient of one output over a ball, `[B, D]`; of chains on any device and in any
/// type.
pub(crate) fn gradient_widths(
    trace: &Trace,
    inputs: &Tensor,
    outputs: &Tensor,
    radius: f64,
) -> Result<Option<Tensor>> {
    match trace.network().structure() {
        Structure::Chain(chain) => chain::gradient_widths(chain, inputs, outputs, radius).map(Some),
        _ => Ok(None),
    }
}
