//! A network prepared for linearisation: what does not depend on the inputs, once.

use crate::{Budget, Error, Linearization, Result, forward, host, skip};
use candle_core::{DType, Tensor};
use loclin_models::{Network, Trace};
use rayon::prelude::*;
use std::sync::Arc;

/// A network to be linearised at many batches: its parameters cut off from differentiation, its float64 copy, and
/// the norms of its layers as soon as a margin asks for them.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::{Budget, Linearizer, Norm};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
/// let linearizer = Linearizer::new(&network, Budget::default())?;
/// for batch in [[[0.3, -0.2]], [[1.0, 0.5]]] {
///     let here = linearizer.at(&Tensor::new(&batch, &Device::Cpu)?)?;
///     assert!(here.margins(&[Norm::L2])?[0].radius[0] > 0.0);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Linearizer {
    network: Network,
    precise: Network,
    budget: Budget,
    facts: Arc<skip::Facts>,
}

impl Linearizer {
    /// Prepares `network`. Later changes of its parameters in place may or may not be seen: prepare it again.
    pub fn new(network: &Network, budget: Budget) -> Result<Self> {
        let network = network.detached()?;
        let precise = match network.dtype() {
            DType::F64 => network.clone(),
            _ => network.to(DType::F64, network.device())?,
        };
        Ok(Self {
            network,
            precise,
            budget,
            facts: Arc::default(),
        })
    }

    /// Linearises it at inputs `x` `[B, in...]`; an error if an input or a pre-activation is not finite.
    ///
    /// Pre-activations, pattern and outputs are found in float64 whatever the network's dtype: one forward
    /// pass costs little beside the tangents, and a margin is only as exact as the pre-activation that limits
    /// it. Tangents are pushed in the network's dtype.
    pub fn at(&self, x: &Tensor) -> Result<Linearization> {
        let inputs = x.detach().to_dtype(DType::F64)?;
        self.network.check_input(&inputs)?;
        check_finite("the input", &host::rows(&inputs.flatten_from(1)?)?)?;
        let (trace, pre_activations) = self.forward(&inputs)?;
        check_finite("a pre-activation", &pre_activations)?;
        check_finite("an output", &host::rows(trace.output())?)?;
        Ok(Linearization {
            ranges: trace.neuron_ranges()?,
            trace,
            precise: self.precise.clone(),
            inputs,
            budget: self.budget,
            pre_activations,
            facts: Arc::clone(&self.facts),
        })
    }

    /// The trace of the network found in float64, and the values of the constraints, `[B][|I|]`.
    pub(crate) fn forward(&self, inputs: &Tensor) -> Result<(Trace, Vec<Vec<f64>>)> {
        let chain = self.precise.structure().chain();
        let chain = chain.filter(|_| inputs.device().is_cpu() && self.precise.device().is_cpu());
        let found = match (chain, self.network.dtype()) {
            (Some(chain), DType::F32) => forward::of_chain::<f32>(&self.network, chain, inputs)?,
            (Some(chain), DType::F64) => forward::of_chain::<f64>(&self.network, chain, inputs)?,
            _ => return self.forward_by_trace(inputs),
        };
        let (trace, layers) = found;
        let row = |input: usize| {
            let of_layer = |layer: &Vec<f64>| {
                let width = layer.len() / trace.batch();
                input * width..(input + 1) * width
            };
            let parts: Vec<&[f64]> = layers.iter().map(|l| &l[of_layer(l)]).collect();
            parts.concat()
        };
        let pre_activations = (0..trace.batch()).into_par_iter().map(row).collect();
        Ok((trace, pre_activations))
    }

    /// The same by the network's own readings: the plain road, for every network.
    pub(crate) fn forward_by_trace(&self, inputs: &Tensor) -> Result<(Trace, Vec<Vec<f64>>)> {
        let trace = self.precise.trace(inputs)?;
        let pre_activations = match trace.pre_activations()? {
            Some(pre_activations) => host::rows(&pre_activations)?,
            None => vec![Vec::new(); trace.batch()],
        };
        Ok((trace.for_network(&self.network)?, pre_activations))
    }
}

fn check_finite(what: &str, rows: &[Vec<f64>]) -> Result<()> {
    let error = |(index, row): (usize, &Vec<f64>)| {
        let value = *row.iter().find(|v| !v.is_finite())?;
        Some(Error::NotFinite {
            index,
            what: what.into(),
            value,
        })
    };
    let found = rows.par_iter().enumerate().find_map_first(error);
    found.map_or(Ok(()), Err)
}
