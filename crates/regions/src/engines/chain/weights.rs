//! What is known of a fully connected chain before any input is seen.

use crate::{Norm, Result};
use candle_core::Tensor;
use loclin_models::{FcChain, TwoPieces};
use loclin_tensor::{
    product::{Real, View, gram},
    rounding::{SMALLEST, largest, length_up, product_up, sum_up, up_by},
    spectral::matrix_bound,
};

/// Above the rounding of the factor that normalises the input.
const WIDER: f64 = 1.0 + 1e-15;

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
    /// `W^1 W^1^T` in float64, where that is smaller than `W^1`: else a gradient costs no more than a length by it.
    pub(super) gram: Option<Vec<f64>>,
    /// At least the spectral norm of `W^1`.
    pub(super) leading: f64,
    /// At least those of the layers behind it but the last.
    pub(super) spectral: Vec<f64>,
    /// At least the lengths of the rows of `W^1`.
    pub(super) first_lengths: Vec<f64>,
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
    pub(super) steepest: f64,
    /// At least the spectral norm of its absolute values.
    pub(super) absolute: f64,
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
    /// Bounds `|| |W^1|^T v ||_q / ||v||_2`.
    pub(super) columns: f64,
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
            let values: Vec<T> = weight.flatten_all()?.to_vec1()?;
            Ok(Layer {
                absolute: absolute_bound(&values, inputs),
                values,
                inputs,
                outputs,
                steepest: activation.slopes.iter().fold(0.0, |s, v| v.abs().max(s)),
            })
        };
        let layers = chain.weights.iter().zip(&chain.activations).map(layer);
        let layers = layers.collect::<Result<Vec<Layer<T>>>>()?;
        let (outputs, inputs) = (layers[0].outputs, layers[0].inputs);
        let first: Vec<f64> = layers[0].values.iter().map(|w| w.to_f64()).collect();
        let has_gram = outputs < inputs;
        let gram = has_gram.then(|| gram(View::new(&first, outputs, inputs)?));
        let gram = gram.transpose()?;
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
        let leading = matrix_bound(View::new(&first, outputs, inputs)?, None, squarings)?;
        let bounds = [Norm::L1, Norm::L2, Norm::LINF]
            .map(|dual| Bounds::new(dual, &layers, scale, leading, &spectral));
        let is_read = |column: &usize| layers[0].rows().any(|row| row[*column] != T::zero());
        Ok(Self {
            scale,
            read: (0..inputs).filter(is_read).collect(),
            layers,
            leading,
            spectral,
            gram,
            first_lengths: first.chunks_exact(inputs).map(length_up).collect(),
            bounds,
        })
    }

    /// A gradient in the input, its numbers rounded away from 0, of one in the normalised input.
    pub(super) fn scaled(&self, gradient: &[T]) -> Vec<f64> {
        // Above the roundings of the factor and of both products, and above what underflows.
        let (factor, least) = (self.scale * (1.0 + 1e-14), 8.0 * SMALLEST);
        let of = |g: &T| match g.to_f64() {
            0.0 => 0.0,
            g => (g.abs() * factor + least).copysign(g),
        };
        gradient.iter().map(of).collect()
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
            first.push(product_up(&[norm_up(dual, &buffer), scale, WIDER]));
            let most = columns.iter_mut().zip(&buffer);
            most.for_each(|(most, w)| *most = w.abs().max(*most));
        }
        // At least the length of each column, by its largest entry: no square vanishes.
        let mut squares = vec![0.0; columns.len()];
        for row in layers[0].rows() {
            for ((square, most), w) in squares.iter_mut().zip(&columns).zip(row) {
                let ratio = if *most > 0.0 { w.to_f64() / most } else { 0.0 };
                *square += ratio * ratio;
            }
        }
        let outputs = layers[0].outputs;
        let columns = squares
            .iter()
            .zip(&columns)
            .map(|(square, most): (&f64, &f64)| up_by(square.sqrt() * most, outputs + 8));
        // The same of the absolute values, in which nothing cancels.
        let columns: Vec<f64> = columns.collect();
        let absolute = match dual {
            Norm::LINF => columns.iter().copied().fold(0.0, f64::max),
            Norm::L1 => sum_up(&columns),
            _ => length_up(&columns),
        };
        let columns = columns.into_iter();
        // `sup ||W^1^T v||_q` over `||v||_2 = 1`.
        let induced = match dual {
            // The largest coordinate of a sum is at most the longest column.
            Norm::LINF => columns.fold(0.0, f64::max).min(leading),
            Norm::L2 => leading,
            _ => {
                let inputs = layers[0].inputs;
                sum_up(&columns.collect::<Vec<_>>()).min(product_up(&[
                    (inputs as f64).sqrt(),
                    leading,
                    WIDER,
                ]))
            }
        };
        let mut reach = vec![product_up(&[induced, scale, WIDER])];
        for (layer, spectral) in layers[..layers.len() - 1].iter().zip(spectral) {
            let below = reach[reach.len() - 1];
            reach.push(product_up(&[*spectral, layer.steepest, below]));
        }
        let mut others = Vec::new();
        for ((below, layer), reach) in layers.iter().zip(&layers[1..]).zip(&reach) {
            let bound = |row: &[T]| product_up(&[length(row), below.steepest, *reach]);
            others.extend(layer.rows().map(bound));
        }
        Self {
            first,
            others,
            reach,
            columns: absolute,
        }
    }
}

/// At least the spectral norm of the absolute values of a matrix with `columns` columns: the root of the largest sum of a
/// row times that of a column.
fn absolute_bound<T: Real>(values: &[T], columns: usize) -> f64 {
    let mut sums = vec![0.0; columns];
    let mut most = 0f64;
    for row in values.chunks_exact(columns.max(1)) {
        let mut own = 0.0;
        for (sum, w) in sums.iter_mut().zip(row) {
            *sum += w.to_f64().abs();
            own += w.to_f64().abs();
        }
        most = most.max(own);
    }
    let columns = sums.into_iter().fold(0.0, f64::max);
    up_by(columns.sqrt() * most.sqrt(), values.len() + 8)
}

/// At least the lq norm of a vector.
pub(super) fn norm_up(q: Norm, vector: &[f64]) -> f64 {
    match q {
        Norm::L1 => sum_up(vector),
        Norm::LINF => largest(vector),
        _ => length_up(vector),
    }
}

/// At least the Euclidean length of a vector.
pub(super) fn length<T: Real>(vector: &[T]) -> f64 {
    let square = dot(vector, vector, |v, w| v.to_f64() * w.to_f64());
    match (1e-280..1e280).contains(&square) {
        // What vanished is nothing beside the rest.
        true => up_by(square.sqrt(), vector.len() + 8),
        false => length_up(&vector.iter().map(|v| v.to_f64()).collect::<Vec<_>>()),
    }
}

/// The sum of `product` over the pairs of two vectors.
pub(super) fn dot<A, B>(a: &[A], b: &[B], product: impl Fn(&A, &B) -> f64) -> f64 {
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f64 = rest.map(|(a, b)| product(a, b)).sum();
    // Several sums, so that the processor need not wait for one addition before the next.
    let mut sums = [0.0; 8];
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += product(a, b);
        }
    }
    sums.iter().sum::<f64>() + rest
}
