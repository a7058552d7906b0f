//! Exact margins of fully connected chains without most of the gradients.
//!
//! A margin is a minimum of `|z| / ||grad z||`, so a neuron is out of the question as soon as `|z|` divided by
//! an upper bound of its gradient's norm exceeds a distance that is already known. A neuron's row `W^i_j`, pulled
//! back to the pre-activations of layer `k` and multiplied by that layer's slopes, is a cotangent `v` with
//! `||grad z||_q <= ||v||_2 s_k`, where `s_k` is the first layer's induced norm times the spectral norms of layers
//! `2 .. k`: the further back, the sharper the bound. From the first layer's cotangent the exact l2 norm is a
//! quadratic form in `W^1 W^1^T`, without the input's dimension. The first layer's own norms are exact and shared
//! by all inputs.

use crate::{Linearization, Margins, Norm, Result, direction::Exit};
use candle_core::{DType, Tensor};
use chain::Chain;
use loclin_tensor::product::{self, Real};
use rayon::prelude::*;
use search::{Block, Nearest};
use std::sync::OnceLock;

mod axes;
mod chain;
mod search;
#[cfg(test)]
mod tests;

/// The chain that a network is, read when the first margin is asked for; `None` if it is none.
#[derive(Debug, Default)]
pub(crate) struct Facts(OnceLock<Option<AnyChain>>);

#[derive(Debug)]
enum AnyChain {
    F32(Chain<f32>),
    F64(Chain<f64>),
}

impl Facts {
    fn chain(&self, here: &Linearization) -> Result<Option<&AnyChain>> {
        if let Some(known) = self.0.get() {
            return Ok(known.as_ref());
        }
        let network = here.network();
        let chain = match (network.fc_chain(), network.dtype()) {
            (Some(chain), DType::F32) => Some(AnyChain::F32(Chain::new(&chain, here.batch())?)),
            (Some(chain), DType::F64) => Some(AnyChain::F64(Chain::new(&chain, here.batch())?)),
            _ => None,
        };
        Ok(self.0.get_or_init(|| chain).as_ref())
    }
}

/// The lp margins for `norms`, or `None` where the plain road is to be taken: no chain, not on the CPU, another
/// type of number, a norm other than l1, l2 and l_inf, or gradients that overflow (which is then an error).
pub(crate) fn margins(here: &Linearization, norms: &[Norm]) -> Result<Option<Vec<Margins>>> {
    let known = |norm: &Norm| [Norm::L1, Norm::L2, Norm::LINF].contains(norm);
    if !here.network().device().is_cpu() || !norms.iter().all(known) {
        return Ok(None);
    }
    match here.facts.chain(here)? {
        Some(AnyChain::F32(chain)) => margins_of(here, chain, norms),
        Some(AnyChain::F64(chain)) => margins_of(here, chain, norms),
        None => Ok(None),
    }
}

/// The first boundaries of each input along the `2D` signed axes, or `None` as in [`margins`].
pub(crate) fn axes(here: &Linearization) -> Result<Option<Vec<Vec<Exit>>>> {
    if !here.network().device().is_cpu() {
        return Ok(None);
    }
    match here.facts.chain(here)? {
        Some(AnyChain::F32(chain)) => axes_of(here, chain),
        Some(AnyChain::F64(chain)) => axes_of(here, chain),
        None => Ok(None),
    }
}

fn axes_of<T: Real>(here: &Linearization, chain: &Chain<T>) -> Result<Option<Vec<Vec<Exit>>>> {
    with_slopes(here, |slopes| {
        let block = Block {
            chain,
            values: &here.pre_activations,
            slopes: slopes.to_vec(),
        };
        let inputs = (0..here.batch()).into_par_iter();
        inputs.map(|input| block.axes(input)).collect()
    })
}

fn margins_of<T: Real>(
    here: &Linearization,
    chain: &Chain<T>,
    norms: &[Norm],
) -> Result<Option<Vec<Margins>>> {
    let duals: Vec<Norm> = norms.iter().map(|norm| norm.dual()).collect();
    // Blocks do not depend on the number of threads, so that results do not either.
    let size = here.batch().div_ceil(8).clamp(16, 128);
    let blocks = with_slopes(here, |slopes: &[&[T]]| {
        let block = |(number, values): (usize, &[Vec<f64>])| {
            let layers = chain.layers.iter().zip(slopes);
            let slopes = layers.map(|(layer, slopes)| {
                let start = number * size * layer.outputs;
                &slopes[start..start + values.len() * layer.outputs]
            });
            let block = Block {
                chain,
                values,
                slopes: slopes.collect(),
            };
            block.nearest(&duals)
        };
        let blocks = here.pre_activations.par_chunks(size).enumerate().map(block);
        blocks.collect::<Result<Option<Vec<Vec<Vec<Nearest>>>>>>()
    })?;
    Ok(blocks.map(|blocks| {
        let margins = |norm: usize| {
            let nearest = blocks.iter().flat_map(|block| &block[norm]);
            let name = |&(radius, at): &Nearest| (radius, at.and_then(|at| here.neuron(at)));
            let (radius, limiting) = nearest.map(name).unzip();
            Margins { radius, limiting }
        };
        (0..norms.len()).map(margins).collect()
    }))
}

/// Calls `read` with the selected slopes of each layer, `[B * units]`, where they are.
fn with_slopes<T: Real, R>(
    here: &Linearization,
    read: impl FnOnce(&[&[T]]) -> Result<R>,
) -> Result<R> {
    let selections = here.trace.records().map(|record| &record.selection);
    let selections = selections.map(Tensor::contiguous);
    let selections = selections.collect::<candle_core::Result<Vec<_>>>()?;
    let storages: Vec<_> = selections.iter().map(Tensor::storage_and_layout).collect();
    let slices = storages.iter().map(|(s, layout)| product::slice(s, layout));
    read(&slices.collect::<loclin_tensor::Result<Vec<&[T]>>>()?)
}
