//! What all inputs of a batch share on the way to the sum of squared norms.

use super::{
    active::Active,
    dense::{dot, transposed},
    end::End,
    varying::Varying,
};
use loclin_tensor::{
    Result,
    product::{Real, View, gram},
};

/// The hidden layers of a chain.
pub(super) struct Layers<'a, T> {
    /// `D, N_1, ..., N_M`.
    pub(super) sizes: Vec<usize>,
    /// `W^i`, row-major `[N_i, N_{i-1}]`.
    pub(super) weights: Vec<&'a [T]>,
}

/// What all inputs share.
pub(super) struct Shared<'a, T> {
    pub(super) layers: &'a Layers<'a, T>,
    pub(super) active: &'a [Vec<Active<T>>],
    /// `G^1`.
    pub(super) g1: Vec<T>,
    /// `Q^i` for `i = 2, ..., M`.
    pub(super) q: Vec<Vec<T>>,
    /// Sum over the batch of `d d^T`; empty for `M = 1`.
    pub(super) masks: Vec<T>,
    /// `W^2 D_1 G^1 D_1 W^2^T`, for `M >= 3`.
    pub(super) bottom: Option<End<T>>,
    /// `Q^{M-1} + W^{M-1}^T D_{M-1} Q^M D_{M-1} W^{M-1}`, for `M >= 4`.
    pub(super) top: Option<End<T>>,
}

impl<'a, T: Real> Shared<'a, T> {
    /// What the weights and all slopes together say.
    pub(super) fn new(layers: &'a Layers<'a, T>, active: &'a [Vec<Active<T>>]) -> Result<Self> {
        let (sizes, weights) = (&layers.sizes, &layers.weights);
        let depth = weights.len();
        let g1 = gram(View::new(weights[0], sizes[1], sizes[0])?)?;
        let mut q = Vec::new();
        for (weight, size) in weights[1..].iter().zip(sizes[1..].windows(2)) {
            q.push(gram(View::new(weight, size[1], size[0])?.t())?);
        }
        let mut masks = Vec::new();
        if depth > 1 {
            let mut slopes = vec![T::zero(); active.len() * sizes[1]];
            for (row, input) in slopes.chunks_exact_mut(sizes[1]).zip(active) {
                input[0].spread(row);
            }
            masks = gram(View::new(&slopes, active.len(), sizes[1])?.t())?;
        }
        let varying = |layer: usize| {
            let inputs = active.iter().map(|input| &input[layer - 1]);
            Varying::new(sizes[layer], inputs)
        };
        let bottom = (depth >= 3).then(|| End::new(weights[1], &g1, varying(1), None));
        let top = (depth >= 4).then(|| {
            let size = [sizes[depth - 1], sizes[depth - 2]];
            let weight = transposed(weights[depth - 2], size);
            let plus = Some(&q[depth - 3][..]);
            End::new(&weight, &q[depth - 2], varying(depth - 1), plus)
        });
        Ok(Self {
            bottom: bottom.transpose()?,
            top: top.transpose()?,
            layers,
            active,
            g1,
            q,
            masks,
        })
    }

    /// `M`.
    pub(super) fn depth(&self) -> usize {
        self.layers.weights.len()
    }

    /// The layers with a product of three full sides for each input.
    pub(super) fn middle(&self) -> std::ops::Range<usize> {
        3..(self.depth().max(3) - 1).max(3)
    }

    /// The part of `R` that needs no work for each input.
    pub(super) fn value(&self) -> f64 {
        let diagonal = self.g1.iter().step_by(self.layers.sizes[1] + 1);
        let trace: f64 = diagonal.map(|g| g.to_f64()).sum();
        let second = self.q.first().map_or(0.0, |q| {
            let masked: Vec<T> = self.masks.iter().zip(q).map(|(m, q)| *m * *q).collect();
            dot(&masked, &self.g1)
        });
        trace * self.active.len() as f64 + second
    }
}
