//! What is known of a fully connected chain before any input is seen.

use crate::{Norm, Result};
use candle_core::{DType, Tensor};
use loclin_models::{FcChain, TwoPieces};
use loclin_tensor::{
    product::{Real, View, gram},
    spectral::matrix_bound,
};

/// A batch from which on sharper norms of the layers pay for themselves.
const LARGE: usize = 256;

/// A chain's weights and their norms, in the network's type of number.
#[derive(Debug)]
pub(super) struct Weights<T> {
    /// What the input is multiplied by, absolute.
    pub(super) scale: f64,
    pub(super) layers: Vec<Layer<T>>,
    /// The input's entries whose weights are not all 0.
    pub(super) read: Vec<usize>,
    /// `W^1 W^1^T` in float64.
    pub(super) gram: Vec<f64>,
    /// For the duals of l1, l2 and l_inf.
    bounds: [Bounds; 3],
}

/// One layer `W` `[outputs, inputs]`, row-major.
#[derive(Debug)]
pub(super) struct Layer<T> {
    values: Vec<T>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// The largest slope of the activation after it, absolute.
    steepest: f64,
}

/// Upper bounds of `||grad z||_q` for one `q`, the rounding of computed gradients included.
#[derive(Debug)]
pub(super) struct Bounds {
    /// `||grad z||_q` of the first layer's neurons, exact.
    pub(super) first: Vec<f64>,
    /// A bound for every other neuron, whatever the input: by the length of its row.
    pub(super) others: Vec<f64>,
    /// Entry `k` bounds `||g||_q / ||v||_2` for the gradient `g` that a cotangent `v` of layer `k`'s
    /// pre-activations is pulled back to.
    pub(super) reach: Vec<f64>,
}

impl<T: Real> Layer<T> {
    pub(super) fn row(&self, row: usize) -> &[T] {
        &self.values[row * self.inputs..][..self.inputs]
    }

    pub(super) fn view(&self) -> Result<View<'_, T>> {
        Ok(View::new(&self.values, self.outputs, self.inputs)?)
    }

    fn rows(&self) -> impl Iterator<Item = &[T]> {
        self.values.chunks_exact(self.inputs)
    }
}

impl<T: Real> Weights<T> {
    /// Reads the weights of `chain`; `batch` is the number of inputs that will share what it costs to know them.
    pub(super) fn new(chain: &FcChain, batch: usize) -> Result<Self> {
        let layer = |(weight, activation): (&Tensor, &TwoPieces)| {
            let (outputs, inputs) = weight.dims2()?;
            Ok(Layer {
                values: weight.flatten_all()?.to_vec1()?,
                inputs,
                outputs,
                steepest: activation.slopes.iter().fold(0.0, |s, v| v.abs().max(s)),
            })
        };
        let layers = chain.weights.iter().zip(&chain.activations).map(layer);
        let layers = layers.collect::<Result<Vec<Layer<T>>>>()?;
        let (outputs, inputs) = (layers[0].outputs, layers[0].inputs);
        let first: Vec<f64> = layers[0].values.iter().map(|w| w.to_f64()).collect();
        let gram = gram(View::new(&first, outputs, inputs)?)?;
        let scale = chain.scale.abs();
        let squarings = if batch < LARGE { 2 } else { 6 };
        // The last layer is only ever the source of rows.
        let between = &layers[1..layers.len().max(2) - 1];
        let spectral = between
            .iter()
            .map(|layer| {
                let values: Vec<f64> = layer.values.iter().map(|w| w.to_f64()).collect();
                let matrix = View::new(&values, layer.outputs, layer.inputs)?;
                Ok(matrix_bound(matrix, None, squarings)?)
            })
            .collect::<Result<Vec<_>>>()?;
        // The Gram matrix has the first layer's spectral norm squared.
        let matrix = View::new(&gram, outputs, outputs)?;
        let leading = matrix_bound(matrix, None, squarings)?.sqrt();
        let bounds = [Norm::L1, Norm::L2, Norm::LINF]
            .map(|dual| Bounds::new(dual, &layers, scale, leading, &spectral));
        let is_read = |column: &usize| layers[0].rows().any(|row| row[*column] != T::zero());
        Ok(Self {
            scale,
            read: (0..inputs).filter(is_read).collect(),
            layers,
            gram,
            bounds,
        })
    }

    /// The bounds for `||.||_q`, `q` 1, 2 or infinite.
    pub(super) fn bounds(&self, dual: Norm) -> &Bounds {
        match dual {
            Norm::L1 => &self.bounds[0],
            Norm::L2 => &self.bounds[1],
            _ => &self.bounds[2],
        }
    }
}

impl Bounds {
    fn new<T: Real>(
        dual: Norm,
        layers: &[Layer<T>],
        scale: f64,
        leading: f64,
        spectral: &[f64],
    ) -> Self {
        let mut columns = vec![0.0; layers[0].inputs];
        let mut first = Vec::with_capacity(layers[0].outputs);
        let mut buffer = Vec::new();
        for row in layers[0].rows() {
            buffer.clear();
            buffer.extend(row.iter().map(|w| w.to_f64()));
            first.push(dual.of(&buffer) * scale);
            let sums = columns.iter_mut().zip(&buffer);
            sums.for_each(|(sum, w)| *sum += w * w);
        }
        let columns = columns.iter().map(|sum: &f64| sum.sqrt());
        // `sup ||W^1^T v||_q` over `||v||_2 = 1`.
        let induced = match dual {
            // The largest coordinate of a sum is at most the longest column.
            Norm::LINF => columns.fold(0.0, f64::max).min(leading),
            Norm::L2 => leading,
            _ => columns
                .sum::<f64>()
                .min((layers[0].inputs as f64).sqrt() * leading),
        };
        let mut reach = vec![induced * scale * (1.0 + rounding(layers))];
        for (layer, spectral) in layers[..layers.len() - 1].iter().zip(spectral) {
            let below = reach[reach.len() - 1];
            reach.push(spectral * layer.steepest * below);
        }
        let mut others = Vec::new();
        for ((below, layer), reach) in layers.iter().zip(&layers[1..]).zip(&reach) {
            let bound = |row: &[T]| length(row) * below.steepest * reach;
            others.extend(layer.rows().map(bound));
        }
        Self {
            first,
            others,
            reach,
        }
    }
}

/// How far a computed gradient may exceed a bound of the true one: each sum of `n` products adds at most `n`
/// roundings.
pub(super) fn rounding<T: Real>(layers: &[Layer<T>]) -> f64 {
    let epsilon = match T::DTYPE {
        DType::F32 => f64::from(f32::EPSILON),
        _ => f64::EPSILON,
    };
    let widest = layers.iter().map(|layer| layer.inputs).max().unwrap_or(0);
    4.0 * (widest * layers.len()) as f64 * epsilon
}

/// At least the Euclidean length of a vector: squares that vanish count as the smallest number.
pub(super) fn length<T: Real>(vector: &[T]) -> f64 {
    // Several sums, so that the processor need not wait for one addition before the next.
    let mut sums = [f64::MIN_POSITIVE * vector.len() as f64; 8];
    let chunks = vector.chunks_exact(8);
    let rest = chunks.remainder().iter().map(|v| v.to_f64() * v.to_f64());
    let rest: f64 = rest.sum();
    for chunk in chunks {
        for (sum, v) in sums.iter_mut().zip(chunk) {
            *sum += v.to_f64() * v.to_f64();
        }
    }
    (sums.iter().sum::<f64>() + rest).sqrt()
}
