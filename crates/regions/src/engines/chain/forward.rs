//! The forward pass of a fully connected chain, in float64, the inputs shared out among the threads.
//!
//! It finds what [`Network::trace`] finds: that computes node by node with a temporary for every elementary
//! operation, this layer by layer with all operations on a row while it is in the cache.

use crate::{Result, Rows};
use candle_core::{Device, Tensor};
use loclin_models::{ActivationRecord, FcChain, Network, Trace, TwoPieces};
use loclin_tensor::product::{self, Real, View, ViewMut, Write, multiply};
use rayon::prelude::*;

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;

/// What a forward pass found, in float64, all `[B * units]`.
pub(super) struct Forward {
    pub(super) batch: usize,
    /// The normalised inputs.
    pub(super) inputs: Vec<f64>,
    /// Of each layer the neurons' values and the activations.
    pub(super) layers: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Forward {
    /// The numbers of one input.
    pub(super) fn row<'a>(&self, numbers: &'a [f64], input: usize) -> &'a [f64] {
        let width = numbers.len() / self.batch;
        &numbers[input * width..][..width]
    }

    /// The neurons' values, `[B, |I|]`.
    pub(super) fn pre_activations(&self) -> Rows {
        let width = self.layers.iter().map(|(z, _)| z.len()).sum::<usize>() / self.batch.max(1);
        let mut values = Vec::with_capacity(self.batch * width);
        for input in 0..self.batch {
            for (z, _) in &self.layers {
                values.extend_from_slice(self.row(z, input));
            }
        }
        Rows::new(values, self.batch, width)
    }
}

/// The trace of `network`'s `chain` at `inputs` `[B, in...]` in float64, for a network whose numbers are `T`, and the numbers
/// that it was found with.
pub(super) fn of_chain<T: Real>(
    network: &Network,
    chain: &FcChain,
    inputs: &Tensor,
) -> Result<(Trace, Forward)> {
    let batch = inputs.dim(0)?;
    let inputs = inputs.flatten_from(1)?.contiguous()?;
    let mut values = inputs.flatten_all()?.to_vec1::<f64>()?;
    if (chain.scale, chain.shift) != (1.0, 0.0) {
        let normalize = |v: &mut f64| *v = *v * chain.scale + chain.shift;
        values.par_iter_mut().for_each(normalize);
    }
    let normalized = values.clone();
    let (mut records, mut found) = (Vec::new(), Vec::new());
    let layers = chain.weights.iter().zip(&chain.biases);
    for ((weight, bias), activation) in layers.zip(&chain.activations) {
        let mut layer = Layer::<T>::new(batch * weight.dim(0)?, activation);
        affine(&values, weight, bias.as_ref(), &mut layer.pre_activations)?;
        values = layer.activate();
        let (record, own) = layer.record(batch)?;
        records.push(record);
        found.push((own, values.clone()));
    }
    if let Some((weight, bias)) = &chain.head {
        let mut output = vec![0.0; batch * weight.dim(0)?];
        affine(&values, weight, bias.as_ref(), &mut output)?;
        values = output;
    }
    let output = Tensor::from_vec(values, (batch, network.output_size()), &Device::Cpu)?;
    let output = output.to_dtype(network.dtype())?;
    let trace = Trace::from_records(network, output, records)?;
    let forward = Forward {
        batch,
        inputs: normalized,
        layers: found,
    };
    Ok((trace, forward))
}

