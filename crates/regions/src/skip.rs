//! Exact margins of fully connected chains without most of the gradients.
//!
//! A margin is a minimum of `|z| / ||grad z||`, so a neuron is out of the question as soon as `|z|` divided by
//! an upper bound of its gradient's norm exceeds a distance that is already known. With `v = D W^i_j` on the
//! active units of layer `i - 1`, `||grad z||_q <= ||v||_2 s`, where `s` is the first layer's induced norm times
//! the spectral norms of the layers between. Neurons are visited from the smallest such distance on, each with
//! its exact gradient (a row pulled back through active units), until none left can be nearer. The first
//! layer's norms are exact and shared by all inputs.

use crate::{Linearization, Margins, Norm, Result, margin::distance};
use candle_core::{DType, Tensor};
use candle_ext::product::{self, Real, View, Write, gram, multiply_shared};
use rayon::prelude::*;
use roll_models::FcChain;
use std::{cmp::Ordering, collections::BinaryHeap};

#[cfg(test)]
mod tests;

/// The lp margins for `norms`, or `None` where the plain road is to be taken: no chain, not on the CPU, another
/// type of number, a norm other than l1, l2 and l_inf, or gradients that overflow (which is then an error).
pub(crate) fn margins(here: &Linearization, norms: &[Norm]) -> Result<Option<Vec<Margins>>> {
    let network = here.network();
    let known = |norm: &Norm| [Norm::L1, Norm::L2, Norm::LINF].contains(norm);
    if !network.device().is_cpu() || !norms.iter().all(known) {
        return Ok(None);
    }
    match (network.fc_chain(), network.dtype()) {
        (Some(chain), DType::F32) => of_chain::<f32>(here, &chain, norms),
        (Some(chain), DType::F64) => of_chain::<f64>(here, &chain, norms),
        _ => Ok(None),
    }
}

fn of_chain<T: Real>(
    here: &Linearization,
    chain: &FcChain,
    norms: &[Norm],
) -> Result<Option<Vec<Margins>>> {
    let weights = chain
        .weights
        .iter()
        .map(Tensor::contiguous)
        .collect::<candle_core::Result<Vec<_>>>()?;
    let storages: Vec<_> = weights.iter().map(Tensor::storage_and_layout).collect();
    let slices = storages
        .iter()
        .map(|(storage, layout)| product::slice(storage, layout))
        .collect::<candle_ext::Result<Vec<&[T]>>>()?;
    let mut layers = Vec::new();
    for (weight, values) in weights.iter().zip(slices) {
        let (outputs, inputs) = weight.dims2()?;
        layers.push(Layer {
            values,
            inputs,
            outputs,
        });
    }
    let slopes = here
        .trace
        .switches()
        .map(|switch| switch.selection.flatten_all()?.to_vec1::<T>())
        .collect::<candle_core::Result<Vec<_>>>()?;
    let network = Chain {
        rows: row_norms(&layers, &slopes, here.batch())?,
        spectral: layers[1..]
            .iter()
            .take(layers.len().saturating_sub(2))
            .map(|layer| spectral_bound(layer, here.batch()))
            .collect::<Result<_>>()?,
        scale: chain.scale.abs(),
        layers,
        slopes,
    };
    norms
        .iter()
        .map(|norm| {
            let dual = norm.dual();
            let first = network.first_layer(dual, here.batch())?;
            let nearest: Option<Vec<_>> = here
                .constraints
                .par_iter()
                .enumerate()
                .map(|(input, z)| network.nearest(input, z, dual, &first))
                .collect();
            Ok(nearest.map(|nearest| {
                let named = |(radius, at): (f64, Option<usize>)| {
                    (radius, at.and_then(|at| here.neuron(at)))
                };
                let (radius, limiting) = nearest.into_iter().map(named).unzip();
                Margins { radius, limiting }
            }))
        })
        .collect()
}

struct Layer<'a, T> {
    /// The weight, row-major `[outputs, inputs]`.
    values: &'a [T],
    inputs: usize,
    outputs: usize,
}

impl<T: Real> Layer<'_, T> {
    fn row(&self, row: usize) -> &[T] {
        &self.values[row * self.inputs..][..self.inputs]
    }
}

