//! Exact margins of fully connected chains without most of the gradients.
//!
//! A margin is a minimum of `|z| / ||grad z||`, so a neuron is out of the question as soon as `|z|` divided by
//! an upper bound of its gradient's norm exceeds a distance that is already known. A neuron's row `W^i_j`, pulled
//! back to the pre-activations of layer `k` and multiplied by that layer's slopes, is a cotangent `v` with
//! `||grad z||_q <= ||v||_2 s_k`, where `s_k` is the first layer's induced norm times the spectral norms of layers
//! `2 .. k`: the further back, the sharper the bound. From the first layer's cotangent the exact l2 norm is a
//! quadratic form in `W^1 W^1^T`, without the input's dimension. The first layer's own norms are exact and shared
//! by all inputs.

mod axes;
mod block;
mod errors;
mod forward;
mod search;
mod steps;
#[cfg(test)]
mod tests;
mod twice;
mod weights;

use crate::{
    Norm, Result, Rows,
    local_errors::{ForwardPass, LocalErrors, Values},
    nearest::{Found, Nearest},
    room::Within,
};
use block::Block;
use candle_core::{DType, Tensor};
use errors::Lengths;
use loclin_models::{FcChain, Network, Trace};
use loclin_tensor::product::{self, Real};
use rayon::prelude::*;
use std::sync::OnceLock;
use weights::Weights;

/// A chain whose numbers are `T`, and what is known of its weights once a margin is asked for.
#[derive(Debug)]
pub(super) struct Prepared<T> {
    chain: FcChain,
    precise: FcChain,
    weights: OnceLock<Weights<T>>,
    lengths: OnceLock<Lengths>,
}

impl<T: Real> Prepared<T> {
    /// Of a network's chain and that of its float64 copy.
    pub(super) fn new(chain: FcChain, precise: FcChain) -> Self {
        Self {
            chain,
            precise,
            weights: OnceLock::new(),
            lengths: OnceLock::new(),
        }
    }

    /// As of [`super::Prepared::forward`].
    pub(super) fn forward(&self, network: &Network, inputs: &Tensor) -> Result<ForwardPass> {
        let (trace, found) = forward::of_chain::<T>(network, &self.precise, inputs)?;
        let values = found.pre_activations();
        if T::DTYPE != DType::F64 {
            return Ok((trace, values, None));
        }
        let errors = self.lengths()?.errors(&self.precise, &found);
        Ok((trace, values, Some((errors.values, errors.local))))
    }

    /// As of [`super::Prepared::axes`].
    pub(super) fn axes(
        &self,
        trace: &Trace,
        values: Values<'_>,
    ) -> Result<Option<Vec<Vec<Nearest>>>> {
        let weights = self.weights(trace.batch())?;
        let clear: Vec<&[f64]> = values.clear.iter().collect();
        with_slopes(trace, |slopes| {
            let block = Block {
                weights,
                first: 0,
                known: values,
                values: &clear,
                slopes: slopes.to_vec(),
            };
            let inputs = (0..clear.len()).into_par_iter();
            inputs.map(|input| axes::nearest(&block, input)).collect()
        })
    }

    /// As of [`super::Prepared::margins`].
    pub(super) fn margins(
        &self,
        trace: &Trace,
        (values, within): (Values<'_>, Option<&Within>),
        norms: &[Norm],
    ) -> Result<Option<Vec<Vec<Found>>>> {
        let weights = self.weights(trace.batch())?;
        let clear: Vec<&[f64]> = values.clear.iter().collect();
        // Blocks do not depend on the number of threads, so that results do not either.
        let size = clear.len().div_ceil(8).clamp(16, 128);
        let blocks = with_slopes(trace, |slopes: &[&[T]]| {
            let block = |(number, own): (usize, &[&[f64]])| {
                let layers = weights.layers.iter().zip(slopes);
                let slopes = layers.map(|(layer, slopes)| {
                    let start = number * size * layer.outputs;
                    &slopes[start..start + own.len() * layer.outputs]
                });
                let block = Block {
                    weights,
                    first: number * size,
                    known: values,
                    values: own,
                    slopes: slopes.collect(),
                };
                search::nearest(&block, within, norms)
            };
            let blocks = clear.par_chunks(size).enumerate().map(block);
            blocks.collect::<Result<Option<Vec<Vec<Vec<Found>>>>>>()
        })?;
        Ok(blocks.map(|blocks| {
            let of_norm = |norm: usize| {
                let inputs = blocks.iter().flat_map(|block| &block[norm]);
                inputs.copied().collect()
            };
            (0..norms.len()).map(of_norm).collect()
        }))
    }

    /// As of [`super::Prepared::sharper`].
    pub(super) fn sharper(
        &self,
        input: &Tensor,
        recorded: &[f64],
    ) -> Result<Option<(Rows, Rows, LocalErrors)>> {
        let x = input.flatten_all()?.to_vec1::<f64>()?;
        let found = self.lengths()?.sharper(&self.precise, &x, recorded);
        Ok(found.map(|(values, errors)| (values, errors.values, errors.local)))
    }

    fn lengths(&self) -> Result<&Lengths> {
        if let Some(known) = self.lengths.get() {
            return Ok(known);
        }
        let lengths = Lengths::new(&self.precise)?;
        Ok(self.lengths.get_or_init(|| lengths))
    }

    /// What is known of the weights; `batch` is the number of inputs that share what it costs to know it.
    fn weights(&self, batch: usize) -> Result<&Weights<T>> {
        if let Some(known) = self.weights.get() {
            return Ok(known);
        }
        let weights = Weights::new(&self.chain, batch)?;
        Ok(self.weights.get_or_init(|| weights))
    }
}

/// Calls `read` with the selected slopes of each layer, `[B * units]`, where they are.
fn with_slopes<T: Real, R>(trace: &Trace, read: impl FnOnce(&[&[T]]) -> Result<R>) -> Result<R> {
    let slopes = trace.records().map(|record| {
        let found = record.slopes()?;
        found.ok_or_else(|| candle_core::Error::Msg("an activation without recorded slopes".into()))
    });
    let slopes = slopes.map(|slopes| slopes?.contiguous());
    let slopes = slopes.collect::<candle_core::Result<Vec<_>>>()?;
    let storages: Vec<_> = slopes.iter().map(Tensor::storage_and_layout).collect();
    let slices = storages.iter().map(|(s, layout)| product::slice(s, layout));
    read(&slices.collect::<loclin_tensor::Result<Vec<&[T]>>>()?)
}
