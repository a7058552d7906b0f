//! What is known of a network before any input is seen, for all its linearisations.

use crate::{
    Result, cost::Cost, engines::Prepared as Engine, exact::Exact, node_lengths::NodeLengths,
};
use candle_core::DType;
use loclin_models::{Lengths, Magnitudes, Network};
use std::sync::{Arc, OnceLock};

/// Multiply-adds that reading the matrices of a network for exact arithmetic may take, zeros included.
const READING: u64 = 1 << 24;

/// Multiply-adds in exact arithmetic that an input may take, about a tenth of a second.
pub(crate) const EXACT: u64 = 1 << 20;

/// A network prepared: its float64 copy, its engine, what work on it costs, and its bounds as soon as they are asked for.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) precise: Network,
    pub(crate) engine: Engine,
    pub(crate) cost: Cost,
    lengths: OnceLock<Lengths>,
    lipschitz: OnceLock<Vec<f64>>,
    node_lengths: OnceLock<Option<Arc<NodeLengths>>>,
    magnitudes: OnceLock<Option<Magnitudes>>,
    exact: OnceLock<Option<Exact>>,
}

impl Prepared {
    /// Of a network without parameters that are differentiated in.
    pub(crate) fn new(network: &Network) -> Result<Self> {
        let precise = match network.dtype() {
            DType::F64 => network.clone(),
            _ => network.to(DType::F64, network.device())?,
        };
        Ok(Self {
            engine: Engine::new(network, &precise),
            cost: Cost::of(network),
            precise,
            lengths: OnceLock::new(),
            lipschitz: OnceLock::new(),
            node_lengths: OnceLock::new(),
            magnitudes: OnceLock::new(),
            exact: OnceLock::new(),
        })
    }

    /// The absolute values of the network's operators, which bound rounding errors; `None` for a network that is not in
    /// float64, or has an operator that does not know its own.
    pub(crate) fn magnitudes(&self, network: &Network) -> Result<Option<&Magnitudes>> {
        if let Some(known) = self.magnitudes.get() {
            return Ok(known.as_ref());
        }
        let found = network.magnitudes()?;
        Ok(self.magnitudes.get_or_init(|| found).as_ref())
    }

    /// The network in exact arithmetic; `None` if that is too large, or not known.
    pub(crate) fn exact(&self) -> Option<&Exact> {
        let exact = || {
            let exact = Exact::new(&self.precise, READING).ok()?;
            (exact.gradient_cost() <= EXACT).then_some(exact)
        };
        self.exact.get_or_init(exact).as_ref()
    }

    /// For each node an upper bound on the length of its Jacobian, with slack for the rounding of pulled gradients, which
    /// they are multiplied with; infinite where products overflow.
    pub(crate) fn lipschitz(&self, network: &Network) -> Result<&[f64]> {
        if let Some(known) = self.lipschitz.get() {
            return Ok(known);
        }
        let slack = match network.dtype() {
            DType::F64 => 1.0 + 1e-9,
            _ => 1.0 + 1e-4,
        };
        let above = |bound: f64| match bound.is_nan() {
            true => f64::INFINITY,
            false => bound * slack,
        };
        let bounds = self.lengths(network)?.jacobians()?;
        let bounds = bounds.into_iter().map(above).collect();
        Ok(self.lipschitz.get_or_init(|| bounds))
    }

    /// Bounds of the spectral norms of all operators.
    fn lengths(&self, network: &Network) -> Result<&Lengths> {
        if let Some(known) = self.lengths.get() {
            return Ok(known);
        }
        let found = network.lengths()?;
        Ok(self.lengths.get_or_init(|| found))
    }

    /// Bounds of lengths of each node, and of rounding errors by them; `None` as of [`Prepared::magnitudes`].
    pub(crate) fn node_lengths(&self, network: &Network) -> Result<Option<&Arc<NodeLengths>>> {
        if let Some(known) = self.node_lengths.get() {
            return Ok(known.as_ref());
        }
        let found = match self.magnitudes(network)? {
            Some(magnitudes) => Some(Arc::new(NodeLengths::new(
                self.lengths(network)?,
                magnitudes,
            )?)),
            None => None,
        };
        Ok(self.node_lengths.get_or_init(|| found).as_ref())
    }

    /// What [`Prepared::lipschitz`] has still to cost, in multiply-adds.
    pub(crate) fn lipschitz_cost(&self) -> f64 {
        match self.lipschitz.get() {
            Some(_) => 0.0,
            None => self.cost.lipschitz,
        }
    }
}