struct Chain<'a, T> {
    scale: f64,
    layers: Vec<Layer<'a, T>>,
    /// Slopes of each layer, `[B * units]`.
    slopes: Vec<Vec<T>>,
    /// For layers 2, 3, ...: `||D W^i_j||_2^2` of each input and neuron, `[B * units]`.
    rows: Vec<Vec<T>>,
    /// Bounds of the spectral norms of layers 2, 3, ..., all but the last.
    spectral: Vec<f64>,
}

/// What is known of the first layer in one norm.
struct First {
    /// `||grad z||_q` of its neurons.
    norms: Vec<f64>,
    /// A bound of `sup ||W^1^T u||_q` over `||u||_2 = 1`, scale included.
    induced: f64,
}

/// A neuron and a lower bound of its distance; the greatest one is the nearest.
#[derive(PartialEq)]
struct Candidate {
    least: f64,
    layer: usize,
    index: usize,
    position: usize,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let own = other.least.total_cmp(&self.least);
        own.then(other.position.cmp(&self.position))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Real> Chain<'_, T> {
    fn first_layer(&self, dual: Norm, batch: usize) -> Result<First> {
        let layer = &self.layers[0];
        let mut columns = vec![0.0; layer.inputs];
        let mut norms = Vec::with_capacity(layer.outputs);
        let mut row = Vec::new();
        for i in 0..layer.outputs {
            row.clear();
            row.extend(layer.row(i).iter().map(|w| w.to_f64()));
            norms.push(dual.of(&row) * self.scale);
            columns.iter_mut().zip(&row).for_each(|(c, w)| *c += w * w);
        }
        let columns = columns.iter().map(|c: &f64| c.sqrt());
        let induced = match dual {
            // The largest coordinate of a sum is at most the longest column.
            Norm::LINF => columns.fold(0.0, f64::max),
            Norm::L2 => spectral_bound(layer, batch)?,
            _ => {
                let root = (layer.inputs as f64).sqrt();
                columns
                    .sum::<f64>()
                    .min(root * spectral_bound(layer, batch)?)
            }
        };
        let induced = induced * self.scale;
        Ok(First { norms, induced })
    }

    /// The slopes of layer `layer` at input `input`.
    fn slopes(&self, layer: usize, input: usize) -> &[T] {
        let width = self.layers[layer].outputs;
        &self.slopes[layer][input * width..][..width]
    }

    /// The smallest distance of one input and the position of the neuron, the first of equal ones; `None` if a
    /// gradient that is looked at, or a bound of one, is not finite.
    fn nearest(
        &self,
        input: usize,
        z: &[f64],
        dual: Norm,
        first: &First,
    ) -> Option<(f64, Option<usize>)> {
        if !first.norms.iter().all(|norm| norm.is_finite()) {
            return None;
        }
        let mut best = (f64::INFINITY, None);
        let mut offer = |distance: f64, position: usize| {
            let tie = distance == best.0 && best.1.is_some_and(|at| position < at);
            if distance < best.0 || tie {
                best = (distance, Some(position));
            }
            best.0
        };
        let mut least = f64::INFINITY;
        for (position, (z, length)) in z.iter().zip(&first.norms).enumerate() {
            least = offer(distance(z.abs(), *length), position);
        }
        let mut candidates = Vec::new();
        let mut start = first.norms.len();
        // Bounds are to hold for computed gradients, too: each sum of `n` products adds at most `n` roundings,
        // and squares may have vanished.
        let (epsilon, tiny) = precision::<T>();
        let widest = self.layers.iter().map(|layer| layer.inputs).max();
        let roundings = (widest.unwrap_or(0) * self.layers.len()) as f64;
        let mut bound = first.induced * (1.0 + 4.0 * roundings * epsilon);
        for (i, layer) in self.layers.iter().enumerate().skip(1) {
            let steepest = self.slopes(i - 1, input).iter();
            let steepest = steepest.fold(0.0, |s: f64, v| s.max(v.to_f64().abs()));
            let rows = &self.rows[i - 1][input * layer.outputs..][..layer.outputs];
            for (index, (row, z)) in rows.iter().zip(&z[start..]).enumerate() {
                let row = row.to_f64() + tiny * layer.inputs as f64;
                let longest = row.sqrt() * bound;
                if !longest.is_finite() {
                    return None;
                }
                let below = distance(z.abs(), longest);
                if below <= least && below < f64::INFINITY {
                    let position = start + index;
                    candidates.push(Candidate {
                        least: below,
                        layer: i,
                        index,
                        position,
                    });
                }
            }
            start += layer.outputs;
            bound *= steepest * self.spectral.get(i - 1).copied().unwrap_or(1.0);
        }
        let mut candidates = BinaryHeap::from(candidates);
        while let Some(next) = candidates.pop() {
            if next.least > least {
                break;
            }
            let length = self.gradient_norm(input, next.layer, next.index, dual);
            if !length.is_finite() {
                return None;
            }
            least = offer(distance(z[next.position].abs(), length), next.position);
        }
        Some(best)
    }