/// `x W^T + b` into `result`, blocks of rows in parallel; `x` is `[rows, in]`, `W` `[out, in]`.
fn affine(x: &[f64], weight: &Tensor, bias: Option<&Tensor>, result: &mut [f64]) -> Result<()> {
    let (outputs, inputs) = weight.dims2()?;
    let weight = weight.contiguous()?;
    let (storage, layout) = weight.storage_and_layout();
    let weight = View::new(product::slice::<f64>(&storage, layout)?, outputs, inputs)?.t();
    let bias = bias.map(Tensor::to_vec1::<f64>).transpose()?;
    let rows = block(result.len() / outputs);
    result
        .par_chunks_mut(rows * outputs)
        .zip(x.par_chunks(rows * inputs))
        .try_for_each(|(result, x)| {
            let rows = result.len() / outputs;
            let x = View::new(x, rows, inputs)?;
            let product = ViewMut::new(result, rows, outputs)?;
            multiply(product, Write::Replace, 1.0, x, weight)?;
            for row in result.chunks_exact_mut(outputs) {
                let bias = bias.iter().flatten();
                row.iter_mut().zip(bias).for_each(|(z, b)| *z += b);
            }
            Ok(())
        })
}

/// Inputs that a thread takes at a time. It does not depend on the number of threads, so that results do not
/// either.
fn block(batch: usize) -> usize {
    batch.div_ceil(4).clamp(16, 64)
}

/// What one hidden layer records, `[B * units]` each.
struct Layer<'a, T> {
    activation: &'a TwoPieces,
    pre_activations: Vec<f64>,
    rounded: Vec<T>,
    signs: Vec<T>,
    pieces: Vec<u8>,
    selected: Vec<T>,
}

impl<'a, T: Real> Layer<'a, T> {
    fn new(size: usize, activation: &'a TwoPieces) -> Self {
        Self {
            activation,
            pre_activations: vec![0.0; size],
            rounded: vec![T::zero(); size],
            signs: vec![T::zero(); size],
            pieces: vec![0; size],
            selected: vec![T::zero(); size],
        }
    }

    /// Makes neurons' values of pre-activations, records the slopes, and returns the activations.
    fn activate(&mut self) -> Vec<f64> {
        /// A piece of a row that stays in the nearest cache.
        const PIECE: usize = 1024;
        let TwoPieces {
            breakpoint,
            slopes: [below, above],
            anchor,
        } = *self.activation;
        let slopes = [below, above].map(T::from_f64);
        let sides = [-1.0, 1.0].map(T::from_f64);
        let mut values = vec![0.0; self.pre_activations.len()];
        self.pre_activations
            .par_chunks_mut(PIECE)
            .zip(values.par_chunks_mut(PIECE))
            .zip(self.rounded.par_chunks_mut(PIECE))
            .zip(self.signs.par_chunks_mut(PIECE))
            .zip(self.pieces.par_chunks_mut(PIECE))
            .zip(self.selected.par_chunks_mut(PIECE))
            .with_min_len(8)
            .for_each(|(((((z, a), rounded), signs), pieces), selected)| {
                for (z, a) in z.iter_mut().zip(a) {
                    *z -= breakpoint;
                    *a = anchor + *z * if *z >= 0.0 { above } else { below };
                }
                for (r, z) in rounded.iter_mut().zip(&*z) {
                    *r = T::from_f64(*z);
                }
                for (piece, z) in pieces.iter_mut().zip(&*z) {
                    *piece = u8::from(*z >= 0.0);
                }
                for ((sign, slope), z) in signs.iter_mut().zip(selected).zip(&*z) {
                    (*sign, *slope) = match *z >= 0.0 {
                        true => (sides[1], slopes[1]),
                        false => (sides[0], slopes[0]),
                    };
                }
            });
        values
    }

    /// The record as tensors, and the constraints in float64.
    fn record(self, batch: usize) -> Result<(ActivationRecord, Vec<f64>)> {
        let shape = [batch, self.pre_activations.len() / batch];
        let record = ActivationRecord::new(
            product::tensor(self.rounded, &shape)?,
            product::tensor(self.signs, &shape)?,
            Tensor::from_vec(self.pieces, &shape, &Device::Cpu)?,
            2,
        )?;
        let slopes = product::tensor(self.selected, &shape)?;
        Ok((record.with_slopes(slopes), self.pre_activations))
    }
}