    /// `||grad z||_q` of one neuron: its row pulled back through the active units.
    fn gradient_norm(&self, input: usize, layer: usize, index: usize, dual: Norm) -> f64 {
        let mut cotangent = self.layers[layer].row(index).to_vec();
        for i in (0..layer).rev() {
            let below = &self.layers[i];
            let mut pulled = vec![T::zero(); below.inputs];
            let slopes = self.slopes(i, input);
            for (unit, (value, slope)) in cotangent.iter().zip(slopes).enumerate() {
                let factor = *value * *slope;
                if factor != T::zero() {
                    pulled
                        .iter_mut()
                        .zip(below.row(unit))
                        .for_each(|(sum, weight)| *sum += factor * *weight);
                }
            }
            cotangent = pulled;
        }
        let gradient: Vec<f64> = cotangent.iter().map(|v| v.to_f64()).collect();
        dual.of(&gradient) * self.scale
    }
}

/// The rounding unit, and the smallest number whose neighbours are as close as that.
fn precision<T: Real>() -> (f64, f64) {
    match T::DTYPE {
        DType::F32 => (f64::from(f32::EPSILON), f64::from(f32::MIN_POSITIVE)),
        _ => (f64::EPSILON, f64::MIN_POSITIVE),
    }
}

/// `||D W^i_j||_2^2` for layers 2, 3, ...: squared slopes of the layer below times squared weights.
fn row_norms<T: Real>(layers: &[Layer<T>], slopes: &[Vec<T>], batch: usize) -> Result<Vec<Vec<T>>> {
    let square = |values: &[T]| values.iter().map(|v| *v * *v).collect::<Vec<T>>();
    layers[1..]
        .iter()
        .zip(slopes)
        .map(|(layer, slopes)| {
            let (slopes, weights) = (square(slopes), square(layer.values));
            let mut sums = vec![T::zero(); batch * layer.outputs];
            let lhs = View::new(&slopes, batch, layer.inputs)?;
            let rhs = View::new(&weights, layer.outputs, layer.inputs)?.t();
            multiply_shared(&mut sums, Write::Replace, 1.0, lhs, rhs)?;
            Ok(sums)
        })
        .collect()
}

/// An upper bound of the spectral norm: `sigma^2 <= ||(W W^T)^(2^k)||_F^(1 / 2^k)` for every `k`, at most a factor
/// `n^(1 / 2^(k + 1))` too large. A larger batch is worth more squarings.
fn spectral_bound<T: Real>(layer: &Layer<T>, batch: usize) -> Result<f64> {
    let matrix = View::new(layer.values, layer.outputs, layer.inputs)?;
    let narrow = layer.outputs.min(layer.inputs);
    let gram_of = if layer.outputs <= layer.inputs {
        gram(matrix)?
    } else {
        gram(matrix.t())?
    };
    let mut power: Vec<f64> = gram_of.iter().map(|v| v.to_f64()).collect();
    let norm = |matrix: &[f64]| matrix.iter().map(|v| v * v).sum::<f64>().sqrt();
    // The logarithm of the bound, so that no power overflows.
    let mut logarithm = 0.0;
    let mut exponent = 1.0;
    for squaring in 0.. {
        let size = norm(&power);
        if size <= 0.0 {
            return Ok(0.0);
        }
        logarithm += size.ln() / exponent;
        if squaring == if batch < 256 { 2 } else { 4 } {
            break;
        }
        power.iter_mut().for_each(|v| *v /= size);
        power = gram(View::new(&power, narrow, narrow)?)?;
        exponent *= 2.0;
    }
    Ok((logarithm / 2.0).exp())
}
